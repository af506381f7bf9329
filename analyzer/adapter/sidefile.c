/* sidefile.c - bounded reading of side files. See sidefile.h.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "analyzer/adapter/sidefile.h"

#include "analyzer/base/file.h"
#include "analyzer/base/limits.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

lora_code sidefile_parse(const char *text, size_t length, const char *what, cJSON **out, lora_error *err)
{
    *out = NULL;
    size_t nodes = 1;
    for (size_t i = 0; i < length; i++)
        nodes += text[i] == ',' || text[i] == '[' || text[i] == '{';
    if (nodes > LIMIT_SIDE_FILE_NODES)
        return lora_fail(err, LORA_E_TOO_LARGE, "%s holds about %zu values, the limit is %u", what, nodes,
                         LIMIT_SIDE_FILE_NODES);
    const char *end = NULL;
    cJSON *tree = cJSON_ParseWithLengthOpts(text, length, &end, false);
    if (!tree)
        return lora_fail_at(err, LORA_E_JSON, end ? (uint64_t)(end - text) : 0, "%s is not valid JSON", what);
    if (!cJSON_IsObject(tree)) {
        cJSON_Delete(tree);
        return lora_fail_at(err, LORA_E_JSON, 0, "%s is not a JSON object", what);
    }
    *out = tree;
    return LORA_OK;
}

lora_code sidefile_load(const char *dir, const char *name, cJSON **out, lora_error *err)
{
    *out = NULL;
    size_t path_size = strlen(dir) + strlen(name) + 1;
    char *path = malloc(path_size), *text = NULL;
    if (!path)
        return lora_fail(err, LORA_E_MEMORY, "no memory for a path");
    snprintf(path, path_size, "%s%s", dir, name);
    file f = {.fd = -1};
    lora_error own = {0};
    lora_code code = file_open(path, &f, &own);
    if (code == LORA_E_NOT_FOUND) {
        code = LORA_OK;
        goto done;
    }
    if (code == LORA_OK && f.size > LIMIT_SIDE_FILE_BYTES)
        code = lora_fail(&own, LORA_E_TOO_LARGE, "%s has %llu bytes, the limit is %u", name, (unsigned long long)f.size,
                         LIMIT_SIDE_FILE_BYTES);
    if (code == LORA_OK) {
        text = malloc((size_t)f.size + 1);
        code = text ? file_read_at(&f, 0, text, (size_t)f.size, &own)
                    : lora_fail(&own, LORA_E_MEMORY, "no memory for %s", name);
    }
    if (code == LORA_OK)
        code = sidefile_parse(text, (size_t)f.size, name, out, &own);
    if (code != LORA_OK && err && err->code == LORA_OK)
        *err = own;
done:
    file_close(&f);
    free(text);
    free(path);
    return code;
}

const char *sidefile_directory(const char *path, arena *mem)
{
    const char *slash = strrchr(path, '/');
    return arena_strndup(mem, path, slash ? (size_t)(slash - path) + 1 : 0);
}

const double *sidefile_number(const cJSON *object, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    return cJSON_IsNumber(item) && isfinite(item->valuedouble) ? &item->valuedouble : NULL;
}

const char *sidefile_string(const cJSON *object, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    return cJSON_IsString(item) ? item->valuestring : NULL;
}

bool sidefile_true(const cJSON *object, const char *key)
{
    return cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(object, key));
}
