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
 * A woven panel is not stored: its float64 entries are made of smaller matrices as a block is converted (panel_weave).
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

/* Direction i·n_right + j of a woven panel is left_i ∘ right_j; without right (n_right 1) it is left_i. Both are stored in
 * the panel's own order: rank-major (n × length) without gaps, or length-major (length × n). groups > 1, length-major
 * only: left has n_left/groups entries a position, those of the group of `height` positions in which it lies; the other
 * directions are 0 there. */
typedef struct {
    const double *left, *right;
    size_t n_left, n_right, groups, height;
} panel_weave;

typedef struct {
    const unsigned char *data;  /* NULL: woven */
    const panel_weave *weave;
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

/* panel_woven - rank n_left·n_right; weave is borrowed. */
panel panel_woven(const panel_weave *weave, size_t length, bool rank_major);

/* A block buffer for panels of one rank. */
typedef struct {
    double *x;
    size_t ld_rank_major, ld_length_major;
    size_t length;   /* positions it holds at most */
    void *gathered;  /* stored entries of a panel without unit stride; of one position where each panel has one */
} panel_block;

/* panel_block_length - positions of a block of that rank.
 * panel_block_create - gather: a panel without unit stride will be converted. False without memory. */
size_t panel_block_length(size_t rank);
bool panel_block_create(panel_block *block, size_t rank, bool gather, scratch *s);

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
