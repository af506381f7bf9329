#!/bin/sh
# Every file of the corpus, scanned alone and together: what is said of it, how it ends, and what it costs.
# One case a file; expected.tsv tells what must be said. Peak memory is measured where PEAK names tests/bench/peak.
# SPDX-License-Identifier: Apache-2.0
. tests/cli/lib.sh
CORPUS=tests/hostile
LC_ALL=C
export LC_ALL
tab=$(printf '\t')
case $LORAUDIT in */asan/* | */ubsan/* | */tsan/*) PEAK= ;; esac # a sanitizer's memory is not the program's
[ -x "${PEAK:-}" ] || PEAK=

# find_field: the value of a text field that the record in $line begins with
status_of() {
    rest=${line#*'"status":"'}
    status=${rest%%'"'*}
}
code_of() {
    code=-
    case $line in *'"error":{"code":"'*) rest=${line#*'"error":{"code":"'} code=${rest%%'"'*} ;; esac
}
# one_of WORD A|B|C
one_of() { case "|$2|" in *"|$1|"*) ;; *) return 1 ;; esac; }

# says_one_of TEXT A|B BEFORE AFTER: does TEXT hold one of the words between BEFORE and AFTER?
says_one_of() {
    words=$2
    while [ -n "$words" ]; do
        word=${words%%"|"*}
        case $words in *"|"*) words=${words#*"|"} ;; *) words= ;; esac
        case $1 in *"$3$word$4"*) return 0 ;; esac
    done
    return 1
}

# says_all TEXT LIST BEFORE AFTER: … of every entry of the comma-separated list; $missing is the first that is not there
says_all() {
    list=$2,
    while [ -n "$list" ]; do
        missing=${list%%,*}
        list=${list#*,}
        says_one_of "$1" "$missing" "$3" "$4" || return 1
    done
}

wrong() { faults="$faults; $1"; }

# judge: what is wrong with $line, $rc and $mib against $name $want_status $want_code $want_rules $subjects, in $faults
judge() {
    faults=
    case $line in '{"schema":'*'}') ;; *) wrong "no record"; return ;; esac
    status_of
    code_of
    found=${line#*'"findings":'}
    one_of "$status" "$want_status" || wrong "status $status, expected $want_status"
    one_of "$code" "$want_code" || wrong "error code $code, expected $want_code"
    case $want_rules in
    none) [ "$found" = '[]}' ] || wrong "findings, expected none" ;;
    any) [ "$found" != '[]}' ] || wrong "no finding" ;;
    *) [ "$found" != '[]}' ] || wrong "no finding at all: the file passes as clean"
       says_all "$found" "$want_rules" '"rule":"' '"' || wrong "no finding $missing" ;;
    esac
    [ "$subjects" = - ] || says_all "$found" "$subjects" '"' '"' || wrong "the evidence does not name $missing"
    case $found in *'"rule":"pickle-forbidden-global","severity":"'*)
        case $found in *'"rule":"pickle-forbidden-global","severity":"critical"'*) ;; *) wrong "a forbidden global is not critical" ;; esac ;;
    esac
    case $status in
    error | unsupported)
        expected=2
        case $found in *'"rule":"unreadable-file"'*) ;; *) wrong "status $status without the finding unreadable-file" ;; esac ;;
    *)
        expected=0
        case $found in *'"severity":"high"'* | *'"severity":"critical"'*) expected=1 ;; esac ;;
    esac
    [ "$rc" -eq "$expected" ] || wrong "exit $rc, expected $expected"
    case $line in *"$esc"*) wrong "an escape character in the record" ;; esac
    [ ! -s "$tmp/.err" ] || wrong "stderr: $(head -c 200 "$tmp/.err")"
}
esc=$(printf '\033')

passed=0 n=0
: >"$tmp/alone"
: >"$tmp/names"
while IFS="$tab" read -r name trick want_status want_code want_rules subjects _; do
    case $name in '#'*) continue ;; esac
    file=$CORPUS/files/$name
    n=$((n + 1))
    echo "$name" >>"$tmp/names"
    rm -f "$tmp/.out"
    if [ -n "$PEAK" ]; then
        mib=$("$PEAK" "$LORAUDIT" scan -j 2 -f ndjson -o "$tmp/.out" "$file" 2>"$tmp/.err" </dev/null)
    else
        mib=0
        "$LORAUDIT" scan -j 2 -f ndjson -o "$tmp/.out" "$file" 2>"$tmp/.err" </dev/null
    fi
    rc=$?
    line=
    [ ! -f "$tmp/.out" ] || IFS= read -r line <"$tmp/.out"
    judge
    limit=$((64 * 1024 + 2 * $(wc -c <"$file") / 1024)) # KiB
    [ "${mib%.*}" -lt $((limit / 1024)) ] 2>/dev/null || wrong "peak memory $mib MiB, the limit is $limit KiB"
    if [ -z "$faults" ]; then
        passed=$((passed + 1))
        echo "ok - $name"
    else
        echo "not ok - $name (${trick})${faults}"
        failures=1
    fi
    [ ! -f "$tmp/.out" ] || cat "$tmp/.out" >>"$tmp/alone"
done <$CORPUS/expected.tsv
echo "# $passed of $n files as expected"

# --- the corpus itself
find $CORPUS/files -type f | sed 's,.*/,,' | sort >"$tmp/there"
rc=0
ok "every file is in the table, and every row has its file" cmp -s "$tmp/there" "$tmp/names"
ok "at least 70 tricks" [ "$n" -ge 70 ]
[ -n "$PEAK" ] || echo "skip - peak memory (no tests/bench/peak for this build, or a sanitizer's)"

# --- the whole folder
run scan -j 2 -f ndjson $CORPUS/files
ok "the folder exits 2" exits 2
ok "the folder says of each file what was said of it alone" cmp -s "$tmp/.out" "$tmp/alone"
ok "nothing on stderr" silent
run scan -j 1 -f ndjson $CORPUS/files
ok "and the same with one thread" cmp -s "$tmp/.out" "$tmp/alone"
run scan -j 2 --color always $CORPUS/files
ok "the table exits 2" exits 2
ok "no escape sequence of a file but colours" [ "$(tr -d '\n' <"$tmp/.out" | sed "s/$esc\[[0-9;]*m//g" | tr -cd '\033' | wc -c)" -eq 0 ]
run scan -j 2 -f json $CORPUS/files
ok "the JSON report exits 2" exits 2
if [ -n "$PEAK" ]; then
    mib=$("$PEAK" "$LORAUDIT" scan -j 2 -f ndjson $CORPUS/files 2>/dev/null)
    ok "the folder on two threads takes no more memory than two files may: $mib MiB" [ "${mib%.*}" -lt 128 ]
fi

exit $failures
