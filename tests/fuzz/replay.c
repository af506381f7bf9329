/* replay - run a harness over every file of a folder, without libFuzzer: the corpus as a test.
 *   replay_HARNESS FOLDER
 * Each input is run whole; cut short at 128 places; and whole with one allocation refused, and all from one on, at every
 * place until none is left to refuse (at most 64). Prints the number of files; a check that fails aborts.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/fuzz/check.h"
#include "tests/support/alloc_fault.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CUTS = 128, FAULTS = 64, PATH_BYTES = 1024, SECONDS = 60, EXIT_USAGE = 4 };

__attribute__((weak)) int LLVMFuzzerInitialize(int *argc, char ***argv);

/* A copy of its own length, so that a sanitizer sees a read behind the end. */
static void run_once(const unsigned char *bytes, size_t n)
{
    unsigned char *copy = malloc(n ? n : 1);
    if (!copy)
        abort();
    memcpy(copy, bytes, n);
    LLVMFuzzerTestOneInput(copy, n);
    free(copy);
}

static void run_without_memory(const unsigned char *bytes, size_t n, alloc_fault_kind kind)
{
    check_memory_may_fail = true;
    bool refused = true;
    for (long k = 0; k < FAULTS && refused; k++) {
        alloc_fault_after(k, kind);
        LLVMFuzzerTestOneInput(bytes, n);
        refused = alloc_fault_end();
    }
    check_memory_may_fail = false;
}

static void run_file(const char *path)
{
    alarm(SECONDS);
    FILE *f = fopen(path, "rb");
    if (!f || fseek(f, 0, SEEK_END) != 0) {
        perror(path);
        exit(EXIT_FAILURE);
    }
    size_t n = (size_t)ftell(f);
    unsigned char *bytes = malloc(n + 1);
    rewind(f);
    if (!bytes || fread(bytes, 1, n, f) != n) {
        perror(path);
        exit(EXIT_FAILURE);
    }
    fclose(f);
    run_once(bytes, n);
    for (size_t i = 0; i < CUTS && i < n; i++)
        run_once(bytes, n < CUTS ? i : n * i / CUTS);
    run_without_memory(bytes, n, ALLOC_FAULT_STICKY);
    run_without_memory(bytes, n, ALLOC_FAULT_ONCE);
    free(bytes);
}

int main(int argc, char **argv)
{
    struct dirent **entries;
    int n = argc == 2 ? scandir(argv[1], &entries, NULL, alphasort) : -1, n_files = 0;
    if (n < 0) {
        fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
        return EXIT_USAGE;
    }
    if (LLVMFuzzerInitialize)
        LLVMFuzzerInitialize(&argc, &argv);
    for (int i = 0; i < n; i++) {
        if (entries[i]->d_name[0] != '.') {
            char path[PATH_BYTES];
            snprintf(path, sizeof path, "%s/%s", argv[1], entries[i]->d_name);
            fprintf(stderr, "%s\n", path); /* the last of these names the input that stopped the run */
            run_file(path);
            n_files++;
        }
        free(entries[i]);
    }
    free(entries);
    printf("%d\n", n_files);
    return n_files == 0;
}
