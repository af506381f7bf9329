/* text_same.c - see text_same.h.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/support/text_same.h"

#include "tests/support/fixture.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char *text_read(const char *path)
{
    FILE *f = fopen(path, "rb");
    long n = f && fseek(f, 0, SEEK_END) == 0 ? ftell(f) : -1;
    char *text = n >= 0 ? malloc((size_t)n + 1) : NULL;
    if (text)
        rewind(f);
    if (!text || fread(text, 1, (size_t)n, f) != (size_t)n) {
        fprintf(stderr, "text_read: %s cannot be read\n", path);
        abort();
    }
    text[n] = '\0';
    fclose(f);
    return text;
}

static void show_difference(const char *wanted, const char *seen)
{
    fixture folder;
    char command[200];
    fixture_open(&folder);
    fixture_text(&folder, "wanted", wanted);
    fixture_text(&folder, "seen", seen);
    fflush(stdout);
    snprintf(command, sizeof command, "cd '%s' && diff -U1 wanted seen | cut -c 1-200 | head -n 60", folder.folder);
    if (system(command) != 0)
        printf("no diff to show what differs\n");
    fixture_close(&folder);
}

bool text_same(const char *wanted, const char *seen)
{
    bool same = strcmp(wanted, seen) == 0;
    if (!same)
        show_difference(wanted, seen);
    return same;
}

static bool nearly(double x, double y)
{
    return fabs(x - y) <= 1 + 0.05 * fmax(fabs(x), fabs(y));
}

bool text_alike(const char *wanted, const char *seen)
{
    const char *w = wanted, *s = seen;
    bool alike = true;
    while (alike && (*w || *s)) {
        bool gap = isspace((unsigned char)*w) && isspace((unsigned char)*s), numbers = isdigit((unsigned char)*w) && isdigit((unsigned char)*s);
        char *end_w, *end_s;
        if (gap) {
            w += strspn(w, " \n");
            s += strspn(s, " \n");
        } else if (numbers) {
            alike = nearly(strtod(w, &end_w), strtod(s, &end_s));
            w = end_w;
            s = end_s;
        } else {
            alike = *w++ == *s++;
        }
    }
    if (!alike)
        show_difference(wanted, seen);
    return alike;
}
