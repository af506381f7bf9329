/* bytes.h - little-endian loads and checked arithmetic on sizes that a file claims.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef LORAUDIT_BYTES_H
#define LORAUDIT_BYTES_H

#include <stdbool.h>
#include <stdint.h>

static inline uint16_t bytes_le16(const unsigned char *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}

static inline uint32_t bytes_le32(const unsigned char *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static inline uint64_t bytes_le64(const unsigned char *p)
{
    return (uint64_t)bytes_le32(p) | (uint64_t)bytes_le32(p + 4) << 32;
}

/* *out = a + b (a · b); false, and *out untouched, when it does not fit. */
static inline bool checked_add(uint64_t a, uint64_t b, uint64_t *out)
{
    uint64_t sum;
    if (__builtin_add_overflow(a, b, &sum))
        return false;
    *out = sum;
    return true;
}

static inline bool checked_mul(uint64_t a, uint64_t b, uint64_t *out)
{
    uint64_t product;
    if (__builtin_mul_overflow(a, b, &product))
        return false;
    *out = product;
    return true;
}

#endif
