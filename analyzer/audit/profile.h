/* profile.h - from a record to what classifiers see of it: modules in canonical order, the recipe key and the frame.
 *
 *     recipe   lora transformer.q:128x128:r8:s2*4 transformer.v:64x128:r8:s2*4
 *     frame    m8-5d2c…: number of modules and a hash over every module's kind, layer and shape, in canonical order
 *
 * The canonical order is by component, layer, role, shape and last by name, in which '.' and '_' are one: the same adapter in PEFT's,
 * kohya's and diffusers' naming gives the same profile. A recipe lists each kind of module (component, role, out × in, rank, scale) with
 * its count, by component, role, shape, rank and scale; one of another method than the adapter's has that behind its role
 * ("transformer.q:lokr:128x128…"). It has at most 4096 bytes: a longer one ends in its hash. Learning rate, steps and data are not in the
 * weights and not in the keys. Nor is the init law of A, which is only known as long as training has not moved A away from it: adapters of
 * one recipe would fall apart by their training effort. What A started from shows in its σ, which classifiers compare.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef LORAUDIT_PROFILE_H
#define LORAUDIT_PROFILE_H

#include "analyzer/audit/record.h"
#include "classifiers/profile.h"

/* One module before it has a place: what order and keys are made of. */
typedef struct {
    const char *component, *role, *name; /* borrowed; component and role go into the kind as they are */
    const char *method;                  /* of the module; NULL: the adapter's */
    profile_module module;               /* kind and writes_residual are set by profile_arrange */
} profile_entry;

/* profile_arrange - sort entries[n] canonically and make a profile of them.
 * In:    entries are sorted in place; their arrays are borrowed.  method: as in a record
 * Out:   *out in mem.   Errs: LORA_E_MEMORY */
lora_code profile_arrange(profile_entry *entries, size_t n, const char *method, arena *mem, classifier_profile *out, lora_error *err);

/* profile_recipe - the recipe key of r.  profile_frame - its frame, from its module list alone, before any spectrum is known.
 * Both in r's arena, NULL without memory. */
const char *profile_recipe(const lora_record *r);
const char *profile_frame(const lora_record *r);

/* profile_build - the profile of r, whose arrays it borrows; everything else in mem. Factors where r has kept them.
 * Out:   *out; *missing = NULL, or why there is none: a static text (no modules, some not computed, values that are not finite)
 * Errs:  LORA_E_MEMORY */
lora_code profile_build(const lora_record *r, arena *mem, classifier_profile *out, const char **missing, lora_error *err);

#endif
