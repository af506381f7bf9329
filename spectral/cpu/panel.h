/* panel.h - a factor seen as rank × length, and its conversion to float64 blocks.
 *
 * A (r × n) and B (m × r) become the same thing: `rank` short side, `length` long side. A block is `count` consecutive
 * positions of the long side, float64, in the order in which the factor is stored:
 *
 *     rank-major    X(k, l) = x[k·ld + l]     row-major A, column-major B;  rows 0..padded(rank), padded(count) columns
 *     length-major  X(k, l) = x[l·ld + k]     row-major B, column-major A;  `count` rows, padded(rank) columns
 *
 * with zeros in the padding. A factor without unit stride on either side is gathered first and comes length-major.
 * Block length: eight rows of it fit a first-level cache, and the block the second.
 *
 * Scale: entries of a panel are stored entries times 2^−exponent. Only float64 needs it (squares of 1e±200); there it
 * is the exponent of the largest entry. The narrower dtypes stay within 1e±152 even as fourth powers.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SPECTRAL_PANEL_H
#define SPECTRAL_PANEL_H

#include "spectral/cpu/kernels.h"
#include "spectral/cpu/scratch.h"
#include "spectral/spectral.h"

static inline size_t smallest(size_t x, size_t y) { return x < y ? x : y; }

typedef struct {
    const unsigned char *data;
    spectral_dtype dtype;
    size_t rank, length;
    size_t rank_stride, length_stride; /* in elements */
    bool rank_major;                   /* the order of its blocks */
    bool gather;                       /* neither stride is 1 */
    int exponent;
} panel;

/* panel_of_a, panel_of_b - the panels of A (r × n) and B (m × r), exponent 0. */
panel panel_of_a(const spectral_view *a, const void *data);
panel panel_of_b(const spectral_view *b, const void *data);

/* panel_row - position l of the long side alone: the panel whose block is that one vector of rank entries. */
panel panel_row(const panel *p, size_t l);

/* A block buffer for panels of one rank. */
typedef struct {
    double *x;
    size_t ld_rank_major, ld_length_major;
    size_t length;   /* positions it holds at most */
    void *gathered;  /* stored entries of a panel without unit stride */
} panel_block;

/* panel_block_create - false without memory. */
bool panel_block_create(panel_block *block, size_t rank, scratch *s);

/* panel_convert - positions [first, first + count) into block->x; count ≤ block->length. moments may be NULL.
 * panel_convert_row - the rank entries of position l into row[padded(rank)], zero-padded. */
void panel_convert(const kernel_table *kernels, const panel *p, size_t first, size_t count, const panel_block *block,
                   kernel_moments *moments);
void panel_convert_row(const kernel_table *kernels, const panel *p, size_t l, const panel_block *block, double *row);

/* panel_transpose - a length-major block of count positions as a rank-major one, padding included. */
void panel_transpose(const panel_block *block, size_t rank, size_t count, double *to);

/* panel_rank_maxima - the largest magnitude of each rank direction, unscaled; Inf or NaN where an entry is. */
void panel_rank_maxima(const kernel_table *kernels, const panel *p, const panel_block *block, double *maxima);

/* panel_count_nonfinite - NaN and ±Inf among its entries. */
uint64_t panel_count_nonfinite(const kernel_table *kernels, const panel *p, const panel_block *block);

#endif
