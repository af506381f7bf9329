/* fuzz_npy.c - a single array of NumPy.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "analyzer/formats/npz.h"
#include "tests/fuzz/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    check_reader(bytes, n, NULL, npy_read);
    return 0;
}
