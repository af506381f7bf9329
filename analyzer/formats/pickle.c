/* pickle.c - runs of the machine, and the sweep through what is left of a stream that broke.
 *
 * A stream that breaks has run until then in whoever loads it; and a loader may be more lenient than this machine. So
 * behind the break opcodes are still taken apart, without a stack, and the names they write out are noted when they look
 * like names: "module.name" of GLOBAL and INST, and the two texts before STACK_GLOBAL.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "analyzer/formats/pickle.h"

#include "analyzer/base/limits.h"
#include "analyzer/formats/pickle_internal.h"

#include <stdlib.h>
#include <string.h>

enum { STREAMS = 1000 }; /* pickles of one source that are interpreted; names in those behind are swept for */

/* ---- the sweep ---- */

static bool looks_like_name(const char *text, size_t n)
{
    if (n == 0 || n > GLOBAL_BYTES)
        return false;
    for (size_t i = 0; i < n; i++) {
        char c = text[i], lower = (char)(c | 32);
        if (!((lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '.'))
            return false;
    }
    return text[0] != '.' && !(text[0] >= '0' && text[0] <= '9');
}

static bool names_something(const pickle_op *op)
{
    return (op->code == OP_GLOBAL || op->code == OP_INST) && op->second && looks_like_name(op->text, op->length) &&
           looks_like_name(op->second, op->second_length);
}

static bool is_text(unsigned code)
{
    return code == OP_SHORT_BINUNICODE || code == OP_BINUNICODE || code == OP_BINUNICODE8 ||
           code == OP_SHORT_BINSTRING || code == OP_BINSTRING || code == OP_UNICODE;
}

static void sweep(pickle_machine *m, size_t at)
{
    pickle_op op, texts[2] = {{0}, {0}};
    pickle_name found;
    while (*m->notes) {
        decode_result result = pickle_decode(m->source->bytes, m->source->length, at, &op);
        if (names_something(&op))
            machine_note_global(m, op.text, op.length, op.second, op.second_length, op.at, &found);
        if (result != DECODE_OK)
            return;
        if (is_text(op.code)) {
            texts[0] = texts[1];
            texts[1] = op;
        }
        if (op.code == OP_STACK_GLOBAL && looks_like_name(texts[0].text, texts[0].length) &&
            looks_like_name(texts[1].text, texts[1].length))
            machine_note_global(m, texts[0].text, texts[0].length, texts[1].text, texts[1].length, op.at, &found);
        at = op.next;
    }
}

/* ---- one run ---- */

static bool begin(pickle_machine *m)
{
    m->none = value_make(m, PICKLE_NONE);
    m->no = value_make(m, PICKLE_BOOL);
    m->yes = value_make(m, PICKLE_BOOL);
    m->empty_tuple = value_items(m, PICKLE_TUPLE, NULL, 0);
    if (!m->none || !m->no || !m->yes || !m->empty_tuple)
        return false;
    m->yes->integer = 1;
    return true;
}

/* The bytes end in the middle, or hold no opcode. A name that was written out until the end would still be imported. */
static lora_code undecodable(pickle_machine *m, decode_result result, bool partial)
{
    if (result == DECODE_UNKNOWN)
        return machine_fail(m, "no such opcode");
    if (result == DECODE_NEGATIVE)
        return machine_fail(m, "a negative length");
    pickle_name found;
    if (!partial && (m->op.code == OP_GLOBAL || m->op.code == OP_INST) && m->op.second)
        machine_note_global(m, m->op.text, m->op.length, m->op.second, m->op.second_length, m->op.at, &found);
    return machine_fail(m, m->op.at == m->source->length ? "the pickle ends without STOP"
                                                         : "the pickle ends inside an opcode");
}

static lora_code run(pickle_machine *m, size_t *at, pickle_run_options *options)
{
    bool stopped = false;
    lora_code code = LORA_OK;
    while (!code && !stopped) {
        decode_result result = pickle_decode(m->source->bytes, m->source->length, *at, &m->op);
        if (result == DECODE_OK) {
            code = machine_step(m, &stopped);
            *at = code ? *at : m->op.next;
        } else {
            options->ran_out = result == DECODE_END;
            code = undecodable(m, result, options->partial);
        }
    }
    if (code && code != LORA_E_MEMORY && !(options->partial && options->ran_out))
        sweep(m, m->op.next);
    return code;
}

static lora_code unnoted(lora_error *err)
{
    if (err && err->code != LORA_E_MEMORY)
        *err = (lora_error){0}; /* a missing note is worse than a broken stream */
    return lora_fail(err, LORA_E_MEMORY, "out of memory while noting what a pickle names");
}

lora_code pickle_run_with(const pickle_source *source, size_t *at, arena *mem, observations *seen, pickle_value **root,
                          pickle_run_options *options, lora_error *err)
{
    pickle_machine m = {
        .source = source, .mem = mem, .seen = seen, .err = err, .left = source->budget, .notes = options->notes};
    m.op.at = *at;
    options->ran_out = false;
    lora_code code = LORA_OK;
    if (begin(&m))
        code = run(&m, at, options);
    else
        code = machine_no_room(&m);
    if (seen->no_memory)
        code = unnoted(err);
    options->used = source->budget - m.left;
    free(m.stack.list);
    free(m.marks);
    free(m.memo.list);
    free(m.far);
    if (!code && options->persistent)
        *options->persistent = m.persistent;
    else
        free(m.persistent.list);
    if (!code)
        *root = m.root;
    return code;
}

lora_code pickle_run(const pickle_source *source, size_t *at, arena *mem, observations *seen, pickle_value **root,
                     lora_error *err)
{
    unsigned notes = NOTES_A_SOURCE;
    pickle_run_options options = {.notes = &notes};
    return pickle_run_with(source, at, mem, seen, root, &options, err);
}

/* ---- all runs ---- */

static void anomaly(const pickle_source *source, size_t at, observations *seen, const char *what)
{
    observe(seen, SEEN_PICKLE_ANOMALY, pickle_place(source, at), NULL, "%s", what);
}

/* *first_end: in the source, behind the STOP of the first pickle; 0 when it has none. */
static lora_code scan_streams(const pickle_source *source, observations *seen, size_t *first_end, lora_error *err)
{
    *first_end = 0;
    unsigned notes = NOTES_A_SOURCE;
    size_t at = 0, n_streams = 0;
    while (at < source->length && n_streams < STREAMS) {
        arena *mem = arena_create();
        if (!mem)
            return lora_fail(err, LORA_E_MEMORY, "out of memory before a pickle is interpreted");
        size_t began = at;
        pickle_value *root;
        pickle_run_options options = {.notes = &notes};
        lora_error broken = {0};
        lora_code code = pickle_run_with(source, &at, mem, seen, &root, &options, &broken);
        arena_destroy(mem);
        if (code == LORA_E_MEMORY)
            return lora_fail(err, LORA_E_MEMORY, "%s", broken.message);
        if (n_streams == 1)
            anomaly(source, began, seen, code ? "bytes follow the pickle" : "more than one pickle");
        if (code) {
            if (n_streams != 1)
                observe(seen, SEEN_PICKLE_ANOMALY, broken.offset, NULL, "a pickle that breaks: %s", broken.message);
            break;
        }
        *first_end = n_streams++ ? *first_end : at;
    }
    if (n_streams == STREAMS && at < source->length) {
        lora_error ignored = {0};
        pickle_machine rest = {.source = source, .seen = seen, .err = &ignored, .notes = &notes};
        anomaly(source, at, seen, "more pickles in a row than are interpreted");
        sweep(&rest, at);
    }
    return seen->no_memory ? unnoted(err) : LORA_OK;
}

lora_code pickle_scan(const pickle_source *source, observations *seen, lora_error *err)
{
    size_t first_end;
    return scan_streams(source, seen, &first_end, err);
}

lora_code pickle_file_scan(const file *f, observations *seen, uint64_t *first_end, lora_error *err)
{
    *first_end = 0;
    size_t n = f->size < LIMIT_PICKLE_BYTES ? (size_t)f->size : LIMIT_PICKLE_BYTES;
    unsigned char *bytes = malloc(n ? n : 1);
    if (!bytes)
        return lora_fail(err, LORA_E_MEMORY, "no memory for a pickle of %zu bytes", n);
    lora_code code = file_read_at(f, 0, bytes, n, err);
    pickle_source source = {.bytes = bytes, .length = n, .budget = LIMIT_PICKLE_MEMORY + f->size / 2};
    if (!code && n < f->size)
        anomaly(&source, n, seen, "the pickle is longer than what is looked at");
    size_t end = 0;
    if (!code)
        code = scan_streams(&source, seen, &end, err);
    *first_end = end;
    free(bytes);
    return code;
}

/* ---- a first look ---- */

/* Many texts begin with what could be an opcode. A known PROTO is enough with an opcode behind it; a MARK, an empty
 * container or a name needs a row of opcodes; after anything else that can begin a pickle there must be a name in sight. */
bool pickle_looks_like(const unsigned char *bytes, size_t n)
{
    enum { ENOUGH = 3, FAR = 64 };
    pickle_op op;
    if (n < 2 || (bytes[0] >= '0' && bytes[0] <= '9'))
        return false;
    bool protocol = bytes[0] == OP_PROTO && bytes[1] <= 5, likely = protocol || memchr("(c]})", bytes[0], 5);
    size_t at = 0;
    for (unsigned i = 0; i < FAR; i++) {
        decode_result result = pickle_decode(bytes, n, at, &op);
        bool is_name = op.code == OP_GLOBAL || op.code == OP_INST;
        if (result != DECODE_UNKNOWN && names_something(&op))
            return true;
        if (result == DECODE_END)
            return (protocol && i > 0) || (likely && (i > 1 || (i == 1 && at < n && op.text)));
        if (result != DECODE_OK || (is_name && !protocol))
            return false;
        if (likely && (i + 1 == ENOUGH || (protocol && i == 1) || op.code == OP_STOP))
            return true;
        if (op.code == OP_STOP)
            return false;
        at = op.next;
    }
    return false;
}
