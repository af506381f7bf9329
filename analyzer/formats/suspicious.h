/* suspicious.h - text in names and metadata that has no business in a weight file.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef LORAUDIT_SUSPICIOUS_H
#define LORAUDIT_SUSPICIOUS_H

#include "analyzer/formats/catalog.h"
#include "analyzer/formats/observation.h"

/* suspicious_text - what is suspicious about s: "a script tag", "a private key", …; NULL when nothing is. Static.
 * Cost: O(n), at most the first MiB of s. */
const char *suspicious_text(const char *s, size_t n);

/* suspicious_name - the same for the name of a tensor or of an archive's member, where less is harmless: control
 * characters, paths that climb, markup. */
const char *suspicious_name(const char *s, size_t n);

/* suspicious_address - the first web address in s that is not of a place where models, papers or code are kept, or NULL;
 * *length: of its host. */
const char *suspicious_address(const char *s, size_t n, size_t *length);

/* suspicious_catalog - note each metadata value and tensor name that is suspicious, as SEEN_TEXT with the key or name; addresses
 * in values as SEEN_ADDRESS. */
void suspicious_catalog(const catalog *cat, observations *seen);

#endif
