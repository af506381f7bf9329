/* walk.h - from the paths on the command line to the weight files to audit, in order.
 *
 * A file is taken as given. A folder is walked, names sorted bytewise; in it, weight files are those whose content is a
 * weight container, and those whose name claims it (.safetensors, .bin, .pt …) whatever they hold: a broken file must
 * not pass as something else. Links to files are followed, links to folders are not, so there are no loops; .git is left
 * out.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef LORAUDIT_WALK_H
#define LORAUDIT_WALK_H

#include "analyzer/base/arena.h"
#include "analyzer/base/error.h"
#include "analyzer/cli/options.h"

typedef struct {
    arena *mem;
    const char **paths; /* in mem */
    size_t n, capacity;
    size_t n_passed_over; /* files in walked folders that are no weight files */
    const text_list *include, *exclude;
} walk;

/* walk_add - take path, and all below it when it is a folder. A path that cannot be looked at is taken too: its audit
 * will say why. Errs: LORA_E_MEMORY. */
lora_code walk_add(walk *w, const char *path, lora_error *err);

/* walk_common_folder - the folder, with its '/', below which all paths lie when there are several; "" when there is none.
 * In w->mem; NULL without memory. */
const char *walk_common_folder(const walk *w);

/* walk_add_list - every path in the file called name ("-": stdin), one a line, or NUL-terminated.
 * Errs: LORA_E_OPEN and its kind, LORA_E_READ, LORA_E_MEMORY. */
lora_code walk_add_list(walk *w, const char *name, bool null_separated, lora_error *err);

#endif
