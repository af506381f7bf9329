/* zip_writer.h - zip archives made in memory, honest or not.
 *
 *     zip_writer w = {0};
 *     zip_writer_add(&w, "archive/version", "3\n", 2);
 *     zip_writer_member(&w, &(zip_made){.name = "archive/data.pkl", .data = p, .n = n, .torch = true});
 *     zip_writer_end(&w, NULL);
 *     file f = file_of_memory(w.bytes, w.n);
 *     …
 *     zip_writer_free(&w);
 *
 * Everything false is said as a difference, so that all zero is the honest archive. A lack of memory aborts.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef TEST_ZIP_WRITER_H
#define TEST_ZIP_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
    unsigned char *bytes; /* of the archive so far */
    size_t n;
    unsigned char *directory;
    size_t directory_bytes, n_members;
    size_t base; /* subtracted from every offset: bytes in front of which the archive does not know */
} zip_writer;

typedef struct {
    const char *name;
    size_t name_bytes; /* 0: strlen(name) */
    const void *data;
    size_t n;
    bool deflate;
    bool torch;      /* bit 3, zeros in the local header, data aligned to 64 by an extra field, a descriptor behind */
    bool descriptor; /* the same without the alignment */
    bool bare;       /* the descriptor has no mark */
    bool wide;       /* sizes in zip64 fields, in the descriptor 8 bytes each */
    const char *local_name; /* NULL: name */
    const void *extra;      /* in the directory, behind what wide needs */
    size_t extra_bytes;
    uint16_t flags, local_flags;   /* set in addition */
    uint16_t method, local_method; /* exclusive or: 9 makes 9 of stored */
    uint32_t crc, local_crc;       /* exclusive or */
    uint32_t descriptor_crc;       /* exclusive or */
    int64_t bytes, stored, offset; /* added in the directory */
    int64_t local_bytes;           /* added in the local header */
} zip_made;

typedef struct {
    const char *comment;
    size_t comment_bytes;
    bool zip64;                   /* with record and locator */
    bool large;                   /* all ones in the end record, so that only zip64 tells */
    int64_t count, bytes, offset; /* added to what the end record says */
    int64_t record;               /* added to what the locator says */
    size_t record_apart;          /* zeros between the zip64 record and its locator */
    uint16_t disk;
    size_t apart; /* zeros between the directory and the end records */
} zip_ending;

void zip_writer_bytes(zip_writer *w, const void *bytes, size_t n); /* that belong to nobody */
void zip_writer_add(zip_writer *w, const char *name, const void *data, size_t n); /* stored */
void zip_writer_member(zip_writer *w, const zip_made *m);
void zip_writer_end(zip_writer *w, const zip_ending *e); /* NULL: nothing special */
void zip_writer_free(zip_writer *w);                     /* leaves {0} */

#endif
