/* fuzz_torch_legacy.c - torch checkpoints of the time before zip.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "analyzer/formats/torch_legacy.h"
#include "tests/fuzz/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    check_reader(bytes, n, "torch-legacy", torch_legacy_read);
    return 0;
}
