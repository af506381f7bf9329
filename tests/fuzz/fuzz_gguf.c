/* fuzz_gguf.c - gguf files. What is read without an error must also be recognised by its content.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "analyzer/formats/gguf.h"
#include "analyzer/formats/detect.h"
#include "tests/fuzz/check.h"

static lora_code read_it(const file *f, arena *mem, observations *seen, catalog *cat, lora_error *err)
{
    (void)seen;
    return gguf_read(f, mem, cat, err);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    if (check_reader(bytes, n, "gguf", read_it) != LORA_OK)
        return 0;
    file f = file_of_memory(bytes, n);
    content_kind kind = CONTENT_UNKNOWN;
    lora_error err = {0};
    CHECK(detect_content(&f, &kind, &err) == LORA_OK);
    CHECK(kind == CONTENT_GGUF);
    return 0;
}
