/* output.c - see output.h.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "analyzer/cli/output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

static void fail(output *out, const char *what)
{
    if (!out->failed)
        fprintf(stderr, "loraudit: cannot %s %s: %s\n", what, out->path ? out->path : "stdout", strerror(errno));
    out->failed = true;
}

bool output_open(output *out, const char *path)
{
    *out = (output){.fd = STDOUT_FILENO, .path = path};
    if (!path)
        return true;
    struct stat st;
    bool in_place = stat(path, &st) == 0 && !S_ISREG(st.st_mode); /* a pipe or a device cannot be replaced */
    if (!in_place) {
        size_t size = strlen(path) + 32;
        out->temporary = malloc(size);
        if (!out->temporary) {
            fail(out, "open");
            return false;
        }
        snprintf(out->temporary, size, "%s.tmp.%ld", path, (long)getpid());
    }
    out->fd = open(in_place ? path : out->temporary, O_WRONLY | O_CLOEXEC | (in_place ? 0 : O_CREAT | O_EXCL | O_NOFOLLOW), 0666);
    if (out->fd < 0) {
        fail(out, "open");
        free(out->temporary);
        return false;
    }
    return true;
}

void output_write(output *out, strbuf *text)
{
    if (text->failed) {
        errno = ENOMEM;
        fail(out, "write to");
    }
    for (size_t at = 0; at < text->length && !out->failed;) {
        ssize_t n = write(out->fd, text->data + at, text->length - at);
        if (n < 0 && errno != EINTR)
            fail(out, "write to");
        else if (n > 0)
            at += (size_t)n;
    }
    strbuf_clear(text);
}

bool output_close(output *out, bool keep)
{
    if (!out->path)
        return !out->failed;
    if (out->temporary && keep && !out->failed && fsync(out->fd) != 0)
        fail(out, "write to");
    if (close(out->fd) != 0)
        fail(out, "write to");
    if (out->temporary && keep && !out->failed && rename(out->temporary, out->path) != 0)
        fail(out, "replace");
    if (out->temporary && (!keep || out->failed))
        unlink(out->temporary);
    free(out->temporary);
    return !out->failed;
}

report_context output_context(const output *out, const cli_options *o)
{
    bool terminal = isatty(out->fd) == 1;
    const char *no_colour = getenv("NO_COLOR");
    report_context ctx = {.modules = o->modules, .columns = 80, .folder = ""};
    ctx.colour = o->colour == COLOUR_ALWAYS || (o->colour == COLOUR_AUTO && terminal && !(no_colour && *no_colour));
    struct winsize size;
    if (terminal && ioctl(out->fd, TIOCGWINSZ, &size) == 0 && size.ws_col >= 80)
        ctx.columns = size.ws_col;
    return ctx;
}
