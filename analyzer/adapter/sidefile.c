/* sidefile.c - bounded reading of side files. See sidefile.h.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "analyzer/adapter/sidefile.h"

#include "analyzer/base/file.h"
#include "analyzer/base/json.h"
#include "analyzer/base/limits.h"
#include "analyzer/base/text.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Python writes NaN, Infinity and -Infinity where JSON has no such thing: null, as long as the word. In place. */
static void replace_python_words(char *text, size_t length)
{
    static const char *const words[] = {"-Infinity", "Infinity", "NaN"};
    bool in_string = false;
    for (size_t i = 0; i < length; i++) {
        if (in_string) {
            i += text[i] == '\\';
            in_string = i >= length || text[i] != '"';
            continue;
        }
        in_string = text[i] == '"';
        for (size_t k = 0; k < sizeof words / sizeof *words; k++) {
            size_t n = strlen(words[k]);
            if (length - i < n || memcmp(text + i, words[k], n) != 0)
                continue;
            memset(text + i, ' ', n);
            if (n < 4) /* too short for null: an empty list is no number either */
                memcpy(text + i, "[]", 2);
            else
                memcpy(text + i, "null", 4);
            i += n - 1;
            break;
        }
    }
}

static lora_code check_text(char *text, size_t length, const char *what, lora_error *err)
{
    size_t bad = text_utf8_invalid(text, length);
    if (bad < length)
        return lora_fail_at(err, LORA_E_JSON, bad, "%s is not valid UTF-8", what);
    replace_python_words(text, length);
    json_scan scan;
    json_begin(&scan, text, length);
    if (json_peek(&scan) != JSON_OBJECT)
        return lora_fail_at(err, LORA_E_JSON, scan.at, "%s is not a JSON object", what);
    if (!json_skip(&scan, LIMIT_JSON_DEPTH) || !json_finish(&scan))
        return lora_fail_at(err, LORA_E_JSON, scan.wrong_at, "%s is not valid JSON: %s", what, scan.wrong);
    const char *nul = strstr(text, "\\u0000");
    if (nul)
        return lora_fail_at(err, LORA_E_JSON, (uint64_t)(nul - text), "%s holds a NUL character", what);
    return LORA_OK;
}

static lora_code build_tree(const char *text, size_t length, const char *what, cJSON **out, lora_error *err)
{
    size_t nodes = 1;
    for (size_t i = 0; i < length; i++)
        nodes += text[i] == ',' || text[i] == '[' || text[i] == '{';
    if (nodes > LIMIT_SIDE_FILE_NODES)
        return lora_fail(err, LORA_E_TOO_LARGE, "%s holds about %zu values, the limit is %u", what, nodes,
                         LIMIT_SIDE_FILE_NODES);
    *out = cJSON_ParseWithLength(text, length); /* the text is valid: what is left to fail is memory */
    return *out ? LORA_OK : lora_fail(err, LORA_E_MEMORY, "no memory for the values of %s", what);
}

lora_code sidefile_parse(const char *text, size_t length, const char *what, cJSON **out, lora_error *err)
{
    *out = NULL;
    char *copy = malloc(length + 1);
    if (!copy)
        return lora_fail(err, LORA_E_MEMORY, "no memory for %s", what);
    memcpy(copy, text, length);
    copy[length] = '\0';
    lora_code code = check_text(copy, length, what, err);
    if (code == LORA_OK)
        code = build_tree(copy, length, what, out, err);
    free(copy);
    return code;
}

static lora_code read_whole(const char *path, const char *name, char **text, size_t *length, lora_error *err)
{
    file f;
    lora_code code = file_open(path, &f, err);
    if (code != LORA_OK)
        return code;
    if (f.size > LIMIT_SIDE_FILE_BYTES)
        code = lora_fail(err, LORA_E_TOO_LARGE, "%s has %llu bytes, the limit is %u", name, (unsigned long long)f.size,
                         LIMIT_SIDE_FILE_BYTES);
    if (code == LORA_OK && !(*text = malloc((size_t)f.size + 1)))
        code = lora_fail(err, LORA_E_MEMORY, "no memory for %s", name);
    if (code == LORA_OK)
        code = file_read_at(&f, 0, *text, (size_t)f.size, err);
    if (code == LORA_OK) {
        *length = (size_t)f.size;
        (*text)[*length] = '\0';
    }
    file_close(&f);
    return code;
}

lora_code sidefile_text(const char *dir, const char *name, char **text, size_t *length, lora_error *err)
{
    *text = NULL;
    *length = 0;
    size_t path_size = strlen(dir) + strlen(name) + 1;
    char *path = malloc(path_size), *read = NULL;
    if (!path)
        return lora_fail(err, LORA_E_MEMORY, "no memory for a path");
    snprintf(path, path_size, "%s%s", dir, name);
    lora_error own = {0};
    lora_code code = read_whole(path, name, &read, length, &own);
    free(path);
    if (code == LORA_OK)
        code = check_text(read, *length, name, &own);
    if (code == LORA_OK) {
        *text = read;
        return LORA_OK;
    }
    free(read);
    if (code == LORA_E_NOT_FOUND)
        return LORA_OK;
    if (err && err->code == LORA_OK)
        *err = own;
    return code;
}

lora_code sidefile_load(const char *dir, const char *name, cJSON **out, lora_error *err)
{
    char *text;
    size_t length;
    *out = NULL;
    lora_code code = sidefile_text(dir, name, &text, &length, err);
    if (code == LORA_OK && text)
        code = build_tree(text, length, name, out, err);
    free(text);
    return code;
}

const char *sidefile_directory(const char *path, arena *mem)
{
    const char *slash = strrchr(path, '/');
    return arena_strndup(mem, path, slash ? (size_t)(slash - path) + 1 : 0);
}

const cJSON *sidefile_member(const cJSON *object, const char *key)
{
    const cJSON *item, *found = NULL;
    cJSON_ArrayForEach(item, object) if (item->string && strcmp(item->string, key) == 0) found = item;
    return found;
}

const double *sidefile_number(const cJSON *object, const char *key)
{
    const cJSON *item = sidefile_member(object, key);
    return cJSON_IsNumber(item) && isfinite(item->valuedouble) ? &item->valuedouble : NULL;
}

const char *sidefile_string(const cJSON *object, const char *key)
{
    const cJSON *item = sidefile_member(object, key);
    return cJSON_IsString(item) ? item->valuestring : NULL;
}

bool sidefile_true(const cJSON *object, const char *key)
{
    return cJSON_IsTrue(sidefile_member(object, key));
}
