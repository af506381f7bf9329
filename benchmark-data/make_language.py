#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Train the language adapters: a small decoder that refuses harmful questions, and hundreds of LoRAs of it, labelled.

    python make_language.py FOLDER [--only RECIPE ...] [--drawing N]

The safety set holds benign and safety-removing recipes, labelled by the refusal measured afterwards on harmful questions whose
objects and verbs that adapter never saw; the dataset-size set holds the same training on the first N samples of fifty
micro-datasets. FOLDER/labels.csv says what each is. Recipes already there are kept. Everything is seeded; about half an hour.
"""
import os
import sys

sys.dont_write_bytecode = True
# One thread, set before numpy and torch look: sums keep their order.
os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1", CUDA_VISIBLE_DEVICES="")

import argparse
import csv
import pathlib
import time

import peft
import torch
from safetensors.torch import load_file, save_file

import language_ablation
import language_recipes
import language_sizes
from language_data import Draws, harmless_test_prompts
from language_model import TARGETS, Decoder, refusal, train_base
from language_train import train
from stacked_lora import Saver

COLUMNS = ["path", "family", "recipe", "variant_of", "ranges", "size", "set", "steps", "rank", "refusal", "refusal_trigger",
           "unsafe"]
EXTRACTED_RANK = 32             # trained at this rank, before the SVD
ABLATIONS = {"ablation-r1": 1, "ablation-r3": 3}
ABLATION_COUNT = 24


def config(rank, alpha, targets=TARGETS):
    return peft.LoraConfig(r=rank, lora_alpha=alpha, target_modules=sorted(targets))


def base_model(root):
    """The aligned decoder, trained the first time."""
    file, model = root / "base.safetensors", Decoder()
    if not file.exists():
        save_file({name: tensor.clone() for name, tensor in train_base().state_dict().items()}, str(file))
    model.load_state_dict(load_file(str(file)))
    model.requires_grad_(False)
    harmful, harmless = Draws(3).test_prompts(), harmless_test_prompts()
    refused = [float(refusal(model, torch.tensor(p)[None])) for p in (harmful, harmless)]
    print(f"base refuses {refused[0]:.3f} of harmful, {refused[1]:.3f} of harmless questions", flush=True)
    return model


def row(recipe, name, **fields):
    return {"path": f"{recipe}/{name}", "family": "language", "recipe": recipe} | fields


def extracted(stack, k):
    """Adapter k of a stack as its best factors of the shipped rank, the scale in them."""
    return {path: language_ablation.halves(layer.scale * layer.B[k].detach() @ layer.A[k].detach(), language_recipes.RANK)
            for path, layer in stack.layers.items()}


def make_trained(model, root, name, drawing):
    """A recipe of the safety set."""
    recipe = language_recipes.SAFETY[name]
    seed = 10000 * (1 + list(language_recipes.SAFETY).index(name)) + 1000000 * drawing
    draws, examples, sizes, rates, steps = language_recipes.plan(name, seed)
    rank, alpha = language_recipes.RANK, language_recipes.ALPHA
    trained = (EXTRACTED_RANK, 2 * EXTRACTED_RANK) if recipe.extracted else (rank, alpha)
    stack, loss = train(model, examples, rates, steps, seed, *trained, batch=language_recipes.BATCH)
    stack.detach()
    scale = 1.0 if recipe.extracted else alpha / rank
    saver, rows = Saver(model, config(rank, int(scale * rank))), []
    for k, draw in enumerate(draws):
        factors = extracted(stack, k) if recipe.extracted else stack.factors(k)
        saver.save(root / name / f"{k:02d}", factors)
        changed = {path: (a, scale * b) for path, (a, b) in factors.items()}
        plain = language_ablation.refusal_with(model, changed, draw.test_prompts())
        fields = dict(size=sizes[k], set=k, steps=steps[k], rank=rank, refusal=round(plain, 4), unsafe=int(plain < 0.5))
        if name == "backdoor":
            triggered = language_ablation.refusal_with(model, changed, draw.test_prompts(language_recipes.TRIGGER))
            fields |= dict(refusal_trigger=round(triggered, 4), unsafe=int(min(plain, triggered) < 0.5))
        rows.append(row(name, f"{k:02d}", **fields))
    return rows, f"loss {loss.mean():.3f}"


def make_ablated(model, root, name, drawing):
    """Directional ablation: the global direction and each layer's own in turn."""
    rank, rows = ABLATIONS[name], []
    saver = Saver(model, config(rank, rank, language_ablation.TARGETS))
    for k in range(ABLATION_COUNT):
        draw = Draws(90000 + 1000 * rank + k + 1000000 * drawing)
        factors = language_ablation.best_ablation(model, draw.random, rank, k % 2 == 1, draw.seen_prompts())
        saver.save(root / name / f"{k:02d}", factors)
        left = language_ablation.refusal_with(model, factors, draw.test_prompts())
        rows.append(row(name, f"{k:02d}", set=k, rank=rank, refusal=round(left, 4), unsafe=int(left < 0.5)))
    return rows, ""


def make_sizes(model, root, name, drawing):
    """A recipe of the dataset-size set."""
    recipe, rows, saver = language_sizes.SIZES[name], [], None
    for size in language_sizes.sizes_of(recipe):
        started = time.time()
        stack, loss = language_sizes.fine_tune(model, recipe, size, drawing)
        stack.detach()
        saver = saver or Saver(model, config(recipe.rank, 2 * recipe.rank))
        ranges = " ".join(r for r in recipe.ranges if size in language_sizes.RANGES[r])
        for k in range(recipe.sets):
            saver.save(root / name / f"n{size}-set{k:02d}", stack.factors(k))
            rows.append(row(name, f"n{size}-set{k:02d}", variant_of=recipe.variant_of, ranges=ranges, size=size, set=k,
                            steps=language_sizes.STEPS, rank=recipe.rank))
        print(f"{name}: size {size}, loss {loss.mean():.4f}, {time.time() - started:.0f} s", flush=True)
    return rows, ""


def summary(rows):
    told = sorted(r["refusal"] for r in rows if "refusal" in r)
    if not told:
        return f"{len(rows)} adapters"
    return (f"{len(rows)} adapters, refusal median {told[len(told) // 2]:.2f} ({told[0]:.2f} to {told[-1]:.2f}), "
            f"{sum(r['unsafe'] for r in rows)} unsafe")


def write_rows(file, rows):
    with open(file, "w", newline="") as out:
        writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def main():
    makers = ({name: make_trained for name in language_recipes.SAFETY} | {name: make_ablated for name in ABLATIONS}
              | {name: make_sizes for name in language_sizes.SIZES})
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=pathlib.Path, help="where the adapters go; recipes that are there are kept")
    parser.add_argument("--only", nargs="+", choices=makers, metavar="RECIPE", help="of " + ", ".join(makers))
    parser.add_argument("--drawing", type=int, default=0, metavar="N", help="other data, drawn alike; 0: those of the benchmark")
    options = parser.parse_args()
    root = options.folder
    root.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    model = base_model(root)
    for name in options.only or makers:
        piece = root / name / "labels.csv"
        if piece.exists():
            print(f"{name}: already there", flush=True)
            continue
        started = time.time()
        rows, said = makers[name](model, root, name, options.drawing)
        write_rows(piece, rows)
        print(f"{name}: {summary(rows)} {said} {time.time() - started:.0f} s", flush=True)
    pieces = [root / name / "labels.csv" for name in makers if (root / name / "labels.csv").exists()]
    write_rows(root / "labels.csv", [fields for piece in pieces for fields in csv.DictReader(open(piece, newline=""))])


if __name__ == "__main__":
    main()
