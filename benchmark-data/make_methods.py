#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Make the adapters of every method and layout, with the numbers expected of them.

    python make_methods.py FOLDER

The tensors are seeded random numbers under the names and in the shapes of the libraries that write them; PEFT's own
methods are saved by PEFT. FOLDER/expected.json holds what they mean in float64, FOLDER/named.json the tensors of the
methods that are only named, FOLDER/PROVENANCE.md where everything comes from. The same library versions write the same bytes.
"""
import os
import sys

sys.dont_write_bytecode = True
# One thread and no network, set before numpy and torch look.
os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1", HF_HUB_OFFLINE="1",
                  TRANSFORMERS_OFFLINE="1", TOKENIZERS_PARALLELISM="false", CUDA_VISIBLE_DEVICES="")

import argparse
import hashlib
import pathlib
import shutil
import warnings
from importlib.metadata import version

import torch

from methods_named import write_named
from methods_peft import PEFT
from methods_written import WRITTEN
from samples_expected import write_expected


def weight_file(root, path, name=""):
    """The one weight file of an adapter, relative to root."""
    if name or (root / path).is_file():
        return f"{path}/{name}" if name else path
    found = [file for file in (root / path).iterdir() if file.suffix in (".safetensors", ".bin")]
    assert len(found) == 1, found
    return f"{path}/{found[0].name}"


def write_provenance(rows, root):
    libraries = ", ".join(f"{name} {version(name)}" for name in ("peft", "transformers", "safetensors", "loralib", "torch", "numpy"))
    lines = ["# Provenance of the methods", "",
             "Made by `benchmark-data/make_methods.py`, which also writes this file. Every factor is seeded random numbers, on tiny",
             "models or on none; no data of anyone else is in them. Licence of all: Apache-2.0, as the project's own.", "",
             "«saved by PEFT» is save_pretrained; «written here» puts tensors under the names that other programs use, after their",
             "source. What they mean is asked of PEFT and loralib where these have the method, and follows the formulas of",
             "`methods_formulas.py`, each held against a second way, everywhere.", "",
             f"Libraries: {libraries}.", "",
             "| adapter | method | layout | what and how | origin | seed | bytes | SHA-256 |", "| --- | --- | --- | --- | --- | --- | --- | --- |"]
    for path, file, made, what, origin, seed in rows:
        data = (root / file).read_bytes()
        lines.append(f"| `{path}` | {made.method} | {made.layout} | {what} | {origin} | {seed} | {len(data)} | "
                     f"`{hashlib.sha256(data).hexdigest()}` |")
    (root / "PROVENANCE.md").write_text("\n".join(lines) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=pathlib.Path, help="where the adapters go; what is there is replaced")
    root = parser.parse_args().folder
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    warnings.filterwarnings("ignore", category=UserWarning)
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    samples, rows = [], []
    jobs = ([(path, "", seed, make, "saved by PEFT") for path, seed, make in PEFT]
            + [(path, name, seed, make, "written here") for path, name, seed, make in WRITTEN])
    for path, name, seed, make, origin in jobs:
        made = make(root / path, seed)
        file = weight_file(root, path, name)
        samples.append({"path": path, "file": file, "layout": made.layout, "method": made.method,
                        "container": made.container, "matched": made.matched, "modules": made.modules})
        rows.append((path, file, made, " ".join(make.__doc__.split()), origin, seed))
        print(f"{path}: {len(made.modules)} modules", flush=True)
    write_expected(samples, root / "expected.json")
    write_named(root / "named.json")
    write_provenance(rows, root)


if __name__ == "__main__":
    main()
