/* commands.h - one function a command; each returns the exit code.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef LORAUDIT_COMMANDS_H
#define LORAUDIT_COMMANDS_H

#include "analyzer/cli/options.h"

int command_scan(const cli_options *o);
int command_inspect(const cli_options *o);
int command_rules(const cli_options *o);
int command_version(const cli_options *o);
int command_help(const cli_options *o);

/* exit_code_of - what a scan's sums mean for the exit code, for fail_on. */
int exit_code_of(const scan_summary *s, severity fail_on);

#endif
