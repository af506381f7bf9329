/* pickle_internal.h - what the files of the pickle machine share: opcodes taken apart, names judged, one run.
 *
 *     pickle_opcodes.c   bytes → opcode with its operand, nothing understood
 *     pickle_globals.c   module and name → the name of Python 3, and whether it is allowed
 *     pickle_value.c     values, their memory under the budget, the memo
 *     pickle_text.c      operands of the text protocols, integers of any length
 *     pickle_notes.c     errors and observations
 *     pickle_machine.c   the stack and what each opcode does to it
 *     pickle_calls.c     names and calls
 *     pickle.c           runs, and the sweep through what is left of a stream that broke
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef LORAUDIT_PICKLE_INTERNAL_H
#define LORAUDIT_PICKLE_INTERNAL_H

#include "analyzer/formats/pickle.h"

/* ---- opcodes ---- */

/* Named as in CPython's pickletools. */
enum {
    OP_MARK = '(', OP_STOP = '.', OP_POP = '0', OP_POP_MARK = '1', OP_DUP = '2', OP_FLOAT = 'F', OP_INT = 'I',
    OP_BININT = 'J', OP_BININT1 = 'K', OP_LONG = 'L', OP_BININT2 = 'M', OP_NONE = 'N', OP_PERSID = 'P',
    OP_BINPERSID = 'Q', OP_REDUCE = 'R', OP_STRING = 'S', OP_BINSTRING = 'T', OP_SHORT_BINSTRING = 'U',
    OP_UNICODE = 'V', OP_BINUNICODE = 'X', OP_APPEND = 'a', OP_BUILD = 'b', OP_GLOBAL = 'c', OP_DICT = 'd',
    OP_EMPTY_DICT = '}', OP_APPENDS = 'e', OP_GET = 'g', OP_BINGET = 'h', OP_INST = 'i', OP_LONG_BINGET = 'j',
    OP_LIST = 'l', OP_EMPTY_LIST = ']', OP_OBJ = 'o', OP_PUT = 'p', OP_BINPUT = 'q', OP_LONG_BINPUT = 'r',
    OP_SETITEM = 's', OP_TUPLE = 't', OP_EMPTY_TUPLE = ')', OP_SETITEMS = 'u', OP_BINFLOAT = 'G',
    OP_BINBYTES = 'B', OP_SHORT_BINBYTES = 'C', OP_PROTO = 0x80, OP_NEWOBJ = 0x81, OP_EXT1 = 0x82, OP_EXT2 = 0x83,
    OP_EXT4 = 0x84, OP_TUPLE1 = 0x85, OP_TUPLE2 = 0x86, OP_TUPLE3 = 0x87, OP_NEWTRUE = 0x88, OP_NEWFALSE = 0x89,
    OP_LONG1 = 0x8a, OP_LONG4 = 0x8b, OP_SHORT_BINUNICODE = 0x8c, OP_BINUNICODE8 = 0x8d, OP_BINBYTES8 = 0x8e,
    OP_EMPTY_SET = 0x8f, OP_ADDITEMS = 0x90, OP_FROZENSET = 0x91, OP_NEWOBJ_EX = 0x92, OP_STACK_GLOBAL = 0x93,
    OP_MEMOIZE = 0x94, OP_FRAME = 0x95, OP_BYTEARRAY8 = 0x96, OP_NEXT_BUFFER = 0x97, OP_READONLY_BUFFER = 0x98
};

typedef struct {
    unsigned code;
    size_t at, next;     /* of the opcode, and of the one behind it */
    const char *text;    /* a line without its newline, or counted bytes */
    size_t length;
    const char *second; /* the second line of GLOBAL and INST; NULL when the bytes end before it */
    size_t second_length;
    uint64_t number; /* a fixed integer, zero-extended */
} pickle_op;

typedef enum {
    DECODE_OK,
    DECODE_END,     /* the bytes end inside or before the opcode; lines hold what there was of them */
    DECODE_UNKNOWN, /* no such opcode */
    DECODE_NEGATIVE /* a negative length */
} decode_result;

decode_result pickle_decode(const unsigned char *bytes, size_t n, size_t at, pickle_op *op);

/* ---- names ---- */

enum { GLOBAL_BYTES = 240 }; /* of a name kept; a longer one is cut, and never allowed */

typedef enum {
    GLOBAL_USED,      /* by the adapters that people publish */
    GLOBAL_TOLERATED, /* the rest of what torch.load(weights_only=True) accepts */
    GLOBAL_UNLISTED,
    GLOBAL_RUNS_CODE /* known to be of use to an attacker */
} global_class;

typedef struct {
    char text[GLOBAL_BYTES + 8]; /* "module.name", NULs shown as '?' */
    size_t length;
    bool renamed; /* from Python 2 */
    global_class class;
} pickle_name;

void pickle_name_of(const char *module, size_t module_length, const char *name, size_t name_length, pickle_name *out);

/* ---- the machine ---- */

typedef struct {
    pickle_value **list;
    size_t n, capacity;
} pickle_values;

typedef struct memo_entry memo_entry;

typedef struct {
    const pickle_source *source;
    arena *mem;
    observations *seen;
    lora_error *err;
    uint64_t left;     /* of the budget */
    unsigned *notes;   /* how many more may be made, over all runs of a source */
    lora_code failed;  /* why an allocation was refused */
    unsigned char *room; /* from the arena, handed out by moving it */
    size_t room_left, room_next;
    pickle_values stack;
    size_t *marks; /* the stack's height at each open MARK */
    size_t n_marks, marks_capacity;
    pickle_values memo;  /* by index, as far as a writer that counts would be */
    memo_entry *far;     /* the indices beyond: open addressing */
    size_t n_far, far_capacity, n_puts;
    pickle_values persistent;
    pickle_value *none, *no, *yes, *empty_tuple, *small[256];
    pickle_value *root;
    size_t frame_end;
    pickle_op op;
    bool began; /* an opcode other than PROTO was met */
} pickle_machine;

/* pickle_value.c. NULL: see m->failed. */
void *machine_alloc(pickle_machine *m, size_t count, size_t size);
pickle_value *value_make(pickle_machine *m, pickle_kind kind);
pickle_value *value_integer(pickle_machine *m, int64_t integer);
pickle_value *value_text(pickle_machine *m, pickle_kind kind, const char *text, size_t n);
pickle_value *value_items(pickle_machine *m, pickle_kind kind, pickle_value *const *items, size_t n);
bool value_add(pickle_machine *m, pickle_value *container, pickle_value *const *items, size_t n);
bool values_push(pickle_machine *m, pickle_values *list, pickle_value *v);
bool machine_grow(pickle_machine *m, void **list, size_t *capacity, size_t needed, size_t size); /* malloc'd */
bool memo_put(pickle_machine *m, uint64_t index, pickle_value *v);
pickle_value *memo_get(const pickle_machine *m, uint64_t index); /* NULL: no such entry */

/* pickle_text.c - operands of the text protocols, and integers. false: not a number. */
bool text_to_u64(const char *text, size_t n, uint64_t *out);
pickle_value *value_of_int_line(pickle_machine *m, const char *text, size_t n, bool *valid);
pickle_value *value_of_long(pickle_machine *m, const char *bytes, size_t n);
bool text_to_double(const char *text, size_t n, double *out);
pickle_value *value_of_string_line(pickle_machine *m, const char *text, size_t n, bool *valid);
pickle_value *value_of_unicode_line(pickle_machine *m, const char *text, size_t n);

/* pickle_machine.c - execute m->op. */
lora_code machine_step(pickle_machine *m, bool *stopped);

/* … and the stack. Values below the last MARK are out of reach: pop and top only with the height for it. */
static inline size_t stack_fence(const pickle_machine *m)
{
    return m->n_marks ? m->marks[m->n_marks - 1] : 0;
}

static inline size_t stack_height(const pickle_machine *m)
{
    return m->stack.n - stack_fence(m);
}

static inline pickle_value *stack_pop(pickle_machine *m)
{
    return m->stack.list[--m->stack.n];
}

static inline pickle_value *stack_top(const pickle_machine *m)
{
    return m->stack.list[m->stack.n - 1];
}

lora_code stack_push(pickle_machine *m, pickle_value *v); /* v NULL: see m->failed */
lora_code stack_underflow(pickle_machine *m);
/* The values since the last MARK, which is taken off; they stay readable until the next push. false: no MARK is open. */
bool stack_pop_mark(pickle_machine *m, pickle_value ***items, size_t *n);

/* pickle_calls.c - opcodes of names and calls. */
lora_code machine_push_global(pickle_machine *m, const char *module, size_t module_length, const char *name,
                              size_t name_length);
lora_code machine_stack_global(pickle_machine *m);
lora_code machine_extension(pickle_machine *m);   /* EXT1, EXT2, EXT4 */
lora_code machine_call_top(pickle_machine *m);    /* REDUCE, NEWOBJ */
lora_code machine_newobj_ex(pickle_machine *m);
lora_code machine_call_marked(pickle_machine *m); /* INST, OBJ */
lora_code machine_build(pickle_machine *m);
lora_code machine_persistent(pickle_machine *m, pickle_value *id); /* id NULL: see m->failed */

/* pickle_notes.c */
lora_code machine_fail(pickle_machine *m, const char *what);
lora_code machine_no_room(pickle_machine *m); /* why m->failed */
void machine_note_global(pickle_machine *m, const char *module, size_t module_length, const char *name,
                         size_t name_length, size_t at, pickle_name *out);
void machine_forbid(pickle_machine *m, const char *subject, const char *what); /* done to, or with, what is no plain data */
void machine_anomaly(pickle_machine *m, const char *what);

/* pickle.c - one run with all there is to it. */
typedef struct {
    bool partial;  /* in: more bytes follow than the source has. Running out of them is then no error of the stream: */
    bool ran_out;  /* out: … but this, and *at is where it was */
    uint64_t used; /* out: of the budget */
    unsigned *notes;
    pickle_values *persistent; /* out: every persistent id met, malloc'd; NULL: not wanted */
} pickle_run_options;

enum { NOTES_A_SOURCE = 20000 }; /* beyond, notes are only counted: 256 are kept */
lora_code pickle_run_with(const pickle_source *source, size_t *at, arena *mem, observations *seen, pickle_value **root,
                          pickle_run_options *options, lora_error *err);

#endif
