/* catalogue - measure opening and cataloguing: a file of 2,000 tensors in each container, from its path to paired modules,
 * no weights read.
 *   catalogue FOLDER [RUNS]      default: 200 runs; the files are made in the folder and removed
 * Prints the median, the smallest and the largest time of each container beside the limit.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "analyzer/adapter/adapter.h"
#include "analyzer/formats/open.h"
#include "tests/bench/containers.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { TENSORS = 2000, RUNS = 200, LIMIT_US = 5000, PATH_BYTES = 1024, EXIT_USAGE = 4, EXIT_SOFTWARE = 70 };

static double now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* One time from path to modules; negative, and the reason printed, when it fails. */
static double catalogue_once(const char *path)
{
    double begin = now_us();
    lora_error err = {0};
    file f = {.fd = -1};
    content_kind kind;
    catalog cat = {0};
    lora_config cfg = {0};
    adapter found = {0};
    arena *mem = arena_create();
    observations seen = {.mem = mem};
    formats_options options = {0};
    lora_code code = mem ? formats_open(path, &options, mem, &f, &kind, &seen, &cat, &err) : LORA_E_MEMORY;
    if (code == LORA_OK)
        code = config_load(path, &cat, mem, &cfg, &err);
    if (code == LORA_OK)
        code = adapter_build(&cat, &cfg, mem, &found, &err);
    config_release(&cfg);
    file_close(&f);
    size_t n_modules = found.n_modules;
    arena_destroy(mem);
    double end = now_us();
    if (code == LORA_OK && n_modules == TENSORS / 2)
        return end - begin;
    printf("%zu of %d modules: %s %s\n", n_modules, TENSORS / 2, lora_code_name(code), err.message);
    return -1;
}

static void measure(const bench_container *c, const char *folder, size_t runs, double *times)
{
    char path[PATH_BYTES];
    snprintf(path, sizeof path, "%s/catalogue%s", folder, c->ending);
    FILE *f = fopen(path, "wb");
    if (!f || !c->write(f, TENSORS) || fclose(f) != 0) {
        perror(path);
        exit(EXIT_SOFTWARE);
    }
    printf("    %-12s ", c->name);
    size_t done = 0;
    while (done < runs && (times[done] = catalogue_once(path)) >= 0)
        done++;
    unlink(path);
    if (done < runs)
        return;
    qsort(times, runs, sizeof *times, by_value);
    printf("median %6.0f us, smallest %6.0f us, largest %6.0f us, limit %d us%s\n", times[runs / 2], times[0], times[runs - 1],
           LIMIT_US, times[runs / 2] <= LIMIT_US ? "" : ": ABOVE IT");
}

int main(int argc, char **argv)
{
    size_t runs = argc == 3 ? strtoul(argv[2], NULL, 10) : RUNS;
    if (argc < 2 || argc > 3 || runs == 0) {
        fprintf(stderr, "usage: catalogue FOLDER [RUNS]\n");
        return EXIT_USAGE;
    }
    double *times = malloc(runs * sizeof *times);
    if (!times)
        return EXIT_SOFTWARE;
    printf("opening and cataloguing %d tensors, %zu runs:\n", TENSORS, runs);
    for (size_t i = 0; i < bench_n_containers; i++)
        measure(&bench_containers[i], argv[1], runs, times);
    free(times);
    return 0;
}
