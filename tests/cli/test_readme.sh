#!/bin/sh
# Every command of the README does what is written there. A line "$ COMMAND" in a console block is run from the top folder; the
# lines below it, up to the next command or the end of the block, are its output, "..." standing for any lines. The first line that is
# missing is shown with what stands in its place.
# SPDX-License-Identifier: Apache-2.0
. tests/cli/lib.sh
[ -d benchmark-data/banks ] && LORAUDIT_BANKS=benchmark-data/banks # a program in build/ would not find those shipped
PATH=$(dirname "$LORAUDIT"):$PATH

# Commands and their expected lines, a file each.
awk -v dir="$tmp" '
    /^```console$/ { on = 1; next }
    /^```/ { on = 0; next }
    on && /^\$ / { n++; print substr($0, 3) > (dir "/cmd." n); printf "" > (dir "/want." n); next }
    on { print > (dir "/want." n) }
    END { print n > (dir "/count") }' README.md
n=$(cat "$tmp/count")
ok "the README shows commands" [ "${n:-0}" -ge 3 ]
i=1
while [ "$i" -le "${n:-0}" ]; do
    command=$(cat "$tmp/cmd.$i")
    sh -c "$command" >"$tmp/got" 2>&1 </dev/null
    rc=$?
    cp "$tmp/got" "$tmp/.out"
    : >"$tmp/.err"
    ok "README: $command" awk -v want="$tmp/want.$i" '
        BEGIN { while ((getline line < want) > 0) w[++n] = line; at = 1 }
        {
            gap = w[at] == "..."
            if (at + gap <= n && $0 == w[at + gap]) at += 1 + gap
            else if (!gap) { bad = 1; seen = $0; exit }
        }
        END {
            if (w[at] == "...") at++
            if (bad || at <= n) {
                print "-" (at <= n ? w[at] : "(the end)")
                print "+" (bad ? seen : "(no such line)")
                exit 1
            }
        }' "$tmp/got"
    i=$((i + 1))
done
exit $failures
