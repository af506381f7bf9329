/* generate - write a synthetic PEFT adapter to measure with.
 *   generate FILE [MODULES OUT IN RANK DTYPE]     DTYPE: bf16, f16, f32; default 128 4096 4096 64 bf16: 134 MB
 * A is drawn as PEFT draws it, B from a smaller uniform law, so that spectra look trained.
 * SPDX-License-Identifier: Apache-2.0
 */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t seed = 42;

static double random_unit(void)
{
    uint64_t z = seed += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    z ^= z >> 31;
    return (double)(z >> 11) * 0x1p-52 - 1;
}

/* Truncation, not rounding: any bits do. */
static size_t encode(float x, const char *dtype, unsigned char *out)
{
    uint32_t bits;
    memcpy(&bits, &x, 4);
    if (strcmp(dtype, "f32") == 0) {
        memcpy(out, &bits, 4);
        return 4;
    }
    uint16_t half = (uint16_t)(bits >> 16);
    if (strcmp(dtype, "f16") == 0) {
        int exponent = (int)(bits >> 23 & 255) - 112;
        half = (uint16_t)((bits >> 16 & 0x8000) | (exponent > 0 ? (uint32_t)exponent << 10 | (bits >> 13 & 1023) : 0));
    }
    memcpy(out, &half, 2);
    return 2;
}

static void write_factor(FILE *f, size_t n, double bound, const char *dtype)
{
    unsigned char buffer[4096];
    size_t at = 0;
    for (size_t i = 0; i < n; i++) {
        at += encode((float)(bound * random_unit()), dtype, buffer + at);
        if (at > sizeof buffer - 4 || i + 1 == n) {
            fwrite(buffer, 1, at, f);
            at = 0;
        }
    }
}

int main(int argc, char **argv)
{
    if (argc != 2 && argc != 7) {
        fprintf(stderr, "usage: generate FILE [MODULES OUT IN RANK DTYPE]\n");
        return 4;
    }
    size_t modules = 128, m = 4096, n = 4096, r = 64;
    const char *dtype = "bf16";
    if (argc == 7) {
        modules = strtoul(argv[2], NULL, 10);
        m = strtoul(argv[3], NULL, 10);
        n = strtoul(argv[4], NULL, 10);
        r = strtoul(argv[5], NULL, 10);
        dtype = argv[6];
    }
    const char *name = strcmp(dtype, "f32") == 0 ? "F32" : strcmp(dtype, "f16") == 0 ? "F16" : "BF16";
    size_t width = strcmp(dtype, "f32") == 0 ? 4 : 2, offset = 0;
    char *header = malloc(modules * 400 + 16);
    FILE *f = fopen(argv[1], "wb");
    if (!header || !f) {
        perror(argv[1]);
        return 70;
    }
    static const char *const roles[] = {"q_proj", "k_proj", "v_proj", "o_proj"};
    size_t length = 0;
    for (size_t i = 0; i < modules; i++) {
        size_t a = r * n * width, b = m * r * width;
        length += (size_t)sprintf(header + length,
                                  "%s\"base_model.model.model.layers.%zu.self_attn.%s.lora_A.weight\":{\"dtype\":\"%s\","
                                  "\"shape\":[%zu,%zu],\"data_offsets\":[%zu,%zu]},"
                                  "\"base_model.model.model.layers.%zu.self_attn.%s.lora_B.weight\":{\"dtype\":\"%s\","
                                  "\"shape\":[%zu,%zu],\"data_offsets\":[%zu,%zu]}",
                                  i ? "," : "{", i / 4, roles[i % 4], name, r, n, offset, offset + a, i / 4, roles[i % 4], name,
                                  m, r, offset + a, offset + a + b);
        offset += a + b;
    }
    header[length++] = '}';
    uint64_t little = length; /* this tool is for the machines loraudit is measured on: little-endian */
    fwrite(&little, 8, 1, f);
    fwrite(header, 1, length, f);
    for (size_t i = 0; i < modules; i++) {
        write_factor(f, r * n, 1 / sqrt((double)n), dtype);
        write_factor(f, m * r, 0.01, dtype);
    }
    free(header);
    if (fclose(f) != 0) {
        perror(argv[1]);
        return 70;
    }
    return 0;
}
