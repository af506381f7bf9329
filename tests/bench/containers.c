/* containers.c - see containers.h. Little-endian machines only, as all of tests/bench.
 *
 * Every file holds the same factors: base_model.model.model.layers.L.self_attn.P.lora_A.weight and lora_B, in GGUF the
 * names that llama.cpp gives them.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/bench/containers.h"

#include "tests/support/zip_writer.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { RANK = 4, SIDE = 16, ENTRIES = RANK * SIDE, TENSOR_BYTES = 4 * ENTRIES, NAME_BYTES = 128 };

/* ---- bytes ---- */

typedef struct {
    unsigned char *data;
    size_t n, capacity;
} bytes;

static void put(bytes *b, const void *data, size_t n)
{
    if (b->n + n > b->capacity) {
        b->capacity = 2 * (b->n + n);
        b->data = realloc(b->data, b->capacity);
        if (!b->data)
            abort();
    }
    memcpy(b->data + b->n, data, n);
    b->n += n;
}
static void put8(bytes *b, unsigned x) { put(b, &(unsigned char){(unsigned char)x}, 1); }
static void put32(bytes *b, size_t x) { put(b, &(uint32_t){(uint32_t)x}, 4); }
static void put64(bytes *b, uint64_t x) { put(b, &x, 8); }
static void puts_(bytes *b, const char *s) { put(b, s, strlen(s)); }

static bool save(bytes *b, FILE *f)
{
    bool written = fwrite(b->data, 1, b->n, f) == b->n;
    free(b->data);
    return written;
}

/* ---- the factors ---- */

static const char *name_of(size_t i, char out[NAME_BYTES])
{
    static const char *const roles[] = {"q_proj", "k_proj", "v_proj", "o_proj"};
    snprintf(out, NAME_BYTES, "base_model.model.model.layers.%zu.self_attn.%s.lora_%c.weight", i / 8, roles[i / 2 % 4], i % 2 ? 'B' : 'A');
    return out;
}

static size_t rows(size_t i) { return i % 2 ? SIDE : RANK; }
static size_t columns(size_t i) { return i % 2 ? RANK : SIDE; }

static const void *entries_of(size_t i)
{
    static float x[ENTRIES];
    for (size_t k = 0; k < ENTRIES; k++)
        x[k] = (float)((i * 131 + k * 37) % 255) / 255 - 0.5f;
    return x;
}

/* ---- safetensors ---- */

static bool write_safetensors(FILE *f, size_t n)
{
    bytes header = {0}, out = {0};
    char name[NAME_BYTES], entry[2 * NAME_BYTES];
    for (size_t i = 0; i < n; i++) {
        snprintf(entry, sizeof entry, "%s\"%s\":{\"dtype\":\"F32\",\"shape\":[%zu,%zu],\"data_offsets\":[%zu,%zu]}", i ? "," : "{",
                 name_of(i, name), rows(i), columns(i), i * TENSOR_BYTES, (i + 1) * TENSOR_BYTES);
        puts_(&header, entry);
    }
    puts_(&header, "}");
    put64(&out, header.n);
    put(&out, header.data, header.n);
    free(header.data);
    for (size_t i = 0; i < n; i++)
        put(&out, entries_of(i), TENSOR_BYTES);
    return save(&out, f);
}

static bool save_zip(zip_writer *z, FILE *f)
{
    zip_writer_end(z, NULL);
    bool written = fwrite(z->bytes, 1, z->n, f) == z->n;
    zip_writer_free(z);
    return written;
}

/* ---- npz ---- */

static bool write_npz(FILE *f, size_t n)
{
    zip_writer z = {0};
    char name[NAME_BYTES], member[NAME_BYTES + 8], header[129];
    for (size_t i = 0; i < n; i++) {
        bytes array = {0};
        snprintf(header, sizeof header, "{'descr': '<f4', 'fortran_order': False, 'shape': (%zu, %zu), }", rows(i), columns(i));
        puts_(&array, "\x93NUMPY\1");
        put8(&array, 0);
        put(&array, &(uint16_t){118}, 2);
        puts_(&array, header);
        while (array.n < 127)
            put8(&array, ' ');
        put8(&array, '\n');
        put(&array, entries_of(i), TENSOR_BYTES);
        snprintf(member, sizeof member, "%s.npy", name_of(i, name));
        zip_writer_add(&z, member, array.data, array.n);
        free(array.data);
    }
    return save_zip(&z, f);
}

/* ---- torch: data.pkl as torch.save writes it, protocol 2, with its memo ---- */

static void memoize(bytes *p, unsigned *memo)
{
    put8(p, *memo < 256 ? 'q' : 'r');
    put(p, &(uint32_t){(*memo)++}, p->data[p->n - 1] == 'q' ? 1 : 4);
}

static void text(bytes *p, const char *s, unsigned *memo)
{
    put8(p, 'X');
    put32(p, strlen(s));
    puts_(p, s);
    memoize(p, memo);
}

/* What is said once and then fetched from the memo; 0 in *slot: not said yet. */
static void once(bytes *p, const char *opcodes, bool is_text, unsigned *slot, unsigned *memo)
{
    if (*slot) {
        put8(p, 'h');
        put8(p, *slot);
        return;
    }
    *slot = *memo;
    if (is_text) {
        text(p, opcodes, memo);
    } else {
        puts_(p, opcodes);
        memoize(p, memo);
    }
}

static void small(bytes *p, size_t x)
{
    put8(p, 'K');
    put8(p, (unsigned)x);
}

typedef struct {
    unsigned memo, rebuild, storage, kind, cpu;
} said;

static void tensor_opcodes(bytes *p, size_t i, said *s)
{
    char key[24];
    snprintf(key, sizeof key, "%zu", i);
    once(p, "ctorch._utils\n_rebuild_tensor_v2\n", false, &s->rebuild, &s->memo);
    puts_(p, "((");
    once(p, "storage", true, &s->storage, &s->memo);
    once(p, "ctorch\nFloatStorage\n", false, &s->kind, &s->memo);
    text(p, key, &s->memo);
    once(p, "cpu", true, &s->cpu, &s->memo);
    small(p, ENTRIES);
    puts_(p, "t");
    memoize(p, &s->memo);
    puts_(p, "Q");
    small(p, 0);
    small(p, rows(i));
    small(p, columns(i));
    puts_(p, "\x86");
    memoize(p, &s->memo);
    small(p, columns(i));
    small(p, 1);
    puts_(p, "\x86");
    memoize(p, &s->memo);
    puts_(p, "\x89h"); /* no gradient; no hooks: an OrderedDict, whose class is memo 0 */
    put8(p, 0);
    puts_(p, ")R");
    memoize(p, &s->memo);
    puts_(p, "t");
    memoize(p, &s->memo);
    puts_(p, "R");
    memoize(p, &s->memo);
}

static void torch_member(zip_writer *z, const char *name, const void *data, size_t n)
{
    char path[NAME_BYTES + 16];
    snprintf(path, sizeof path, "adapter_model/%s", name);
    zip_writer_member(z, &(zip_made){.name = path, .data = data, .n = n, .torch = true});
}

static bool write_torch(FILE *f, size_t n)
{
    bytes p = {0};
    said s = {0};
    char name[NAME_BYTES];
    puts_(&p, "\x80\x02" "ccollections\nOrderedDict\n");
    memoize(&p, &s.memo);
    puts_(&p, ")R");
    memoize(&p, &s.memo);
    for (size_t i = 0; i < n; i++) {
        if (i % 1000 == 0)
            puts_(&p, i ? "u(" : "(");
        text(&p, name_of(i, name), &s.memo);
        tensor_opcodes(&p, i, &s);
    }
    puts_(&p, "u.");
    zip_writer z = {0};
    torch_member(&z, "data.pkl", p.data, p.n);
    free(p.data);
    torch_member(&z, "byteorder", "little", 6);
    for (size_t i = 0; i < n; i++) {
        snprintf(name, sizeof name, "data/%zu", i);
        torch_member(&z, name, entries_of(i), TENSOR_BYTES);
    }
    torch_member(&z, "version", "3\n", 2);
    return save_zip(&z, f);
}

/* ---- GGUF ---- */

static void gguf_text(bytes *b, const char *s)
{
    put64(b, strlen(s));
    puts_(b, s);
}

static bool write_gguf(FILE *f, size_t n)
{
    enum { TYPE_FLOAT32 = 6, TYPE_STRING = 8 };
    static const char *const roles[] = {"attn_q", "attn_k", "attn_v", "attn_output"};
    bytes b = {0};
    char name[NAME_BYTES];
    puts_(&b, "GGUF");
    put32(&b, 3);
    put64(&b, n);
    put64(&b, 4);
    static const char *const texts[][2] = {{"general.architecture", "llama"}, {"general.type", "adapter"}, {"adapter.type", "lora"}};
    for (size_t i = 0; i < 3; i++) {
        gguf_text(&b, texts[i][0]);
        put32(&b, TYPE_STRING);
        gguf_text(&b, texts[i][1]);
    }
    gguf_text(&b, "adapter.lora.alpha");
    put32(&b, TYPE_FLOAT32);
    put(&b, &(float){16}, 4);
    for (size_t i = 0; i < n; i++) {
        snprintf(name, sizeof name, "blk.%zu.%s.weight.lora_%c", i / 8, roles[i / 2 % 4], i % 2 ? 'b' : 'a');
        gguf_text(&b, name);
        put32(&b, 2);
        put64(&b, columns(i)); /* fastest first */
        put64(&b, rows(i));
        put32(&b, 0); /* F32 */
        put64(&b, i * TENSOR_BYTES);
    }
    while (b.n % 32)
        put8(&b, 0);
    for (size_t i = 0; i < n; i++)
        put(&b, entries_of(i), TENSOR_BYTES);
    return save(&b, f);
}

const bench_container bench_containers[] = {
    {"safetensors", ".safetensors", write_safetensors},
    {"torch-zip", ".bin", write_torch},
    {"npz", ".npz", write_npz},
    {"gguf", ".gguf", write_gguf},
};
const size_t bench_n_containers = sizeof bench_containers / sizeof bench_containers[0];
