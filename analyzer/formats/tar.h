/* tar.h - tar archives, looked into for pickles only: torch.load of old takes them, and NeMo files are such archives.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef LORAUDIT_TAR_H
#define LORAUDIT_TAR_H

#include "analyzer/base/error.h"
#include "analyzer/base/file.h"
#include "analyzer/formats/observation.h"

/* tar_scan - give every member that could be a pickle to the pickle machine, and note names that climb.
 * Errs: LORA_E_MEMORY. A broken archive ends the walk. Cost: a header a member, and the pickles */
lora_code tar_scan(const file *f, observations *seen, lora_error *err);

#endif
