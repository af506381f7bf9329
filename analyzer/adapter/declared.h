/* declared.h - the fine-tuning set size that the files themselves declare, and by whom.
 *
 * A declaration is a claim: anyone can write it. Sources, best first:
 *   all_results.json, train_results.json   train_samples; or samples per second × run time / epochs
 *   kohya metadata                         img_count of ss_dataset_dirs or ss_datasets, without regularisation images
 *   trainer_state.json                     N from global_step, epoch and train_batch_size, with its rounding range
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef LORAUDIT_DECLARED_H
#define LORAUDIT_DECLARED_H

#include "analyzer/adapter/sidefile.h"
#include "analyzer/formats/catalog.h"

#include <stdbool.h>

typedef struct {
    bool present;
    double value;       /* samples */
    double low, high;   /* the range that the declared numbers leave open; both = value when they are exact */
    const char *source; /* static */
    const char *note;   /* one line, in the arena */
    lora_error fault;   /* of a side file that is there and cannot be read; LORA_OK when all is well */
} declared_size;

/* Training length as declared; each NaN when unknown. */
typedef struct {
    double learning_rate, steps;
} declared_training;

/* declared_load - look beside the weight file at path (for a checkpoint-N folder also in the folder above) and in its
 * metadata. Out: *size, *training. A side file that cannot be read is size->fault, not an error. Errs: LORA_E_MEMORY. */
lora_code declared_load(const char *path, const catalog *cat, arena *mem, declared_size *size,
                        declared_training *training, lora_error *err);

/* declared_from_steps - the arithmetic of trainer_state.json: steps optimiser steps were `epoch` epochs of batches of
 * `batch` samples. epoch is as printed: with few decimals it is taken as rounded to them. false when it makes no sense. */
bool declared_from_steps(double steps, double epoch, double batch, declared_size *size);

#endif
