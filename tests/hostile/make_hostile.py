#!/usr/bin/env python3
"""make_hostile.py - write the corpus of hostile files and what a scan must say of each.

    make_hostile.py [FOLDER]     default: this folder. Writes FOLDER/files/* and FOLDER/expected.tsv

Every run writes the same bytes: no clock, no random numbers, no compressor. No payload does anything: each would call
os.system("true"), or print, if anything ever executed it; loraudit never does.
SPDX-License-Identifier: Apache-2.0
"""
import os
import sys

import answers
import cases_archive
import cases_pickle
import cases_tensors

LARGEST, LARGEST_TOGETHER = 32 << 10, 1500000
HEADER = ("# file", "trick", "status", "error code", "rules", "subjects", "source")


def settled(name, status, code, rules):
    """The answer that is expected, which must be one of those that the case allows."""
    if name not in answers.ANSWERS:
        assert "|" not in status + code + rules and rules != "any", name + " allows several answers, and answers.py has none"
        return status, code, rules
    given = answers.ANSWERS[name]
    assert given[0] in status.split("|") and given[1] in code.split("|"), name
    assert rules == "any" or all(set(group.split("|")) & set(given[2].split(",")) for group in rules.split(",")), name
    return given


def main(folder):
    files, rows = {}, []

    def case(name, data, trick, status, code, rules, subjects, source):
        status, code, rules = settled(name, status, code, rules)
        row = (name, trick, status, code, rules, subjects, source)
        assert name not in files, name + " comes twice"
        assert all(field and not set(field) & set("\t\n\r\0\x1b") for field in row), row
        assert len(data) <= LARGEST, "%s has %d bytes" % (name, len(data))
        files[name] = data
        rows.append(row)

    for module in (cases_tensors, cases_pickle, cases_archive):
        module.cases(case)
    assert set(answers.ANSWERS) <= set(files), "answers about files that are not made"
    assert sum(map(len, files.values())) <= LARGEST_TOGETHER
    target = os.path.join(folder, "files")
    os.makedirs(target, exist_ok=True)
    for stale in set(os.listdir(target)) - set(files):
        os.remove(os.path.join(target, stale))
    for name, data in files.items():
        with open(os.path.join(target, name), "wb") as f:
            f.write(data)
    with open(os.path.join(folder, "expected.tsv"), "w", encoding="utf-8", newline="\n") as f:
        for row in [HEADER] + sorted(rows):
            f.write("\t".join(row) + "\n")
    print("%d files, %d bytes" % (len(files), sum(map(len, files.values()))))


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else os.path.dirname(os.path.abspath(__file__)))
