/* Reports of an evaluation: the table as it was agreed, the JSON field by field, a picture that is XML and needs nothing else; what does not exist
 * is a dash or null; names from archives do no harm; without memory the buffer says so.
 * SPDX-License-Identifier: Apache-2.0
 */
/* LDFLAGS: -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc */
#include "analyzer/loraudit.h"
#include "analyzer/report/evaluation_draw.h"
#include "analyzer/report/evaluation_report.h"
#include "tests/support/alloc_fault.h"
#include "tests/support/evaluation_sample.h"
#include "tests/support/text_same.h"

#include <cJSON.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *const archives[] = {"benchmark-data/images.h5", "benchmark-data/language.h5"};
static const evaluation_source source = {archives, 2, 2340, 42};
static const report_context plain = {.backend = "cpu (B)", .threads = 2, .columns = 80, .folder = ""};
static evaluation_sample sample;

typedef enum { TABLE, JSON, SVG, N_FORMS } form;

static strbuf write_form(form f, const report_context *ctx, const evaluation_source *of, const evaluation *e)
{
    strbuf out = {0};
    if (f == TABLE)
        evaluation_table(&out, ctx, of, e);
    else if (f == JSON)
        evaluation_json(&out, ctx, of, e);
    else
        evaluation_svg(&out, of, e);
    return out;
}

/* --- a small checker of XML: tags nest, attributes are quoted, text holds no bare '<', '&' or control --- */

static const char *entity_end(const char *at)
{
    static const char *const known[] = {"&amp;", "&lt;", "&gt;", "&quot;", "&apos;"};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strncmp(at, known[i], strlen(known[i])) == 0)
            return at + strlen(known[i]) - 1;
    fail_msg("bare ampersand: %.40s", at);
    return at;
}

static size_t assert_well_formed(const strbuf *text)
{
    const char *open[16];
    size_t lengths[16], depth = 0, n_tags = 0;
    assert_int_equal(text_utf8_invalid(text->data, text->length), text->length);
    assert_int_equal(strlen(text->data), text->length);
    for (const char *at = text->data; *at; at++) {
        assert_true((unsigned char)*at >= 0x20 || *at == '\n');
        if (*at == '&')
            at = entity_end(at);
        if (*at != '<') {
            assert_true(depth > 0 || *at == '\n');
            continue;
        }
        const char *name = ++at;
        bool closing = *name == '/';
        name += closing;
        size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyz");
        assert_true(n > 0);
        at = name + n;
        for (bool quoted = false; quoted || *at != '>'; at++) {
            assert_true(*at && *at != '<');
            quoted ^= *at == '"';
            if (*at == '&')
                at = entity_end(at);
        }
        n_tags++;
        if (closing) {
            assert_true(depth > 0);
            depth--;
            assert_int_equal(n, lengths[depth]);
            assert_memory_equal(name, open[depth], n);
        } else if (at[-1] != '/') {
            assert_true(depth < 16);
            open[depth] = name;
            lengths[depth++] = n;
        }
    }
    assert_int_equal(depth, 0);
    return n_tags;
}

/* --- the table --- */

static void the_table_is_as_agreed(void **state)
{
    (void)state;
    strbuf out = write_form(TABLE, &plain, &source, &sample.e);
    char *expected = text_read("tests/report/evaluation-table.txt");
    if (!text_same(expected, out.data))
        fail_msg("the table differs from tests/report/evaluation-table.txt");
    free(expected);
    strbuf_free(&out);
}

static void the_table_keeps_to_its_columns_and_leaves_no_blanks_at_ends(void **state)
{
    (void)state;
    for (size_t columns = 80; columns <= 140; columns += 20) {
        report_context ctx = plain;
        ctx.columns = columns;
        strbuf out = write_form(TABLE, &ctx, &source, &sample.e);
        for (const char *line = out.data; *line; line += strcspn(line, "\n") + 1) {
            size_t n = strcspn(line, "\n");
            if (text_width(line, n) > columns || (n && line[n - 1] == ' '))
                fail_msg("%zu columns: '%.*s'", columns, (int)n, line);
        }
        strbuf_free(&out);
    }
}

static void colour_comes_only_where_it_is_allowed_and_changes_nothing_else(void **state)
{
    (void)state;
    report_context ctx = plain;
    ctx.colour = true;
    strbuf without = write_form(TABLE, &plain, &source, &sample.e), with = write_form(TABLE, &ctx, &source, &sample.e), stripped = {0};
    assert_null(memchr(without.data, 0x1b, without.length));
    assert_non_null(memchr(with.data, 0x1b, with.length));
    for (const char *at = with.data; *at; at++) {
        if (*at == 0x1b)
            at = strchr(at, 'm');
        else
            strbuf_putc(&stripped, *at);
    }
    assert_string_equal(stripped.data, without.data);
    strbuf_free(&without);
    strbuf_free(&with);
    strbuf_free(&stripped);
}

/* --- JSON --- */

static double number_of(const cJSON *object, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    assert_non_null(item);
    assert_true(cJSON_IsNumber(item) || cJSON_IsNull(item));
    return cJSON_IsNull(item) ? NAN : item->valuedouble;
}

static void assert_number(const cJSON *object, const char *key, double expected)
{
    double seen = number_of(object, key);
    if (!(seen == expected || (isnan(seen) && isnan(expected))))
        fail_msg("%s: %.17g, not %.17g", key, seen, expected);
}

static void assert_text(const cJSON *object, const char *key, const char *expected)
{
    const char *seen = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));
    assert_non_null(seen);
    assert_string_equal(seen, expected);
}

static void assert_range(const cJSON *object, const range_result *r)
{
    assert_text(object, "name", r->name);
    assert_text(object, "recipe", r->recipe);
    assert_text(object, "trained_on", r->trained_on);
    assert_number(object, "rank", (double)r->rank);
    assert_number(object, "splits", (double)r->n_splits);
    assert_number(object, "train", (double)r->n_train);
    assert_number(object, "test", (double)r->n_test);
    const cJSON *sizes = cJSON_GetObjectItem(object, "sizes"), *confusion = cJSON_GetObjectItem(object, "confusion");
    assert_int_equal(cJSON_GetArraySize(sizes), r->n_sizes);
    assert_int_equal(cJSON_GetArraySize(confusion), r->n_sizes);
    for (int i = 0; i < (int)r->n_sizes; i++) {
        assert_true(cJSON_GetArrayItem(sizes, i)->valuedouble == r->sizes[i]);
        for (int j = 0; j < (int)r->n_sizes; j++)
            assert_true(cJSON_GetArrayItem(cJSON_GetArrayItem(confusion, i), j)->valuedouble ==
                        (double)r->confusion[(size_t)i * r->n_sizes + (size_t)j]);
    }
    const cJSON *methods = cJSON_GetObjectItem(object, "methods");
    static const char *const names[] = {"frobenius-nn", "dsire", "loraudit"};
    assert_int_equal(cJSON_GetArraySize(methods), 3);
    for (int k = 0; k < 3; k++) {
        const cJSON *m = cJSON_GetArrayItem(methods, k);
        const range_method *expected = &r->methods[k];
        assert_text(m, "name", names[k]);
        assert_number(m, "mae", expected->mae);
        assert_number(m, "mae_std", expected->mae_std);
        assert_number(m, "mape", expected->mape);
        assert_number(m, "mape_std", expected->mape_std);
        assert_number(m, "accuracy", expected->accuracy);
        assert_number(m, "accuracy_std", expected->accuracy_std);
        assert_number(m, "coverage", expected->coverage);
        assert_number(m, "width", expected->width);
        assert_number(m, "abstained", expected->abstained);
    }
}

static void assert_safety(const cJSON *object, const safety_row *s)
{
    static const char *const protocols[] = {"in-domain", "leave-one-recipe-out", "evasion"}, *const methods[] = {"five-statistics", "loraudit"};
    assert_text(object, "protocol", protocols[s->protocol]);
    assert_text(object, "method", methods[s->method]);
    assert_text(object, "recipe", s->recipe);
    assert_number(object, "n_unsafe", (double)s->n_unsafe);
    assert_number(object, "n_safe", (double)s->n_safe);
    assert_number(object, "controls", (double)s->controls);
    assert_number(object, "auroc", s->auroc);
    assert_number(object, "tpr", s->n_unsafe ? s->tpr : (double)NAN);
    assert_number(object, "fpr", s->n_safe ? s->fpr : (double)NAN);
    assert_number(object, "fpr_bound", s->fpr_bound);
    assert_number(object, "inconclusive", s->inconclusive);
}

static void the_document_holds_every_field_of_the_evaluation(void **state)
{
    (void)state;
    strbuf out = write_form(JSON, &plain, &source, &sample.e);
    cJSON *tree = cJSON_ParseWithLength(out.data, out.length);
    assert_non_null(tree);
    assert_text(tree, "schema", "loraudit.evaluation/1");
    assert_text(tree, "benchmark", "benchmark-data/images.h5 benchmark-data/language.h5");
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(tree, "archives")), 2);
    assert_number(tree, "seed", 42);
    assert_number(tree, "adapters", 2340);
    assert_text(cJSON_GetObjectItem(tree, "tool"), "version", LORAUDIT_VERSION);
    assert_text(cJSON_GetObjectItem(tree, "tool"), "backend", "cpu (B)");
    assert_number(cJSON_GetObjectItem(tree, "tool"), "threads", 2);
    const cJSON *ranges = cJSON_GetObjectItem(tree, "ranges"), *safety = cJSON_GetObjectItem(tree, "safety");
    assert_int_equal(cJSON_GetArraySize(ranges), sample.e.n_ranges);
    assert_int_equal(cJSON_GetArraySize(safety), sample.e.n_safety);
    for (size_t i = 0; i < sample.e.n_ranges; i++)
        assert_range(cJSON_GetArrayItem(ranges, (int)i), &sample.e.ranges[i]);
    for (size_t i = 0; i < sample.e.n_safety; i++)
        assert_safety(cJSON_GetArrayItem(safety, (int)i), &sample.e.safety[i]);
    assert_null(strstr(out.data, "nan"));
    cJSON_Delete(tree);
    strbuf_free(&out);
}

/* --- the picture --- */

static void the_picture_is_xml_that_needs_nothing_outside_itself(void **state)
{
    (void)state;
    strbuf out = write_form(SVG, &plain, &source, &sample.e);
    assert_true(assert_well_formed(&out) > 200);
    assert_int_equal(strncmp(out.data, "<svg xmlns=\"http://www.w3.org/2000/svg\" ", 40), 0);
    static const char *const never[] = {"<script", "href", "url(", "@import", "<image", "nan", "inf\"", "onload", "<!DOCTYPE"};
    for (size_t i = 0; i < sizeof never / sizeof *never; i++)
        assert_null(strstr(out.data, never[i]));
    static const char *const always[] = {"<title id=\"t\">", "<desc id=\"d\">", "role=\"img\"", "images-batch8 · low", "91.2 % of 300 intervals",
                                         "absolutely-prefix", "rescaled 0.25", "0.61 of 1.22", "at most 5 % of the others"};
    for (size_t i = 0; i < sizeof always / sizeof *always; i++)
        if (!strstr(out.data, always[i]))
            fail_msg("not in the picture: %s", always[i]);
    assert_true(out.length < 200000);
    strbuf_free(&out);
}

static const char *text_in(const strbuf *svg, const char *text)
{
    const char *at = strstr(strstr(svg->data, "</desc>"), text);
    if (!at)
        fail_msg("not in the picture: %s", text);
    return at;
}

static void shifted_recipes_stand_apart_after_the_others(void **state)
{
    (void)state;
    static const char ours[] = ">models of the same recipe<", beside[] = ">shifted recipes: ";
    static evaluation_sample shifted_first;
    evaluation_sample_make(&shifted_first);
    range_result variant = shifted_first.ranges[2];
    assert_string_equal(variant.recipe, "images-batch8-seed2");
    shifted_first.ranges[2] = shifted_first.ranges[0];
    shifted_first.ranges[0] = variant;
    strbuf out = write_form(SVG, &plain, &source, &shifted_first.e);
    assert_true(text_in(&out, ours) < text_in(&out, beside));
    const char *row = text_in(&out, ">images-batch8-seed2 · high<");
    assert_true(text_in(&out, ">images-batch8 · low<") < text_in(&out, beside) && text_in(&out, beside) < row);
    assert_non_null(strstr(row + 1, ">images-batch8-seed2 · high<")); /* its small picture */
    strbuf_free(&out);
    evaluation own = {.ranges = shifted_first.ranges + 1, .n_ranges = shifted_first.e.n_ranges - 1};
    out = write_form(SVG, &plain, &source, &own);
    text_in(&out, ours);
    assert_null(strstr(out.data, beside));
    strbuf_free(&out);
}

/* Text and marks have their place inside the picture, and sections come one below the other. */
static void nothing_lies_outside_the_picture(void **state)
{
    (void)state;
    static const char *const places[] = {" x=\"", " cx=\"", " y=\"", " cy=\"", "d=\"M"};
    strbuf out = write_form(SVG, &plain, &source, &sample.e);
    double height = 0, lowest = 0;
    assert_int_equal(sscanf(strstr(out.data, "viewBox"), "viewBox=\"0 0 1000 %lf\"", &height), 1);
    for (size_t k = 0; k < sizeof places / sizeof *places; k++)
        for (const char *at = out.data; (at = strstr(at, places[k])); at++) {
            double place = strtod(at + strlen(places[k]), NULL);
            if (place < 0 || place > (k == 2 || k == 3 ? height : 1000))
                fail_msg("outside: %.60s", at);
            lowest = k == 2 && place > lowest ? place : lowest;
        }
    assert_true(lowest > height - 60); /* and no paper is left over */
    strbuf_free(&out);
}

static void a_mark_beyond_the_axis_stands_at_its_end_with_an_arrow(void **state)
{
    (void)state;
    strbuf in = {0}, beyond = {0};
    draw_row row = {"row", NULL, {NAN, NAN, 0.9}, {NAN, NAN, NAN}};
    draw_axis axis = {.width = 100, .high = 1, .step = 0.5, .reference = NAN};
    draw_rows(&in, &axis, &row, 1);
    row.at[MARK_OURS] = 7;
    draw_rows(&beyond, &axis, &row, 1);
    assert_non_null(strstr(in.data, "cx=\"90.0\""));
    assert_non_null(strstr(beyond.data, "cx=\"100.0\""));
    assert_null(strstr(in.data, "l6 4l-6 4z"));
    assert_non_null(strstr(beyond.data, "l6 4l-6 4z"));
    strbuf_free(&in);
    strbuf_free(&beyond);
}

static void an_axis_ends_at_a_round_number_that_holds_all(void **state)
{
    (void)state;
    double step;
    static const double cases[][2] = {{0, 0.1}, {0.1, 0.1}, {0.11, 0.2}, {0.99, 1}, {1.2, 1.5}, {2.5, 3}, {11, 10}, {NAN, 10}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_true(draw_ceiling(cases[i][0], &step) == cases[i][1]);
        assert_true(fabs(remainder(cases[i][1], step)) < 1e-12);
    }
}

/* --- all of them --- */

static void names_from_archives_do_no_harm(void **state)
{
    (void)state;
    static const char evil[] = "\x1b[2J</text><script>alert('&\"')</script>\xe2\x80\xae\xff\xef\xbf\xbf\xef\xbf\xbe\n%s\\";
    static evaluation_sample hostile;
    static char huge[5000];
    memset(huge, 'x', sizeof huge - 1);
    evaluation_sample_make(&hostile);
    hostile.ranges[0].recipe = hostile.ranges[1].name = hostile.ranges[2].trained_on = evil;
    hostile.ranges[1].recipe = hostile.ranges[2].name = huge;
    for (size_t i = 4; i < 8; i++)
        hostile.safety[i].recipe = i < 6 ? evil : huge;
    const char *const paths[] = {evil, huge};
    evaluation_source of = {paths, 2, 1, 0};
    for (form f = TABLE; f < N_FORMS; f++) {
        strbuf out = write_form(f, &plain, &of, &hostile.e);
        assert_false(out.failed);
        assert_int_equal(text_utf8_invalid(out.data, out.length), out.length);
        assert_null(memchr(out.data, 0x1b, out.length));
        if (f == SVG) {
            assert_well_formed(&out);
            assert_null(strstr(out.data, "<script"));
            assert_null(strstr(out.data, "\xef\xbf\xbf"));
            assert_null(strstr(out.data, "\xef\xbf\xbe"));
        }
        if (f == JSON) {
            cJSON *tree = cJSON_ParseWithLength(out.data, out.length);
            assert_non_null(tree);
            cJSON_Delete(tree);
        } else {
            assert_null(strstr(out.data, "\xe2\x80\xae"));
        }
        for (const char *line = out.data; f == TABLE && *line; line += strcspn(line, "\n") + 1)
            if (text_width(line, strcspn(line, "\n")) > 80)
                fail_msg("too wide: %.*s", (int)strcspn(line, "\n"), line);
        strbuf_free(&out);
    }
}

static void nothing_evaluated_is_said_and_an_empty_list(void **state)
{
    (void)state;
    evaluation nothing = {0};
    strbuf table = write_form(TABLE, &plain, &source, &nothing), json = write_form(JSON, &plain, &source, &nothing),
           svg = write_form(SVG, &plain, &source, &nothing);
    assert_non_null(strstr(table.data, "Not evaluated: no training recipe"));
    assert_non_null(strstr(table.data, "Not evaluated: no base model"));
    assert_non_null(strstr(json.data, "\"ranges\": []"));
    assert_non_null(strstr(json.data, "\"safety\": []"));
    assert_well_formed(&svg);
    assert_non_null(strstr(svg.data, "no range was evaluated"));
    strbuf_free(&table);
    strbuf_free(&json);
    strbuf_free(&svg);
}

static void rows_that_say_the_same_are_not_repeated(void **state)
{
    (void)state;
    static evaluation_sample same;
    evaluation_sample_make(&same);
    assert_string_equal(same.safety[2].recipe, "clear");
    same.safety[2].n_safe = same.safety[3].n_safe = same.safety[0].n_safe;
    strbuf before = write_form(TABLE, &plain, &source, &sample.e), after = write_form(TABLE, &plain, &source, &same.e);
    assert_non_null(strstr(before.data, "\n  clear "));
    assert_null(strstr(after.data, "\n  clear "));
    strbuf_free(&before);
    strbuf_free(&after);
}

/* A recipe that cannot be judged is neither a success nor a failure. */
static void what_was_not_judged_is_not_counted(void **state)
{
    (void)state;
    strbuf table = write_form(TABLE, &plain, &source, &sample.e), svg = write_form(SVG, &plain, &source, &sample.e);
    assert_non_null(strstr(table.data, "another-base"));
    assert_non_null(strstr(table.data, "of 3 out of 4\n"));
    assert_non_null(strstr(table.data, "Not judged at all, and not counted: 1."));
    assert_null(strstr(strstr(svg.data, "</desc>"), "another-base"));
    strbuf_free(&table);
    strbuf_free(&svg);
}

static void numbers_that_do_not_exist_reach_nobody(void **state)
{
    (void)state;
    static evaluation_sample unknown;
    evaluation_sample_make(&unknown);
    for (size_t i = 0; i < unknown.e.n_ranges; i++)
        for (size_t k = 0; k < SIZE_METHOD_COUNT; k++)
            unknown.ranges[i].methods[k] = (range_method){NAN, NAN, NAN, NAN, NAN, NAN, NAN, INFINITY, NAN};
    for (size_t k = 0; k < unknown.ranges[0].n_answers; k++)
        unknown.ranges[0].low[k] = k % 2 ? NAN : 0, unknown.ranges[0].high[k] = INFINITY;
    for (size_t i = 0; i < unknown.e.n_safety; i++)
        unknown.safety[i].auroc = unknown.safety[i].tpr = unknown.safety[i].fpr = unknown.safety[i].fpr_bound = unknown.safety[i].inconclusive = NAN;
    for (form f = TABLE; f < N_FORMS; f++) {
        strbuf out = write_form(f, &plain, &source, &unknown.e);
        assert_false(out.failed);
        assert_null(strstr(out.data, "nan"));
        assert_null(strstr(out.data, f == SVG ? "inf\"" : " inf"));
        if (f == SVG)
            assert_well_formed(&out);
        strbuf_free(&out);
    }
}

static void sixty_four_sizes_fit(void **state)
{
    (void)state;
    static evaluation_sample many;
    static range_result wide;
    evaluation_sample_make(&many);
    wide = many.ranges[0];
    wide.n_sizes = SIZE_MAX_CLASSES;
    for (size_t i = 0; i < SIZE_MAX_CLASSES; i++)
        wide.sizes[i] = (double)(i + 1) * 10;
    for (size_t k = 0; k < wide.n_answers; k++)
        wide.truth[k] = wide.sizes[k % SIZE_MAX_CLASSES];
    evaluation e = {.ranges = &wide, .n_ranges = 1};
    for (form f = TABLE; f < N_FORMS; f++) {
        strbuf out = write_form(f, &plain, &source, &e);
        assert_false(out.failed);
        for (const char *line = out.data; f == TABLE && *line; line += strcspn(line, "\n") + 1)
            if (text_width(line, strcspn(line, "\n")) > 80)
                fail_msg("too wide: %.*s", (int)strcspn(line, "\n"), line);
        strbuf_free(&out);
    }
}

static void the_same_evaluation_gives_the_same_bytes(void **state)
{
    (void)state;
    for (form f = TABLE; f < N_FORMS; f++) {
        strbuf one = write_form(f, &plain, &source, &sample.e), two = write_form(f, &plain, &source, &sample.e);
        assert_int_equal(one.length, two.length);
        assert_memory_equal(one.data, two.data, one.length);
        strbuf_free(&one);
        strbuf_free(&two);
    }
}

static void chance_is_what_blind_answers_reach(void **state)
{
    (void)state;
    evaluation_chance c = evaluation_by_chance(&sample.ranges[0]); /* 1 … 6 */
    assert_true(fabs(c.random_mae - 70.0 / 36) < 1e-12);
    assert_true(fabs(c.random_accuracy - 1.0 / 6) < 1e-12);
    assert_true(c.constant == 3);
    assert_true(fabs(c.constant_mae - 1.5) < 1e-12);
    assert_true(fabs(evaluation_ratio(&sample.ranges[0], SIZE_LORAUDIT) - 0.5) < 1e-12);
    assert_true(isnan(evaluation_ratio(&sample.ranges[3], SIZE_FROBENIUS_NN))); /* DSiRe's error there is 0 */
}

static void lack_of_memory_shows_in_the_buffer(void **state)
{
    (void)state;
    for (form f = TABLE; f < N_FORMS; f++) {
        strbuf whole = write_form(f, &plain, &source, &sample.e);
        size_t n_failures = 0;
        for (long k = 0;; k++) {
            alloc_fault_after(k, ALLOC_FAULT_ONCE);
            strbuf out = write_form(f, &plain, &source, &sample.e);
            bool refused = alloc_fault_end();
            if (refused && !out.failed)
                fail_msg("form %u: allocation %ld failed and nobody says so", (unsigned)f, k);
            if (!refused) {
                assert_int_equal(out.length, whole.length);
                strbuf_free(&out);
                break;
            }
            n_failures++;
            strbuf_free(&out);
        }
        assert_true(n_failures > 3);
        strbuf_free(&whole);
    }
}

int main(void)
{
    evaluation_sample_make(&sample);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_is_as_agreed),
        cmocka_unit_test(the_table_keeps_to_its_columns_and_leaves_no_blanks_at_ends),
        cmocka_unit_test(colour_comes_only_where_it_is_allowed_and_changes_nothing_else),
        cmocka_unit_test(the_document_holds_every_field_of_the_evaluation),
        cmocka_unit_test(the_picture_is_xml_that_needs_nothing_outside_itself),
        cmocka_unit_test(shifted_recipes_stand_apart_after_the_others),
        cmocka_unit_test(nothing_lies_outside_the_picture),
        cmocka_unit_test(a_mark_beyond_the_axis_stands_at_its_end_with_an_arrow),
        cmocka_unit_test(an_axis_ends_at_a_round_number_that_holds_all),
        cmocka_unit_test(names_from_archives_do_no_harm),
        cmocka_unit_test(nothing_evaluated_is_said_and_an_empty_list),
        cmocka_unit_test(rows_that_say_the_same_are_not_repeated),
        cmocka_unit_test(what_was_not_judged_is_not_counted),
        cmocka_unit_test(numbers_that_do_not_exist_reach_nobody),
        cmocka_unit_test(sixty_four_sizes_fit),
        cmocka_unit_test(the_same_evaluation_gives_the_same_bytes),
        cmocka_unit_test(chance_is_what_blind_answers_reach),
        cmocka_unit_test(lack_of_memory_shows_in_the_buffer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
