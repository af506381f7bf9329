/* Key and shape tables of real adapters of image models, where a folder of them lies beside the project
 * (../shared/key-tables): every factor must find its partner, whatever tool wrote the names.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "analyzer/adapter/adapter.h"

#include <cJSON.h>
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define FOLDER "../shared/key-tables"

static cJSON *read_table(const char *name)
{
    char path[400];
    snprintf(path, sizeof path, FOLDER "/%s", name);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    fseek(f, 0, SEEK_END);
    size_t n = (size_t)ftell(f);
    rewind(f);
    char *text = calloc(1, n + 1);
    assert_non_null(text);
    assert_int_equal(fread(text, 1, n, f), n);
    fclose(f);
    cJSON *tree = cJSON_ParseWithLength(text, n);
    assert_non_null(tree);
    free(text);
    return tree;
}

/* A catalog of the table's tensors, F32; all their bytes are the same few zeros of memory. */
static catalog catalog_of(const cJSON *table, file *zeros, arena *mem)
{
    static const unsigned char bytes[1 << 17]; /* as many as the longest magnitude has */
    *zeros = file_of_memory(bytes, sizeof bytes);
    catalog cat = {.container = "safetensors", .source = zeros};
    cat.tensors = arena_alloc(mem, (size_t)cJSON_GetArraySize(table), sizeof *cat.tensors);
    const cJSON *item, *axis;
    cJSON_ArrayForEach(item, table)
    {
        tensor *t = &cat.tensors[cat.n_tensors++];
        uint64_t *shape = arena_alloc(mem, 8, sizeof *shape);
        *t = (tensor){.name = item->string, .dtype = DTYPE_F32, .shape = shape, .entry_offset = cat.n_tensors};
        cJSON_ArrayForEach(axis, item) shape[t->n_dims++] = (uint64_t)axis->valuedouble;
        assert_int_equal(tensor_byte_size(t, &t->bytes, NULL), LORA_OK);
    }
    return cat;
}

static bool contains_any(const char *name, const char *const *words, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strstr(name, words[i]))
            return true;
    return false;
}

/* Pairs as a person would count them: tensors on the input side, by words in their names. */
static size_t count_pairs(const cJSON *table)
{
    static const char *const down[] = {".lora_A.", ".lora_down.", ".down.weight", ".lokr_w1"};
    size_t n = 0;
    const cJSON *item;
    cJSON_ArrayForEach(item, table) n += contains_any(item->string, down, sizeof down / sizeof *down);
    return n;
}

static void check_table(const char *name)
{
    static const char *const adapter_words[] = {"lora", "lokr", "alpha", "dora", "hada"};
    cJSON *table = read_table(name);
    arena *mem = arena_create();
    file zeros;
    catalog cat = catalog_of(table, &zeros, mem);
    lora_config none = {0};
    adapter a;
    lora_error err = {0};
    assert_int_equal(adapter_build(&cat, &none, mem, &a, &err), LORA_OK);
    if (a.n_modules != count_pairs(table) || a.n_skipped || a.n_halves || a.n_ambiguous)
        fail_msg("%s: %zu modules of %zu, %zu skipped (%s), %zu halves, %zu ambiguous", name, a.n_modules, count_pairs(table),
                 a.n_skipped, a.n_skipped ? a.skipped[0].reason : "", a.n_halves, a.n_ambiguous);
    for (size_t i = 0; i < a.n_strays; i++) /* full norms and biases trained beside the factors */
        if (contains_any(a.strays[i]->name, adapter_words, sizeof adapter_words / sizeof *adapter_words) &&
            !strstr(a.strays[i]->name, ".lora_B.bias"))
            fail_msg("%s: %s is in no pair", name, a.strays[i]->name);
    printf("%s: %zu modules, layout %s, method %s, %zu tensors beside them\n", name, a.n_modules, layout_name(a.layout), a.method,
           a.n_strays);
    arena_destroy(mem);
    cJSON_Delete(table);
}

static void every_table_of_keys_pairs_completely(void **state)
{
    (void)state;
    DIR *dir = opendir(FOLDER);
    if (!dir) {
        printf("skipped: no " FOLDER "\n");
        skip();
    }
    size_t n = 0;
    for (struct dirent *entry; (entry = readdir(dir));)
        if (strstr(entry->d_name, ".json")) {
            check_table(entry->d_name);
            n++;
        }
    closedir(dir);
    assert_true(n > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_table_of_keys_pairs_completely)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
