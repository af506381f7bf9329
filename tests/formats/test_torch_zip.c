/* Torch checkpoints in a zip: known answers, which member counts, every place where a second pickle can hide, broken
 * archives that are scanned all the same, bombs, memory that ends; and real files where they lie beside the project.
 * SPDX-License-Identifier: Apache-2.0
 */
/* LDFLAGS: -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc */
#include "analyzer/base/limits.h"
#include "analyzer/base/text.h"
#include "analyzer/formats/fetch.h"
#include "analyzer/formats/torch_zip.h"
#include "tests/support/alloc_fault.h"
#include "tests/support/zip_writer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define FOLDER "../shared/real-adapters"

/* ---- pickles ---- */

static const char PAYLOAD[] = "\x80\x02" "cos\nsystem\nq\0X\2\0\0\0idq\1\x85q\2Rq\3."; /* os.system("id") */
enum { PAYLOAD_BYTES = sizeof PAYLOAD - 1 };
static const char LITTLE_PICKLE[] = "\x80\x02}q\0.";
enum { LITTLE_BYTES = sizeof LITTLE_PICKLE - 1 };

static void put_text(strbuf *b, const char *s)
{
    strbuf_putc(b, 'X');
    for (size_t i = 0, n = strlen(s); i < 4; i++)
        strbuf_putc(b, (char)(n >> 8 * i));
    strbuf_puts(b, s);
}

/* name → a float tensor of n entries, all of storage key. */
static void put_tensor(strbuf *b, const char *name, const char *key, unsigned n)
{
    put_text(b, name);
    strbuf_puts(b, "ctorch._utils\n_rebuild_tensor_v2\n((");
    put_text(b, "storage");
    strbuf_puts(b, "ctorch\nFloatStorage\n");
    put_text(b, key);
    put_text(b, "cpu");
    const char size[] = {'K', (char)n};
    strbuf_add(b, size, 2);
    strbuf_add(b, "tQK\0", 4);
    strbuf_add(b, size, 2);
    static const char rest[] = "\x85K\1\x85\x89" "ccollections\nOrderedDict\n)RtR";
    strbuf_add(b, rest, sizeof rest - 1);
}

/* A dict of two tensors: a of 4 entries in storage 0, b of 2 in storage 1. */
static strbuf two_tensors(void)
{
    strbuf b = {0};
    strbuf_add(&b, "\x80\x02}(", 4);
    put_tensor(&b, "a", "0", 4);
    put_tensor(&b, "b", "1", 2);
    strbuf_puts(&b, "u.");
    return b;
}

static const float VALUES[] = {1.5f, -2.0f, 0.25f, 8.0f};

/* ---- archives ---- */

static void put(zip_writer *w, const char *name, const void *data, size_t n)
{
    zip_writer_member(w, &(zip_made){.name = name, .data = data, .n = n, .torch = true});
}

static void put_object(zip_writer *w, const char *name)
{
    strbuf b = two_tensors();
    put(w, name, b.data, b.length);
    strbuf_free(&b);
}

/* As torch.save writes it, not ended. */
static zip_writer checkpoint(void)
{
    zip_writer w = {0};
    put_object(&w, "model/data.pkl");
    put(&w, "model/byteorder", "little", 6);
    put(&w, "model/data/0", VALUES, 16);
    put(&w, "model/data/1", VALUES, 8);
    put(&w, "model/version", "3\n", 2);
    put(&w, "model/.data/serialization_id", "0123456789012345678901234567890123456789", 40);
    return w;
}

typedef struct {
    file f;
    arena *mem;
    observations seen;
    catalog cat;
    lora_error err;
    lora_code code;
} outcome;

static outcome read_file(file f)
{
    outcome o = {.f = f, .mem = arena_create(), .cat = {.container = "untouched"}};
    o.seen.mem = o.mem;
    o.code = torch_zip_read(&o.f, o.mem, &o.seen, &o.cat, &o.err);
    assert_int_equal(o.code, o.err.code);
    assert_string_equal(o.cat.container, o.code ? "untouched" : "torch-zip");
    return o;
}

static outcome read_archive(const zip_writer *w)
{
    return read_file(file_of_memory(w->bytes, w->n));
}

static outcome read_ended(zip_writer *w)
{
    zip_writer_end(w, &(zip_ending){.zip64 = true});
    return read_archive(w);
}

static void done(outcome *o, zip_writer *w)
{
    arena_destroy(o->mem);
    zip_writer_free(w);
}

/* Is there a note of that kind whose subject or text holds this? */
static bool has(const outcome *o, observation_kind kind, const char *what)
{
    for (size_t i = 0; i < o->seen.n; i++) {
        const observation *s = &o->seen.list[i];
        if (s->kind == kind && (strstr(s->text, what) || (s->subject && strstr(s->subject, what))))
            return true;
    }
    return false;
}

static void show(const outcome *o)
{
    print_error("%s %s\n", lora_code_name(o->code), o->err.message);
    for (size_t i = 0; i < o->seen.n; i++)
        print_error("  %s: %s\n", observation_rule(o->seen.list[i].kind), o->seen.list[i].text);
}

#define ASSERT_HAS(o, kind, what)                                                                                      \
    do {                                                                                                               \
        if (!has(o, kind, what))                                                                                       \
            show(o);                                                                                                   \
        assert_true(has(o, kind, what));                                                                               \
    } while (0)

static void assert_values(const outcome *o, size_t i, const char *name, const float *expected, size_t n)
{
    float got[8];
    const tensor *t = &o->cat.tensors[i];
    assert_string_equal(t->name, name);
    assert_int_equal(t->dtype, DTYPE_F32);
    assert_int_equal(t->bytes, 4 * n);
    assert_int_equal(fetch_entries(&o->f, t, 0, n, got, NULL), LORA_OK);
    assert_memory_equal(got, expected, 4 * n);
}

/* ---- known answers ---- */

static void a_checkpoint_is_read_without_a_note(void **state)
{
    (void)state;
    zip_writer w = checkpoint();
    put(&w, "model/.format_version", "1", 1);
    put(&w, "model/.storage_alignment", "64", 2);
    put(&w, "model/data/7", VALUES, 8); /* nobody's */
    zip_writer_add(&w, "model/", NULL, 0);
    zip_writer_add(&w, "model/data/", NULL, 0);
    outcome o = read_ended(&w);
    if (o.seen.n || o.code)
        show(&o);
    assert_int_equal(o.code, LORA_OK);
    assert_int_equal(o.seen.n, 0);
    assert_int_equal(o.cat.n_tensors, 2);
    assert_values(&o, 0, "a", VALUES, 4);
    assert_values(&o, 1, "b", VALUES, 2);
    assert_true(o.cat.tensors[0].storage->has_crc);
    assert_false(o.cat.tensors[0].storage->big_endian);
    done(&o, &w);
}

static void members_may_be_deflated(void **state)
{
    (void)state;
    float many[255] = {1.5f, -2.0f};
    strbuf b = {0};
    strbuf_add(&b, "\x80\x02}(", 4);
    put_tensor(&b, "a", "0", 255);
    strbuf_puts(&b, "u.");
    zip_writer w = {0};
    zip_writer_member(&w, &(zip_made){.name = "x/data.pkl", .data = b.data, .n = b.length, .deflate = true});
    zip_writer_member(&w, &(zip_made){.name = "x/data/0", .data = many, .n = sizeof many, .deflate = true});
    outcome o = read_ended(&w);
    assert_int_equal(o.code, LORA_OK);
    assert_int_equal(o.seen.n, 0);
    assert_true(o.cat.tensors[0].storage->deflated);
    float got[2];
    assert_int_equal(fetch_entries(&o.f, &o.cat.tensors[0], 0, 2, got, NULL), LORA_OK);
    assert_true(got[0] == 1.5f && got[1] == -2.0f);
    strbuf_free(&b);
    done(&o, &w);
}

static void byteorder_is_little_or_big(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool big, noted;
    } cases[] = {{"little", false, false}, {"big", true, false}, {"middle", false, true}, {"big\n", false, true}, {"bag", false, true}, {"", false, true}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        zip_writer w = {0};
        unsigned char swapped[16];
        for (size_t k = 0; k < 16; k++)
            swapped[k] = ((const unsigned char *)VALUES)[k ^ 3];
        put_object(&w, "m/data.pkl");
        put(&w, "m/byteorder", cases[i].text, strlen(cases[i].text));
        put(&w, "m/data/0", cases[i].big ? (const void *)swapped : VALUES, 16);
        put(&w, "m/data/1", cases[i].big ? (const void *)swapped : VALUES, 8);
        outcome o = read_ended(&w);
        assert_int_equal(o.code, LORA_OK);
        assert_int_equal(o.seen.n, cases[i].noted);
        assert_values(&o, 0, "a", VALUES, 4);
        done(&o, &w);
    }
}

/* ---- which object ---- */

static void the_root_folder_is_that_of_the_object(void **state)
{
    (void)state;
    static const char *const roots[] = {"", "archive/", "a b/"};
    for (size_t i = 0; i < 3; i++) {
        zip_writer w = {0};
        char name[40];
        zip_writer_add(&w, "first/of/all", "x", 1);
        snprintf(name, sizeof name, "%sdata.pkl", roots[i]);
        put_object(&w, name);
        for (int k = 0; k < 2; k++) {
            snprintf(name, sizeof name, "%sdata/%d", roots[i], k);
            put(&w, name, VALUES, k ? 8 : 16);
        }
        outcome o = read_ended(&w);
        assert_int_equal(o.code, LORA_OK);
        assert_int_equal(o.cat.n_tensors, 2);
        assert_int_equal(o.seen.n, 1);
        ASSERT_HAS(&o, SEEN_ARCHIVE_STRAY, "first/of/all");
        done(&o, &w);
    }
}

static void of_two_objects_the_one_in_the_first_members_folder_counts(void **state)
{
    (void)state;
    for (int first = 0; first < 2; first++) {
        zip_writer w = {0};
        if (first)
            put(&w, "good/version", "3", 1);
        put(&w, first ? "evil/data.pkl" : "good/other.txt", PAYLOAD, PAYLOAD_BYTES);
        put_object(&w, "good/data.pkl");
        put(&w, "good/data/0", VALUES, 16);
        put(&w, "good/data/1", VALUES, 8);
        if (!first)
            put(&w, "evil/data.pkl", PAYLOAD, PAYLOAD_BYTES);
        outcome o = read_ended(&w);
        assert_int_equal(o.code, LORA_OK);
        assert_int_equal(o.cat.n_tensors, 2);
        ASSERT_HAS(&o, SEEN_ARCHIVE_CONFLICT, "2 members data.pkl; \"good/data.pkl\" is taken");
        ASSERT_HAS(&o, SEEN_FORBIDDEN_GLOBAL, "os.system");
        done(&o, &w);
    }
}

/* ---- storages ---- */

static void a_storage_that_is_missing_or_too_small_is_refused(void **state)
{
    (void)state;
    for (size_t bytes = 0; bytes <= 24; bytes += 4) {
        zip_writer w = {0};
        put_object(&w, "m/data.pkl");
        put(&w, "m/data/0", VALUES, 16);
        if (bytes)
            put(&w, "m/data/1", "012345678901234567890123", bytes);
        else
            zip_writer_add(&w, "m/data/", NULL, 0);
        outcome o = read_ended(&w);
        assert_int_equal(o.code, bytes == 0 ? LORA_E_STORAGE_MISSING : bytes < 8 ? LORA_E_STORAGE : LORA_OK);
        assert_true(o.code == LORA_OK || (o.err.has_offset && o.err.offset > 64));
        assert_int_equal(has(&o, SEEN_ARCHIVE_HIDDEN, "no tensor can reach"), bytes > 8);
        done(&o, &w);
    }
}

static void many_storages_are_found(void **state)
{
    (void)state;
    strbuf b = {0};
    zip_writer w = {0};
    char name[40];
    strbuf_add(&b, "\x80\x02}(", 4);
    for (int i = 0; i < 1500; i++) {
        snprintf(name, sizeof name, "%d", i);
        put_tensor(&b, name, name, 1);
    }
    strbuf_puts(&b, "u.");
    put(&w, "m/data.pkl", b.data, b.length);
    for (int i = 0; i < 1500; i++) {
        float x = (float)i;
        snprintf(name, sizeof name, "m/data/%d", i);
        put(&w, name, &x, 4);
    }
    outcome o = read_ended(&w);
    assert_int_equal(o.code, LORA_OK);
    assert_int_equal(o.seen.n, 0);
    assert_int_equal(o.cat.n_tensors, 1500);
    float x = 1234;
    assert_values(&o, 1234, "1234", &x, 1);
    strbuf_free(&b);
    done(&o, &w);
}

/* ---- where a pickle can hide ---- */

static const char *const payload_names[] = {"m/data/9",   "m/data.txt", "m/.data/version", "other/data.pkl", "m/version",
                                            "m/code/x.py", "m/extra/data.pkl", "m/constants.pkl", "m/data/sub/0", "README"};

static void a_pickle_in_any_member_is_scanned_whatever_its_name(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof payload_names / sizeof payload_names[0]; i++)
        for (int deflate = 0; deflate < 2; deflate++) {
            zip_writer w = checkpoint();
            zip_writer_member(&w, &(zip_made){.name = payload_names[i], .data = PAYLOAD, .n = PAYLOAD_BYTES, .deflate = deflate});
            outcome o = read_ended(&w);
            assert_int_equal(o.code, LORA_OK);
            ASSERT_HAS(&o, SEEN_FORBIDDEN_GLOBAL, "os.system");
            done(&o, &w);
        }
}

static void raw_data_that_begins_like_a_pickle_by_chance_is_not_reported(void **state)
{
    (void)state;
    zip_writer w = checkpoint();
    put(&w, "m/data/9", "\x80\x02}q\0\xff\xff\xff", 8);
    put(&w, "model/data/9", "\x80\x02}q\0\xff\xff\xff", 8);
    outcome o = read_ended(&w);
    assert_int_equal(o.code, LORA_OK);
    assert_false(has(&o, SEEN_PICKLE_ANOMALY, "model/data/9"));
    ASSERT_HAS(&o, SEEN_PICKLE_ANOMALY, "m/data/9"); /* elsewhere it is no raw data */
    done(&o, &w);
}

static void what_follows_the_objects_pickle_is_scanned(void **state)
{
    (void)state;
    for (int second = 0; second < 2; second++) {
        zip_writer w = {0};
        strbuf b = {0};
        strbuf_add(&b, LITTLE_PICKLE, LITTLE_BYTES);
        strbuf_add(&b, second ? PAYLOAD : "junk", second ? PAYLOAD_BYTES : 4);
        put(&w, "m/data.pkl", b.data, b.length);
        outcome o = read_ended(&w);
        ASSERT_HAS(&o, SEEN_PICKLE_ANOMALY, "bytes follow the pickle of member");
        assert_int_equal(has(&o, SEEN_FORBIDDEN_GLOBAL, "os.system"), second);
        strbuf_free(&b);
        done(&o, &w);
    }
}

static void stray_members_are_named_for_what_they_are(void **state)
{
    (void)state;
    zip_writer w = checkpoint(), inner = {0};
    zip_writer_add(&inner, "x", "y", 1);
    zip_writer_end(&inner, NULL);
    put(&w, "model/code/__torch__.py", "def forward(): pass", 19);
    put(&w, "model/code/__torch__.py.debug_pkl", LITTLE_PICKLE, LITTLE_BYTES);
    put(&w, "model/notes.txt", "hello", 5);
    put(&w, "outside", "hello", 5);
    put(&w, "outside.py", "hello", 5);
    put(&w, "model/inner.bin", inner.bytes, inner.n);
    put(&w, "model/data/8", inner.bytes, inner.n);
    outcome o = read_ended(&w);
    assert_int_equal(o.code, LORA_OK);
    ASSERT_HAS(&o, SEEN_ARCHIVE_STRAY, "\"model/code/__torch__.py\" is Python source");
    ASSERT_HAS(&o, SEEN_ARCHIVE_STRAY, "\"model/code/__torch__.py.debug_pkl\" is Python source");
    ASSERT_HAS(&o, SEEN_ARCHIVE_STRAY, "\"model/notes.txt\" is none that a checkpoint has");
    ASSERT_HAS(&o, SEEN_ARCHIVE_STRAY, "\"outside\" lies outside");
    ASSERT_HAS(&o, SEEN_ARCHIVE_STRAY, "\"outside.py\" is Python source");
    ASSERT_HAS(&o, SEEN_ARCHIVE_STRAY, "\"model/inner.bin\" is an archive inside the archive");
    ASSERT_HAS(&o, SEEN_ARCHIVE_STRAY, "\"model/data/8\" is an archive inside the archive");
    assert_false(has(&o, SEEN_ARCHIVE_STRAY, "version"));
    zip_writer_free(&inner);
    done(&o, &w);
}

static void records_that_differ_only_in_case_are_a_conflict(void **state)
{
    (void)state;
    static const char *const names[] = {"model/DATA.pkl", "model/Data/0", "model/ByteOrder"};
    for (size_t i = 0; i < 3; i++) {
        zip_writer w = checkpoint();
        put(&w, names[i], LITTLE_PICKLE, LITTLE_BYTES);
        outcome o = read_ended(&w);
        assert_int_equal(o.code, LORA_OK);
        assert_int_equal(o.seen.n, 1);
        ASSERT_HAS(&o, SEEN_ARCHIVE_CONFLICT, "only in case");
        ASSERT_HAS(&o, SEEN_ARCHIVE_CONFLICT, names[i]);
        done(&o, &w);
    }
}

static void hidden_pickles_are_scanned(void **state)
{
    (void)state;
    enum { BEFORE, BETWEEN, BEHIND, COMMENT, HEADER, FALSE_METHOD, N };
    for (int place = 0; place < N; place++) {
        zip_writer w = {0}, evil = {0};
        zip_writer_add(&evil, "evil/data.pkl", PAYLOAD, PAYLOAD_BYTES);
        if (place == BEFORE)
            zip_writer_bytes(&w, PAYLOAD, PAYLOAD_BYTES);
        put_object(&w, "m/data.pkl");
        if (place == BETWEEN)
            zip_writer_bytes(&w, PAYLOAD, PAYLOAD_BYTES);
        if (place == FALSE_METHOD)
            evil.bytes[8] = 8; /* not deflated, whatever its header says */
        if (place >= HEADER)
            zip_writer_bytes(&w, evil.bytes, evil.n);
        put(&w, "m/data/0", VALUES, 16);
        put(&w, "m/data/1", VALUES, 8);
        zip_writer_end(&w, &(zip_ending){.comment = PAYLOAD, .comment_bytes = place == COMMENT ? PAYLOAD_BYTES : 0});
        if (place == BEHIND)
            zip_writer_bytes(&w, PAYLOAD, PAYLOAD_BYTES);
        outcome o = read_archive(&w);
        assert_int_equal(o.code, LORA_OK);
        ASSERT_HAS(&o, SEEN_FORBIDDEN_GLOBAL, "os.system");
        ASSERT_HAS(&o, SEEN_ARCHIVE_HIDDEN, place >= HEADER ? "unlisted member \"evil/data.pkl\"" : "begin like a pickle");
        zip_writer_free(&evil);
        done(&o, &w);
    }
}

/* ---- broken archives ---- */

static void names_that_come_twice_are_a_conflict_and_the_first_counts(void **state)
{
    (void)state;
    zip_writer w = checkpoint();
    put(&w, "model/data/0", PAYLOAD, PAYLOAD_BYTES);
    put(&w, "model/data.pkl", PAYLOAD, PAYLOAD_BYTES);
    put(&w, "model/folder/", "not empty", 9);
    outcome o = read_ended(&w);
    assert_int_equal(o.code, LORA_OK);
    assert_values(&o, 0, "a", VALUES, 4);
    ASSERT_HAS(&o, SEEN_ARCHIVE_CONFLICT, "model/data/0");
    ASSERT_HAS(&o, SEEN_ARCHIVE_CONFLICT, "2 members data.pkl");
    ASSERT_HAS(&o, SEEN_ARCHIVE_STRAY, "model/folder/");
    ASSERT_HAS(&o, SEEN_FORBIDDEN_GLOBAL, "os.system");
    done(&o, &w);
}

static void a_flood_of_strays_does_not_crowd_out_a_payload(void **state)
{
    (void)state;
    zip_writer w = checkpoint();
    char name[40];
    for (int i = 0; i < 400; i++) {
        snprintf(name, sizeof name, "model/%d", i);
        put(&w, name, "x", 1);
    }
    zip_writer_bytes(&w, PAYLOAD, PAYLOAD_BYTES);
    outcome o = read_ended(&w);
    assert_int_equal(o.code, LORA_OK);
    assert_int_equal(o.seen.n, LIMIT_OBSERVATIONS);
    ASSERT_HAS(&o, SEEN_FORBIDDEN_GLOBAL, "os.system");
    done(&o, &w);
}

static void a_file_that_shrinks_while_it_is_read_is_an_error(void **state)
{
    (void)state;
    zip_writer w = checkpoint();
    zip_writer_end(&w, NULL);
    for (size_t missing = 1; missing < w.n; missing += 100) {
        FILE *stream = tmpfile();
        assert_non_null(stream);
        assert_int_equal(fwrite(w.bytes, 1, w.n - missing, stream), w.n - missing);
        fflush(stream);
        outcome o = read_file((file){.fd = fileno(stream), .size = w.n});
        assert_int_equal(o.code, LORA_E_SHRUNK);
        arena_destroy(o.mem);
        fclose(stream);
    }
    zip_writer_free(&w);
}

static void a_payload_in_a_broken_archive_is_seen(void **state)
{
    (void)state;
    enum { NO_DIRECTORY, BROKEN_DIRECTORY, BROKEN_MEMBER, BROKEN_PICKLE, BROKEN_STREAM, NO_OBJECT, OTHER_METHOD, N };
    static const lora_code codes[] = {LORA_E_ZIP, LORA_E_ZIP, LORA_E_ZIP_MEMBER, LORA_E_PICKLE, LORA_E_INFLATE, LORA_E_OBJECT, LORA_E_ZIP_MEMBER};
    for (int how = 0; how < N; how++) {
        char body[3000];
        uint32_t random = 1; /* so that it does not deflate to nothing */
        for (size_t i = 0; i < sizeof body; i++, random = random * 1664525u + 1013904223u)
            body[i] = (char)('!' + (random >> 24) % 90);
        memcpy(body, PAYLOAD, PAYLOAD_BYTES - 1); /* without its STOP: the stream breaks behind the call */
        zip_writer w = {0};
        zip_made made = {.name = how == NO_OBJECT ? "m/model.pkl" : "m/data.pkl", .data = body, .n = sizeof body};
        made.deflate = how == BROKEN_STREAM;
        made.method = made.local_method = how == OTHER_METHOD ? 77 : 0;
        zip_writer_member(&w, &made);
        if (how == BROKEN_STREAM)
            memset(w.bytes + w.n - 300, 0xff, 300);
        zip_writer_member(&w, &(zip_made){.name = "m/version", .data = "3", .n = 1, .offset = how == BROKEN_MEMBER});
        if (how == BROKEN_DIRECTORY)
            w.directory[0] = 'Q';
        zip_writer_end(&w, NULL);
        if (how == NO_DIRECTORY)
            w.n -= 30;
        outcome o = read_archive(&w);
        if (o.code != codes[how])
            show(&o);
        assert_int_equal(o.code, codes[how]);
        ASSERT_HAS(&o, SEEN_FORBIDDEN_GLOBAL, "os.system");
        done(&o, &w);
    }
}

static void an_archive_without_an_object_is_no_checkpoint(void **state)
{
    (void)state;
    zip_writer w = {0};
    zip_writer_add(&w, "a/b/data.pkl", LITTLE_PICKLE, LITTLE_BYTES); /* not where PyTorch looks */
    outcome o = read_ended(&w);
    assert_int_equal(o.code, LORA_E_OBJECT);
    assert_non_null(strstr(o.err.message, "no data.pkl"));
    done(&o, &w);
    zip_writer_end(&w, NULL);
    o = read_archive(&w);
    assert_int_equal(o.code, LORA_E_OBJECT);
    done(&o, &w);
}

static void an_object_that_inflates_beyond_the_limit_is_refused(void **state)
{
    (void)state;
    size_t n = LIMIT_INFLATE_BYTES + 200000;
    char *zeros = calloc(1, n);
    assert_non_null(zeros);
    zip_writer w = {0};
    zip_writer_member(&w, &(zip_made){.name = "m/data.pkl", .data = zeros, .n = n, .deflate = true});
    outcome o = read_ended(&w);
    assert_int_equal(o.code, LORA_E_INFLATES_TOO_LARGE);
    free(zeros);
    done(&o, &w);
}

static void scanning_stops_when_bombs_have_used_it_up(void **state)
{
    (void)state;
    size_t n = LIMIT_INFLATE_BYTES / 3 * 2; /* one of them fits, a second does not, and a third finds nothing left */
    char *body = calloc(1, n), name[40];
    assert_non_null(body);
    memcpy(body, PAYLOAD, PAYLOAD_BYTES);
    memset(body + PAYLOAD_BYTES, 'N', n - PAYLOAD_BYTES);
    zip_writer w = checkpoint();
    for (int i = 0; i < 4; i++) {
        snprintf(name, sizeof name, "model/bomb%d", i);
        zip_writer_member(&w, &(zip_made){.name = name, .data = body, .n = n, .deflate = true});
    }
    outcome o = read_ended(&w);
    assert_int_equal(o.code, LORA_OK);
    ASSERT_HAS(&o, SEEN_FORBIDDEN_GLOBAL, "os.system");
    assert_false(has(&o, SEEN_ARCHIVE_STRAY, "\"model/bomb0\" begins"));
    bool partly = false, not_at_all = false;
    for (size_t i = 0; i < o.seen.n; i++) {
        partly |= strstr(o.seen.list[i].text, "not looked into to its end") != NULL;
        not_at_all |= strstr(o.seen.list[i].text, "too much was before it") != NULL;
    }
    assert_true(partly && not_at_all);
    free(body);
    done(&o, &w);
}

/* ---- whatever the bytes ---- */

static void an_archive_with_any_byte_changed_or_cut_is_answered(void **state)
{
    (void)state;
    zip_writer w = checkpoint();
    put(&w, "model/x.pkl", PAYLOAD, PAYLOAD_BYTES);
    zip_writer_end(&w, NULL);
    for (size_t at = 0; at < w.n; at++) {
        unsigned char was = w.bytes[at];
        for (unsigned change = 0; change < 3; change++) {
            w.bytes[at] = change == 0 ? (unsigned char)(was ^ 1) : change == 1 ? (unsigned char)(was ^ 0x80) : (unsigned char)0xff;
            outcome o = read_archive(&w);
            arena_destroy(o.mem);
        }
        w.bytes[at] = was;
        unsigned char *exact = malloc(at + !at);
        assert_non_null(exact);
        memcpy(exact, w.bytes, at);
        outcome o = read_file(file_of_memory(exact, at));
        assert_int_not_equal(o.code, LORA_OK);
        arena_destroy(o.mem);
        free(exact);
    }
    zip_writer_free(&w);
}

static void memory_that_ends_anywhere_is_reported(void **state)
{
    (void)state;
    zip_writer w = checkpoint();
    put(&w, "model/x.pkl", PAYLOAD, PAYLOAD_BYTES);
    put(&w, "model/data/9", PAYLOAD, PAYLOAD_BYTES);
    zip_writer_end(&w, NULL);
    file f = file_of_memory(w.bytes, w.n);
    bool enough = false;
    for (int kind = 0; kind < 2; kind++, enough = false)
        for (long k = 0; !enough; k++) {
            arena *mem = arena_create();
            observations seen = {.mem = mem};
            catalog cat = {.container = "untouched"};
            lora_error err = {0};
            alloc_fault_after(k, kind ? ALLOC_FAULT_ONCE : ALLOC_FAULT_STICKY);
            lora_code code = torch_zip_read(&f, mem, &seen, &cat, &err);
            enough = !alloc_fault_end();
            assert_int_equal(err.code, code);
            assert_true(code == LORA_OK || (!enough && code == LORA_E_MEMORY));
            assert_string_equal(cat.container, code ? "untouched" : "torch-zip");
            arena_destroy(mem);
        }
    zip_writer_free(&w);
}

/* ---- real files ---- */

static void real_checkpoints_have_the_tensors_that_the_manifest_counts(void **state)
{
    (void)state;
    FILE *f = fopen(FOLDER "/MANIFEST.tsv", "r");
    char text[2000], path[4100];
    size_t n = 0;
    if (!f) {
        print_message("no " FOLDER "/MANIFEST.tsv: nothing to compare with\n");
        skip();
    }
    while (fgets(text, sizeof text, f)) {
        char *field[7] = {text};
        for (int i = 1; i < 7; i++) {
            field[i] = strchr(field[i - 1], '\t');
            assert_non_null(field[i]);
            *field[i]++ = '\0';
        }
        if (strcmp(field[5], "torch-zip") != 0)
            continue;
        *strchr(field[0], '/') = '+';
        snprintf(path, sizeof path, FOLDER "/%s/%s", field[0], field[1]);
        file weights;
        assert_int_equal(file_open(path, &weights, NULL), LORA_OK);
        outcome o = read_file(weights);
        if (o.code || o.seen.n)
            show(&o);
        assert_int_equal(o.code, LORA_OK);
        assert_int_equal(o.seen.n, 0);
        assert_int_equal(o.cat.n_tensors, strtoul(field[6], NULL, 10));
        for (size_t i = 0; i < o.cat.n_tensors; i++) { /* read whole, so that the CRC is checked */
            const tensor *t = &o.cat.tensors[i];
            void *bytes = malloc((size_t)t->bytes);
            assert_non_null(bytes);
            assert_int_equal(fetch_entries(&weights, t, 0, t->bytes / (dtype_bits(t->dtype) / 8), bytes, NULL), LORA_OK);
            free(bytes);
        }
        arena_destroy(o.mem);
        file_close(&weights);
        n++;
    }
    fclose(f);
    assert_true(n > 0);
}

static void places_in_a_deflated_member_are_that_of_its_stream(void **state)
{
    (void)state;
    static char body[20000] = {0};
    memset(body, 'N', sizeof body);
    memcpy(body + sizeof body - PAYLOAD_BYTES, PAYLOAD, PAYLOAD_BYTES);
    memcpy(body, "\x80\x02", 2);
    for (int object = 0; object < 2; object++) {
        zip_writer w = {0};
        if (!object)
            w = checkpoint();
        zip_writer_member(&w, &(zip_made){.name = object ? "model/data.pkl" : "model/x.pkl", .data = body, .n = sizeof body, .deflate = true});
        zip_writer_end(&w, NULL);
        assert_true(w.n < sizeof body);
        outcome o = read_archive(&w);
        ASSERT_HAS(&o, SEEN_FORBIDDEN_GLOBAL, "os.system");
        for (size_t i = 0; i < o.seen.n; i++)
            assert_true(o.seen.list[i].offset < w.n);
        assert_true(o.err.offset < w.n);
        done(&o, &w);
    }
}

/* A deflate stream of one stored block, and the payload behind its end. */
static void what_hides_behind_a_deflate_stream_is_scanned(void **state)
{
    (void)state;
    for (int object = 0; object < 2; object++) {
        unsigned char stream[5 + LITTLE_BYTES + PAYLOAD_BYTES] = {1, LITTLE_BYTES, 0, (unsigned char)~LITTLE_BYTES, 0xff};
        memcpy(stream + 5, LITTLE_PICKLE, LITTLE_BYTES);
        memcpy(stream + 5 + LITTLE_BYTES, PAYLOAD, PAYLOAD_BYTES);
        zip_writer w = {0};
        if (!object)
            w = checkpoint();
        zip_writer_member(&w, &(zip_made){.name = object ? "model/data.pkl" : "model/version2", .data = stream, .n = sizeof stream,
                                          .method = 8, .local_method = 8, .bytes = -(int64_t)(5 + PAYLOAD_BYTES)});
        outcome o = read_ended(&w);
        assert_int_equal(o.code, LORA_OK);
        assert_true(has(&o, SEEN_ARCHIVE_HIDDEN, "follow the end of the deflate stream"));
        ASSERT_HAS(&o, SEEN_FORBIDDEN_GLOBAL, "os.system");
        done(&o, &w);
    }
}

static void a_wrong_checksum_of_a_stray_pickle_is_noted(void **state)
{
    (void)state;
    zip_writer w = checkpoint();
    zip_writer_member(&w, &(zip_made){.name = "model/x.pkl", .data = PAYLOAD, .n = PAYLOAD_BYTES, .crc = 5, .local_crc = 5});
    outcome o = read_ended(&w);
    ASSERT_HAS(&o, SEEN_CHECKSUM, "model/x.pkl");
    ASSERT_HAS(&o, SEEN_FORBIDDEN_GLOBAL, "os.system");
    done(&o, &w);
}

static void a_lack_of_memory_wins_over_what_is_wrong(void **state)
{
    (void)state;
    zip_writer w = checkpoint();
    zip_writer_member(&w, &(zip_made){.name = "model/x.pkl", .data = PAYLOAD, .n = PAYLOAD_BYTES, .offset = 1});
    put(&w, "model/y.pkl", PAYLOAD, PAYLOAD_BYTES);
    zip_writer_end(&w, NULL);
    bool refused = true, missing = false;
    for (long k = 0; refused; k++) {
        file f = file_of_memory(w.bytes, w.n);
        arena *mem = arena_create();
        observations seen = {.mem = mem};
        catalog cat = {0};
        lora_error err = {0};
        alloc_fault_after(k, ALLOC_FAULT_STICKY);
        lora_code code = torch_zip_read(&f, mem, &seen, &cat, &err);
        refused = alloc_fault_end();
        assert_int_equal(code, err.code);
        assert_true(code == (refused ? LORA_E_MEMORY : LORA_E_ZIP_MEMBER));
        missing |= refused;
        arena_destroy(mem);
    }
    assert_true(missing);
    zip_writer_free(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_checkpoint_is_read_without_a_note),
        cmocka_unit_test(members_may_be_deflated),
        cmocka_unit_test(byteorder_is_little_or_big),
        cmocka_unit_test(the_root_folder_is_that_of_the_object),
        cmocka_unit_test(of_two_objects_the_one_in_the_first_members_folder_counts),
        cmocka_unit_test(a_storage_that_is_missing_or_too_small_is_refused),
        cmocka_unit_test(many_storages_are_found),
        cmocka_unit_test(a_pickle_in_any_member_is_scanned_whatever_its_name),
        cmocka_unit_test(raw_data_that_begins_like_a_pickle_by_chance_is_not_reported),
        cmocka_unit_test(what_follows_the_objects_pickle_is_scanned),
        cmocka_unit_test(stray_members_are_named_for_what_they_are),
        cmocka_unit_test(records_that_differ_only_in_case_are_a_conflict),
        cmocka_unit_test(hidden_pickles_are_scanned),
        cmocka_unit_test(names_that_come_twice_are_a_conflict_and_the_first_counts),
        cmocka_unit_test(a_flood_of_strays_does_not_crowd_out_a_payload),
        cmocka_unit_test(a_file_that_shrinks_while_it_is_read_is_an_error),
        cmocka_unit_test(a_payload_in_a_broken_archive_is_seen),
        cmocka_unit_test(an_archive_without_an_object_is_no_checkpoint),
        cmocka_unit_test(an_object_that_inflates_beyond_the_limit_is_refused),
        cmocka_unit_test(scanning_stops_when_bombs_have_used_it_up),
        cmocka_unit_test(an_archive_with_any_byte_changed_or_cut_is_answered),
        cmocka_unit_test(memory_that_ends_anywhere_is_reported),
        cmocka_unit_test(real_checkpoints_have_the_tensors_that_the_manifest_counts),
        cmocka_unit_test(places_in_a_deflated_member_are_that_of_its_stream),
        cmocka_unit_test(what_hides_behind_a_deflate_stream_is_scanned),
        cmocka_unit_test(a_wrong_checksum_of_a_stray_pickle_is_noted),
        cmocka_unit_test(a_lack_of_memory_wins_over_what_is_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
