/* file.c - opening a stranger's path without being caught by what lies there.
 *
 * A path is looked at before it is opened, since opening some devices already acts on them; O_NONBLOCK keeps a FIFO that
 * took the file's place in between from blocking, and the second look through the descriptor is the one that counts.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "analyzer/base/file.h"

#include "analyzer/base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LABEL_BYTES = 160 };
#define LARGEST_READ ((size_t)1 << 30) /* below what every kernel takes in one call */

static const char *kind_of(mode_t mode)
{
    return S_ISDIR(mode)    ? "a directory"
           : S_ISFIFO(mode) ? "a named pipe"
           : S_ISSOCK(mode) ? "a socket"
           : S_ISCHR(mode)  ? "a character device"
           : S_ISBLK(mode)  ? "a block device"
                            : "something else";
}

static lora_code not_regular(const char *label, mode_t mode, lora_error *err)
{
    return lora_fail(err, LORA_E_NOT_REGULAR, "%s is %s, not a regular file", label, kind_of(mode));
}

lora_code file_open(const char *path, file *f, lora_error *err)
{
    *f = (file){.fd = -1};
    char label[LABEL_BYTES];
    text_label(label, sizeof label, path, strlen(path));

    struct stat st;
    if (stat(path, &st) != 0)
        return lora_fail_sys(err, LORA_E_OPEN, errno, "cannot open %s", label);
    if (S_ISDIR(st.st_mode) && access(path, R_OK | X_OK) != 0) /* why it could not be walked */
        return lora_fail_sys(err, LORA_E_OPEN, errno, "cannot open the folder %s", label);
    if (!S_ISREG(st.st_mode))
        return not_regular(label, st.st_mode, err);

    int fd;
    do
        fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    while (fd < 0 && errno == EINTR);
    if (fd < 0)
        return lora_fail_sys(err, LORA_E_OPEN, errno, "cannot open %s", label);

    lora_code code = LORA_OK;
    if (fstat(fd, &st) != 0)
        code = lora_fail_sys(err, LORA_E_OPEN, errno, "cannot examine %s", label);
    else if (!S_ISREG(st.st_mode))
        code = not_regular(label, st.st_mode, err);
    if (code) {
        close(fd);
        return code;
    }
    f->fd = fd;
    f->size = (uint64_t)st.st_size;
    return LORA_OK;
}

void file_close(file *f)
{
    if (f->fd >= 0)
        close(f->fd);
    *f = (file){.fd = -1};
}

static lora_code shrunk(uint64_t at, size_t missing, lora_error *err)
{
    return lora_fail_at(err, LORA_E_SHRUNK, at, "the file ends at byte %" PRIu64 ", %zu more bytes were expected", at,
                        missing);
}

lora_code file_read_at(const file *f, uint64_t offset, void *dst, size_t n, lora_error *err)
{
    if (offset > (uint64_t)INT64_MAX - n)
        return shrunk(offset, n, err);
    if (f->memory) {
        if (offset > f->size || n > f->size - offset)
            return shrunk(f->size, n, err);
        if (n)
            memcpy(dst, f->memory + offset, n);
        return LORA_OK;
    }
    unsigned char *to = dst;
    size_t done = 0;
    while (done < n) {
        size_t piece = n - done < LARGEST_READ ? n - done : LARGEST_READ;
        ssize_t got = pread(f->fd, to + done, piece, (off_t)(offset + done));
        if (got > 0) {
            done += (size_t)got;
        } else if (got == 0) {
            return shrunk(offset + done, n - done, err);
        } else if (errno != EINTR) {
            bool first = err && err->code == LORA_OK;
            lora_code code = lora_fail_sys(err, LORA_E_READ, errno, "cannot read at byte %" PRIu64, offset + done);
            if (first) {
                err->has_offset = true;
                err->offset = offset + done;
            }
            return code;
        }
    }
    return LORA_OK;
}
