/* sidefile.h - small JSON files that lie beside the weights: adapter_config.json, trainer_state.json, all_results.json.
 *
 * They are as hostile as the weights: read whole with a bound on bytes and on the number of values before cJSON sees
 * them, because its tree takes about 64 bytes a value.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef LORAUDIT_SIDEFILE_H
#define LORAUDIT_SIDEFILE_H

#include "analyzer/base/arena.h"
#include "analyzer/base/error.h"

#include <cJSON.h>
#include <stddef.h>

/* sidefile_load - the JSON object in the file `name` of directory `dir` ("" is the current one).
 * Out:   *out is the tree, owned by the caller (cJSON_Delete), or NULL when there is no such file, which is no error
 * Errs:  LORA_E_TOO_LARGE, LORA_E_JSON (with offset; also when it is no object), those of file.h, LORA_E_MEMORY */
lora_code sidefile_load(const char *dir, const char *name, cJSON **out, lora_error *err);

/* sidefile_parse - the same for text in memory, for JSON inside metadata. what names it in the message. */
lora_code sidefile_parse(const char *text, size_t length, const char *what, cJSON **out, lora_error *err);

/* sidefile_directory - the directory part of path with its trailing slash, "" when there is none; in the arena.
 * The path is taken as given: in a hub cache the file is a link, and its side files lie beside the link. */
const char *sidefile_directory(const char *path, arena *mem);

/* Members by name. number: NULL or a finite number. */
const double *sidefile_number(const cJSON *object, const char *key);
const char *sidefile_string(const cJSON *object, const char *key);
bool sidefile_true(const cJSON *object, const char *key);

#endif
