/* bank_shelf.c - see bank_shelf.h.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/support/bank_shelf.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static lora_code load(void *ctx, classifier_bank *out, lora_error *err)
{
    bank_shelf *s = ctx;
    s->loads++;
    if (s->refuses != LORA_OK)
        return lora_fail(err, s->refuses, "this bank cannot be read");
    bool ok = true;
    for (size_t i = 0; i < s->bank->n_texts && ok; i++)
        ok = bank_put_text(out, s->bank->texts[i].name, s->bank->texts[i].value) == CLASSIFIER_OK;
    for (size_t i = 0; i < s->bank->n_tables && ok; i++) {
        const bank_table *t = &s->bank->tables[i];
        if (!s->without || strcmp(t->name, s->without) != 0)
            ok = bank_put(out, t->name, t->rows, t->columns, t->values, t->kept) == CLASSIFIER_OK;
    }
    return ok ? LORA_OK : lora_fail(err, LORA_E_MEMORY, "no memory for a bank");
}

judge_bank shelf_head(bank_shelf *s, const char *name)
{
    return (judge_bank){.name = name, .task = bank_get_text(s->bank, "task", NULL), .recipe = bank_get_text(s->bank, "recipe", NULL),
                        .frame = bank_get_text(s->bank, "frame", NULL), .load = load, .ctx = s};
}

lora_judge *shelf_judge(const judge_bank *banks, size_t n)
{
    lora_judge *judge = NULL;
    if (judge_create(banks, n, &judge, NULL) != LORA_OK)
        abort();
    return judge;
}
