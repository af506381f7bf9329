/* pickle.h - a machine that interprets pickles and executes nothing.
 *
 * It follows every opcode of protocols 0 to 5 on values of its own: numbers, texts, containers, names of globals, calls
 * as data. Naming a global outside the allow-list is an observation (SEEN_FORBIDDEN_GLOBAL, subject "module.name") made
 * the moment the opcode is met, whatever comes after it. Source: CPython Lib/pickle.py and pickletools.py;
 * pytorch torch/_weights_only_unpickler.py for the list.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef LORAUDIT_PICKLE_H
#define LORAUDIT_PICKLE_H

#include "analyzer/base/error.h"
#include "analyzer/base/file.h"
#include "analyzer/formats/observation.h"

typedef enum {
    PICKLE_NONE,
    PICKLE_BOOL,
    PICKLE_INT,   /* fits int64 */
    PICKLE_BIG,   /* an integer that does not */
    PICKLE_FLOAT,
    PICKLE_STRING,
    PICKLE_BYTES, /* bytes and bytearray */
    PICKLE_TUPLE,
    PICKLE_LIST,
    PICKLE_SET,
    PICKLE_DICT,       /* also collections.OrderedDict and Counter */
    PICKLE_GLOBAL,     /* text "module.name", Python 2 names mapped to those of 3, cut after 240 bytes */
    PICKLE_PERSISTENT, /* items[0] is the id */
    PICKLE_CALL        /* items[0] called with items[1] (a tuple): what it would give is not known; items[2]: BUILD state */
} pickle_kind;

typedef struct pickle_value pickle_value;
struct pickle_value {
    pickle_kind kind;
    uint64_t at; /* place in the file of the opcode that made it */
    union {
        int64_t integer; /* PICKLE_INT, PICKLE_BOOL */
        double number;
        struct {
            const char *text; /* NUL-terminated, may hold NULs; BIG: two's complement, little-endian, or nothing */
            size_t length;
        };
        struct { /* what is set on an object after it was made can close a circle: walk with a bound */
            pickle_value **items; /* DICT: key, value, key, value … as they were set: of a key that comes again, the
                                   * last value counts, in the place of the first */
            size_t n, capacity;   /* of items */
        };
    };
};

/* One stretch of bytes to be read as pickles. */
typedef struct {
    const unsigned char *bytes;
    size_t length;
    uint64_t offset;    /* of bytes[0] in the file */
    bool inflated;      /* … or, where this is set, of the deflate stream they came from: then every place is the stream's */
    const char *member; /* name of the archive's member, for messages; NULL */
    uint64_t budget;    /* bytes the machine may allocate: LIMIT_PICKLE_MEMORY + file size / 2 */
} pickle_source;

/* pickle_place - where in the file byte `at` of the source is. */
static inline uint64_t pickle_place(const pickle_source *source, size_t at)
{
    return source->offset + (source->inflated ? 0 : at);
}

/* pickle_run - interpret one pickle from *at on.
 * Out:   *root, in mem; *at behind its STOP (or where it broke)
 * Errs:  LORA_E_PICKLE (truncated, unknown opcode, bad operand or stack; with offset), LORA_E_PICKLE_LIMIT, LORA_E_MEMORY.
 *        Observations made before an error stay. Cost: O(length) */
lora_code pickle_run(const pickle_source *source, size_t *at, arena *mem, observations *seen, pickle_value **root,
                     lora_error *err);

/* pickle_scan - all pickles of the source one after another, for what they would import; scratch memory is its own. A
 * stream that breaks, trailing bytes, and more than one pickle are SEEN_PICKLE_ANOMALY. Errs: LORA_E_MEMORY. */
lora_code pickle_scan(const pickle_source *source, observations *seen, lora_error *err);

/* pickle_file_scan - pickle_scan of a file that is a bare pickle; its first LIMIT_PICKLE_BYTES, and an anomaly beyond.
 * Out:  *first_end, the place behind the STOP of the first pickle; 0: it has none
 * Errs: LORA_E_MEMORY, LORA_E_READ, LORA_E_SHRUNK. */
lora_code pickle_file_scan(const file *f, observations *seen, uint64_t *first_end, lora_error *err);

/* pickle_looks_like - can these first bytes of something begin a pickle? A PROTO opcode with a known protocol, or the first
 * opcodes of protocols 0 and 1. */
bool pickle_looks_like(const unsigned char *bytes, size_t n);

#endif
