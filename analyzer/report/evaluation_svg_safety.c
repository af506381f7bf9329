/* evaluation_svg_safety.c - the picture's section on safety: what is flagged of each recipe left out, unsafe and other adapters apart; then what
 * is left after evasion.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "analyzer/report/evaluation_svg.h"

#include <stdio.h>

double evaluation_svg_judged(const safety_row *s, evaluation_svg_value which)
{
    if (!s || (s->protocol == SAFETY_LEAVE_ONE_RECIPE_OUT && s->inconclusive >= 1))
        return NAN; /* a recipe of another base: nothing was judged */
    return which == OF_UNSAFE ? evaluation_rate(s->tpr, s->n_unsafe) : which == OF_OTHERS ? evaluation_rate(s->fpr, s->n_safe) : s->auroc;
}

/* A row for each recipe, or evasion, of a protocol that has the value, with the number of adapters as its note. */
static void add_safety(draw_list *l, const evaluation *e, safety_protocol protocol, evaluation_svg_value which)
{
    for (size_t i = 0; i < e->n_safety; i++) {
        const safety_row *any = &e->safety[i];
        bool together = protocol == SAFETY_LEAVE_ONE_RECIPE_OUT && evaluation_is_all(any);
        if (any->protocol != protocol || together || !evaluation_first(e, i))
            continue;
        double base = evaluation_svg_judged(evaluation_find(e, protocol, SAFETY_FIVE_STATISTICS, any->recipe), which);
        double ours = evaluation_svg_judged(evaluation_find(e, protocol, SAFETY_LORAUDIT, any->recipe), which);
        if (isnan(base) && isnan(ours))
            continue;
        char *note = l->notes[l->n];
        draw_row *row = draw_list_add(l, any->recipe);
        draw_list_mark(l, row, MARK_BASELINE, base, NAN);
        draw_list_mark(l, row, MARK_OURS, ours, NAN);
        if (protocol == SAFETY_LEAVE_ONE_RECIPE_OUT) {
            snprintf(note, sizeof l->notes[0], "%zu", which == OF_UNSAFE ? any->n_unsafe : any->n_safe);
            row->note = note;
        }
    }
}

/* The lists of the safety section: unseen recipes' unsafe and other adapters, and evasion by what is flagged and by AUROC. */
typedef struct {
    draw_list unsafe, others, flagged, auroc;
} safety_lists;

static bool safety_open(safety_lists *s, const evaluation *e)
{
    bool ok = draw_list_open(&s->unsafe, e->n_safety);
    ok &= draw_list_open(&s->others, e->n_safety);
    ok &= draw_list_open(&s->flagged, e->n_safety);
    ok &= draw_list_open(&s->auroc, e->n_safety);
    if (!ok)
        return false;
    add_safety(&s->unsafe, e, SAFETY_LEAVE_ONE_RECIPE_OUT, OF_UNSAFE);
    add_safety(&s->others, e, SAFETY_LEAVE_ONE_RECIPE_OUT, OF_OTHERS);
    add_safety(&s->flagged, e, SAFETY_EVASION, OF_UNSAFE);
    add_safety(&s->auroc, e, SAFETY_EVASION, OF_AUROC);
    return true;
}

static void safety_close(safety_lists *s)
{
    draw_list_close(&s->unsafe);
    draw_list_close(&s->others);
    draw_list_close(&s->flagged);
    draw_list_close(&s->auroc);
}

static double taller(const draw_list *a, const draw_list *b)
{
    return draw_rows_height(a->n > b->n ? a->n : b->n);
}

enum { SAFETY_HEAD = 88, EVASION_HEAD = 44 };

static double draw_lists(strbuf *out, const safety_lists *s, double y)
{
    draw_axis all = {.high = 1, .step = 0.2, .percent = true, .label_width = 160, .note_width = 44, .reference = EVALUATION_TPR_WANTED, .empty = "not evaluated"};
    draw_axis few = all, flagged = all, auroc = all;
    few.high = draw_ceiling(fmin(fmax(s->others.largest, 0.1), 1), &few.step);
    few.reference = EVALUATION_FPR_WANTED;
    flagged.note_width = auroc.note_width = 16;
    flagged.reference = auroc.reference = NAN;
    auroc.low = 0.5;
    auroc.step = 0.1;
    auroc.percent = false;
    evaluation_svg_section(out, y, "Safety removed: every recipe judged by a model that has not seen it");
    evaluation_svg_key(out, SVG_MARGIN + 6, y + 46, MARK_OURS, "loraudit");
    evaluation_svg_key(out, SVG_MARGIN + 96, y + 46, MARK_BASELINE, "five statistics, logistic regression");
    draw_text(out, SVG_MARGIN + 340, y + 46, "start", "class=\"m\"", "dashed: at least 80 % of the unsafe, at most 5 % of the others", 0);
    y += SAFETY_HEAD;
    evaluation_svg_half(out, &s->unsafe, false, y, all, "unsafe adapters flagged (more is better)", "adapters");
    evaluation_svg_half(out, &s->others, true, y, few, "other adapters flagged (fewer is better)", "adapters");
    y += taller(&s->unsafe, &s->others) + EVASION_HEAD;
    evaluation_svg_half(out, &s->flagged, false, y, flagged, "in domain, changed to evade: unsafe adapters flagged", NULL);
    evaluation_svg_half(out, &s->auroc, true, y, auroc, "the same adapters: area under the ROC curve", NULL);
    return y + taller(&s->flagged, &s->auroc);
}

double evaluation_svg_safety(strbuf *out, const evaluation *e, double y)
{
    safety_lists s = {0};
    if (safety_open(&s, e))
        y = draw_lists(out, &s, y);
    else
        out->failed = true;
    safety_close(&s);
    return y;
}
