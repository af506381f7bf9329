/* fuzz_json.c - the strict JSON scanner: stepping over a text and walking through it must agree, and what it accepts
 * other parsers accept too. Text that is not UTF-8 is the caller's to refuse and ends the input.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "analyzer/base/json.h"
#include "analyzer/base/limits.h"
#include "analyzer/base/text.h"
#include "tests/fuzz/check.h"

#include <cJSON.h>
#include <stdlib.h>
#include <string.h>

static void unescape(const json_scan *s, const json_string *string)
{
    CHECK(string->at < s->length && s->text[string->at] == '"');
    CHECK(string->raw >= s->text && string->raw + string->raw_length < s->text + s->length);
    char *out = malloc(string->raw_length + 1);
    if (!out)
        return;
    size_t length = json_unescape(string, out);
    CHECK(length <= string->raw_length && (string->escaped || length == string->raw_length));
    CHECK(text_utf8_invalid(out, length) == length);
    out[length] = '\0';
    bool ascii = strlen(out) == length;
    for (size_t i = 0; i < length; i++)
        ascii = ascii && (unsigned char)out[i] < 0x80;
    CHECK(!ascii || json_string_is(string, out));
    free(out);
}

static void walk(json_scan *s, unsigned depth)
{
    json_string string;
    bool first = true;
    switch (json_peek(s)) {
    case JSON_OBJECT:
        if (depth == 0 || !json_object_open(s))
            break;
        while (json_object_next(s, &first, &string)) {
            unescape(s, &string);
            walk(s, depth - 1);
        }
        return;
    case JSON_ARRAY:
        if (depth == 0 || !json_array_open(s))
            break;
        while (json_array_next(s, &first))
            walk(s, depth - 1);
        return;
    case JSON_STRING:
        if (json_string_read(s, &string))
            unescape(s, &string);
        return;
    default:
        break;
    }
    json_skip(s, depth);
}

static void check_fault(json_scan *s)
{
    CHECK(s->at <= s->length);
    if (!s->wrong)
        return;
    const char *wrong = s->wrong;
    uint64_t number;
    check_line(wrong);
    CHECK(s->wrong_at <= s->length);
    CHECK(!json_skip(s, 1) && !json_u64_read(s, &number) && !json_finish(s) && s->wrong == wrong);
}

/* A text that is one number has the value that the C library reads. */
static void check_number(const char *text, size_t n, bool valid)
{
    json_scan s;
    uint64_t value;
    json_begin(&s, text, n);
    if (!json_u64_read(&s, &value) || !json_finish(&s))
        return;
    CHECK(valid);
    char *copy = malloc(n + 1);
    if (!copy)
        return;
    memcpy(copy, text, n);
    copy[n] = '\0';
    CHECK(value == strtoull(copy, NULL, 10));
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    const char *text = (const char *)bytes;
    if (text_utf8_invalid(text, n) < n)
        return 0;
    json_scan skip, walked;
    json_begin(&skip, text, n);
    bool valid = json_skip(&skip, LIMIT_JSON_DEPTH) && json_finish(&skip);
    CHECK(valid == (skip.wrong == NULL));
    check_fault(&skip);

    json_begin(&walked, text, n);
    walk(&walked, LIMIT_JSON_DEPTH);
    json_finish(&walked);
    CHECK(valid == (walked.wrong == NULL));
    check_fault(&walked);

    check_number(text, n, valid);
    if (valid) {
        cJSON *tree = cJSON_ParseWithLength(text, n);
        CHECK(tree != NULL);
        cJSON_Delete(tree);
    }
    return 0;
}
