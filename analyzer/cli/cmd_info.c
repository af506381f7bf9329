/* cmd_info.c - the commands that audit nothing: rules, version, help.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "analyzer/cli/commands.h"
#include "analyzer/cli/output.h"
#include "analyzer/report/table_text.h"

#include <stdio.h>

static int print(const cli_options *o, strbuf *text)
{
    output out;
    if (!output_open(&out, o->output))
        return EXIT_INTERNAL;
    output_write(&out, text);
    bool ok = output_close(&out, true);
    strbuf_free(text);
    return ok ? EXIT_CLEAN : EXIT_INTERNAL;
}

int command_rules(const cli_options *o)
{
    strbuf text = {0};
    report_context ctx = {.columns = 80};
    for (size_t i = 0; i < rules_count; i++) {
        const rule_info *rule = &rules_table[i];
        strbuf_printf(&text, "%s\n  %s, %s\n  ", rule->id, severity_name(rule->severity),
                      rule->is_verdict ? "proved by the bytes" : "a statistical signal");
        table_wrapped(&text, &ctx, rule->proves, 2, 2);
        strbuf_printf(&text, "  source: %s\n", rule->source);
    }
    return print(o, &text);
}

int command_version(const cli_options *o)
{
    strbuf text = {0};
    spectral_engine *engine = NULL;
    if (spectral_engine_create(1, &engine) != SPECTRAL_OK) {
        fprintf(stderr, "loraudit: out of memory\n");
        return EXIT_INTERNAL;
    }
    strbuf_printf(&text, "loraudit %s\nbackend: %s\n", LORAUDIT_VERSION, spectral_engine_name(engine));
    spectral_engine_destroy(engine);
    return print(o, &text);
}

int command_help(const cli_options *o)
{
    strbuf text = {0};
    command_id about = o->paths.n == 1 ? options_command(o->paths.items[0]) : COMMAND_HELP;
    options_help(about == COMMAND_COUNT ? COMMAND_HELP : about, &text);
    return print(o, &text);
}
