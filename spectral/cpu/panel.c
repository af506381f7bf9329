/* panel.c - see panel.h.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "spectral/cpu/panel.h"

#include <math.h>
#include <string.h>

static panel panel_order(panel p)
{
    p.rank_major = p.length_stride == 1;
    p.gather = !p.rank_major && p.rank_stride != 1 && p.rank > 1;
    return p;
}

panel panel_of_a(const spectral_view *a, const void *data)
{
    return panel_order((panel){.data = data, .dtype = a->dtype, .rank = a->rows, .length = a->cols,
                               .rank_stride = a->row_stride, .length_stride = a->col_stride});
}

panel panel_of_b(const spectral_view *b, const void *data)
{
    return panel_order((panel){.data = data, .dtype = b->dtype, .rank = b->cols, .length = b->rows,
                               .rank_stride = b->col_stride, .length_stride = b->row_stride});
}

panel panel_woven(const panel_weave *weave, size_t length, bool rank_major)
{
    return (panel){.weave = weave, .dtype = SPECTRAL_F64, .rank = weave->n_left * weave->n_right, .length = length,
                   .rank_major = rank_major};
}

/* Position l of a stored panel alone: the panel whose block is that one vector of rank entries. */
static panel panel_row(const panel *p, size_t l)
{
    panel row = *p;
    row.data += l * p->length_stride * spectral_dtype_bytes(p->dtype);
    row.length = 1;
    row.rank_major = false;
    row.gather = p->rank_stride != 1 && p->rank > 1;
    return row;
}

size_t panel_block_length(size_t rank)
{
    enum { BLOCK_ENTRIES = 1 << 16, MIN_LENGTH = 128, MAX_LENGTH = 512 };
    const size_t length = BLOCK_ENTRIES / kernel_padded(rank) / KERNEL_PAD * KERNEL_PAD;
    return length < MIN_LENGTH ? MIN_LENGTH : length > MAX_LENGTH ? MAX_LENGTH : length;
}

bool panel_block_create(panel_block *block, size_t rank, bool gather, scratch *s)
{
    const size_t rows = kernel_padded(rank), length = panel_block_length(rank);
    /* An odd number of cache lines from row to row: a power of two would map a column to few cache sets. */
    *block = (panel_block){.length = length, .ld_rank_major = length + KERNEL_PAD,
                           .ld_length_major = rows / KERNEL_PAD % 2 == 0 ? rows + KERNEL_PAD : rows};
    block->x = scratch_take(s, (rows + KERNEL_PAD) * (length + KERNEL_PAD), sizeof(double));
    block->gathered = scratch_take(s, gather ? rank * length : rank, sizeof(double));
    return block->x != NULL && block->gathered != NULL;
}

static void panel_gather(const panel *p, size_t first, size_t count, unsigned char *out)
{
    const size_t bytes = spectral_dtype_bytes(p->dtype);
    for (size_t l = first; l < first + count; l++)
        for (size_t k = 0; k < p->rank; k++, out += bytes)
            memcpy(out, p->data + (l * p->length_stride + k * p->rank_stride) * bytes, bytes);
}

/* Exponents stay within ±1022 (see module.c), where a power of two is a normal number. */
static double panel_scale(const panel *p) { return ldexp(1.0, -p->exponent); }

/* Rank-major, unscaled: direction by direction. */
static void weave_directions(const panel *p, size_t first, size_t count, double *out, size_t ld)
{
    const panel_weave *w = p->weave;
    for (size_t k = 0; k < p->rank; k++) {
        const double *left = w->left + k / w->n_right * p->length + first;
        const double *right = w->right != NULL ? w->right + k % w->n_right * p->length + first : NULL;
        for (size_t l = 0; l < count; l++)
            out[k * ld + l] = right != NULL ? left[l] * right[l] : left[l];
    }
}

/* Length-major, unscaled: position by position. */
static void weave_positions(const panel *p, size_t first, size_t count, double *out, size_t ld)
{
    const panel_weave *w = p->weave;
    const size_t r = w->n_left / w->groups;
    for (size_t l = first; l < first + count; l++, out += ld) {
        const size_t group = w->groups > 1 ? l / w->height : 0;
        memset(out, 0, p->rank * sizeof *out);
        for (size_t i = 0; i < r; i++) {
            double *to = out + (group * r + i) * w->n_right, left = w->left[l * r + i];
            for (size_t j = 0; j < w->n_right; j++)
                to[j] = w->right != NULL ? left * w->right[l * w->n_right + j] : left;
        }
    }
}

static void convert_length_major(const kernel_table *kernels, const panel *p, size_t first, size_t count,
                                 const panel_block *block, double *out, size_t ld, kernel_moments *moments)
{
    const void *from = out;
    size_t stride = ld;
    if (p->weave != NULL) {
        weave_positions(p, first, count, out, ld); /* and scaled where it lies */
    } else if (p->gather) {
        panel_gather(p, first, count, block->gathered);
        from = block->gathered;
        stride = p->rank;
    } else {
        from = p->data + first * p->length_stride * spectral_dtype_bytes(p->dtype);
        stride = p->length_stride;
    }
    kernels->convert[p->dtype](from, count, p->rank, stride, panel_scale(p), out, ld, moments);
    for (size_t l = 0; l < count; l++)
        for (size_t k = p->rank; k < kernel_padded(p->rank); k++)
            out[l * ld + k] = 0;
}

void panel_convert(const kernel_table *kernels, const panel *p, size_t first, size_t count, const panel_block *block,
                   kernel_moments *moments)
{
    if (!p->rank_major) {
        convert_length_major(kernels, p, first, count, block, block->x, block->ld_length_major, moments);
        return;
    }
    const size_t ld = block->ld_rank_major;
    const void *from = block->x;
    if (p->weave != NULL)
        weave_directions(p, first, count, block->x, ld);
    else
        from = p->data + first * spectral_dtype_bytes(p->dtype);
    kernels->convert[p->dtype](from, p->rank, count, p->weave != NULL ? ld : p->rank_stride, panel_scale(p), block->x, ld,
                               moments);
    for (size_t k = 0; k < kernel_padded(p->rank); k++)
        for (size_t l = k < p->rank ? count : 0; l < kernel_padded(count); l++)
            block->x[k * ld + l] = 0;
}

void panel_convert_row(const kernel_table *kernels, const panel *p, size_t l, const panel_block *block, double *row)
{
    if (p->weave == NULL) {
        const panel one = panel_row(p, l);
        convert_length_major(kernels, &one, 0, 1, block, row, kernel_padded(p->rank), NULL);
    } else if (!p->rank_major) {
        convert_length_major(kernels, p, l, 1, block, row, kernel_padded(p->rank), NULL);
    } else {
        weave_directions(p, l, 1, row, 1);
        kernels->convert[p->dtype](row, 1, p->rank, p->rank, panel_scale(p), row, p->rank, NULL);
        memset(row + p->rank, 0, (kernel_padded(p->rank) - p->rank) * sizeof *row);
    }
}

void panel_transpose(const panel_block *block, size_t rank, size_t count, double *to)
{
    const size_t ld = block->ld_rank_major;
    memset(to, 0, kernel_padded(rank) * ld * sizeof *to);
    for (size_t l = 0; l < count; l++)
        for (size_t k = 0; k < rank; k++)
            to[k * ld + l] = block->x[l * block->ld_length_major + k];
}

void panel_rank_maxima(const kernel_table *kernels, const panel *p, const panel_block *block, double *maxima)
{
    for (size_t k = 0; k < p->rank; k++)
        maxima[k] = 0;
    const size_t rank_step = p->rank_major ? block->ld_rank_major : 1;
    const size_t length_step = p->rank_major ? 1 : block->ld_length_major;
    for (size_t first = 0; first < p->length; first += block->length) {
        size_t count = p->length - first < block->length ? p->length - first : block->length;
        panel_convert(kernels, p, first, count, block, NULL);
        for (size_t l = 0; l < count; l++)
            for (size_t k = 0; k < p->rank; k++) {
                double x = fabs(block->x[k * rank_step + l * length_step]);
                if (!(x <= maxima[k]))
                    maxima[k] = isnan(maxima[k]) ? maxima[k] : x;
            }
    }
}

uint64_t panel_count_nonfinite(const kernel_table *kernels, const panel *p, const panel_block *block)
{
    uint64_t n = 0;
    const size_t rank_step = p->rank_major ? block->ld_rank_major : 1;
    const size_t length_step = p->rank_major ? 1 : block->ld_length_major;
    for (size_t first = 0; first < p->length; first += block->length) {
        size_t count = p->length - first < block->length ? p->length - first : block->length;
        panel_convert(kernels, p, first, count, block, NULL);
        for (size_t l = 0; l < count; l++)
            for (size_t k = 0; k < p->rank; k++)
                n += isfinite(block->x[k * rank_step + l * length_step]) ? 0 : 1;
    }
    return n;
}
