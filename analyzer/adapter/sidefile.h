/* sidefile.h - small JSON files that lie beside the weights: adapter_config.json, trainer_state.json, all_results.json.
 *
 * They are as hostile as the weights, and what they say must be what Python's json would read, or an error: read whole with
 * a bound on bytes, UTF-8 and syntax checked by our own scanner, NaN and Infinity (which Python writes) read as null, no
 * NUL in any string, and of repeated keys the last one counts. cJSON builds trees only of texts with few values, because
 * its tree takes about 64 bytes a value.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef LORAUDIT_SIDEFILE_H
#define LORAUDIT_SIDEFILE_H

#include "analyzer/base/arena.h"
#include "analyzer/base/error.h"

#include <cJSON.h>
#include <stddef.h>

/* sidefile_text - the text of the file `name` in directory `dir` ("" is the current one): a valid JSON object.
 * Out:   *text, NUL-terminated, in malloc'd memory that the caller frees, and *length; NULL when there is no such file,
 *        which is no error
 * Errs:  LORA_E_TOO_LARGE, LORA_E_JSON (with offset), those of file.h, LORA_E_MEMORY */
lora_code sidefile_text(const char *dir, const char *name, char **text, size_t *length, lora_error *err);

/* sidefile_load - the same as a tree, owned by the caller (cJSON_Delete). Errs: also LORA_E_TOO_LARGE for many values. */
lora_code sidefile_load(const char *dir, const char *name, cJSON **out, lora_error *err);

/* sidefile_parse - a tree of text in memory, for JSON inside metadata. what names it in the message. */
lora_code sidefile_parse(const char *text, size_t length, const char *what, cJSON **out, lora_error *err);

/* sidefile_directory - the directory part of path with its trailing slash, "" when there is none; in the arena.
 * The path is taken as given: in a hub cache the file is a link, and its side files lie beside the link. */
const char *sidefile_directory(const char *path, arena *mem);

/* Members by name, the last of equal ones. number: NULL or a finite number. */
const cJSON *sidefile_member(const cJSON *object, const char *key);
const double *sidefile_number(const cJSON *object, const char *key);
const char *sidefile_string(const cJSON *object, const char *key);
bool sidefile_true(const cJSON *object, const char *key);

#endif
