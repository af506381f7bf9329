/* walk.c - see walk.h.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "analyzer/cli/walk.h"

#include "analyzer/formats/detect.h"

#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

enum { MAX_DEPTH = 128 };

static lora_code no_memory(lora_error *err)
{
    return lora_fail(err, LORA_E_MEMORY, "no memory for the list of files");
}

static bool matches_any(const text_list *globs, const char *path)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    for (size_t i = 0; i < globs->n; i++)
        if (fnmatch(globs->items[i], name, 0) == 0 || fnmatch(globs->items[i], path, 0) == 0)
            return true;
    return false;
}

static bool is_wanted(const walk *w, const char *path)
{
    return !matches_any(w->exclude, path) && (w->include->n == 0 || matches_any(w->include, path));
}

static lora_code take(walk *w, const char *path, lora_error *err)
{
    if (w->n == w->capacity) {
        size_t capacity = w->capacity ? 2 * w->capacity : 64;
        const char **grown = arena_alloc(w->mem, capacity, sizeof *grown);
        if (!grown)
            return no_memory(err);
        if (w->n)
            memcpy(grown, w->paths, w->n * sizeof *grown);
        w->paths = grown;
        w->capacity = capacity;
    }
    char *copy = arena_strdup(w->mem, path);
    if (!copy)
        return no_memory(err);
    w->paths[w->n++] = copy;
    return LORA_OK;
}

static bool has_weight_name(const char *path)
{
    static const char *const endings[] = {".safetensors", ".bin",  ".pt",   ".pth", ".ckpt",
                                          ".npz",         ".gguf", ".hdf5", ".h5", ".npy", ".pkl", ".pickle"};
    size_t n = strlen(path);
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        size_t m = strlen(endings[i]);
        if (n > m && strcasecmp(path + n - m, endings[i]) == 0)
            return true;
    }
    return false;
}

/* Is this file to be audited for what it holds? A pickle or an archive is no weight container by itself and may hide one;
 * a file that cannot be read is not known to be harmless. */
static bool has_weight_content(const char *path)
{
    file f;
    content_kind kind = CONTENT_UNKNOWN;
    bool taken = true;
    if (file_open(path, &f, NULL) == LORA_OK && detect_content(&f, &kind, NULL) == LORA_OK)
        taken = content_container(kind) || kind == CONTENT_PICKLE || kind == CONTENT_ZIP;
    file_close(&f);
    return taken;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The names in the folder, sorted, in malloc'd memory; NULL with errno set. */
static char **read_names(const char *path, size_t *n)
{
    char **names = NULL;
    size_t capacity = 0;
    *n = 0;
    DIR *dir = opendir(path);
    if (!dir)
        return NULL;
    struct dirent *entry;
    bool ok = true;
    while (ok && (entry = readdir(dir))) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (*n == capacity) {
            capacity = capacity ? 2 * capacity : 64;
            char **grown = realloc(names, capacity * sizeof *grown);
            ok = grown != NULL;
            if (ok)
                names = grown;
        }
        ok = ok && (names[*n] = strdup(entry->d_name)) != NULL;
        *n += ok;
    }
    closedir(dir);
    if (!names && ok)
        names = malloc(sizeof *names);
    if (!ok || !names) {
        for (size_t i = 0; i < *n; i++)
            free(names[i]);
        free(names);
        errno = ENOMEM;
        return NULL;
    }
    qsort(names, *n, sizeof *names, by_name);
    return names;
}

static lora_code walk_folder(walk *w, const char *folder, unsigned depth, lora_error *err);

/* One entry of a walked folder. */
static lora_code walk_entry(walk *w, const char *path, unsigned depth, lora_error *err)
{
    struct stat st;
    if (lstat(path, &st) != 0)
        return take(w, path, err); /* vanished: the audit says so */
    bool link = S_ISLNK(st.st_mode);
    if (link && stat(path, &st) != 0)
        return has_weight_name(path) && is_wanted(w, path) ? take(w, path, err) : LORA_OK;
    if (S_ISDIR(st.st_mode)) {
        const char *slash = strrchr(path, '/');
        if (link || strcmp(slash ? slash + 1 : path, ".git") == 0 || matches_any(w->exclude, path)) {
            w->n_passed_over++;
            return LORA_OK;
        }
        return walk_folder(w, path, depth + 1, err);
    }
    if (!is_wanted(w, path) || (!has_weight_name(path) && (!S_ISREG(st.st_mode) || !has_weight_content(path)))) {
        w->n_passed_over++;
        return LORA_OK;
    }
    return take(w, path, err);
}

static lora_code walk_folder(walk *w, const char *folder, unsigned depth, lora_error *err)
{
    size_t n = 0;
    char **names = depth < MAX_DEPTH ? read_names(folder, &n) : NULL;
    if (!names)
        return depth < MAX_DEPTH && errno == ENOMEM ? no_memory(err) : take(w, folder, err);
    lora_code code = LORA_OK;
    size_t length = strlen(folder);
    bool slash = length > 0 && folder[length - 1] == '/';
    for (size_t i = 0; i < n; i++) {
        if (code == LORA_OK) {
            strbuf path = {0};
            strbuf_printf(&path, "%s%s%s", folder, slash ? "" : "/", names[i]);
            code = path.failed ? no_memory(err) : walk_entry(w, path.data, depth, err);
            strbuf_free(&path);
        }
        free(names[i]);
    }
    free(names);
    return code;
}

lora_code walk_add(walk *w, const char *path, lora_error *err)
{
    struct stat st;
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
        return walk_folder(w, path, 0, err);
    if (!is_wanted(w, path)) {
        w->n_passed_over++;
        return LORA_OK;
    }
    return take(w, path, err);
}

const char *walk_common_folder(const walk *w)
{
    if (w->n < 2)
        return "";
    size_t n = strlen(w->paths[0]);
    for (size_t i = 1; i < w->n; i++) {
        size_t same = 0;
        while (same < n && w->paths[i][same] == w->paths[0][same])
            same++;
        n = same;
    }
    while (n > 0 && w->paths[0][n - 1] != '/')
        n--;
    return arena_strndup(w->mem, w->paths[0], n);
}

enum { MAX_LIST_PATH = 65536 };

/* The next path of the list into line, NUL-terminated; *end at its end. */
static lora_code read_path(FILE *list, const char *name, bool null_separated, char *line, bool *end, lora_error *err)
{
    size_t n = 0;
    int c;
    errno = 0;
    while ((c = getc(list)) != EOF && c != (null_separated ? '\0' : '\n')) {
        if (c == '\0')
            return lora_fail(err, LORA_E_USAGE, "the list %s holds a NUL: is it one for --null?", name);
        if (n == MAX_LIST_PATH - 1)
            return lora_fail(err, LORA_E_USAGE, "the list %s holds a path of more than %d bytes", name, MAX_LIST_PATH - 1);
        line[n++] = (char)c;
    }
    if (!null_separated && n > 0 && line[n - 1] == '\r') /* written on another system */
        n--;
    line[n] = '\0';
    *end = c == EOF;
    return ferror(list) ? lora_fail_sys(err, LORA_E_READ, errno, "cannot read the list %s", name) : LORA_OK;
}

lora_code walk_add_list(walk *w, const char *name, bool null_separated, lora_error *err)
{
    FILE *list = strcmp(name, "-") == 0 ? stdin : fopen(name, "r");
    if (!list)
        return lora_fail_sys(err, LORA_E_OPEN, errno, "cannot open the list %s", name);
    char *line = malloc(MAX_LIST_PATH);
    lora_code code = line ? LORA_OK : no_memory(err);
    for (bool end = false; code == LORA_OK && !end;) {
        code = read_path(list, name, null_separated, line, &end, err);
        if (code == LORA_OK && *line)
            code = walk_add(w, line, err);
    }
    free(line);
    if (list != stdin)
        fclose(list);
    return code;
}
