#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Make one adapter in every container: the same float32 factors, bit for bit, so that the spectra must be the same too.

    python make_containers.py FOLDER

PEFT's names and config, r=4, alpha 8, six modules of six shapes; each container in a folder of its own. GGUF has the names
of llama.cpp and alpha in the file. FOLDER/expected.json holds what all of them mean in float64.
"""
import os
import sys

sys.dont_write_bytecode = True
os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1", CUDA_VISIBLE_DEVICES="")

import argparse
import hashlib
import pathlib
import shutil
from collections import OrderedDict
from importlib.metadata import version

import torch

from methods_files import (save_gguf, save_hdf5, save_npz, save_safetensors, save_torch, save_torch_legacy,
                           write_config)
from methods_formulas import describe, product
from samples_expected import write_expected

SEED, RANK, ALPHA = 401, 4, 8
# peft's path, llama.cpp's, out, in: every shape once, so that modules can be told apart without their names
MODULES = [("layers.0.self_attn.q_proj", "blk.0.attn_q", 24, 20), ("layers.0.self_attn.v_proj", "blk.0.attn_v", 12, 20),
           ("layers.0.mlp.down_proj", "blk.0.ffn_down", 20, 44), ("layers.1.self_attn.q_proj", "blk.1.attn_q", 28, 20),
           ("layers.1.self_attn.v_proj", "blk.1.attn_v", 16, 20), ("layers.1.mlp.down_proj", "blk.1.ffn_down", 20, 48)]
CONFIG = {"base_model_name_or_path": "tiny", "bias": "none", "fan_in_fan_out": False, "inference_mode": True,
          "init_lora_weights": True, "lora_alpha": ALPHA, "lora_dropout": 0.0, "modules_to_save": None, "peft_type": "LORA",
          "r": RANK, "target_modules": ["q_proj", "v_proj", "down_proj"], "task_type": "CAUSAL_LM", "use_rslora": False}

# container, file, how it is saved
CONTAINERS = [
    ("safetensors", "safetensors/adapter_model.safetensors", save_safetensors),
    ("torch-zip", "torch-zip/adapter_model.bin", save_torch),
    ("torch-legacy", "torch-legacy/adapter_model.bin", save_torch_legacy),
    ("npz", "npz-stored/adapter_model.npz", save_npz),
    ("npz", "npz-deflated/adapter_model.npz", lambda path, tensors: save_npz(path, tensors, compressed=True)),
    ("gguf", "gguf/adapter_model.gguf", None),
    ("hdf5", "hdf5-contiguous/adapter_model.h5", save_hdf5),
    ("hdf5", "hdf5-chunked/adapter_model.h5", lambda path, tensors: save_hdf5(path, tensors, filtered=True)),
]


def draw():
    """{(peft name, gguf name): (A, B)}; half of each factor's columns far smaller, as in a trained one."""
    generator = torch.Generator().manual_seed(SEED)
    decay = torch.tensor([1.0, 0.3, 0.1, 0.03])
    return {(peft, gguf): (0.2 * torch.randn(RANK, n, generator=generator),
                           0.2 * torch.randn(out, RANK, generator=generator) * decay)
            for peft, gguf, out, n in MODULES}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=pathlib.Path, help="where the containers go; what is there is replaced")
    root = parser.parse_args().folder
    torch.set_num_threads(1)
    shutil.rmtree(root, ignore_errors=True)
    tensors, llama, records = OrderedDict(), {}, []
    for (peft, gguf), (a, b) in draw().items():
        name = f"base_model.model.model.{peft}"
        tensors |= {f"{name}.lora_A.weight": a, f"{name}.lora_B.weight": b}
        llama |= {f"{gguf}.weight.lora_a": a, f"{gguf}.weight.lora_b": b}
        records.append(describe(name, ALPHA / RANK * product(b, a), ALPHA / RANK))
    samples, rows = [], []
    for container, file, save in CONTAINERS:
        if save:
            write_config((root / file).parent, dict(CONFIG))
            save(root / file, tensors)
        else:
            save_gguf(root / file, llama, float(ALPHA))
        data = (root / file).read_bytes()
        rows.append(f"| `{file}` | {container} | {len(data)} | `{hashlib.sha256(data).hexdigest()}` |")
        samples.append({"path": file.split("/")[0], "file": file, "layout": "peft" if save else "gguf", "method": "lora",
                        "container": container, "matched": "name" if save else "numbers", "modules": records})
    write_expected(samples, root / "expected.json")
    libraries = ", ".join(f"{name} {version(name)}" for name in ("safetensors", "torch", "numpy", "h5py"))
    (root / "PROVENANCE.md").write_text("\n".join([
        "# Provenance of the containers", "",
        "Made by `benchmark-data/make_containers.py`, which also writes this file: one adapter of seeded random numbers",
        f"(seed {SEED}, r={RANK}, alpha {ALPHA}) in every container. Licence of all: Apache-2.0, as the project's own.", "",
        f"Libraries: {libraries}. GGUF and the legacy torch format are written byte by byte; torch reads the latter back.", "",
        "| file | container | bytes | SHA-256 |", "| --- | --- | --- | --- |", *rows]) + "\n")


if __name__ == "__main__":
    main()
