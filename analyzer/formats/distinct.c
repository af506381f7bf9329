/* distinct.c - see distinct.h. An open table, at most half full; whoever picks hashes that collide gets false, not slow.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "analyzer/formats/distinct.h"

#include <stdlib.h>
#include <string.h>

enum { PROBES = 64, MOST = 1 << 20 };

bool distinct_hashes(const void *base, size_t n, size_t stride, bool *distinct)
{
    *distinct = false;
    if (n > MOST)
        return true;
    size_t room = 16;
    while (room < 2 * n)
        room *= 2;
    uint64_t *table = calloc(room, sizeof *table);
    if (!table)
        return false;
    *distinct = true;
    for (size_t i = 0; i < n && *distinct; i++) {
        uint64_t hash;
        memcpy(&hash, (const unsigned char *)base + i * stride, sizeof hash);
        hash += !hash; /* 0 is an empty place */
        size_t at = (size_t)(hash ^ hash >> 32) & (room - 1), probes = 0;
        while (table[at] && table[at] != hash && probes < PROBES) {
            at = (at + 1) & (room - 1);
            probes++;
        }
        *distinct = !table[at];
        table[at] = hash;
    }
    free(table);
    return true;
}
