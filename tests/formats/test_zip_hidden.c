/* Bytes of an archive that belong to no member: each place where they can lie, what is listed of them, and what it costs.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "analyzer/base/limits.h"
#include "tests/support/zip_outcome.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* One note of that kind, at that place, with that text, and no other. */
static void assert_note(const outcome *o, observation_kind kind, uint64_t offset, const char *text)
{
    for (size_t i = 0; i < o->seen.n; i++) {
        if (o->seen.list[i].kind == kind && o->seen.list[i].offset == offset && strstr(o->seen.list[i].text, text))
            return;
    }
    fail_msg("no note at %llu: %s", (unsigned long long)offset, text);
}

static void assert_stretch(const outcome *o, size_t i, const char *name, uint64_t offset, uint64_t bytes)
{
    assert_true(i < o->zip.n_hidden);
    const zip_member *m = &o->zip.hidden[i];
    if (name)
        assert_string_equal(m->name, name);
    else
        assert_null(m->name);
    assert_int_equal(m->data_offset, offset);
    assert_int_equal(m->stored_bytes, bytes);
    assert_int_equal(m->bytes, bytes);
}

/* ---- places ---- */

static void bytes_before_the_first_member_are_hidden(void **state)
{
    (void)state;
    zip_writer w = {0};
    zip_writer_bytes(&w, FOX, 20);
    zip_writer_add(&w, "a", FOX, 4);
    zip_writer_end(&w, NULL);
    outcome o = read_archive(&w);
    assert_int_equal(o.code, LORA_OK);
    assert_int_equal(o.seen.n, 1);
    assert_note(&o, SEEN_ARCHIVE_HIDDEN, 0, "20 bytes before the first member");
    assert_int_equal(o.zip.n_hidden, 1);
    assert_stretch(&o, 0, NULL, 0, 20);
    done(&o, &w);
}

static void bytes_between_members_are_hidden(void **state)
{
    (void)state;
    for (int late = 0; late < 2; late++) { /* behind a descriptor as well */
        for (size_t n = 1; n <= 60; n++) {
            zip_writer w = {0};
            char junk[60];
            memset(junk, 'j', sizeof junk);
            zip_writer_member(&w, &(zip_made){.name = "a", .data = FOX, .n = 4, .descriptor = late});
            size_t at = w.n;
            zip_writer_bytes(&w, junk, n);
            zip_writer_add(&w, "b", FOX, 4);
            zip_writer_end(&w, NULL);
            outcome o = read_archive(&w);
            assert_int_equal(o.code, LORA_OK);
            assert_int_equal(o.seen.n, 1);
            assert_note(&o, SEEN_ARCHIVE_HIDDEN, at, "between members");
            assert_int_equal(o.zip.n_hidden, 1);
            assert_stretch(&o, 0, NULL, at, n);
            done(&o, &w);
        }
    }
}

static void bytes_around_the_directory_are_hidden(void **state)
{
    (void)state;
    zip_writer w = {0};
    zip_writer_member(&w, &(zip_made){.name = "a", .data = FOX, .n = 4, .torch = true});
    size_t before = w.n;
    zip_writer_bytes(&w, FOX, 30);
    zip_writer_end(&w, NULL);
    size_t behind = w.n;
    zip_writer_bytes(&w, FOX + 1, 25);
    outcome o = read_archive(&w);
    assert_int_equal(o.code, LORA_OK);
    assert_int_equal(o.seen.n, 2);
    assert_note(&o, SEEN_ARCHIVE_HIDDEN, before, "30 bytes before the directory");
    assert_note(&o, SEEN_ARCHIVE_HIDDEN, behind, "25 bytes behind the end of the archive");
    assert_stretch(&o, 0, NULL, before, 30);
    assert_stretch(&o, 1, NULL, behind, 25);
    done(&o, &w);
}

static void bytes_between_the_directory_and_its_end_record_are_hidden(void **state)
{
    (void)state;
    zip_writer w = {0};
    zip_writer_add(&w, "a", FOX, 4);
    size_t at = w.n + w.directory_bytes;
    zip_writer_end(&w, &(zip_ending){.apart = 9});
    memcpy(w.bytes + at, "nine byte", 9);
    outcome o = read_archive(&w);
    assert_int_equal(o.code, LORA_OK);
    assert_int_equal(o.zip.n, 1);
    assert_note(&o, SEEN_ARCHIVE_HIDDEN, at, "9 bytes behind the directory");
    assert_stretch(&o, 0, NULL, at, 9);
    done(&o, &w);
}

static void zeros_are_padding_wherever_they_are(void **state)
{
    (void)state;
    char zeros[70000] = {0};
    zip_writer w = {0};
    zip_writer_bytes(&w, zeros, 7);
    zip_writer_member(&w, &(zip_made){.name = "a", .data = FOX, .n = 4, .torch = true});
    zip_writer_bytes(&w, zeros, sizeof zeros);
    zip_writer_add(&w, "b", FOX, 4);
    zip_writer_bytes(&w, zeros, 3);
    zip_writer_end(&w, NULL);
    zip_writer_bytes(&w, zeros, 100);
    outcome o = read_archive(&w);
    assert_int_equal(o.code, LORA_OK);
    assert_int_equal(o.seen.n, 0);
    assert_int_equal(o.zip.n_hidden, 0);
    done(&o, &w);
}

static void a_descriptor_without_its_flag_is_hidden(void **state)
{
    (void)state;
    zip_writer w = {0};
    zip_writer_add(&w, "a", FOX, 4);
    zip_writer_bytes(&w, "PK\7\10PK\7\10PK\7\10PK\7\10", 16);
    zip_writer_add(&w, "b", FOX, 4);
    zip_writer_end(&w, NULL);
    outcome o = read_archive(&w);
    assert_note(&o, SEEN_ARCHIVE_HIDDEN, 35, "16 bytes between members");
    done(&o, &w);
}

/* ---- the comment ---- */

static void a_comment_is_hidden_data_only_when_it_holds_an_archive(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t n;
        bool noted;
    } cases[] = {
        {"PK is a nice town; PK\3, PK\4", 27, false},
        {"xxPK\1\2", 6, true},
        {"PK\3\4 but too short to be a header", 34, true},
        {"PK\3\4 and too short", 19, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        zip_writer w = {0};
        zip_writer_add(&w, "a", FOX, 4);
        zip_writer_end(&w, &(zip_ending){.comment = cases[i].text, .comment_bytes = cases[i].n});
        outcome o = read_archive(&w);
        assert_int_equal(o.code, LORA_OK);
        assert_int_equal(o.seen.n, cases[i].noted);
        if (cases[i].noted)
            assert_note(&o, SEEN_ARCHIVE_HIDDEN, w.n - cases[i].n, "comment");
        assert_int_equal(o.zip.n_hidden, 1);
        done(&o, &w);
    }
}

static void the_longest_comment_is_searched_and_a_longer_tail_is_not(void **state)
{
    (void)state;
    char comment[65537];
    memset(comment, 'c', sizeof comment);
    for (size_t n = 65535; n <= 65536; n++) {
        zip_writer w = {0};
        zip_writer_add(&w, "a", FOX, 4);
        zip_writer_end(&w, &(zip_ending){.zip64 = true, .comment = comment, .comment_bytes = 65535});
        zip_writer_bytes(&w, comment, n - 65535);
        outcome o = read_archive(&w);
        assert_int_equal(o.code, n == 65535 ? LORA_OK : LORA_E_ZIP);
        done(&o, &w);
    }
}

static void a_comment_that_claims_more_than_there_is_is_noted(void **state)
{
    (void)state;
    zip_writer w = {0};
    zip_writer_add(&w, "a", FOX, 4);
    zip_writer_end(&w, &(zip_ending){.comment = FOX, .comment_bytes = 10});
    w.n -= 3;
    outcome o = read_archive(&w);
    assert_int_equal(o.code, LORA_OK);
    assert_note(&o, SEEN_ARCHIVE_CONFLICT, w.n - 7 - 22, "behind the end of the file");
    assert_stretch(&o, 0, NULL, w.n - 7, 7);
    done(&o, &w);
}

/* ---- archives around archives ---- */

static zip_writer small_archive(const char *a, const char *b)
{
    zip_writer w = {0};
    zip_writer_member(&w, &(zip_made){.name = a, .data = FOX, .n = sizeof FOX, .torch = true});
    zip_writer_member(&w, &(zip_made){.name = b, .data = FOX, .n = sizeof FOX, .deflate = true});
    zip_writer_end(&w, NULL);
    return w;
}

static void an_archive_appended_to_another_is_read_and_the_other_is_listed(void **state)
{
    (void)state;
    for (int aware = 0; aware < 2; aware++) { /* do the offsets of the second count the first? */
        zip_writer w = small_archive("x/data.pkl", "x/other");
        size_t first = w.n;
        free(w.directory);
        w = (zip_writer){.bytes = w.bytes, .n = w.n, .base = aware ? 0 : w.n};
        zip_writer_add(&w, "y", FOX, 7);
        zip_writer_end(&w, NULL);
        outcome o = read_archive(&w);
        assert_int_equal(o.code, LORA_OK);
        assert_int_equal(o.zip.n, 1);
        assert_string_equal(o.zip.members[0].name, "y");
        assert_int_equal(o.zip.members[0].data_offset, first + 31);
        assert_note(&o, SEEN_ARCHIVE_HIDDEN, 0, aware ? "2 local headers and a directory: another archive" : "was appended");
        assert_int_equal(o.zip.n_hidden, 2);
        assert_string_equal(o.zip.hidden[0].name, "x/data.pkl");
        assert_int_equal(o.zip.hidden[0].data_offset, 64);
        assert_string_equal(o.zip.hidden[1].name, "x/other");
        assert_true(o.zip.hidden[1].deflated);
        unsigned char *bytes;
        size_t n;
        assert_int_equal(zip_load_some(&o.f, &o.zip.hidden[1], 1000, &bytes, &n, NULL), LORA_OK);
        assert_int_equal(n, sizeof FOX);
        assert_memory_equal(bytes, FOX, n);
        free(bytes);
        done(&o, &w);
    }
}

static void an_archive_followed_by_another_without_a_directory_is_listed_too(void **state)
{
    (void)state;
    zip_writer w = small_archive("x/data.pkl", "x/other"), more = {0};
    size_t first = w.n;
    zip_writer_add(&more, "evil", FOX, 11);
    zip_writer_bytes(&w, more.bytes, more.n);
    zip_writer_free(&more);
    outcome o = read_archive(&w);
    assert_int_equal(o.code, LORA_OK);
    assert_int_equal(o.zip.n, 2);
    assert_note(&o, SEEN_ARCHIVE_HIDDEN, first, "1 local headers");
    assert_stretch(&o, 0, "evil", first + 34, 11);
    done(&o, &w);
}

static void two_directories_of_which_readers_take_one_or_the_other_are_a_conflict(void **state)
{
    (void)state;
    zip_writer w = {0}, other = {0};
    zip_writer_add(&w, "a", FOX, 4); /* its directory lies where the offset says */
    zip_writer_add(&other, "b", FOX, 4);
    memcpy(other.directory + 42, "\0\0\0\0", 4);
    zip_writer_bytes(&w, w.directory, w.directory_bytes);
    size_t at = w.n - w.directory_bytes;
    memcpy(w.directory, other.directory, w.directory_bytes); /* … and another before the end record */
    zip_writer_end(&w, &(zip_ending){.offset = (int64_t)at - (int64_t)w.n});
    zip_writer_free(&other);
    outcome o = read_archive(&w);
    assert_note(&o, SEEN_ARCHIVE_CONFLICT, at, "readers differ in which they take");
    done(&o, &w);
}

static void without_a_directory_the_local_headers_are_listed(void **state)
{
    (void)state;
    zip_writer w = small_archive("x/data.pkl", "x/other");
    w.n -= w.directory_bytes + 22;
    outcome o = read_archive(&w);
    assert_int_equal(o.code, LORA_E_ZIP);
    assert_int_equal(o.zip.n, 0);
    assert_int_equal(o.zip.n_hidden, 2);
    assert_stretch(&o, 0, "x/data.pkl", 64, sizeof FOX + 16); /* to the next header */
    assert_int_equal(o.seen.n, 0); /* a file that was cut is no hiding place */
    done(&o, &w);
}

static void a_directory_that_breaks_gives_what_came_before(void **state)
{
    (void)state;
    zip_writer w = small_archive("x/data.pkl", "x/other");
    w.bytes[w.n - 22 - w.directory_bytes + 46 + 10] = 'Q'; /* the second entry's mark */
    outcome o = read_archive(&w);
    assert_int_equal(o.code, LORA_E_ZIP);
    assert_int_equal(o.err.offset, w.n - 22 - w.directory_bytes + 56);
    assert_int_equal(o.zip.n, 1);
    assert_string_equal(o.zip.members[0].name, "x/data.pkl");
    assert_string_equal(o.zip.hidden[0].name, "x/other");
    done(&o, &w);
}

/* ---- stretches ---- */

static void a_header_that_lies_about_its_size_hides_nothing(void **state)
{
    (void)state;
    zip_writer hidden = {0}, w = {0};
    zip_writer_add(&hidden, "small", FOX, 40);
    hidden.bytes[18] = 1; /* says 1 byte */
    zip_writer_add(&hidden, "large", FOX, 20);
    hidden.bytes[75 + 18] = 255; /* says 255 */
    zip_writer_add(&hidden, "end", FOX, 20);
    zip_writer_bytes(&w, hidden.bytes, hidden.n);
    zip_writer_add(&w, "a", FOX, 4);
    zip_writer_end(&w, NULL);
    outcome o = read_archive(&w);
    assert_int_equal(o.zip.n_hidden, 3);
    assert_stretch(&o, 0, "small", 35, 40);
    assert_stretch(&o, 1, "large", 110, hidden.n - 110);
    assert_stretch(&o, 2, "end", hidden.n - 20, 20);
    zip_writer_free(&hidden);
    done(&o, &w);
}

static void a_header_across_two_pieces_is_found(void **state)
{
    (void)state;
    static char junk[65536];
    memset(junk, 'P', sizeof junk);
    for (size_t lead = 65536 - 40; lead <= 65536; lead++) {
        zip_writer w = {0}, inner = {0};
        zip_writer_bytes(&w, junk, lead);
        zip_writer_add(&inner, "evil", FOX, 11);
        zip_writer_bytes(&w, inner.bytes, inner.n);
        zip_writer_free(&inner);
        zip_writer_add(&w, "a", FOX, 4);
        zip_writer_end(&w, NULL);
        outcome o = read_archive(&w);
        assert_int_equal(o.zip.n_hidden, 2);
        assert_stretch(&o, 0, NULL, 0, lead);
        assert_stretch(&o, 1, "evil", lead + 34, 11);
        done(&o, &w);
    }
}

static void a_flood_of_headers_is_bounded(void **state)
{
    (void)state;
    size_t n = 4 * 200000;
    char *marks = malloc(n);
    assert_non_null(marks);
    for (size_t i = 0; i < n; i += 4)
        memcpy(marks + i, "PK\3\4", 4);
    zip_writer w = {0};
    zip_writer_bytes(&w, marks, n);
    zip_writer_end(&w, NULL);
    zip_writer_bytes(&w, FOX, sizeof FOX); /* no room is left to list it */
    outcome o = read_archive(&w);
    assert_int_equal(o.code, LORA_OK);
    assert_int_equal(o.zip.n_hidden, 65536);
    assert_note(&o, SEEN_ARCHIVE_HIDDEN, w.n - sizeof FOX, "behind the end");
    assert_note(&o, SEEN_ARCHIVE_HIDDEN, 0, "local headers");
    assert_true(strlen(o.zip.hidden[0].name) <= 120);
    free(marks);
    done(&o, &w);
}

static void assert_in_order(const outcome *o)
{
    for (size_t i = 1; i < o->zip.n_hidden; i++)
        assert_true(o->zip.hidden[i - 1].local_offset < o->zip.hidden[i].local_offset);
}

static void bytes_beside_a_local_header_that_is_missing_are_listed_once(void **state)
{
    (void)state;
    zip_writer w = {0};
    zip_writer_add(&w, "a", FOX, 4);
    zip_writer_bytes(&w, FOX, 20);
    size_t lost = w.n;
    zip_writer_add(&w, "b", FOX, 4);
    zip_writer_bytes(&w, FOX, 20);
    memcpy(w.bytes + lost, "QQQQ", 4);
    size_t third = w.n;
    zip_writer_add(&w, "c", FOX, 4);
    zip_writer_end(&w, NULL);
    outcome o = read_archive(&w);
    assert_int_equal(o.code, LORA_E_ZIP_MEMBER);
    assert_int_equal(o.zip.n_hidden, 2);
    assert_stretch(&o, 0, NULL, lost - 20, 20);
    assert_stretch(&o, 1, NULL, lost, third - lost);
    done(&o, &w);
}

static void a_comment_and_a_tail_are_listed_in_their_order(void **state)
{
    (void)state;
    static const char archive[] = "PK\3\4 and more";
    zip_writer w = {0};
    zip_writer_add(&w, "a", FOX, 4);
    zip_writer_end(&w, &(zip_ending){.comment = archive, .comment_bytes = sizeof archive});
    size_t tail = w.n;
    zip_writer_bytes(&w, FOX, sizeof FOX);
    outcome o = read_archive(&w);
    assert_int_equal(o.code, LORA_OK);
    assert_int_equal(o.zip.n_hidden, 2);
    assert_stretch(&o, 0, NULL, tail - sizeof archive, sizeof archive);
    assert_stretch(&o, 1, NULL, tail, sizeof FOX);
    assert_in_order(&o);
    done(&o, &w);
}

static void a_member_behind_the_end_record_hides_neither_it_nor_the_comment(void **state)
{
    (void)state;
    static const char comment[] = "only words";
    zip_writer w = {0}, behind = {0};
    zip_writer_add(&behind, "b", FOX, 4);
    zip_writer_add(&w, "a", FOX, 4);
    size_t directory_bytes = 47, ended = w.n + 2 * directory_bytes + 22 + sizeof comment;
    zip_writer_member(&w, &(zip_made){.name = "b", .data = FOX, .n = 4, .offset = (int64_t)(ended + 7) - (int64_t)w.n});
    ended = w.n + 2 * directory_bytes + 22 + sizeof comment;
    zip_writer_free(&w);
    zip_writer_add(&w, "a", FOX, 4);
    zip_writer_member(&w, &(zip_made){.name = "b", .data = FOX, .n = 4, .offset = (int64_t)(ended + 7) - (int64_t)w.n});
    zip_writer_end(&w, &(zip_ending){.comment = comment, .comment_bytes = sizeof comment});
    assert_int_equal(w.n, ended);
    zip_writer_bytes(&w, "1234567", 7);
    zip_writer_bytes(&w, behind.bytes, behind.n);
    outcome o = read_archive(&w);
    assert_int_equal(o.code, LORA_OK);
    assert_int_equal(o.zip.members[1].data_offset, ended + 7 + 31);
    assert_int_equal(o.zip.n_hidden, 3); /* where b was written first, the comment, the seven bytes */
    assert_string_equal(o.zip.hidden[0].name, "b");
    assert_stretch(&o, 1, NULL, ended - sizeof comment, sizeof comment);
    assert_stretch(&o, 2, NULL, ended, 7);
    assert_in_order(&o);
    zip_writer_free(&behind);
    done(&o, &w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_before_the_first_member_are_hidden),
        cmocka_unit_test(bytes_between_members_are_hidden),
        cmocka_unit_test(bytes_around_the_directory_are_hidden),
        cmocka_unit_test(bytes_between_the_directory_and_its_end_record_are_hidden),
        cmocka_unit_test(zeros_are_padding_wherever_they_are),
        cmocka_unit_test(a_descriptor_without_its_flag_is_hidden),
        cmocka_unit_test(a_comment_is_hidden_data_only_when_it_holds_an_archive),
        cmocka_unit_test(the_longest_comment_is_searched_and_a_longer_tail_is_not),
        cmocka_unit_test(a_comment_that_claims_more_than_there_is_is_noted),
        cmocka_unit_test(an_archive_appended_to_another_is_read_and_the_other_is_listed),
        cmocka_unit_test(an_archive_followed_by_another_without_a_directory_is_listed_too),
        cmocka_unit_test(two_directories_of_which_readers_take_one_or_the_other_are_a_conflict),
        cmocka_unit_test(without_a_directory_the_local_headers_are_listed),
        cmocka_unit_test(a_directory_that_breaks_gives_what_came_before),
        cmocka_unit_test(a_header_that_lies_about_its_size_hides_nothing),
        cmocka_unit_test(a_header_across_two_pieces_is_found),
        cmocka_unit_test(a_flood_of_headers_is_bounded),
        cmocka_unit_test(bytes_beside_a_local_header_that_is_missing_are_listed_once),
        cmocka_unit_test(a_comment_and_a_tail_are_listed_in_their_order),
        cmocka_unit_test(a_member_behind_the_end_record_hides_neither_it_nor_the_comment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
