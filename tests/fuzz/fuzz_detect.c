/* fuzz_detect.c - what a file is: always one of the kinds, with words for it, and told by the first 4 KiB and the size.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "analyzer/formats/detect.h"
#include "tests/fuzz/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    file f = file_of_memory(bytes, n);
    content_kind kind = CONTENT_COUNT, again = CONTENT_COUNT;
    lora_error err = {0};
    CHECK(detect_content(&f, &kind, &err) == LORA_OK);
    CHECK((unsigned)kind < CONTENT_COUNT);
    CHECK((kind == CONTENT_EMPTY) == (n == 0));
    check_line(content_name(kind));
    if (content_container(kind))
        check_line(content_container(kind));
    CHECK(detect_content(&f, &again, &err) == LORA_OK && again == kind);
    return 0;
}
