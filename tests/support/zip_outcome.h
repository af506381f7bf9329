/* zip_outcome.h - the directory of an archive made with zip_writer, as the reader answers it. For tests of the zip reader.
 * Include after cmocka.h and what it needs.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef TEST_ZIP_OUTCOME_H
#define TEST_ZIP_OUTCOME_H

#include "analyzer/formats/zip.h"
#include "tests/support/zip_writer.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>

#include <cmocka.h>

static const char FOX[] = "the quick brown fox jumps over the lazy dog";

typedef struct {
    file f;
    arena *mem;
    observations seen;
    zip_directory zip;
    lora_error err;
    lora_code code;
} outcome;

static inline outcome read_archive(const zip_writer *w)
{
    outcome o = {.f = file_of_memory(w->bytes, w->n), .mem = arena_create()};
    o.seen.mem = o.mem;
    o.code = zip_read_directory(&o.f, o.mem, &o.seen, &o.zip, &o.err);
    assert_int_equal(o.code, o.err.code);
    return o;
}

static inline void done(outcome *o, zip_writer *w)
{
    arena_destroy(o->mem);
    zip_writer_free(w);
}

#endif
