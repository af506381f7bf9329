/* fuzz_npz.c - npz archives.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "analyzer/formats/npz.h"
#include "tests/fuzz/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    check_reader(bytes, n, "npz", npz_read);
    return 0;
}
