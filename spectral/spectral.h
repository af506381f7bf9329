/* spectral.h - norms and singular-value spectra of low-rank updates, many at once.
 *
 * Numerics only: this room knows matrices, never files or LoRA names, and can be lifted out and used alone.
 *
 * A module is the update ΔW = s·B·A of one weight, with A (r × n) and B (m × r) in their stored dtype. ΔW is never
 * formed. Everything comes from r × r problems:
 *
 *     G_A = A·Aᵀ,  G_B = Bᵀ·B                 float64, accumulated block by block straight from the stored dtype
 *     ‖ΔW‖_F² = s²·tr(G_A·G_B)
 *     σ(A)² = λ(G_A),  σ(B)² = λ(G_B)
 *     σ(ΔW)² = s²·λ(Lᵀ·G_B·L)                 with G_A = L·Lᵀ (Cholesky)
 *
 * Other forms of ΔW (cores, groups, full matrices, Kronecker and Hadamard products: spectral_extra) are brought to this one.
 *
 * A Gram matrix squares the condition number: σ below about 1e-8·σ₁ is lost in it. Where the smallest value wanted lies
 * below 1e-5·σ₁, where A and B cancel, where Cholesky fails, or where the caller asks (precise), the module takes the
 * QR path instead: R factors of Aᵀ and B by blocked Householder QR, and a one-sided Jacobi SVD of s·R_B·R_Aᵀ.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SPECTRAL_H
#define SPECTRAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The largest rank taken on. The r × r eigenproblems cost O(r³): above it a file could keep a core busy for hours. */
#define SPECTRAL_MAX_RANK 4096

/* What a small file may make a structure cost; see spectral_extra. Float64 entries of any one part, folded or formed matrix;
 * multiplications of (m + n)·rank² and of each product of parts; the sides of a Kronecker product, and its σ. */
#define SPECTRAL_MAX_COMPOSED_ENTRIES ((size_t)1 << 25)
#define SPECTRAL_MAX_COMPOSED_WORK ((uint64_t)1 << 36)
#define SPECTRAL_MAX_KRONECKER_SIDE ((size_t)1 << 24)
#define SPECTRAL_MAX_KRONECKER_VALUES ((size_t)1 << 16)

typedef enum {
    SPECTRAL_OK = 0,
    SPECTRAL_E_SHAPE,       /* a dimension is 0, or parts do not fit each other */
    SPECTRAL_E_LIMIT,       /* parts that fit each other, but one of the limits above is exceeded */
    SPECTRAL_E_DTYPE,       /* not one of spectral_dtype */
    SPECTRAL_E_NONFINITE,   /* a part or the scale holds NaN or ±Inf, and the counts in the result are set; or, with
                               counts of 0, a norm of ΔW, A or B exceeds float64 */
    SPECTRAL_E_CONVERGENCE, /* LAPACK did not converge */
    SPECTRAL_E_MEMORY,
    SPECTRAL_E_READ /* the source could not deliver a factor */
} spectral_status;

/* spectral_status_text - one lower-case phrase; never NULL. */
const char *spectral_status_text(spectral_status status);

typedef enum { SPECTRAL_F64, SPECTRAL_F32, SPECTRAL_F16, SPECTRAL_BF16 } spectral_dtype;

size_t spectral_dtype_bytes(spectral_dtype dtype);

/* spectral_scalar - the one value of dtype that lies at p, in any alignment. */
double spectral_scalar(const void *p, spectral_dtype dtype);

/* A matrix in its stored dtype. Element (i, j) is data[i·row_stride + j·col_stride], strides in elements, one of them 1
 * in every layout met so far (the other paths are correct but slow). data NULL: the batch's source delivers the bytes. */
typedef struct {
    const void *data;
    spectral_dtype dtype;
    size_t rows, cols;
    size_t row_stride, col_stride;
} spectral_view;

/* spectral_view_bytes - the span of the view in bytes, from its first element to behind its last; 0 when empty, or when
 * it does not fit size_t. This is how much the source is asked for. */
size_t spectral_view_bytes(const spectral_view *view);

/* Structures beyond s·B·A. Each operand W is a product of what is there:
 *
 *     W = B·C·A    B (m × r), core C (r × q), A (q × n). Without a core r = q and C is the identity.
 *     depth k      C holds r × q × k entries, C[p][j·k + κ]; W is m × (n·k), column i·k + κ = Σ_pj B_·p C_pjκ A_ji: the
 *                  Tucker form of a convolution whose kernel has k taps
 *     diagonal     C holds r entries as one row or one column, depth 1: C = diag(c), as AdaLoRA's E
 *     groups g     B (m × r) has r columns and m/g rows a group; A, or the core, has r·g rows: group i of B's rows meets
 *                  only the i-th r of them (MergedLinear's grouped convolution). Of the first operand only, as diagonal is
 *     no B         b.rows 0: W = A, a full matrix; neither core nor groups then
 *
 *     SPECTRAL_PRODUCT     ΔW = s·W
 *     SPECTRAL_KRONECKER   ΔW = s·(W ⊗ W2), W the outer one: rows (i, i2), columns (j, j2)          LoKr
 *     SPECTRAL_HADAMARD    ΔW = s·(W ∘ W2), both m × n                                            LoHa
 *
 * What is computed with, and therefore the lengths that spectral_module_shape gives:
 *     PRODUCT     A with the core folded in (rank r·g) and B (groups: block diagonal), in float64
 *     HADAMARD    the A and B of r1·r2 rank directions, (i, j) ↦ i·r2 + j, that a Hadamard product has
 *     full        the m × n matrix of ΔW/s itself, rank min(m, n): for a PRODUCT without B; of more composed rank than
 *                 min(m, n); and for a HADAMARD product of at least that rank, or with an operand without B
 *     KRONECKER   each operand in one of these ways: σ(ΔW) are all |s|·σ_i(W)·σ_j(W2), sorted. ΔW is never formed
 *
 * What the numbers of a result mean:
 *     sigma_a, sigma_b    of the A and B computed with; full: sigma_a of ΔW/s, sigma_b all 1 (of the identity that B is);
 *                         KRONECKER: sigma_a of W2, sigma_b of W
 *     a, b                entry statistics of the stored a and of the stored b alone, other parts are not in them (no B:
 *                         zeros, kurtosis NaN); KRONECKER: a of all stored entries of W2's parts together, b of W's, and
 *                         support_a is not looked at
 *     gram_offdiagonal    of the A and B computed with (full: a of ΔW/s along its shorter side, b 0); KRONECKER: 0
 *     gram_gap            of the A and B computed with; full and KRONECKER: 0
 *     n_nonfinite         a: of a, core, a2 and core2; b: of b and b2; KRONECKER: a of W2's parts, b of W's
 *     path                KRONECKER: QR when either operand needs it
 *     kurtosis            full: exact, se 0. KRONECKER: exact, se 0, from the moments of both operands; NaN when ΔW has no
 *                         variance, or where an operand has m·n·rank > 2^30 and not all rows are asked for
 *     residual            KRONECKER: of all products against |s|·‖W‖_F·‖W2‖_F
 * QR path of what was composed, formed or is full: above rank 128 (of s·B·A: above 512) a bidiagonal SVD takes the place of
 * Jacobi's, small σ are good to eps·σ₁ then. */
typedef enum { SPECTRAL_PRODUCT, SPECTRAL_KRONECKER, SPECTRAL_HADAMARD } spectral_structure;

typedef struct {
    spectral_structure structure;
    spectral_view core; /* of the module's own a and b; rows 0: none */
    size_t depth, groups; /* 0 is 1 */
    bool diagonal;
    spectral_view a2, b2, core2; /* the second operand W2, for KRONECKER and HADAMARD */
    size_t depth2;
} spectral_extra;

typedef struct {
    spectral_view a; /* r × n */
    spectral_view b; /* m × r */
    double scale;    /* s */
    double support_a; /* > 0: count the entries of A with |x| above it (init-law test); 0: do not */
    const spectral_extra *extra; /* NULL: ΔW = s·B·A; borrowed */
} spectral_module;

/* spectral_module_shape - the size of ΔW and of its three spectra; the parts are not read.
 * Out:   m, n; n_sigma, n_sigma_a, n_sigma_b: lengths of the arrays of a result
 * Errs:  SPECTRAL_E_SHAPE, SPECTRAL_E_LIMIT; *out is untouched then */
typedef struct {
    size_t m, n, n_sigma, n_sigma_a, n_sigma_b;
} spectral_shape;
spectral_status spectral_module_shape(const spectral_module *module, spectral_shape *out);

/* Entry statistics of one factor, exact over all entries. */
typedef struct {
    double max_abs;
    double mean_abs;
    double sum_squares;      /* may over- or underflow where the norm does not: entries of 1e±200 */
    double kurtosis;         /* Pearson: 3 for a Gaussian, 1.8 for a uniform; NaN when the entries are constant */
    double outside_support;  /* fraction of entries above the module's support_a; A only, else 0 */
    uint64_t n_nonfinite;    /* NaN and ±Inf; the other fields mean nothing when this is not 0 */
    double gram_offdiagonal; /* max over k ≠ l of |G_kl| / sqrt(G_kk·G_ll); 0 when r = 1. Rank directions with G_kk = 0
                                are passed over */
} spectral_factor;

typedef enum { SPECTRAL_PATH_GRAM, SPECTRAL_PATH_QR, SPECTRAL_PATH_ZERO } spectral_path;

/* What is known of one module. The three arrays are the caller's storage: sigma min(r, m, n), sigma_a min(r, n), sigma_b
 * min(m, r) doubles; with an extra, what spectral_module_shape says. */
typedef struct {
    spectral_status status; /* anything but OK: only status and the n_nonfinite counts are set */
    spectral_path path;     /* ZERO: ΔW is 0, every σ of it, frobenius and residual too: exactly; or its products cancel
                               to below their own rounding, ‖ΔW‖_F ≤ (16 + √(m + n)/4)·eps·|s|·Σ_k ‖b_k‖·‖a_k‖, as
                               [B0 −B0]·[A0; A0] do; or ‖ΔW‖_F underflows float64 */
    double *sigma;          /* of ΔW = s·B·A, descending, ≥ 0, with |s| */
    double *sigma_a;        /* of A, without s */
    double *sigma_b;        /* of B, without s */
    double frobenius;       /* ‖ΔW‖_F, from the Gram matrices or from the core, not from σ */
    double residual;        /* |‖ΔW‖_F² − Σσ²| / ‖ΔW‖_F²; 0 when ΔW = 0 */
    double kurtosis;        /* of the entries of ΔW, Pearson; NaN when ΔW has no variance, and from a sample also when
                               the variance is below 1e-6 of the mean square; or when float64 cannot hold the fourth
                               powers (rank directions balanced at opposite ends of its range). Never below 1 */
    double kurtosis_se;     /* standard error of the sample of rows, at least its rounding; 0 when all rows were asked
                               for, or there are no more of them than the sample has. Method: cpu/kurtosis.h */
    double gram_gap;        /* ‖G_A − G_B‖_F / max(‖G_A‖_F, ‖G_B‖_F): 0 for B = U√S, A = √S·Vᵀ; 0 when both are 0 */
    spectral_factor a, b;
} spectral_result;

typedef struct {
    bool precise;     /* QR path for every module */
    bool all_rows;    /* kurtosis over all rows of ΔW: costs O(m·n·r) */
    unsigned n_rows;  /* rows sampled for the kurtosis; 0: the default */
    uint64_t seed;    /* of that sample; the same seed gives the same rows with any threads, and but for ties in
                         rounding on any machine */
} spectral_options;

/* Where the bytes of views without data come from.
 * read - deliver spectral_view_bytes() bytes of factor 'a', 'b', 'c' (core), or of the second operand 'A', 'B', 'C', of module
 *        index into dst; 0 on success.
 * Called from worker threads, for different modules at once. */
typedef struct {
    void *ctx;
    int (*read)(void *ctx, size_t index, char factor, void *dst, size_t bytes);
} spectral_source;

/* Who runs the modules side by side. run - call task(arg, i, worker) once for each i < n, return when all are done.
 * worker < the engine's n_workers is the same for no two calls that run at the same time. */
typedef struct {
    void *ctx;
    void (*run)(void *ctx, size_t worker, size_t n, void (*task)(void *arg, size_t index, size_t worker), void *arg);
} spectral_executor;

typedef struct spectral_engine spectral_engine;

/* spectral_module_memory - what one worker allocates for the module at most: the factors as the source delivers them, what
 * is composed of them, and the workspace of either path, of spectral_batch and of spectral_left_vector. The parts are not
 * read. SIZE_MAX for what has no shape.
 * In:    options NULL: all defaults */
size_t spectral_module_memory(const spectral_module *module, const spectral_options *options);

/* spectral_engine_create - the CPU backend with one workspace a worker. Between modules it keeps at most 6 MiB a worker, and
 * while one is computed no more than the larger of that and spectral_module_memory.
 * In:    n_workers ≥ 1
 * Errs:  SPECTRAL_E_MEMORY; *out is NULL then
 * Owner: the caller destroys it. Pins OpenBLAS to one thread and stops its idle ones, for the
 *        whole process: nothing else in it may be using BLAS meanwhile. */
spectral_status spectral_engine_create(size_t n_workers, spectral_engine **out);
void spectral_engine_destroy(spectral_engine *engine); /* NULL is accepted */

/* spectral_engine_name - backend and library, for reports: "cpu (AVX-512, OpenBLAS 0.3.21 SkylakeX)". */
const char *spectral_engine_name(const spectral_engine *engine);

/* spectral_batch - the spectra of n modules.
 * In:     modules[n]; source NULL when every view has data; executor NULL: serial in the calling thread as worker
 *         `worker`; options NULL: all defaults
 * Out:    results[n], whose arrays the caller has allocated. One module's failure is its own status and stops no other
 * Errs:   none of its own: each result carries its status
 * Thread: safe for calls whose workers differ
 * Cost:   O((m + n)·r²) flops; the bytes are read once, and passed over twice; memory: spectral_module_memory, which is one
 *         module's factors, in their stored dtype when they come from the source, two to three r × r matrices, and
 *         O(m + n + block); of a structure also its parts, and the core folded into A, in float64
 * Source: Golub & Van Loan, Matrix Computations, 8.6; Drmač & Veselić, New fast and accurate Jacobi SVD, 2008 */
void spectral_batch(spectral_engine *engine, size_t worker, const spectral_module *modules, size_t n,
                    const spectral_options *options, const spectral_source *source, const spectral_executor *executor,
                    spectral_result *results);

/* spectral_left_vector - the leading left singular vector u₁ of ΔW (m, unit length; its sign is arbitrary, so the entry
 * of largest magnitude is made positive), and *sigma1 with |s|.
 * In:     one module; index is handed to source. KRONECKER: u₁(W) ⊗ u₁(W2)
 * Errs:   as spectral_result.status; SPECTRAL_E_SHAPE also when ΔW = 0 (path ZERO): no leading vector. Outputs untouched
 * Cost:   as one module of spectral_batch */
spectral_status spectral_left_vector(spectral_engine *engine, size_t worker, const spectral_module *module,
                                     size_t index, const spectral_source *source, double *u, double *sigma1);

/* Scalars of a spectrum. sigma[n] descending, ≥ 0. Each is NaN where it does not exist (all σ zero).
 *     stable_rank    = Σσ² / σ₁²            concentration = σ₁ / Σσ
 *     entropy        = −Σ p ln p, p = σ/Σσ  energy_top1   = σ₁² / Σσ²
 *     effective_rank = exp(entropy)         (Roy & Vetterli 2007)
 * Squares are taken of σ/σ₁, so that nothing over- or underflows. */
typedef struct {
    double stable_rank, effective_rank, entropy, concentration, energy_top1;
} spectral_scalars;

spectral_scalars spectral_scalars_of(const double *sigma, size_t n);

#endif
