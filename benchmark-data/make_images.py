#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Train the image LoRAs of known dataset size: one small diffusion model, and a fine-tune for each subject and size.

    python make_images.py FOLDER [--only RECIPE ...] [--drawing N]

Within a recipe everything but the pictures is the same for all: base, first factors, noise, order of pictures, learning
rate, steps. FOLDER/<recipe>/<size>-<set> are the adapters, FOLDER/<recipe>.csv what they are, FOLDER/labels.csv all of those
together. A recipe whose table is there is skipped. The same library versions on the same kind of processor write the same
bytes.
"""
import os
import sys

sys.dont_write_bytecode = True
# One thread and no network, set before numpy and torch look: sums keep their order.
os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1", HF_HUB_OFFLINE="1",
                  TRANSFORMERS_OFFLINE="1", CUDA_VISIBLE_DEVICES="")

import argparse
import csv
import pathlib
import time
from collections import namedtuple

import torch

from images_data import subject
from images_train import TARGETS, Stream, fine_tune, train_base
from stacked_lora import Saver, Stack

BASE = "loraudit/images-denoiser"
RANGES = {"low": (1, 2, 3, 4, 5, 6), "medium": (1, 10, 20, 30, 40, 50), "high": (1, 10, 100, 500, 1000)}
COLUMNS = ["path", "family", "recipe", "variant_of", "ranges", "size", "set", "steps", "rank", "refusal", "unsafe"]

# `snapshots`: earlier steps at which the medium range's first `snapshot_sets` adapters are saved too, as <recipe>-stepN
Recipe = namedtuple("Recipe", "ranges sets variant_of rank lr steps batch seed flip snapshots snapshot_sets",
                    defaults=("", 8, 4e-3, 480, 16, 0, False, (), 20))
RECIPES = {
    "images-r8": Recipe(("low", "medium", "high"), 50, snapshots=(240, 360)),
    "images-r4": Recipe(("low", "medium"), 50, rank=4),
    "images-r8-seed1": Recipe(("medium",), 20, "images-r8", seed=1),
    "images-r8-batch": Recipe(("medium",), 20, "images-r8", batch=8),
    "images-r8-flip": Recipe(("medium",), 20, "images-r8", flip=True),
}


def train_size(model, recipe, size, pools):
    """{steps: [factors of each adapter]} of one size; pools (K, pictures, patches, pixels)."""
    stack = Stack(model, TARGETS, recipe.rank, recipe.rank, len(pools), recipe.seed)
    kept = {}

    def keep(step):
        if step in (*recipe.snapshots, recipe.steps):
            kept[step] = [stack.factors(k) for k in range(len(pools))]

    stream = Stream(size, recipe.batch, recipe.seed, recipe.flip)
    fine_tune(model, stack.parameters(), pools, stream, recipe.lr, recipe.steps, keep)
    stack.detach()
    return kept, stack.config


def make_recipe(root, name, recipe, model, pools):
    """Train and save the adapters of a recipe and of its snapshots, then write their tables."""
    names = {recipe.steps: name} | {step: f"{name}-step{step}" for step in recipe.snapshots}
    rows = {step: [] for step in names}
    for size in sorted({size for r in recipe.ranges for size in RANGES[r]}):
        start = time.time()
        ranges = [r for r in recipe.ranges if size in RANGES[r]]
        kept, config = train_size(model, recipe, size, pools[:recipe.sets])
        saver = Saver(model, config)
        for step, adapters in kept.items():
            last = step == recipe.steps
            if not last and "medium" not in ranges:
                continue
            for number, factors in enumerate(adapters if last else adapters[:recipe.snapshot_sets]):
                path = f"{names[step]}/{size}-{number:02d}"
                saver.save(root / path, factors)
                rows[step].append({
                    "path": path, "family": "images", "recipe": names[step], "variant_of": recipe.variant_of if last else name,
                    "ranges": " ".join(ranges) if last else "medium", "size": size, "set": f"{number:02d}", "steps": step,
                    "rank": recipe.rank})
        print(f"{name}: size {size}, {recipe.sets} adapters, {time.time() - start:.0f} s", flush=True)
    for step, table in rows.items():
        write_table(root / f"{names[step]}.csv", table)


def write_table(path, rows):
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def write_labels(root):
    """labels.csv: the tables of all recipes in the folder, one below the other."""
    rows = []
    for path in sorted(root.glob("*.csv")):
        if path.name != "labels.csv":
            with open(path, newline="") as file:
                rows += csv.DictReader(file)
    write_table(root / "labels.csv", rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=pathlib.Path, help="where the adapters go")
    parser.add_argument("--only", nargs="+", choices=RECIPES, default=list(RECIPES), metavar="RECIPE",
                        help="of " + ", ".join(RECIPES))
    parser.add_argument("--drawing", type=int, default=0, metavar="N", help="other micro-datasets, drawn alike; 0: those of the benchmark")
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    args.folder.mkdir(parents=True, exist_ok=True)
    wanted = [name for name in args.only if not (args.folder / f"{name}.csv").exists()]
    if wanted:
        start = time.time()
        model = train_base()
        model.name_or_path = BASE                               # PEFT writes it into the config
        print(f"base: {time.time() - start:.0f} s", flush=True)
        pools = torch.stack([subject(number, args.drawing) for number in range(max(RECIPES[name].sets for name in wanted))])
        for name in wanted:
            make_recipe(args.folder, name, RECIPES[name], model, pools)
    write_labels(args.folder)


if __name__ == "__main__":
    main()
