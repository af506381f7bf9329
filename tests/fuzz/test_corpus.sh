#!/bin/sh
# The fuzzing corpora as tests: each harness, built like any test, over every input of its corpus.
# BUILD is the folder of the variant, as `make test` sets it.
# SPDX-License-Identifier: Apache-2.0
BUILD=${BUILD:-build/release}
status=0
for harness in tests/fuzz/fuzz_*.c; do
    name=${harness#tests/fuzz/fuzz_}
    name=${name%.c}
    if said=$("$BUILD/tests/fuzz/replay_$name" "tests/fuzz/corpus/$name" 2>&1); then
        echo "$said" | grep "^tests/fuzz/corpus/$name/" | sed 's/^/ok - /'
    else
        echo "not ok - the corpus of $name stops at"
        echo "$said" | awk '/^tests\/fuzz\/corpus\// { kept = "" } { kept = kept "  " $0 "\n" } END { printf "%s", kept }' | head -n 40
        status=1
    fi
done
exit $status
