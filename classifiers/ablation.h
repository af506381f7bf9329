/* ablation.h - is a set of low-rank updates a directional ablation?
 *
 * Directional ablation ("abliteration") removes one direction v from what a model writes to its residual stream:
 * W' = W − λ·v·(vᵀW). The update is rank 1 with left vector v, in modules that write to the residual stream and in no
 * other, and v is the same in every layer. Gradient training gives none of this by chance: two random unit vectors of d
 * entries have a mean |cosine| of √(2/(π·d)), 0.0125 at d = 4096.
 * Tools may also cut one direction a layer: then the modules of a layer share theirs, and layers differ.
 * The row-normalised variant truncates the update at a few ranks and stores B = U√S, A = √S·Vᵀ, so that
 * BᵀB = AAᵀ = diag(S); one direction still carries nearly all of its energy.
 *
 * What this cannot see: one direction a layer in only one module a layer, and ablation merged into full weights.
 * Sources: Arditi et al. 2024, arXiv 2406.11717; p-e-w/heretic src/heretic/model.py.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef CLASSIFIER_ABLATION_H
#define CLASSIFIER_ABLATION_H

#include <stdbool.h>
#include <stddef.h>

typedef struct {
    bool writes_residual;
    bool zero;           /* the update is exactly 0: a skipped layer */
    size_t rank;         /* columns of B */
    size_t height;       /* entries of u */
    long layer;          /* −1: unknown */
    double energy_top1;  /* σ₁² / Σσ² of the update */
    bool closed_form;    /* BᵀB = AAᵀ = diag(S) to the storage's precision */
    const double *u;     /* leading left singular vector, unit length; NULL: not known */
} ablation_module;

typedef enum { ABLATION_NO, ABLATION_SHARED_DIRECTION, ABLATION_LAYER_DIRECTION, ABLATION_CLOSED_FORM } ablation_kind;

typedef struct {
    ablation_kind kind;
    size_t n_updates, n_zero;      /* modules with and without an update */
    double energy_top1;            /* smallest over the updates */
    double mean_cosine, min_cosine; /* |cosine| of the left vectors with their common direction; NaN when not known */
    size_t n_layers;               /* layers with at least two updates */
    double layer_mean_cosine, layer_min_cosine; /* |cosine| of left vectors within those; NaN without any */
    double chance_cosine;          /* √(2/(π·d)) */
} ablation_answer;

/* classifier_ablation_candidate - could it be one, by structure alone? When false, left vectors need not be computed.
 * True: at least two updates, all in residual-writing modules of one height, each with at least half of its energy, and
 * the middle one with at least 0.8, in one direction. Cost: O(n log n). */
bool classifier_ablation_candidate(const ablation_module *modules, size_t n);

/* classifier_ablation - the answer, with its evidence.
 * In:   modules[n] with u set for every update
 * Out:  *answer. SHARED_DIRECTION: the left vectors have a mean |cosine| ≥ 0.9, and none below 0.8, with the common one;
 *       LAYER_DIRECTION: mean ≥ 0.98 and none below 0.95 within each of at least three layers; CLOSED_FORM: rank 2 to 4,
 *       all updates in closed form, each with at least 0.9 of its energy in one direction.
 *       Ablation gives 1; row normalisation bends that to about 0.93 where row norms differ by a factor of five. Training
 *       can come near, because all layers share the gradient that the residual stream hands down: rank-1 adapters on
 *       these modules, taught one constant answer in 20 recipes on two tiny decoders, reached at most a mean of 0.80 with
 *       a least of 0.64 over all, but 0.93 and 0.87 within layers, which is why the bounds there are near 1.
 *       Extracted to rank 3 by SVD, their weakest update had 0.5 of its energy in one direction; ablation has 0.94 or more
 * Errs: -1 without memory; *answer untouched then
 * Cost: O(n·d) for n updates in layers of a few */
int classifier_ablation(const ablation_module *modules, size_t n, ablation_answer *answer);

#endif
