/* fixture.c - see fixture.h. A fault of the machine aborts: there is no test without its files.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/support/fixture.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void need(int ok, const char *what)
{
    if (!ok) {
        perror(what);
        abort();
    }
}

void fixture_open(fixture *fx)
{
    strcpy(fx->folder, "/tmp/loraudit-test.XXXXXX");
    need(mkdtemp(fx->folder) != NULL, "mkdtemp");
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st;
    (void)kind;
    (void)at;
    return remove(path);
}

void fixture_close(fixture *fx)
{
    nftw(fx->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

const char *fixture_path(const fixture *fx, const char *name)
{
    static char paths[8][512];
    static unsigned next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof *paths, "%s/%s", fx->folder, name);
    return path;
}

void fixture_write(const fixture *fx, const char *name, const void *bytes, size_t n)
{
    char path[512];
    snprintf(path, sizeof path, "%s", fixture_path(fx, name));
    for (char *slash = path + strlen(fx->folder) + 1; (slash = strchr(slash, '/')); slash++) {
        *slash = '\0';
        mkdir(path, 0777);
        *slash = '/';
    }
    FILE *f = fopen(path, "wb");
    need(f && fwrite(bytes, 1, n, f) == n && fclose(f) == 0, path);
}

void fixture_text(const fixture *fx, const char *name, const char *text)
{
    fixture_write(fx, name, text, strlen(text));
}

void tensors_begin(tensor_file *t)
{
    *t = (tensor_file){0};
}

static void append(char **to, size_t *length, const void *bytes, size_t n)
{
    *to = realloc(*to, *length + n + 1);
    need(*to != NULL, "realloc");
    if (n)
        memcpy(*to + *length, bytes, n);
    *length += n;
}

static void append_text(tensor_file *t, const char *text)
{
    append(&t->header, &t->header_length, text, strlen(text));
}

void tensors_metadata(tensor_file *t, const char *json_object)
{
    append_text(t, "{\"__metadata__\":");
    append_text(t, json_object);
}

void tensors_add(tensor_file *t, const char *name, const char *dtype, unsigned n_dims, const uint64_t *shape,
                 const void *data, size_t bytes)
{
    char text[512];
    append_text(t, t->header_length ? ",\"" : "{\"");
    append_text(t, name);
    snprintf(text, sizeof text, "\":{\"dtype\":\"%s\",\"shape\":[", dtype);
    append_text(t, text);
    for (unsigned i = 0; i < n_dims; i++) {
        snprintf(text, sizeof text, "%s%llu", i ? "," : "", (unsigned long long)shape[i]);
        append_text(t, text);
    }
    snprintf(text, sizeof text, "],\"data_offsets\":[%zu,%zu]}", t->data_length, t->data_length + bytes);
    append_text(t, text);
    append(&t->data, &t->data_length, data, bytes);
}

void tensors_add_f32(tensor_file *t, const char *name, uint64_t rows, uint64_t cols, const float *data)
{
    tensors_add(t, name, "F32", 2, (uint64_t[]){rows, cols}, data, (size_t)(rows * cols) * sizeof *data);
}

void tensors_save(tensor_file *t, const fixture *fx, const char *name)
{
    append_text(t, t->header_length ? "}" : "{}");
    char *whole = NULL;
    size_t n = 0;
    unsigned char length[8];
    for (unsigned i = 0; i < 8; i++)
        length[i] = (unsigned char)((uint64_t)t->header_length >> 8 * i);
    append(&whole, &n, length, 8);
    append(&whole, &n, t->header, t->header_length);
    append(&whole, &n, t->data, t->data_length);
    fixture_write(fx, name, whole, n);
    free(whole);
    free(t->header);
    free(t->data);
}

double random_unit(uint64_t *seed)
{
    uint64_t z = *seed += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    z ^= z >> 31;
    return (double)(z >> 11) * 0x1p-52 - 1;
}

static void add_random(tensor_file *t, const char *module, const char *ending, uint64_t rows, uint64_t cols,
                       double size, uint64_t *seed)
{
    char name[256];
    float *data = calloc((size_t)(rows * cols), sizeof *data);
    need(data != NULL, "calloc");
    for (uint64_t i = 0; size > 0 && i < rows * cols; i++)
        data[i] = (float)(size * random_unit(seed));
    snprintf(name, sizeof name, "base_model.model.%s.%s.weight", module, ending);
    tensors_add_f32(t, name, rows, cols, data);
    free(data);
}

void tensors_add_pair(tensor_file *t, const char *module, uint64_t m, uint64_t n, uint64_t r, double size_a,
                      double size_b, uint64_t *seed)
{
    add_random(t, module, "lora_A", r, n, size_a, seed);
    add_random(t, module, "lora_B", m, r, size_b, seed);
}
