# SPDX-License-Identifier: Apache-2.0
"""What the saved samples hold, computed from the files in float64: norms and singular values of each update.

Folders are loaded through peft, whose own get_delta_weight, in float64, gives the update and so the scale rule. Single
files are read tensor by tensor and multiplied out with numpy. The singular values come from LAPACK on the full update,
never from the factors' Gram matrices, so this is independent of how loraudit computes them.
"""
import json
import re

import numpy as np
from peft import PeftModel
from safetensors import safe_open
from safetensors.numpy import load_file

PAIR = re.compile(r"(?P<name>.+?)\.(?:lora\.|lora_linear_layer\.)?"
                  r"(?:(?P<a>lora_down\.weight|down\.weight|lora_A)|(?P<b>lora_up\.weight|up\.weight|lora_B))$")


def singular_values(matrix, count):
    return [float(s) for s in np.linalg.svd(matrix, compute_uv=False)[:count]]


def describe(name, delta, down, up, scale):
    """One module's record; `delta` (m, n) with the scale in it, `down` (r, n), `up` (m, r), all float64."""
    rank, n = down.shape
    record = {"name": name, "out": up.shape[0], "in": n, "rank": rank, "scale": float(scale)}
    if not np.isfinite(delta).all():
        return record | {"finite": False, "frobenius": None, "spectral": None, "sigma": None,
                         "finite_a": bool(np.isfinite(down).all()), "finite_b": bool(np.isfinite(up).all())}
    sigma = singular_values(delta, rank)
    frobenius = float(np.sqrt(np.sum(delta * delta)))
    assert abs(frobenius - np.sqrt(np.sum(np.square(sigma)))) <= 1e-12 * frobenius, name
    return record | {"finite": True, "frobenius": frobenius, "spectral": sigma[0], "sigma": sigma,
                     "sigma_a": singular_values(down, rank), "sigma_b": singular_values(up, rank)}


def expect_adapter(base, folder):
    """Records of a peft folder; `base` is the model it was made on. Names are as the file's tensors have them."""
    model = PeftModel.from_pretrained(base, folder).double()
    records = []
    for path, module in model.named_modules():
        if not hasattr(module, "get_delta_weight"):
            continue
        delta = module.get_delta_weight("default").detach()
        delta = delta.T if module.fan_in_fan_out else delta                 # (out, in) always
        records.append(describe(path, delta.numpy(), module.lora_A["default"].weight.detach().numpy(),
                                module.lora_B["default"].weight.detach().numpy(), module.scaling["default"]))
    with safe_open(folder / "adapter_model.safetensors", "pt") as file:
        in_file = {key.removesuffix(".lora_A.weight") for key in file.keys() if key.endswith(".lora_A.weight")}
    assert in_file == {record["name"] for record in records}, folder
    return records


def expect_file(path):
    """Records of a single file: pairs by name, scale alpha / r where the file has an alpha and 1 where it has none.

    A kernel (r, n, kh, kw) is the matrix (r, n * kh * kw), row-major.
    """
    tensors = load_file(path)
    pairs = {}
    for key, tensor in tensors.items():
        match = PAIR.match(key)
        if match:
            matrix = tensor.astype(np.float64).reshape(tensor.shape[0], -1)
            pairs.setdefault(match["name"], {})["a" if match["a"] else "b"] = matrix
    records = []
    for name, pair in pairs.items():
        alpha = tensors.get(f"{name}.alpha")
        scale = 1.0 if alpha is None else float(alpha) / len(pair["a"])
        records.append(describe(name, scale * (pair["b"] @ pair["a"]), pair["a"], pair["b"], scale))
    assert 2 * len(records) + sum(key.endswith(".alpha") for key in tensors) == len(tensors), path
    return records


def totals(records):
    """Root of the sum of squared norms, and the largest singular value; null if any module is not finite, or there is none."""
    if not records or not all(record["finite"] for record in records):
        return {"frobenius": None, "spectral": None}
    return {"frobenius": float(np.sqrt(sum(r["frobenius"] ** 2 for r in records))),
            "spectral": max(r["spectral"] for r in records)}


def write_expected(samples, path):
    """`samples`: [{path, file, layout, modules}]. One line a module; repr of float64 throughout; names in order."""
    lines = ['{"schema": "loraudit.expected/1",', ' "samples": [']
    for i, sample in enumerate(samples):
        modules = sorted(sample["modules"], key=lambda record: record["name"])
        head = {key: value for key, value in sample.items() if key != "modules"} | {"totals": totals(modules)}
        rows = ",\n    ".join(json.dumps(record, allow_nan=False) for record in modules)
        comma = "," if i + 1 < len(samples) else ""
        lines.append("  " + json.dumps(head, allow_nan=False)[:-1] + ', "modules": [\n    ' + rows + f"]}}{comma}")
    path.write_text("\n".join(lines) + "\n]}\n")
    json.loads(path.read_text())
