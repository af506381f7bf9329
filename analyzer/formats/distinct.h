/* distinct.h - a quick answer to "does any of these names come twice?", which is nearly always no.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef LORAUDIT_DISTINCT_H
#define LORAUDIT_DISTINCT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* distinct_hashes - In: base, the first of n hashes; the others stride bytes apart. Out: *distinct, true: they differ from each
 * other; false: two are equal, or too many fall together to tell in O(n), and the caller looks closer, by sorting.
 * false: no memory. */
bool distinct_hashes(const void *base, size_t n, size_t stride, bool *distinct);

#endif
