/* check.h - what must hold of every answer of a reader, whatever bytes it was given. A harness calls these; a check that
 * fails says so and aborts, which libFuzzer and the replay both count as a crash.
 *
 * An allocation may fail under the replay: every check accepts LORA_E_MEMORY then, and only then.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FUZZ_CHECK_H
#define FUZZ_CHECK_H

#include "analyzer/formats/catalog.h"
#include "analyzer/formats/observation.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The entry points that libFuzzer knows, and that replay.c calls. Initialize is there where a harness needs it. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);
int LLVMFuzzerInitialize(int *argc, char ***argv);

/* Set by the replay while it makes allocations fail. */
extern bool check_memory_may_fail;

#define CHECK(condition) ((condition) ? (void)0 : check_failed(__FILE__, __LINE__, #condition, NULL))
#define CHECK_ABOUT(condition, text) ((condition) ? (void)0 : check_failed(__FILE__, __LINE__, #condition, (text)))
_Noreturn void check_failed(const char *file, int line, const char *condition, const char *about);

/* check_outcome - err is set exactly when code says so, with a message of one printable line and a place in the file. */
void check_outcome(lora_code code, const lora_error *err, uint64_t file_size);

/* check_line - not empty, valid UTF-8, no control characters. */
void check_line(const char *text);

/* check_observations - a bounded list without repetitions, of lines. */
void check_observations(const observations *seen, uint64_t file_size);

/* check_storage - the stored bytes lie inside f or in memory. */
void check_storage(const file *f, const tensor_storage *s);

/* check_catalog - names, shapes, sizes and ranges as catalog.h promises them; and fetches what is small enough, whole
 * and in part. */
void check_catalog(const file *f, const catalog *cat);

/* check_reader - run a reader on the bytes, and check all that it answers. container: the name it must give; NULL for any.
 * Returns its code. */
typedef lora_code (*check_read)(const file *f, arena *mem, observations *seen, catalog *cat, lora_error *err);
lora_code check_reader(const uint8_t *bytes, size_t n, const char *container, check_read read);

#endif
