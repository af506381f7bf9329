/* spectra_stage.h - the stage that turns the modules of a record into spectra.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef LORAUDIT_SPECTRA_STAGE_H
#define LORAUDIT_SPECTRA_STAGE_H

#include "analyzer/audit/record.h"
#include "analyzer/base/pool.h"

/* What computes, and where the bytes come from. */
typedef struct {
    spectral_engine *engine;
    pool *threads;
    size_t worker;      /* of the calling task */
    const file *source; /* the open weight file */
} spectra_machine;

/* spectra_stage_run - r->modules with spectrum and scalars, one for each module of r->adapter.
 * Errs:  LORA_E_MEMORY; the error of the first module whose factors could not be read (LORA_E_READ, LORA_E_CHECKSUM, …);
 *        LORA_E_INTERNAL when numerics failed. Values that are not finite are no error: their module says so
 * Cost:  one pass over the factors; matrices of CHUNK modules at a time */
lora_code spectra_stage_run(lora_record *r, const spectra_machine *machine, const spectral_options *options, lora_error *err);

/* spectra_left_vector - spectral_left_vector of module index. */
spectral_status spectra_left_vector(lora_record *r, const spectra_machine *machine, size_t index, double *u, double *sigma1);

#endif
