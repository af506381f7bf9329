/* test_scalars.c - numbers that describe a spectrum, on spectra where they are known.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/spectral/oracle.h"

static void near(double x, double expected) { assert_true(fabs(x - expected) <= 16 * DBL_EPSILON * fabs(expected)); }

static void a_flat_spectrum_has_full_rank_by_every_measure(void **state)
{
    (void)state;
    const double sigma[] = {3, 3, 3, 3};
    spectral_scalars s = spectral_scalars_of(sigma, 4);
    near(s.stable_rank, 4);
    near(s.effective_rank, 4);
    near(s.entropy, log(4));
    near(s.concentration, 0.25);
    near(s.energy_top1, 0.25);
}

static void one_value_has_rank_one_and_no_entropy(void **state)
{
    (void)state;
    const double sigma[] = {0.1, 0, 0};
    spectral_scalars s = spectral_scalars_of(sigma, 3);
    near(s.stable_rank, 1);
    near(s.effective_rank, 1);
    assert_true(s.entropy == 0);
    near(s.concentration, 1);
    near(s.energy_top1, 1);
}

static void a_known_pair_is_exact(void **state)
{
    (void)state;
    const double sigma[] = {2, 1};
    spectral_scalars s = spectral_scalars_of(sigma, 2);
    near(s.stable_rank, 1.25);
    near(s.concentration, 2. / 3);
    near(s.energy_top1, 0.8);
    near(s.entropy, log(3) - 2. / 3 * log(2));
}

static void the_scale_of_the_spectrum_does_not_matter(void **state)
{
    (void)state;
    for (int e = -1074; e <= 1022; e += 524) {
        const double sigma[] = {ldexp(2, e), ldexp(1, e)};
        spectral_scalars s = spectral_scalars_of(sigma, 2);
        near(s.stable_rank, 1.25);
        near(s.concentration, 2. / 3);
    }
}

static void nothing_exists_without_a_nonzero_value(void **state)
{
    (void)state;
    const double zeros[] = {0, 0}, nan[] = {NAN};
    const spectral_scalars all[] = {spectral_scalars_of(zeros, 2), spectral_scalars_of(zeros, 0),
                                    spectral_scalars_of(nan, 1)};
    for (size_t i = 0; i < 3; i++)
        assert_true(isnan(all[i].stable_rank) && isnan(all[i].effective_rank) && isnan(all[i].entropy) &&
                    isnan(all[i].concentration) && isnan(all[i].energy_top1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_flat_spectrum_has_full_rank_by_every_measure),
        cmocka_unit_test(one_value_has_rank_one_and_no_entropy),
        cmocka_unit_test(a_known_pair_is_exact),
        cmocka_unit_test(the_scale_of_the_spectrum_does_not_matter),
        cmocka_unit_test(nothing_exists_without_a_nonzero_value),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
