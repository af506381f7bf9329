/* The directory of a zip archive: what honest writers make, every lie with its note or its error, cut and flipped files,
 * memory that ends. Hidden bytes have tests of their own in test_zip_hidden.c.
 * SPDX-License-Identifier: Apache-2.0
 */
/* LDFLAGS: -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc */
#include "analyzer/base/limits.h"
#include "tests/support/alloc_fault.h"
#include "tests/support/zip_outcome.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- a directory as it was read ---- */

static size_t count_of(const observations *seen, observation_kind kind)
{
    size_t n = 0;
    for (size_t i = 0; i < seen->n; i++)
        n += seen->list[i].kind == kind;
    return n;
}

static void assert_quiet(const outcome *o)
{
    for (size_t i = 0; i < o->seen.n; i++)
        print_error("%s: %s\n", observation_rule(o->seen.list[i].kind), o->seen.list[i].text);
    assert_int_equal(o->seen.n, 0);
    assert_int_equal(o->zip.n_hidden, 0);
}

static void assert_holds(outcome *o, size_t i, const char *name, const void *data, size_t n)
{
    unsigned char *bytes = NULL;
    assert_string_equal(o->zip.members[i].name, name);
    assert_int_equal(o->zip.members[i].bytes, n);
    assert_int_equal(zip_load(&o->f, &o->zip.members[i], n, &o->seen, &bytes, &o->err), LORA_OK);
    assert_memory_equal(bytes, data, n);
    assert_int_equal(bytes[n], 0);
    free(bytes);
}

/* ---- honest archives ---- */

static void every_honest_way_to_write_a_member_is_read_without_a_note(void **state)
{
    (void)state;
    char large[70000];
    memset(large, 'x', sizeof large);
    zip_writer w = {0};
    zip_writer_add(&w, "stored", FOX, sizeof FOX);
    zip_writer_member(&w, &(zip_made){.name = "torch/\xC3\xA9", .data = FOX, .n = sizeof FOX, .torch = true});
    zip_writer_member(&w, &(zip_made){.name = "torch64", .data = FOX, .n = sizeof FOX, .torch = true, .wide = true});
    zip_writer_member(&w, &(zip_made){.name = "deflated", .data = large, .n = sizeof large, .deflate = true});
    zip_writer_member(&w, &(zip_made){.name = "late", .data = large, .n = sizeof large, .deflate = true, .descriptor = true});
    zip_writer_member(&w, &(zip_made){.name = "bare", .data = FOX, .n = 7, .descriptor = true, .bare = true});
    zip_writer_member(&w, &(zip_made){.name = "bare64", .data = FOX, .n = 9, .descriptor = true, .bare = true, .wide = true});
    zip_writer_member(&w, &(zip_made){.name = "wide", .data = FOX, .n = sizeof FOX, .wide = true});
    zip_writer_add(&w, "folder/", NULL, 0);
    zip_writer_bytes(&w, "\0\0\0\0\0\0\0", 7); /* padding */
    zip_writer_add(&w, "last", FOX, 3);
    zip_writer_end(&w, &(zip_ending){.zip64 = true, .comment = "made by hand", .comment_bytes = 12});
    outcome o = read_archive(&w);
    assert_int_equal(o.code, LORA_OK);
    assert_int_equal(o.seen.n, 0);
    assert_int_equal(o.zip.n, 10);
    assert_int_equal(o.zip.n_hidden, 1); /* the comment, for whoever looks for pickles */
    assert_holds(&o, 0, "stored", FOX, sizeof FOX);
    assert_holds(&o, 1, "torch/\xC3\xA9", FOX, sizeof FOX);
    assert_int_equal(o.zip.members[1].data_offset % 64, 0);
    assert_holds(&o, 2, "torch64", FOX, sizeof FOX);
    assert_holds(&o, 3, "deflated", large, sizeof large);
    assert_true(o.zip.members[3].deflated && o.zip.members[3].stored_bytes < 1000);
    assert_holds(&o, 4, "late", large, sizeof large);
    assert_holds(&o, 5, "bare", FOX, 7);
    assert_holds(&o, 6, "bare64", FOX, 9);
    assert_holds(&o, 7, "wide", FOX, sizeof FOX);
    assert_holds(&o, 8, "folder/", "", 0);
    assert_holds(&o, 9, "last", FOX, 3);
    assert_int_equal(o.seen.n, 0);
    done(&o, &w);
}

static void an_archive_without_members_is_one(void **state)
{
    (void)state;
    zip_writer w = {0};
    zip_writer_end(&w, NULL);
    outcome o = read_archive(&w);
    assert_int_equal(o.code, LORA_OK);
    assert_int_equal(o.zip.n, 0);
    assert_quiet(&o);
    done(&o, &w);
}

static void zip64_alone_may_say_where_the_directory_is(void **state)
{
    (void)state;
    zip_writer w = {0};
    zip_writer_add(&w, "a", FOX, 5);
    zip_writer_end(&w, &(zip_ending){.zip64 = true, .large = true});
    outcome o = read_archive(&w);
    assert_int_equal(o.code, LORA_OK);
    assert_quiet(&o);
    assert_holds(&o, 0, "a", FOX, 5);
    done(&o, &w);
}

static void the_order_of_the_data_need_not_be_that_of_the_directory(void **state)
{
    (void)state;
    zip_writer w = {0};
    zip_writer_add(&w, "abc", FOX, 5);
    size_t one = w.directory_bytes;
    zip_writer_member(&w, &(zip_made){.name = "def", .data = FOX, .n = 6, .torch = true});
    unsigned char turned[200];
    memcpy(turned, w.directory + one, w.directory_bytes - one);
    memcpy(turned + w.directory_bytes - one, w.directory, one);
    memcpy(w.directory, turned, w.directory_bytes);
    zip_writer_end(&w, NULL);
    outcome o = read_archive(&w);
    assert_int_equal(o.code, LORA_OK);
    assert_quiet(&o);
    assert_holds(&o, 0, "def", FOX, 6);
    assert_holds(&o, 1, "abc", FOX, 5);
    done(&o, &w);
}

static void two_thousand_members_are_catalogued(void **state)
{
    (void)state;
    zip_writer w = {0};
    char name[40];
    for (int i = 0; i < 2000; i++) {
        snprintf(name, sizeof name, "archive/data/%d", i);
        zip_writer_member(&w, &(zip_made){.name = name, .data = FOX, .n = (size_t)(i % 40), .torch = true});
    }
    zip_writer_end(&w, &(zip_ending){.zip64 = true});
    outcome o = read_archive(&w);
    assert_int_equal(o.code, LORA_OK);
    assert_int_equal(o.zip.n, 2000);
    assert_quiet(&o);
    assert_holds(&o, 1999, "archive/data/1999", FOX, 39);
    done(&o, &w);
}

/* ---- lies about one member ---- */

typedef struct {
    const char *what;
    zip_made made; /* the second of three members; name "b" unless it has one, its data FOX */
    lora_code code;
    observation_kind kind; /* SEEN_COUNT: none */
    const char *text;      /* that the note, or the error, holds */
} lie;

static const unsigned char OTHER_NAME[] = {0x75, 0x70, 6, 0, 1, 0, 0, 0, 0, 'x'};
static const unsigned char SAME_NAME[] = {0x75, 0x70, 6, 0, 1, 0, 0, 0, 0, 'b'};
static const unsigned char BROKEN_EXTRA[] = {9, 9, 90, 0, 1};

static const lie lies[] = {
    {"another local name", {.local_name = "x"}, LORA_OK, SEEN_ARCHIVE_CONFLICT, "another name"},
    {"a longer local name", {.local_name = "bb"}, LORA_OK, SEEN_ARCHIVE_CONFLICT, "another name"},
    {"another local method", {.local_method = 8}, LORA_OK, SEEN_ARCHIVE_CONFLICT, "another method"},
    {"another local CRC", {.local_crc = 1}, LORA_OK, SEEN_ARCHIVE_CONFLICT, "another CRC-32"},
    {"another local size", {.local_bytes = 1}, LORA_OK, SEEN_ARCHIVE_CONFLICT, "another size"},
    {"another zip64 size", {.wide = true, .local_bytes = 1}, LORA_OK, SEEN_ARCHIVE_CONFLICT, "another size"},
    {"a late size that is not zero", {.torch = true, .local_bytes = 3}, LORA_OK, SEEN_ARCHIVE_CONFLICT, "another size"},
    {"another descriptor", {.torch = true, .descriptor_crc = 3}, LORA_OK, SEEN_ARCHIVE_CONFLICT, "data descriptor"},
    {"another wide descriptor", {.torch = true, .wide = true, .descriptor_crc = 3}, LORA_OK, SEEN_ARCHIVE_CONFLICT, "data descriptor"},
    {"encrypted", {.flags = 0x1, .local_flags = 0x1}, LORA_OK, SEEN_ARCHIVE_ENCRYPTED, "flags 0x0001"},
    {"patched", {.flags = 0x20}, LORA_OK, SEEN_ARCHIVE_ENCRYPTED, "flags 0x0020"},
    {"strongly encrypted", {.flags = 0x40}, LORA_OK, SEEN_ARCHIVE_ENCRYPTED, "flags 0x0040"},
    {"encrypted in the local header alone", {.local_flags = 0x1}, LORA_OK, SEEN_ARCHIVE_ENCRYPTED, "only one"},
    {"the name of another", {.name = "a"}, LORA_OK, SEEN_ARCHIVE_CONFLICT, "two members are named"},
    {"a second name", {.extra = OTHER_NAME, .extra_bytes = 10}, LORA_OK, SEEN_ARCHIVE_CONFLICT, "second, different name"},
    {"the same name again", {.extra = SAME_NAME, .extra_bytes = 10}, LORA_OK, SEEN_COUNT, NULL},
    {"an extra field that is none", {.extra = BROKEN_EXTRA, .extra_bytes = 5}, LORA_OK, SEEN_COUNT, NULL},
    {"parent folder", {.name = "../b"}, LORA_OK, SEEN_ARCHIVE_TRAVERSAL, "out of its folder"},
    {"parent folder inside", {.name = "x/../b"}, LORA_OK, SEEN_ARCHIVE_TRAVERSAL, "out of its folder"},
    {"parent folder at the end", {.name = "x/.."}, LORA_OK, SEEN_ARCHIVE_TRAVERSAL, "out of its folder"},
    {"dots that lead nowhere", {.name = "x/..b/...//b../.b/b"}, LORA_OK, SEEN_COUNT, NULL},
    {"absolute", {.name = "/etc/b"}, LORA_OK, SEEN_ARCHIVE_TRAVERSAL, "absolute"},
    {"backslash", {.name = "x\\b"}, LORA_OK, SEEN_ARCHIVE_TRAVERSAL, "backslash"},
    {"drive", {.name = "c:b"}, LORA_OK, SEEN_ARCHIVE_TRAVERSAL, "drive letter"},
    {"upper drive", {.name = "Z:b"}, LORA_OK, SEEN_ARCHIVE_TRAVERSAL, "drive letter"},
    {"no drive", {.name = "1:b"}, LORA_OK, SEEN_COUNT, NULL},
    {"newline", {.name = "x\nb"}, LORA_OK, SEEN_ARCHIVE_TRAVERSAL, "control character"},
    {"delete", {.name = "x\x7f" "b"}, LORA_OK, SEEN_ARCHIVE_TRAVERSAL, "control character"},
    {"NUL", {.name = "b\0.txt", .name_bytes = 6}, LORA_OK, SEEN_ARCHIVE_TRAVERSAL, "control character"},
    {"unknown method", {.method = 99, .local_method = 99}, LORA_E_ZIP_MEMBER, SEEN_COUNT, "unknown method 99"},
    {"sizes that differ", {.bytes = 1}, LORA_E_ZIP_MEMBER, SEEN_COUNT, "44 bytes in the file, and 45 taken out"},
    {"more than deflate can give", {.deflate = true, .bytes = 1000000}, LORA_E_ZIP_MEMBER, SEEN_COUNT, "cannot inflate"},
    {"data behind the end", {.stored = 100000, .bytes = 100000}, LORA_E_ZIP_MEMBER, SEEN_COUNT, "behind the end"},
    {"data behind all files", {.wide = true, .stored = INT64_MAX, .bytes = INT64_MAX}, LORA_E_ZIP_MEMBER, SEEN_COUNT, "behind the end"},
    {"local header at another place", {.offset = 1}, LORA_E_ZIP_MEMBER, SEEN_COUNT, "no local header where"},
    {"local header behind the end", {.offset = 100000}, LORA_E_ZIP_MEMBER, SEEN_COUNT, "inside the file"},
    {"local header at the very end", {.wide = true, .offset = INT64_MAX}, LORA_E_ZIP_MEMBER, SEEN_COUNT, "inside the file"},
    {"the local header of another", {.offset = -75}, LORA_OK, SEEN_ARCHIVE_CONFLICT, "another name"},
    {"bytes that reach into the next", {.stored = 10, .bytes = 10}, LORA_OK, SEEN_ARCHIVE_CONFLICT, "\"c\" begins inside of \"b\""},
    {"bytes that reach into the directory", {.stored = 36, .bytes = 36}, LORA_OK, SEEN_ARCHIVE_CONFLICT, "the directory begins inside of \"b\""},
};

static void a_lie_about_a_member_is_noted_or_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
        const lie *c = &lies[i];
        zip_made made = c->made;
        zip_writer w = {0};
        made.name = made.name ? made.name : "b";
        made.data = FOX;
        made.n = sizeof FOX;
        zip_writer_add(&w, "a", FOX, sizeof FOX);
        assert_int_equal(w.n, 75);
        zip_writer_member(&w, &made);
        zip_writer_add(&w, "c", FOX, 4);
        zip_writer_end(&w, NULL);
        outcome o = read_archive(&w);
        bool found = c->kind == SEEN_COUNT && (c->code || o.seen.n == 0);
        for (size_t k = 0; k < o.seen.n; k++)
            found |= o.seen.list[k].kind == c->kind && strstr(o.seen.list[k].text, c->text);
        if (o.code != c->code || !found || (c->code && !strstr(o.err.message, c->text)))
            fail_msg("%s: %s %s, %zu notes, the first: %s", c->what, lora_code_name(o.code), o.err.message, o.seen.n,
                     o.seen.n ? o.seen.list[0].text : "-");
        assert_int_equal(o.zip.n, 3); /* also after an error, to be looked into */
        assert_string_equal(o.zip.members[2].name, "c");
        for (size_t k = 0; k < 3; k++)
            assert_true(o.zip.members[k].data_offset + o.zip.members[k].stored_bytes <= w.n);
        assert_true(c->code || o.code || o.zip.n_hidden == 0 || o.seen.n > 0);
        done(&o, &w);
    }
}

static void a_zip64_field_that_is_missing_or_short_is_refused(void **state)
{
    (void)state;
    zip_writer w = {0};
    zip_writer_member(&w, &(zip_made){.name = "b", .data = FOX, .n = 9, .wide = true});
    w.directory[46 + 1 + 2] = 8; /* the size alone; 20 bytes of another field behind */
    zip_writer_end(&w, NULL);
    outcome o = read_archive(&w);
    assert_int_equal(o.code, LORA_E_ZIP_MEMBER);
    done(&o, &w);
    zip_writer_member(&w, &(zip_made){.name = "b", .data = FOX, .n = 9, .wide = true});
    w.directory[46 + 1] = 7;
    zip_writer_end(&w, NULL);
    o = read_archive(&w);
    assert_int_equal(o.code, LORA_E_ZIP_MEMBER);
    done(&o, &w);
}

static void names_that_are_no_text_are_made_one(void **state)
{
    (void)state;
    zip_writer w = {0};
    zip_writer_add(&w, "a\xFF\xFE" "b\xC3", FOX, 4);
    zip_writer_member(&w, &(zip_made){.name = "a\0b", .name_bytes = 3, .data = FOX, .n = 4});
    zip_writer_end(&w, NULL);
    outcome o = read_archive(&w);
    assert_int_equal(o.code, LORA_OK);
    assert_string_equal(o.zip.members[0].name, "a??b?");
    assert_string_equal(o.zip.members[1].name, "a?b");
    done(&o, &w);
}

static void a_flood_of_notes_is_counted_and_costs_nothing(void **state)
{
    (void)state;
    zip_writer w = {0};
    char name[32];
    for (int i = 0; i < 600; i++) { /* of each kind one; every name comes twice */
        snprintf(name, sizeof name, "../%d", i / 2);
        zip_writer_member(&w, &(zip_made){.name = name, .data = FOX, .n = 2, .flags = 1, .local_flags = 0x20, .local_crc = 1,
                                          .extra = OTHER_NAME, .extra_bytes = sizeof OTHER_NAME, .stored = i == 5, .bytes = i == 5});
        zip_writer_bytes(&w, "hidden", i % 3 ? 0 : 6);
        zip_writer_bytes(&w, "PK\3\4", i % 3 ? 0 : 4);
    }
    zip_writer_end(&w, NULL);
    outcome o = read_archive(&w);
    assert_int_equal(o.code, LORA_OK);
    assert_int_equal(o.seen.n, LIMIT_OBSERVATIONS);
    assert_true(o.seen.n_dropped > 1000);
    done(&o, &w);
}

/* ---- lies about the directory ---- */

typedef struct {
    const char *what;
    zip_ending ending;
    lora_code code;
    observation_kind kind;
    const char *text;
} end_lie;

static const end_lie end_lies[] = {
    {"a member less than there are", {.count = -1}, LORA_OK, SEEN_ARCHIVE_CONFLICT, "counts 1 members, the directory has 2"},
    {"a member more", {.count = 1}, LORA_OK, SEEN_ARCHIVE_CONFLICT, "counts 3 members"},
    {"a directory that is cut", {.bytes = -1, .offset = 1}, LORA_E_ZIP, SEEN_COUNT, "directory breaks"},
    {"a directory behind the end", {.bytes = 1}, LORA_E_ZIP, SEEN_COUNT, "cannot lie before"},
    {"a directory that begins too late", {.offset = 1}, LORA_E_ZIP, SEEN_COUNT, "cannot lie before"},
    {"another zip64 count", {.zip64 = true, .count = 1}, LORA_OK, SEEN_ARCHIVE_CONFLICT, "different directories"},
    {"another zip64 size", {.zip64 = true, .bytes = 1}, LORA_OK, SEEN_ARCHIVE_CONFLICT, "different directories"},
    {"another zip64 place", {.zip64 = true, .offset = 1}, LORA_OK, SEEN_ARCHIVE_CONFLICT, "different directories"},
    {"a zip64 record elsewhere", {.zip64 = true, .record = 1}, LORA_OK, SEEN_ARCHIVE_CONFLICT, "its locator says"},
    {"several disks", {.disk = 1}, LORA_E_ZIP, SEEN_COUNT, "split"},
    {"several disks in zip64", {.zip64 = true, .disk = 1}, LORA_E_ZIP, SEEN_COUNT, "split"},
    {"a zip64 record apart from its locator", {.zip64 = true, .record_apart = 3}, LORA_OK, SEEN_ARCHIVE_CONFLICT, "not right before"},
    {"a zip64 record that is nowhere", {.zip64 = true, .record_apart = 3, .record = 1}, LORA_OK, SEEN_ARCHIVE_HIDDEN, "belong to no member"},
    {"a zip64 record behind its locator", {.zip64 = true, .record_apart = 3, .record = 9}, LORA_OK, SEEN_ARCHIVE_HIDDEN, "belong to no member"},
    {"a zip64 record far away", {.zip64 = true, .record_apart = 3, .record = 9999}, LORA_OK, SEEN_ARCHIVE_HIDDEN, "belong to no member"},
    {"a directory apart from its end", {.apart = 40}, LORA_OK, SEEN_COUNT, NULL}, /* zeros: padding */
};

static void a_lie_about_the_directory_is_noted_or_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof end_lies / sizeof end_lies[0]; i++) {
        const end_lie *c = &end_lies[i];
        zip_writer w = {0};
        zip_writer_add(&w, "a", FOX, sizeof FOX);
        zip_writer_add(&w, "b", FOX, 4);
        zip_writer_end(&w, &c->ending);
        outcome o = read_archive(&w);
        bool found = c->kind == SEEN_COUNT && (c->code || o.seen.n == 0);
        for (size_t k = 0; k < o.seen.n; k++)
            found |= o.seen.list[k].kind == c->kind && strstr(o.seen.list[k].text, c->text);
        if (o.code != c->code || !found || (c->code && !strstr(o.err.message, c->text)))
            fail_msg("%s: %s %s, %zu notes, the first: %s", c->what, lora_code_name(o.code), o.err.message, o.seen.n,
                     o.seen.n ? o.seen.list[0].text : "-");
        if (c->code == LORA_OK)
            assert_holds(&o, 1, "b", FOX, 4);
        else
            assert_true(o.zip.n + o.zip.n_hidden >= 2); /* found by their local headers */
        done(&o, &w);
    }
}

static void a_directory_that_nothing_points_to_is_refused(void **state)
{
    (void)state;
    zip_writer w = {0};
    zip_writer_add(&w, "a", FOX, 4);
    w.directory[0] = 'Q';
    zip_writer_end(&w, &(zip_ending){.offset = -1}); /* neither there nor before the end record */
    outcome o = read_archive(&w);
    assert_int_equal(o.code, LORA_E_ZIP);
    done(&o, &w);
    zip_writer_add(&w, "a", FOX, 4);
    zip_writer_end(&w, &(zip_ending){.zip64 = true, .large = true});
    memset(w.bytes + w.n - 22 - 20 - 8, 0xff, 8); /* place and size beyond 64 bits */
    o = read_archive(&w);
    assert_int_equal(o.code, LORA_E_ZIP);
    assert_non_null(strstr(o.err.message, "cannot lie before"));
    done(&o, &w);
}

static void a_long_name_is_compared_to_its_end(void **state)
{
    (void)state;
    char name[3001], local_name[3001];
    memset(name, 'n', sizeof name);
    name[3000] = '\0';
    for (int differ = 0; differ < 2; differ++) {
        memcpy(local_name, name, sizeof name);
        local_name[2999] = differ ? 'm' : 'n';
        zip_writer w = {0};
        zip_writer_member(&w, &(zip_made){.name = name, .local_name = local_name, .data = FOX, .n = 4});
        zip_writer_end(&w, NULL);
        outcome o = read_archive(&w);
        assert_int_equal(o.code, LORA_OK);
        assert_int_equal(o.seen.n, differ);
        assert_holds(&o, 0, name, FOX, 4);
        done(&o, &w);
    }
}

static void more_members_than_the_limit_are_refused(void **state)
{
    (void)state;
    for (size_t n = LIMIT_ZIP_MEMBERS; n <= LIMIT_ZIP_MEMBERS + 1; n++) {
        zip_writer w = {0}, one = {0};
        zip_writer_add(&w, "", NULL, 0);
        zip_writer_add(&one, "", NULL, 0);
        w.directory = realloc(w.directory, n * 46);
        assert_non_null(w.directory);
        for (size_t i = 0; i < n; i++)
            memcpy(w.directory + i * 46, one.directory, 46);
        w.directory_bytes = n * 46;
        w.n_members = n;
        zip_writer_end(&w, &(zip_ending){.zip64 = true, .large = true});
        outcome o = read_archive(&w);
        assert_int_equal(o.code, n > LIMIT_ZIP_MEMBERS ? LORA_E_TOO_MANY : LORA_OK);
        assert_int_equal(o.zip.n, LIMIT_ZIP_MEMBERS);
        assert_true(count_of(&o.seen, SEEN_ARCHIVE_CONFLICT) > 0); /* one local header for all, and one name */
        zip_writer_free(&one);
        done(&o, &w);
    }
}

static void a_directory_beyond_the_limit_is_not_loaded(void **state)
{
    (void)state;
    zip_writer w = {0};
    zip_writer_add(&w, "a", FOX, 4);
    w.directory = realloc(w.directory, (size_t)LIMIT_HEADER_BYTES + 1);
    assert_non_null(w.directory);
    memset(w.directory + w.directory_bytes, 0, LIMIT_HEADER_BYTES + 1 - w.directory_bytes);
    w.directory_bytes = LIMIT_HEADER_BYTES + 1;
    zip_writer_end(&w, NULL);
    outcome o = read_archive(&w);
    assert_int_equal(o.code, LORA_E_ZIP);
    assert_non_null(strstr(o.err.message, "exceeds the limit"));
    assert_int_equal(o.zip.n, 0);
    assert_int_equal(o.zip.n_hidden, 1);
    assert_string_equal(o.zip.hidden[0].name, "a");
    done(&o, &w);
}

/* ---- loading ---- */

static outcome one_member(zip_writer *w, const zip_made *m)
{
    zip_writer_member(w, m);
    zip_writer_end(w, NULL);
    return read_archive(w);
}

static void a_member_is_loaded_up_to_the_limit_exactly(void **state)
{
    (void)state;
    for (int deflate = 0; deflate < 2; deflate++) {
        zip_writer w = {0};
        outcome o = one_member(&w, &(zip_made){.name = "m", .data = FOX, .n = sizeof FOX, .deflate = deflate});
        unsigned char *bytes = NULL;
        assert_int_equal(zip_load(&o.f, o.zip.members, sizeof FOX - 1, &o.seen, &bytes, &o.err), LORA_E_INFLATES_TOO_LARGE);
        assert_null(bytes);
        assert_int_equal(o.err.offset, o.zip.members[0].entry_offset);
        o.err = (lora_error){0};
        assert_holds(&o, 0, "m", FOX, sizeof FOX);
        done(&o, &w);
    }
}

static void a_deflated_member_must_give_what_the_directory_says(void **state)
{
    (void)state;
    static const struct {
        int64_t bytes;
        size_t limit_over; /* beyond the claim */
        lora_code code;
    } cases[] = {{-1, 0, LORA_E_INFLATES_TOO_LARGE}, {-1, 1, LORA_E_INFLATE}, {1, 9, LORA_E_INFLATE}, {-44, 3, LORA_E_INFLATE}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        zip_writer w = {0};
        outcome o = one_member(&w, &(zip_made){.name = "m", .data = FOX, .n = sizeof FOX, .deflate = true, .bytes = cases[i].bytes});
        unsigned char *bytes = NULL;
        size_t claim = (size_t)((int64_t)sizeof FOX + cases[i].bytes);
        assert_int_equal(zip_load(&o.f, o.zip.members, claim + cases[i].limit_over, &o.seen, &bytes, &o.err), cases[i].code);
        assert_null(bytes);
        assert_int_equal(o.err.offset, o.zip.members[0].data_offset);
        done(&o, &w);
    }
}

static void a_broken_stream_is_refused_and_gives_what_came_before(void **state)
{
    (void)state;
    char text[40000];
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (char)('a' + i * i % 23);
    zip_writer w = {0};
    outcome o = one_member(&w, &(zip_made){.name = "m", .data = text, .n = sizeof text, .deflate = true});
    zip_member m = o.zip.members[0];
    unsigned char *bytes = NULL;
    size_t n = 0;
    m.stored_bytes /= 2; /* cut */
    assert_int_equal(zip_load(&o.f, &m, sizeof text, &o.seen, &bytes, &o.err), LORA_E_INFLATE);
    assert_int_equal(zip_load_some(&o.f, &m, sizeof text, &bytes, &n, NULL), LORA_OK);
    assert_true(n > 100 && n < sizeof text);
    assert_memory_equal(bytes, text, n);
    assert_int_equal(bytes[n], 0);
    free(bytes);
    w.bytes[m.data_offset] = 0xff; /* no such block */
    assert_int_equal(zip_load_some(&o.f, &m, sizeof text, &bytes, &n, NULL), LORA_OK);
    assert_int_equal(n, 0);
    free(bytes);
    assert_int_equal(zip_load_some(&o.f, &m, 0, &bytes, &n, NULL), LORA_OK);
    assert_int_equal(n, 0);
    free(bytes);
    o.f.size = m.data_offset + 5; /* the file shrinks */
    assert_int_equal(zip_load_some(&o.f, &m, sizeof text, &bytes, &n, NULL), LORA_E_SHRUNK);
    m.stored_bytes = 0;
    m.deflated = false;
    assert_int_equal(zip_load_some(&o.f, &m, 0, &bytes, &n, NULL), LORA_OK);
    assert_int_equal(n, 0);
    free(bytes);
    done(&o, &w);
}

static void a_wrong_checksum_is_noted_and_no_error(void **state)
{
    (void)state;
    zip_writer w = {0};
    outcome o = one_member(&w, &(zip_made){.name = "m", .data = FOX, .n = sizeof FOX, .crc = 0x10, .local_crc = 0x10});
    assert_quiet(&o);
    assert_holds(&o, 0, "m", FOX, sizeof FOX);
    assert_int_equal(count_of(&o.seen, SEEN_CHECKSUM), 1);
    assert_string_equal(o.seen.list[0].subject, "m");
    done(&o, &w);
}

static void a_member_becomes_a_storage(void **state)
{
    (void)state;
    zip_writer w = {0};
    outcome o = one_member(&w, &(zip_made){.name = "m", .data = FOX, .n = sizeof FOX, .deflate = true});
    const tensor_storage *s = zip_storage(o.zip.members, o.mem);
    const zip_member *m = o.zip.members;
    assert_true(s->deflated && s->has_crc && !s->big_endian && !s->memory);
    assert_int_equal(s->offset, m->data_offset);
    assert_int_equal(s->stored_bytes, m->stored_bytes);
    assert_int_equal(s->bytes, sizeof FOX);
    assert_int_equal(s->crc, m->crc);
    alloc_fault_after(0, ALLOC_FAULT_STICKY);
    while (zip_storage(m, o.mem))
        ;
    assert_true(alloc_fault_end());
    done(&o, &w);
}

/* ---- whatever the bytes ---- */

static zip_writer mixed(void)
{
    zip_writer w = {0};
    zip_writer_member(&w, &(zip_made){.name = "r/data.pkl", .data = FOX, .n = sizeof FOX, .torch = true});
    zip_writer_member(&w, &(zip_made){.name = "r/x", .data = FOX, .n = sizeof FOX, .deflate = true});
    zip_writer_member(&w, &(zip_made){.name = "r/wide", .data = FOX, .n = 9, .wide = true});
    zip_writer_bytes(&w, "plain hidden bytes", 18);
    zip_writer_bytes(&w, "PK\3\4hidden bytes that are long enough to be a header", 52);
    zip_writer_add(&w, "r/y", FOX, 8);
    zip_writer_end(&w, &(zip_ending){.zip64 = true, .comment = "PK\3\4", .comment_bytes = 4});
    return w;
}

static void check_any(const unsigned char *bytes, size_t n)
{
    unsigned char *exact = malloc(n + !n); /* so that a sanitizer sees reads beyond */
    assert_non_null(exact);
    memcpy(exact, bytes, n);
    zip_writer w = {.bytes = exact, .n = n};
    outcome o = read_archive(&w);
    for (size_t i = 0; i < o.zip.n + o.zip.n_hidden; i++) {
        const zip_member *m = i < o.zip.n ? &o.zip.members[i] : &o.zip.hidden[i - o.zip.n];
        unsigned char *got;
        size_t count;
        assert_true(m->data_offset <= n && m->stored_bytes <= n - m->data_offset);
        assert_int_equal(zip_load_some(&o.f, m, 1000, &got, &count, NULL), LORA_OK);
        free(got);
        if (i < o.zip.n && zip_load(&o.f, m, 1000, &o.seen, &got, NULL) == LORA_OK)
            free(got);
    }
    arena_destroy(o.mem);
    free(exact);
}

static void an_archive_cut_anywhere_is_refused_and_its_headers_are_found(void **state)
{
    (void)state;
    zip_writer w = mixed();
    for (size_t n = 0; n < w.n - 4; n++) {
        check_any(w.bytes, n);
        zip_writer cut = {.bytes = w.bytes, .n = n};
        outcome o = read_archive(&cut);
        assert_int_equal(o.code, LORA_E_ZIP);
        assert_true(n < 64 || o.zip.n_hidden > 0);
        assert_int_equal(o.seen.n, 0);
        arena_destroy(o.mem);
    }
    zip_writer_free(&w);
}

static void an_archive_with_any_bit_or_byte_changed_is_answered(void **state)
{
    (void)state;
    zip_writer w = mixed();
    for (size_t at = 0; at < w.n; at++) {
        unsigned char was = w.bytes[at];
        for (unsigned change = 0; change < 10; change++) {
            w.bytes[at] = (unsigned char)(change < 8 ? was ^ 1u << change : change == 8 ? 0u : 0xffu);
            check_any(w.bytes, w.n);
        }
        w.bytes[at] = was;
    }
    zip_writer_free(&w);
}

static void a_file_that_shrinks_while_it_is_read_is_an_error(void **state)
{
    (void)state;
    zip_writer w = mixed();
    for (size_t kept = 0; kept < w.n; kept += 7) {
        FILE *stream = tmpfile();
        assert_non_null(stream);
        assert_int_equal(fwrite(w.bytes + (w.n - kept), 1, kept, stream), kept);
        fflush(stream);
        file f = {.fd = fileno(stream), .size = w.n};
        arena *mem = arena_create();
        observations seen = {.mem = mem};
        zip_directory zip = {.n = 77};
        lora_error err = {0};
        assert_int_equal(zip_read_directory(&f, mem, &seen, &zip, &err), LORA_E_SHRUNK);
        assert_int_equal(zip.n, 77);
        arena_destroy(mem);
        fclose(stream);
    }
    zip_writer_free(&w);
}

static void memory_that_ends_anywhere_is_reported(void **state)
{
    (void)state;
    zip_writer w = mixed();
    file f = file_of_memory(w.bytes, w.n);
    bool enough = false;
    for (long k = 0; !enough; k++) {
        arena *mem = arena_create();
        observations seen = {.mem = mem};
        zip_directory zip = {.n = 77};
        lora_error err = {0};
        unsigned char *bytes = NULL;
        size_t n;
        alloc_fault_after(k, ALLOC_FAULT_STICKY);
        lora_code code = zip_read_directory(&f, mem, &seen, &zip, &err);
        if (code == LORA_OK)
            code = zip_load(&f, &zip.members[1], 100, &seen, &bytes, &err);
        free(bytes);
        bytes = NULL;
        if (code == LORA_OK)
            code = zip_load_some(&f, &zip.members[0], 100, &bytes, &n, &err);
        free(bytes);
        if (code == LORA_OK && !zip_storage(zip.members, mem))
            code = LORA_E_MEMORY;
        enough = !alloc_fault_end();
        if (enough)
            assert_int_equal(code, LORA_OK);
        else /* a note without its memory says so, and a label without is "?" */
            assert_true(code == LORA_E_MEMORY || code == LORA_OK);
        assert_true(zip.n == 77 ? code == LORA_E_MEMORY : zip.n == 4);
        arena_destroy(mem);
    }
    zip_writer_free(&w);
}

static void members_of_a_broken_archive_may_be_loaded_like_others(void **state)
{
    (void)state;
    zip_writer w = {0};
    zip_writer_member(&w, &(zip_made){.name = "method", .data = FOX, .n = 9, .method = 77, .local_method = 77, .bytes = 100});
    zip_writer_member(&w, &(zip_made){.name = "outside", .data = FOX, .n = 9, .offset = 1000000});
    zip_writer_end(&w, NULL);
    outcome o = read_archive(&w);
    assert_int_equal(o.code, LORA_E_ZIP_MEMBER);
    assert_int_equal(o.zip.members[0].bytes, 9);
    assert_int_equal(o.zip.members[0].stored_bytes, 9);
    assert_int_equal(o.zip.members[1].local_offset, 0);
    assert_int_equal(o.zip.members[1].bytes, 0);
    done(&o, &w);
}

static void what_follows_a_deflate_stream_is_its_tail(void **state)
{
    (void)state;
    static const char stream[] = "\1\4\0\xfb\xff" "fox." "TAIL"; /* one stored block, the last */
    for (int how = 0; how < 4; how++) { /* with a tail; without; a stream that breaks; not deflated */
        zip_writer w = {0};
        zip_made m = {.name = "a", .data = how == 2 ? "\7\xff\xff" : stream, .n = how == 2 ? 3 : how == 1 ? 9 : 13};
        m.method = m.local_method = how == 3 ? 0 : 8;
        zip_writer_member(&w, &m);
        zip_writer_end(&w, NULL);
        outcome o = read_archive(&w);
        zip_member tail;
        assert_int_equal(zip_tail(&o.f, &o.zip.members[0], 100, &tail, &o.err), LORA_OK);
        assert_int_equal(tail.stored_bytes, how == 0 ? 4 : 0);
        if (how == 0) {
            assert_memory_equal(w.bytes + tail.data_offset, "TAIL", 4);
            assert_int_equal(zip_tail(&o.f, &o.zip.members[0], 3, &tail, &o.err), LORA_OK); /* longer than asked for */
            assert_int_equal(tail.stored_bytes, 0);
        }
        done(&o, &w);
    }
}

static void a_lack_of_memory_wins_over_what_is_wrong_with_the_archive(void **state)
{
    (void)state;
    zip_writer w = {0};
    zip_writer_member(&w, &(zip_made){.name = "a", .data = FOX, .n = sizeof FOX, .method = 77});
    zip_writer_bytes(&w, FOX, sizeof FOX);
    zip_writer_add(&w, "b", FOX, sizeof FOX);
    zip_writer_end(&w, NULL);
    for (int round = 0; round < 2; round++) {
        bool refused = true, missing = false;
        for (long k = 0; refused; k++) {
            file f = file_of_memory(w.bytes, w.n);
            arena *mem = arena_create();
            observations seen = {.mem = mem};
            zip_directory zip = {.n = 77};
            lora_error err = {0};
            alloc_fault_after(k, round ? ALLOC_FAULT_STICKY : ALLOC_FAULT_ONCE);
            lora_code code = zip_read_directory(&f, mem, &seen, &zip, &err);
            refused = alloc_fault_end();
            assert_int_equal(code, err.code);
            assert_true(code == LORA_E_ZIP_MEMBER || (code == LORA_E_MEMORY && refused));
            assert_int_equal(zip.n, code == LORA_E_MEMORY ? 77 : 2);
            missing |= code == LORA_E_MEMORY;
            arena_destroy(mem);
        }
        assert_true(missing);
    }
    zip_writer_free(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_honest_way_to_write_a_member_is_read_without_a_note),
        cmocka_unit_test(an_archive_without_members_is_one),
        cmocka_unit_test(zip64_alone_may_say_where_the_directory_is),
        cmocka_unit_test(the_order_of_the_data_need_not_be_that_of_the_directory),
        cmocka_unit_test(two_thousand_members_are_catalogued),
        cmocka_unit_test(a_lie_about_a_member_is_noted_or_refused),
        cmocka_unit_test(a_zip64_field_that_is_missing_or_short_is_refused),
        cmocka_unit_test(names_that_are_no_text_are_made_one),
        cmocka_unit_test(a_flood_of_notes_is_counted_and_costs_nothing),
        cmocka_unit_test(a_lie_about_the_directory_is_noted_or_refused),
        cmocka_unit_test(a_directory_that_nothing_points_to_is_refused),
        cmocka_unit_test(a_long_name_is_compared_to_its_end),
        cmocka_unit_test(more_members_than_the_limit_are_refused),
        cmocka_unit_test(a_directory_beyond_the_limit_is_not_loaded),
        cmocka_unit_test(a_member_is_loaded_up_to_the_limit_exactly),
        cmocka_unit_test(a_deflated_member_must_give_what_the_directory_says),
        cmocka_unit_test(a_broken_stream_is_refused_and_gives_what_came_before),
        cmocka_unit_test(a_wrong_checksum_is_noted_and_no_error),
        cmocka_unit_test(a_member_becomes_a_storage),
        cmocka_unit_test(an_archive_cut_anywhere_is_refused_and_its_headers_are_found),
        cmocka_unit_test(an_archive_with_any_bit_or_byte_changed_is_answered),
        cmocka_unit_test(a_file_that_shrinks_while_it_is_read_is_an_error),
        cmocka_unit_test(memory_that_ends_anywhere_is_reported),
        cmocka_unit_test(members_of_a_broken_archive_may_be_loaded_like_others),
        cmocka_unit_test(what_follows_a_deflate_stream_is_its_tail),
        cmocka_unit_test(a_lack_of_memory_wins_over_what_is_wrong_with_the_archive),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
