/* expected.h - records held against the numbers of an expected.json (schema loraudit.expected/1), which PEFT, loralib and
 * numpy computed in float64.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef TEST_EXPECTED_H
#define TEST_EXPECTED_H

#include "analyzer/loraudit.h"

#include <cJSON.h>

/* A σ may be off by this much of σ₁: far above the rounding of either side, far below any mistake of formula or scale. */
#define EXPECTED_SIGMA 1e-9

/* expected_read - the tree of the JSON file at path, to be deleted by the caller; a file that cannot be read fails the test. */
cJSON *expected_read(const char *path);

/* expected_text - the text of a member; a member that is missing, or no text, fails the test. */
const char *expected_text(const cJSON *object, const char *key);

/* expected_compare - container, layout, method and every module of r against one entry of samples[]: size, scale, norm and
 * every σ of ΔW, listed or not. Modules are found by the end of their name, or, where the entry says that names are no
 * contract ("matched": "numbers"), by size and norm. A method without modules must give none, and no error.
 * Out:    *worst grows to the largest deviation of a σ, relative to σ₁
 * Return: how many disagreements were printed */
size_t expected_compare(const lora_record *r, const cJSON *sample, double *worst);

#endif
