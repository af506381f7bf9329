/* declared.c - see declared.h.
 *
 * trainer_state.json: transformers counts epoch += 1 / ceil(N / b) with each batch of b, the last of an epoch being
 * short. With S steps in E epochs there were k = S/E batches an epoch, so (k − 1)·b < N ≤ k·b. Gradient accumulation
 * and several devices multiply b, and the file does not say so: the note does.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "analyzer/adapter/declared.h"

#include "analyzer/base/json.h"
#include "analyzer/base/limits.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

bool declared_from_steps(double steps, double epoch, double batch, declared_size *size)
{
    if (!(steps >= 1) || !(epoch > 0) || !(batch >= 1) || steps > 1e12 || epoch > 1e9 || batch > 1e9)
        return false;
    /* Printed with at most 4 decimals and no integer: rounded to as many. */
    double slack = 0;
    for (int d = 1; d <= 4 && epoch != floor(epoch); d++) {
        double scaled = epoch * pow(10, d);
        if (fabs(scaled - round(scaled)) < 1e-9 * scaled) {
            slack = 0.5 * pow(10, -d);
            break;
        }
    }
    double k_low = steps / (epoch + slack), k_high = epoch > slack ? steps / (epoch - slack) : INFINITY;
    k_low = ceil(k_low - 1e-6 * k_low);
    k_high = floor(k_high + 1e-6 * k_high);
    if (!isfinite(k_high) || k_high < 1)
        return false;
    if (k_low > k_high) /* accumulation: k is no integer */
        k_low = k_high = steps / epoch;
    size->low = fmax(1, ceil((k_low - 1) * batch + 1));
    size->high = floor(k_high * batch);
    if (size->high < size->low)
        size->high = size->low;
    size->value = round(steps / epoch * batch);
    size->value = fmin(fmax(size->value, size->low), size->high);
    size->present = true;
    return true;
}

static lora_code no_memory(lora_error *err)
{
    return lora_fail(err, LORA_E_MEMORY, "no memory for what the files declare");
}

/* train_samples, as the example scripts of transformers write it; or the throughput that Trainer writes. */
static void from_results(const cJSON *tree, const char *source, declared_size *size, arena *mem)
{
    const double *n = sidefile_number(tree, "train_samples");
    if (n && *n >= 1 && *n <= 1e15 && *n == floor(*n)) {
        *size = (declared_size){true, *n, *n, *n, source, "train_samples", size->fault};
        return;
    }
    const double *rate = sidefile_number(tree, "train_samples_per_second"), *time = sidefile_number(tree, "train_runtime"),
                 *epochs = sidefile_number(tree, "epoch");
    if (!rate || !time || !epochs || !(*rate > 0) || !(*time > 0) || !(*epochs > 0.005))
        return;
    /* Printed with 3, 4 and 2 decimals. Trainer counts N times the epochs asked for, of which the last may come out a
       little short: 2.99 for 3. With max_steps it counts what was seen, and the epochs are as printed. */
    double seen = *rate * *time, slack = 1 + 0.0005 / *rate + 0.00005 / *time;
    double nearest = round(*epochs), least = *epochs - 0.005, most = *epochs + 0.005;
    bool whole = nearest >= 1 && fabs(*epochs - nearest) <= 0.05;
    if (whole) {
        least = fmin(least, nearest);
        most = fmax(most, nearest);
    }
    double value = round(seen / (whole ? nearest : *epochs));
    if (!(value >= 1) || !(value <= 1e15))
        return;
    *size = (declared_size){true, value, fmax(1, floor(seen / most / slack)), ceil(seen / least * slack), source, NULL, size->fault};
    size->note = arena_printf(mem, "train_samples_per_second x train_runtime over %g epochs", whole ? nearest : *epochs);
}

/* The few numbers that matter of trainer_state.json, whose log may hold millions of others: no tree is built. */
typedef struct {
    double steps, epoch, batch, learning_rate; /* NAN where absent; the highest rate of the log */
} trainer_state;

/* The value at the scanner as a number, NAN when it is something else; steps over it. */
static double scan_number(json_scan *s)
{
    bool is_number = json_peek(s) == JSON_NUMBER;
    size_t begin = s->at;
    if (!json_skip(s, LIMIT_JSON_DEPTH) || !is_number)
        return NAN;
    double x = strtod(s->text + begin, NULL);
    return isfinite(x) ? x : NAN;
}

static void scan_log(json_scan *s, trainer_state *state)
{
    bool first_entry = true;
    if (json_peek(s) != JSON_ARRAY) {
        json_skip(s, LIMIT_JSON_DEPTH);
        return;
    }
    json_array_open(s);
    while (json_array_next(s, &first_entry)) {
        bool first = true;
        json_string key;
        if (json_peek(s) != JSON_OBJECT) {
            json_skip(s, LIMIT_JSON_DEPTH);
            continue;
        }
        json_object_open(s);
        while (json_object_next(s, &first, &key)) {
            bool is_rate = json_string_is(&key, "learning_rate");
            double x = scan_number(s);
            if (is_rate && !isnan(x) && !(x <= state->learning_rate))
                state->learning_rate = x;
        }
    }
}

/* text is a valid JSON object: sidefile_text has checked it. */
static trainer_state scan_trainer_state(const char *text, size_t length)
{
    trainer_state state = {NAN, NAN, NAN, NAN};
    json_scan s;
    json_string key;
    bool first = true;
    json_begin(&s, text, length);
    json_object_open(&s);
    while (json_object_next(&s, &first, &key)) {
        if (json_string_is(&key, "log_history")) {
            scan_log(&s, &state);
            continue;
        }
        double *place = json_string_is(&key, "global_step")        ? &state.steps
                        : json_string_is(&key, "epoch")            ? &state.epoch
                        : json_string_is(&key, "train_batch_size") ? &state.batch
                                                                   : NULL;
        double x = scan_number(&s);
        if (place)
            *place = x;
    }
    return state;
}

static void from_trainer_state(const trainer_state *t, declared_size *size, arena *mem)
{
    declared_size s = {0};
    if (!declared_from_steps(t->steps, t->epoch, t->batch, &s))
        return;
    s.fault = size->fault;
    s.source = "trainer_state.json";
    s.note = arena_printf(mem, "%g steps, epoch %g, batch %g; one device and no gradient accumulation taken for granted",
                          t->steps, t->epoch, t->batch);
    *size = s;
}

typedef struct {
    double images, repeated;
} image_count;

static void count_images(const cJSON *item, const char *repeats_key, image_count *c)
{
    const double *images = sidefile_number(item, "img_count"), *repeats = sidefile_number(item, repeats_key);
    if (!images || !(*images >= 0) || sidefile_true(item, "is_reg"))
        return;
    c->images += *images;
    c->repeated += *images * (repeats && *repeats > 0 ? *repeats : 1);
}

static cJSON *metadata_json(const catalog *cat, const char *key, const char *before, const char *after)
{
    const char *text = catalog_metadata_find(cat, key);
    if (!text)
        return NULL;
    size_t n = strlen(text), nb = strlen(before), na = strlen(after);
    char *wrapped = malloc(n + nb + na + 1);
    if (!wrapped)
        return NULL;
    memcpy(wrapped, before, nb);
    memcpy(wrapped + nb, text, n);
    memcpy(wrapped + nb + n, after, na + 1);
    cJSON *tree = NULL;
    sidefile_parse(wrapped, n + nb + na, key, &tree, NULL);
    free(wrapped);
    return tree;
}

/* ss_dataset_dirs: {"10_name": {"n_repeats": 10, "img_count": 43}}; ss_datasets: [{"subsets": [{"img_count": 43, …}]}] */
static void from_kohya(const catalog *cat, declared_size *size, arena *mem)
{
    image_count c = {0};
    const char *source = "kohya metadata: ss_dataset_dirs";
    cJSON *dirs = metadata_json(cat, "ss_dataset_dirs", "", "");
    const cJSON *item, *subset;
    cJSON_ArrayForEach(item, dirs) count_images(item, "n_repeats", &c);
    cJSON_Delete(dirs);
    if (c.images <= 0) {
        source = "kohya metadata: ss_datasets";
        cJSON *sets = metadata_json(cat, "ss_datasets", "{\"sets\":", "}");
        cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(sets, "sets"))
            cJSON_ArrayForEach(subset, cJSON_GetObjectItemCaseSensitive(item, "subsets"))
                count_images(subset, "num_repeats", &c);
        cJSON_Delete(sets);
    }
    if (c.images > 0) {
        *size = (declared_size){true, c.images, c.images, c.images, source, NULL, size->fault};
        size->note = arena_printf(mem, "%g distinct images, %g with repeats", c.images, c.repeated);
        return;
    }
    const char *total = catalog_metadata_find(cat, "ss_num_train_images");
    double n = total ? strtod(total, NULL) : 0;
    if (isfinite(n) && n >= 1)
        *size = (declared_size){true, n, 1, n, "kohya metadata: ss_num_train_images",
                                "images times repeats: an upper bound of the distinct images", size->fault};
}

static double metadata_number(const catalog *cat, const char *key)
{
    const char *text = catalog_metadata_find(cat, key);
    char *end = NULL;
    double x = text ? strtod(text, &end) : NAN;
    return text && end != text && isfinite(x) ? x : NAN;
}

/* The folder to look in besides dir: the one above a checkpoint-N folder, else NULL. */
static const char *folder_above_checkpoint(const char *dir, arena *mem)
{
    size_t n = strlen(dir);
    if (n < 2)
        return NULL;
    size_t start = n - 1;
    while (start > 0 && dir[start - 1] != '/')
        start--;
    return strncmp(dir + start, "checkpoint-", 11) == 0 ? arena_strndup(mem, dir, start) : NULL;
}

lora_code declared_load(const char *path, const catalog *cat, arena *mem, declared_size *size,
                        declared_training *training, lora_error *err)
{
    static const char *const results[] = {"all_results.json", "train_results.json"};
    declared_size found = {0};
    training->learning_rate = metadata_number(cat, "ss_learning_rate");
    training->steps = metadata_number(cat, "ss_steps");
    const char *dirs[2] = {sidefile_directory(path, mem), NULL};
    if (!dirs[0])
        return no_memory(err);
    dirs[1] = folder_above_checkpoint(dirs[0], mem);
    for (size_t d = 0; d < 2 && dirs[d] && !found.present; d++)
        for (size_t i = 0; i < sizeof results / sizeof *results && !found.present; i++) {
            cJSON *tree = NULL;
            if (sidefile_load(dirs[d], results[i], &tree, &found.fault) == LORA_E_MEMORY)
                return no_memory(err);
            if (tree)
                from_results(tree, results[i], &found, mem);
            cJSON_Delete(tree);
        }
    if (!found.present)
        from_kohya(cat, &found, mem);
    char *text;
    size_t length;
    if (sidefile_text(dirs[0], "trainer_state.json", &text, &length, &found.fault) == LORA_E_MEMORY)
        return no_memory(err);
    if (text) {
        trainer_state state = scan_trainer_state(text, length);
        free(text);
        if (!found.present)
            from_trainer_state(&state, &found, mem);
        if (state.steps >= 0)
            training->steps = state.steps;
        if (isnan(training->learning_rate))
            training->learning_rate = state.learning_rate;
    }
    if (found.present && !found.note)
        return no_memory(err);
    *size = found;
    return LORA_OK;
}
