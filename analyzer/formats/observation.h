/* observation.h - facts about a container that are no tensors: what an attack, or a careless writer, leaves behind.
 *
 * Readers note what they saw and go on where they can; the audit turns notes into findings. Notes outlive a reader's
 * error: what was seen before a stream broke is reported all the same.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef LORAUDIT_OBSERVATION_H
#define LORAUDIT_OBSERVATION_H

#include "analyzer/base/arena.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* X(symbol, rule id) */
#define OBSERVATION_KINDS(X)                                                                                           \
    X(SEEN_FORBIDDEN_GLOBAL, "pickle-forbidden-global") /* subject: "os.system" */                                     \
    X(SEEN_PICKLE_ANOMALY, "pickle-anomaly")            /* broken or several streams, opcodes torch never writes */    \
    X(SEEN_ARCHIVE_CONFLICT, "archive-conflict")        /* directory and local headers disagree; members overlap */    \
    X(SEEN_ARCHIVE_HIDDEN, "archive-hidden-data")       /* bytes outside every listed member; a second archive */      \
    X(SEEN_ARCHIVE_TRAVERSAL, "archive-traversal-name") /* subject: the member's name */                               \
    X(SEEN_ARCHIVE_ENCRYPTED, "archive-encrypted-flag") /* subject: the member's name */                               \
    X(SEEN_ARCHIVE_STRAY, "archive-stray-member")       /* a member that no checkpoint of this kind has */             \
    X(SEEN_CHECKSUM, "checksum-mismatch")               /* a member's CRC-32 is not that of its bytes */               \
    X(SEEN_SHARED_STORAGE, "shared-storage")            /* tensors that overlap in one storage */                      \
    X(SEEN_TEXT, "suspicious-metadata")                 /* script, credentials, paths in names or metadata */          \
    X(SEEN_ADDRESS, "suspicious-metadata")              /* a web address, not of a place where models are kept */

typedef enum {
#define X(symbol, rule) symbol,
    OBSERVATION_KINDS(X)
#undef X
        SEEN_COUNT
} observation_kind;

/* observation_rule - the id of the rule that speaks of such notes. */
const char *observation_rule(observation_kind kind);

typedef struct {
    observation_kind kind;
    uint64_t offset;     /* in the file */
    const char *subject; /* untrusted text, or NULL */
    const char *text;    /* one line; whatever of it is untrusted has passed text_label */
} observation;

/* Begin with {.mem = …}. */
typedef struct {
    arena *mem;
    observation *list;
    size_t n, capacity;
    size_t n_dropped; /* beyond LIMIT_OBSERVATIONS */
    bool closed;      /* full of forbidden globals: nothing can take a place any more */
    bool no_memory;   /* a note is missing: whoever owns the list must fail */
} observations;

/* observe - note a fact. The same kind with the same subject is noted once (subject NULL: kind and text); a forbidden
 * global is kept even when the list is full of other kinds. Texts are copied. */
void observe(observations *seen, observation_kind kind, uint64_t offset, const char *subject, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));

#endif
