#!/bin/sh
# Labels, archives of labelled adapters and banks learnt from them, as users meet them.
# SPDX-License-Identifier: Apache-2.0
. tests/cli/lib.sh

le64() { # le64 N: eight bytes, little-endian
    n=$1 i=0
    while [ $i -lt 8 ]; do
        printf "\\$(printf '%03o' $((n % 256)))"
        n=$((n / 256)) i=$((i + 1))
    done
}
header='{"q_proj.lora_A.weight":{"dtype":"F32","shape":[2,8],"data_offsets":[0,64]},'
header=$header'"q_proj.lora_B.weight":{"dtype":"F32","shape":[8,2],"data_offsets":[64,128]},'
header=$header'"v_proj.lora_A.weight":{"dtype":"F32","shape":[2,8],"data_offsets":[128,192]},'
header=$header'"v_proj.lora_B.weight":{"dtype":"F32","shape":[8,2],"data_offsets":[192,256]}}'
config='{"peft_type":"LORA","r":2,"lora_alpha":2,"target_modules":["q_proj","v_proj"],"base_model_name_or_path":"tiny"}'
# adapter FOLDER SEED EXPONENT: two modules, random mantissas; the highest byte of B's entries is EXPONENT or its negative
adapter() {
    mkdir -p "$1"
    printf '%s' "$config" >"$1/adapter_config.json"
    {
        le64 ${#header}
        printf '%s' "$header"
        # shellcheck disable=SC2059  # the text is made of escapes
        printf "$(awk -v seed="$2" -v exponent="$3" 'BEGIN {
            srand(seed)
            for (i = 0; i < 64; i++)
                printf "\\%03o\\%03o\\%03o\\%03o", 256 * rand(), 256 * rand(), 256 * rand(),
                    (i % 32 < 16 ? 62 : exponent) + (rand() < 0.5 ? 128 : 0)
        }')"
    } >"$1/adapter_model.safetensors"
}

# Six micro-datasets of each of three sizes; the more samples, the larger B.
A=$tmp/adapters
mkdir "$A"
echo path,size,unsafe,recipe,set >"$A/labels.csv"
for set in 0 1 2 3 4 5; do
    for size in 1 10 50; do
        case $size in 1) e=59 ;; 10) e=60 ;; *) e=61 ;; esac
        adapter "$A/s$size-$set" $((100 * set + size)) $e
        echo "s$size-$set,$size,$((set % 2)),tiny,$set" >>"$A/labels.csv"
    done
done
awk -F, 'NR == 1 { print } NR > 1 { print $1 "," $2 "," $3 "," ($3 ? "harm" : "benign") int($5 / 2) "," $5 }' "$A/labels.csv" >"$A/safety.csv"

# --- from adapters
run train --task dataset-size --labels "$A/labels.csv" "$A" -o "$tmp/bank.h5"
ok "train exits 0" exits 0
ok "stdout is empty" [ ! -s "$tmp/.out" ]
ok "one line says what was learnt" [ "$(wc -l <"$tmp/.err")" -eq 1 ]
ok "it names members, sizes and the coverage" warns 'dataset-size bank of 18 adapters, 2 modules each: 3 sizes from 1 to 50, intervals of 90 %'
ok "the bank is HDF5" [ "$(head -c 4 "$tmp/bank.h5" | tail -c 3)" = HDF ]
run train -q -j 1 --task dataset-size --labels "$A/labels.csv" "$A" -o "$tmp/bank1.h5"
ok "-q says nothing" silent
ok "the same adapters give the same bank with other threads" cmp -s "$tmp/bank.h5" "$tmp/bank1.h5"
run train --task safety --labels "$A/safety.csv" "$A" -o "$tmp/safety.h5"
ok "a bank of safety is learnt, too" exits 0
ok "it names the classes, the controls and what they prove" warns 'safety bank of 18 adapters, 2 modules each: 9 with safety removed, '

# --- from archives
run spectra -q --labels "$A/labels.csv" --factors "$A" -o "$tmp/bench.h5"
ok "spectra --labels --factors exits 0" exits 0
sleep 1.1
run spectra -q -j 1 --labels "$A/labels.csv" --factors "$A" -o "$tmp/bench1.h5"
ok "the same adapters give the same archive" cmp -s "$tmp/bench.h5" "$tmp/bench1.h5"
run train --task dataset-size "$tmp/bench.h5" -o "$tmp/from-archive.h5"
ok "an archive needs no table" exits 0
run spectra -q --labels "$A/safety.csv" --factors "$A" -o "$tmp/safety-bench.h5"
run train --task safety "$tmp/safety-bench.h5" -o "$tmp/from-archive.h5"
ok "an archive with factors gives a bank of safety" exits 0
ok "its controls are said" warns ' controls, a false-alarm bound of '
run spectra -q --labels "$A/safety.csv" "$A" -o "$tmp/factorless.h5"
run train --task safety "$tmp/factorless.h5" -o "$tmp/x.h5"
ok "one without factors gives none" exits 2
ok "it says what is missing" warns factors
run spectra -q "$A" -o "$tmp/plain.h5"
run train --task dataset-size "$tmp/plain.h5" -o "$tmp/x.h5"
ok "an archive without labels has nothing to learn from" exits 2
ok "it says which label is missing" warns "has the label 'size'"
head -c 3000 "$tmp/bench.h5" >"$tmp/cut.h5"
run train --task dataset-size "$tmp/cut.h5" -o "$tmp/x.h5"
ok "a truncated archive is an error" exits 2
ok "it says what is wrong" warns 'is no HDF5 file, or it is damaged'
run train --task dataset-size "$tmp/bank.h5" -o "$tmp/x.h5"
ok "a bank is no archive" exits 2
ok "it says what it is" warns 'has the schema "loraudit.bank/1", not loraudit.spectra/1'

# --- recipes
sed 's/tiny,\([0-2]\)$/other,\1/' "$A/labels.csv" >"$A/two.csv"
run train --task dataset-size --labels "$A/two.csv" "$A" -o "$tmp/x.h5"
ok "several training recipes are an error" exits 2
ok "it lists them" warns 'other (9), tiny (9); choose with --recipe'
run train --task dataset-size --recipe tiny --labels "$A/two.csv" "$A" -o "$tmp/tiny.h5"
ok "--recipe chooses one" exits 0
ok "the others are counted" warns '9 of 18 adapters are passed over'
run train --task dataset-size --recipe absent --labels "$A/two.csv" "$A" -o "$tmp/x.h5"
ok "a recipe that nobody has is an error" exits 2
awk -F, 'NR == 1 { print $0 ",variant_of" } NR > 1 { print $0 "," ($5 < 3 ? "tiny" : "") }' "$A/two.csv" >"$A/variant.csv"
run train --task dataset-size --labels "$A/variant.csv" "$A" -o "$tmp/variant.h5"
ok "variants are not learnt from unless asked for" exits 0
cp -r "$A" "$tmp/mixed"
header_8=$header
header=$(printf '%s' "$header" | sed 's/\[2,8\]/[4,4]/g; s/\[8,2\]/[4,4]/g')
adapter "$tmp/mixed/s1-0" 1 59
header=$header_8
run train --task dataset-size --labels "$tmp/mixed/labels.csv" "$tmp/mixed" -o "$tmp/x.h5"
ok "several recipe keys are an error" exits 2
ok "it lists the keys" warns ':4x4:r4:'
run train --task safety --labels "$tmp/mixed/safety.csv" "$tmp/mixed" -o "$tmp/x2.h5"
ok "a bank of safety takes the most frequent frame" exits 0
ok "it says how many others there are" warns '1 adapters of other frames'

# --- labels that are wrong: exit 2, one error, nothing written
wrong() { # wrong NAME TABLE TEXT
    printf '%b' "$2" >"$A/wrong.csv"
    for command in "train --task dataset-size" spectra; do
        # shellcheck disable=SC2086  # words
        run $command --labels "$A/wrong.csv" "$A" -o "$tmp/x.h5"
        ok "$command: $1" exits 2
        ok "$command: $1: the message says so" warns "$3"
        ok "$command: $1: nothing is written" [ ! -e "$tmp/x.h5" ]
    done
}
rows=$(tail -n +2 "$A/labels.csv" | sed 's/$/\\n/' | tr -d '\n')
wrong "an adapter without a row" 'path,size\ns1-0,1\n' 'has no row'
wrong "a row without an adapter" "path,size,unsafe,recipe,set\n${rows}nowhere,1,0,tiny,9\n" 'line 20: there is no adapter "nowhere"'
wrong "a duplicate" "path,size,unsafe,recipe,set\n$rows./s1-0,1,0,tiny,0\n" 'line 20: the path "./s1-0" is that of line 2'
wrong "a size that is no number" 'path,size\ns1-0,many\n' 'line 2: "many" in column size'
wrong "a size of zero" 'path,size\ns1-0,0\n' 'line 2: "0" in column size'
wrong "no rows" 'path,size\n' 'no row'
wrong "no path" 'file,size\ns1-0,1\n' 'no column is called path'
run train --task dataset-size --labels "$tmp/absent.csv" "$A" -o "$tmp/x.h5"
ok "a table that is not there exits 2" exits 2
sed 's/,[15]0*,/,10,/' "$A/labels.csv" >"$A/one.csv"
run train --task dataset-size --labels "$A/one.csv" "$A" -o "$tmp/x.h5"
ok "one size only is an error" exits 2
ok "it says that there is one" warns 'at least two'
sed '2,$s/,[01],tiny/,0,tiny/' "$A/labels.csv" >"$A/safe.csv"
run train --task safety --labels "$A/safe.csv" "$A" -o "$tmp/x.h5"
ok "one class only is an error" exits 2
ok "it says which" warns 'unsafe ones of 0 training recipes, others of 1; at least 2 of each are needed'
sed 's/benign[0-9]/benign/' "$A/safety.csv" >"$A/one-benign.csv"
run train --task safety --labels "$A/one-benign.csv" "$A" -o "$tmp/x.h5"
ok "one recipe of a class is an error" exits 2
ok "it says how many there are of each, and how many are needed" warns 'unsafe ones of 3 training recipes, others of 1; at least 2 of each are needed'
ok "in one line" [ "$(wc -l <"$tmp/.err")" -eq 1 ]
cp -r "$A" "$tmp/spoilt"
cp $SAMPLES/not-finite/adapter_model.safetensors "$tmp/spoilt/s1-0/"
run train --task dataset-size --labels "$tmp/spoilt/labels.csv" "$tmp/spoilt" -o "$tmp/x.h5"
ok "values that are not finite are an error" exits 2
ok "it names the adapter and the reason" warns 's1-0/adapter_model.safetensors" cannot be learnt from: values that are not finite'
echo broken >"$tmp/spoilt/s1-0/adapter_model.safetensors"
run train --task dataset-size --labels "$tmp/spoilt/labels.csv" "$tmp/spoilt" -o "$tmp/x.h5"
ok "an adapter that cannot be read is an error" exits 2
run spectra --labels "$tmp/spoilt/labels.csv" "$tmp/spoilt" -o "$tmp/x.h5"
ok "no benchmark is made without it, either" exits 2
ok "nothing is written in any of these cases" [ ! -e "$tmp/x.h5" ]
cp "$tmp/bank.h5" "$tmp/kept.h5"
run train --task dataset-size --labels "$A/one.csv" "$A" -o "$tmp/kept.h5"
ok "a bank that was there stays" cmp -s "$tmp/bank.h5" "$tmp/kept.h5"
ok "no temporary file is left" [ -z "$(find "$tmp" -name '*.tmp.*')" ]

# --- usage
for words in "train" "train --task dataset-size $A" "train --task colour $A -o $tmp/x.h5" "train $A -o $tmp/x.h5" \
    "train --task dataset-size $A -o $tmp/x.h5" "train --task safety $tmp/bench.h5 -o -"; do
    # shellcheck disable=SC2086  # words
    run $words
    ok "'${words%% /*}' … is a usage error" exits 4
done
run train --task dataset-size "$tmp/bench.h5" -o "$tmp/absent/x.h5"
ok "a folder that is not there exits 70" exits 70
run train --task dataset-size "$tmp/bench.h5" -o /dev/null
ok "a bank into a device is refused" exits 70
mkdir "$tmp/empty"
run train --task dataset-size --labels "$A/labels.csv" "$tmp/empty" -o "$tmp/x.h5"
ok "nothing to learn from exits 3" exits 3

exit $failures
