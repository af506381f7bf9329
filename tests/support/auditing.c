/* auditing.c - see auditing.h.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/support/auditing.h"

#include <stdlib.h>
#include <string.h>

static lora_auditor *auditor;
static fixture folder;

int auditing_set_up(void **state)
{
    (void)state;
    lora_options options = {.jobs = 2, .rules = RULE_SET_ALL};
    fixture_open(&folder);
    return lora_auditor_create(&options, &auditor, NULL) != LORA_OK;
}

int auditing_tear_down(void **state)
{
    (void)state;
    lora_auditor_destroy(auditor);
    fixture_close(&folder);
    return 0;
}

const fixture *auditing_folder(void)
{
    return &folder;
}

lora_record *audit_path(const char *path)
{
    lora_record *r = NULL;
    if (lora_audit_file(auditor, 0, path, &r, NULL) != LORA_OK)
        abort();
    return r;
}

lora_record *audit_with(const lora_options *more, const char *path)
{
    lora_options options = *more;
    lora_auditor *own = NULL;
    lora_record *r = NULL;
    options.jobs = 1;
    options.rules = more->rules ? more->rules : RULE_SET_ALL;
    options.trust_hdf5 = true;
    if (lora_auditor_create(&options, &own, NULL) != LORA_OK || lora_audit_file(own, 0, path, &r, NULL) != LORA_OK)
        abort();
    lora_auditor_destroy(own);
    return r;
}

const finding *find_rule(const lora_record *r, const char *rule)
{
    for (size_t i = 0; i < r->n_findings; i++)
        if (strcmp(r->findings[i].rule, rule) == 0)
            return &r->findings[i];
    return NULL;
}
