/* alloc_fault.h - allocations that fail on command, to walk a function through every one of its failures.
 *
 *     for (long k = 0;; k++) {
 *         alloc_fault_after(k, ALLOC_FAULT_STICKY);
 *         …call…
 *         if (!alloc_fault_end()) break;    no allocation was refused: the call got all it wanted
 *         …check the error and that nothing leaked…
 *     }
 *
 * The test source asks for the wrapped functions: a line LDFLAGS with -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc.
 * Only calls from this project's objects are wrapped, not those inside shared libraries.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef TEST_ALLOC_FAULT_H
#define TEST_ALLOC_FAULT_H

#include <stdbool.h>

typedef enum { ALLOC_FAULT_STICKY, ALLOC_FAULT_ONCE } alloc_fault_kind;

/* k more allocations succeed; then one fails, or it and all after it. */
void alloc_fault_after(long k, alloc_fault_kind kind);

/* No more failures; true when any allocation was refused since alloc_fault_after. */
bool alloc_fault_end(void);

#endif
