/* text_same.h - long texts compared, with what differs shown as diff shows it.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef TEST_TEXT_SAME_H
#define TEST_TEXT_SAME_H

#include <stdbool.h>

/* text_read - the whole file at path, to be freed by the caller; one that cannot be read aborts. */
char *text_read(const char *path);

/* text_same - are they equal? What differs is printed: "-" lines of what was wanted, "+" lines of what was seen. */
bool text_same(const char *wanted, const char *seen);

/* text_alike - are they equal but for spaces, and for numbers that differ by no more than 1 and 5 %? What other processors and libraries
 * round differently may show in a number here and there. Prints as text_same does. */
bool text_alike(const char *wanted, const char *seen);

#endif
