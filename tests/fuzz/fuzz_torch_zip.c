/* fuzz_torch_zip.c - torch zip checkpoints.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "analyzer/formats/torch_zip.h"
#include "tests/fuzz/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    check_reader(bytes, n, "torch-zip", torch_zip_read);
    return 0;
}
