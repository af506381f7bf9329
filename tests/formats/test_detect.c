/* File kinds by content: each magic number, its near misses, and what lies about itself.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "analyzer/formats/detect.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static file file_of(const void *bytes, size_t n)
{
    char path[] = "/tmp/test_detect.XXXXXX";
    file f = {.fd = mkstemp(path), .size = n};
    assert_true(f.fd >= 0);
    unlink(path);
    assert_int_equal(write(f.fd, bytes, n), n);
    return f;
}

static content_kind kind_of(const void *bytes, size_t n)
{
    lora_error err = {0};
    content_kind kind = CONTENT_COUNT;
    file f = file_of(bytes, n);
    assert_int_equal(detect_content(&f, &kind, &err), LORA_OK);
    file_close(&f);
    return kind;
}

#define B(literal) literal, sizeof(literal) - 1
#define ZIP_HEADER(name_length, name) "PK\3\4" "\0\0\x08\x08\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0" name_length "\0\0\0" name

static void each_kind_is_told_by_its_first_bytes(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t n;
        content_kind kind;
    } cases[] = {
        {B(""), CONTENT_EMPTY},
        {B("\x02\0\0\0\0\0\0\0{}"), CONTENT_SAFETENSORS},
        {B("\x04\0\0\0\0\0\0\0 \n{}"), CONTENT_SAFETENSORS},
        {B("\x02\0\0\0\0\0\0\0[]"), CONTENT_SAFETENSORS},                     /* its reader says what is wrong */
        {B("\x28\0\0\0\0\0\0\0"), CONTENT_SAFETENSORS},                       /* cut behind the length */
        {B("\xff\xff\xff\xff\xff\xff\xff\x7f{\"a\":"), CONTENT_SAFETENSORS},  /* too large, but an object follows */
        {B("\x01\xe1\xf5\x05\0\0\0\0{\"a\":"), CONTENT_SAFETENSORS},          /* limit + 1, an object follows */
        {B("\x01\xe1\xf5\x05\0\0\0\0 x"), CONTENT_UNKNOWN},                   /* limit + 1, nothing follows */
        {B("\x00\xe1\xf5\x05\0\0\0\0 x"), CONTENT_SAFETENSORS},               /* the limit itself */
        {B("\xff\xff\xff\xff\xff\xff\xff\x7f{\xff"), CONTENT_UNKNOWN},
        {B("PK\3\4\0\0\0\0{\"a\":"), CONTENT_SAFETENSORS},                    /* 67324752 is a possible length */
        {B("\0\0\0\0\0\0\0\0\0\0\0\0"), CONTENT_UNKNOWN},
        {B("\0\0\0\0\0\0\0"), CONTENT_UNKNOWN},
        {B("\x28\0\0"), CONTENT_UNKNOWN},
        {B(ZIP_HEADER("\x16", "adapter_model/data.pkl")), CONTENT_ZIP_TORCH},
        {B(ZIP_HEADER("\x08", "data.pkl")), CONTENT_ZIP_TORCH},
        {B(ZIP_HEADER("\x0e", "model/.version") ZIP_HEADER("\x0f", "archive/version")), CONTENT_ZIP_TORCH},
        {B(ZIP_HEADER("\x17", "archive/.format_version")), CONTENT_ZIP_TORCH},
        {B(ZIP_HEADER("\x05", "w.npy")), CONTENT_ZIP_NPZ},
        {B(ZIP_HEADER("\x05", "a.txt") "PK\3\4"), CONTENT_ZIP},
        {B(ZIP_HEADER("\x08", "xata.pkl")), CONTENT_ZIP},
        {B(ZIP_HEADER("\x0d", "my_data.pkl__")), CONTENT_ZIP},
        {B(ZIP_HEADER("\xff", "short/data.pkl")), CONTENT_ZIP}, /* the name is longer than the file */
        {B("PK\3\4"), CONTENT_ZIP},
        {B("PK\5\6\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"), CONTENT_ZIP},
        {B("PK\3"), CONTENT_UNKNOWN},
        {B("\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."), CONTENT_TORCH_LEGACY},
        {B("\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x18."), CONTENT_PICKLE},
        {B("\x80\x02}q\0."), CONTENT_PICKLE},
        {B("\x80\x04\x95\x0b\0\0\0\0\0\0\0"), CONTENT_PICKLE},
        {B("\x80\x05N."), CONTENT_PICKLE},
        {B("\x80\x06N.\xff"), CONTENT_UNKNOWN},
        {B("cos\nsystem\n(S'id'\ntR."), CONTENT_PICKLE},
        {B("c__builtin__\neval\n(S'1'\ntR."), CONTENT_PICKLE},
        {B("ccollections.abc\nOrderedDict\np0\n."), CONTENT_PICKLE},
        {B("(ios\nsystem\np0\n."), CONTENT_PICKLE},
        {B("(dp0\nS'a'\np1\nI1\ns."), CONTENT_PICKLE},
        {B("(lp1\n."), CONTENT_PICKLE},
        {B("}q\0X\1\0\0\0aq\1K\1s."), CONTENT_PICKLE},
        {B("cats\ndogs\nbirds\n"), CONTENT_TEXT},
        {B("(dear reader)"), CONTENT_TEXT},
        {B("GGUF\3\0\0\0"), CONTENT_GGUF},
        {B("\x89HDF\r\n\x1a\n\0"), CONTENT_HDF5},
        {B("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n"), CONTENT_LFS_POINTER},
        {B("version https://hawser.github.com/spec/v1\noid sha256:00\nsize 3\n"), CONTENT_LFS_POINTER},
        {B("version https://example.com/spec/v1\n"), CONTENT_TEXT},
        {B("<!DOCTYPE html><title>404</title>"), CONTENT_HTML},
        {B("\xEF\xBB\xBF\r\n  <HTML lang=en>"), CONTENT_HTML},
        {B("<html>\xff"), CONTENT_HTML},
        {B("<htm"), CONTENT_TEXT},
        {B("{\"error\": \"Access denied\"}"), CONTENT_JSON},
        {B("{\"abcd\":{\"x\":1}}"), CONTENT_JSON}, /* a '{' at byte 8, as in safetensors */
        {B("\xEF\xBB\xBF [1]"), CONTENT_JSON},
        {B("Not Found"), CONTENT_TEXT},
        {B("caf\xC3\xA9\n"), CONTENT_TEXT},
        {B("caf\xE9\n"), CONTENT_UNKNOWN},
        {B("caf\xC3"), CONTENT_UNKNOWN}, /* cut by the file, not by the window */
        {B("a\0b"), CONTENT_UNKNOWN},
        {B("7z\xBC\xAF\x27\x1C\0\4"), CONTENT_7Z},
        {B("\x1F\x8B\x08\0\0\0\0\0\0\3"), CONTENT_GZIP},
        {B("\x89PNG\r\n\x1a\n\0\0\0\rIHDR"), CONTENT_PNG},
        {B("\xFF\xD8\xFF\xE0\0\x10JFIF"), CONTENT_JPEG},
        {B("\xFF\xD8\xFE\xE0"), CONTENT_UNKNOWN},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        content_kind kind = kind_of(cases[i].bytes, cases[i].n);
        if (kind != cases[i].kind)
            fail_msg("case %zu: %s, expected %s", i, content_name(kind), content_name(cases[i].kind));
    }
}

static void signs_that_lie_deeper_are_found(void **state)
{
    (void)state;
    static char bytes[5000];
    memset(bytes, 0, sizeof bytes);
    memcpy(bytes, "name", 4);
    memcpy(bytes + 257, "ustar\0" "00", 8);
    assert_int_equal(kind_of(bytes, 512), CONTENT_TAR);
    assert_int_equal(kind_of(bytes, 262), CONTENT_TAR);
    assert_int_equal(kind_of(bytes, 261), CONTENT_UNKNOWN);

    memset(bytes, 0, sizeof bytes);
    memcpy(bytes + 512, "\x89HDF\r\n\x1a\n", 8);
    assert_int_equal(kind_of(bytes, sizeof bytes), CONTENT_HDF5);

    memset(bytes, 0, sizeof bytes);
    assert_int_equal(kind_of(bytes, sizeof bytes), CONTENT_UNKNOWN);
}

static void a_character_cut_by_the_window_does_not_make_text_binary(void **state)
{
    (void)state;
    static char bytes[4100];
    for (size_t lead = 4090; lead < 4096; lead++) {
        memset(bytes, 'a', sizeof bytes);
        memcpy(bytes + lead, "\xF0\x9F\x98\x80", 4);
        assert_int_equal(kind_of(bytes, sizeof bytes), CONTENT_TEXT);
    }
    memset(bytes, 'a', sizeof bytes);
    bytes[4000] = '\xff';
    assert_int_equal(kind_of(bytes, sizeof bytes), CONTENT_UNKNOWN);
}

static void every_beginning_of_every_kind_is_answered(void **state)
{
    (void)state;
    static const char zip[] = ZIP_HEADER("\x16", "adapter_model/data.pkl");
    for (size_t n = 0; n < sizeof zip; n++)
        assert_true(kind_of(zip, n) < CONTENT_COUNT);
}

static void a_file_that_shrank_is_an_error(void **state)
{
    (void)state;
    lora_error err = {0};
    content_kind kind = CONTENT_COUNT;
    file f = file_of("abc", 3);
    f.size = 10;
    assert_int_equal(detect_content(&f, &kind, &err), LORA_E_SHRUNK);
    assert_int_equal(err.offset, 3);
    assert_int_equal(kind, CONTENT_COUNT);
    file_close(&f);
}

static void every_kind_has_words_and_the_right_container(void **state)
{
    (void)state;
    for (int k = 0; k < CONTENT_COUNT; k++)
        assert_non_null(content_name((content_kind)k));
    assert_string_equal(content_name(CONTENT_PNG), "a PNG image");
    assert_string_equal(content_name(CONTENT_COUNT), content_name(CONTENT_UNKNOWN));
    assert_string_equal(content_container(CONTENT_SAFETENSORS), "safetensors");
    assert_string_equal(content_container(CONTENT_ZIP_TORCH), "torch-zip");
    assert_string_equal(content_container(CONTENT_TORCH_LEGACY), "torch-legacy");
    assert_string_equal(content_container(CONTENT_ZIP_NPZ), "npz");
    assert_string_equal(content_container(CONTENT_GGUF), "gguf");
    assert_string_equal(content_container(CONTENT_HDF5), "hdf5");
    assert_null(content_container(CONTENT_LFS_POINTER));
    assert_null(content_container(CONTENT_COUNT));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_kind_is_told_by_its_first_bytes),
        cmocka_unit_test(signs_that_lie_deeper_are_found),
        cmocka_unit_test(a_character_cut_by_the_window_does_not_make_text_binary),
        cmocka_unit_test(every_beginning_of_every_kind_is_answered),
        cmocka_unit_test(a_file_that_shrank_is_an_error),
        cmocka_unit_test(every_kind_has_words_and_the_right_container),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
