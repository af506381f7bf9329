/* auditing.h - an auditor and a folder for a group of tests, and what they ask of records.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef TEST_AUDITING_H
#define TEST_AUDITING_H

#include "analyzer/loraudit.h"
#include "tests/support/fixture.h"

/* Group set-up and tear-down for cmocka: two workers, all rules, an empty folder. */
int auditing_set_up(void **state);
int auditing_tear_down(void **state);
const fixture *auditing_folder(void);

/* audit_path - the record of the file at path; a lack of memory aborts. */
lora_record *audit_path(const char *path);

/* audit_with - the record of the file at path, with options of its own: one worker, trust in HDF5, and all rules
 * where `more` names none. It needs no set-up; whatever goes wrong aborts. */
lora_record *audit_with(const lora_options *more, const char *path);

/* find_rule - the first finding of the rule, or NULL. */
const finding *find_rule(const lora_record *r, const char *rule);

#endif
