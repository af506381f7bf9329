/* factors_stage.h - the stage that keeps the factors of a record as plain float32 matrices, for those who need more than spectra.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef LORAUDIT_FACTORS_STAGE_H
#define LORAUDIT_FACTORS_STAGE_H

#include "analyzer/audit/record.h"
#include "analyzer/formats/catalog.h"

/* factors_stage_bytes - what the factors of all modules of the form s·B·A take as float32; UINT64_MAX when it does not fit. */
uint64_t factors_stage_bytes(const lora_record *r);

/* factors_stage_run - module_record.a (r × n) and .b (m × r), row-major in mem, so that ΔW = scale·b·a, of every module of that form
 * whose spectrum is known. Modules of another form, and those whose entries float32 cannot hold, keep none.
 * In:    r after its spectra; source: its open weight file
 * Errs:  LORA_E_MEMORY; those of fetch_entries.  Cost: one more pass over the factors' bytes; a buffer of one factor as stored, or of 64 KiB */
lora_code factors_stage_run(lora_record *r, const file *source, arena *mem, lora_error *err);

/* factors_stage_forget - before mem is gone and r is not. */
void factors_stage_forget(lora_record *r);

#endif
