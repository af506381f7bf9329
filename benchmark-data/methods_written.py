# SPDX-License-Identifier: Apache-2.0
"""Adapters in the formats of programs that are not at hand: their tensors under their names, filled with seeded random
numbers, and what they mean by the formulas of methods_formulas.py.

Each formula is held against the layer's own way through the factors, written with torch and applied to random input
(`agree`): a wrong index order would show there. loralib's MergedLinear is at hand and is asked itself. The formats' sources:
LyCORIS lycoris/modules, lycoris/functional; mlx-lm mlx_lm/tuner/lora.py; llama.cpp convert_lora_to_gguf.py; cloneofsimo/lora
lora_diffusion/lora.py; onnxruntime-genai test/test_models; microsoft/LoRA loralib/layers.py; XLabs x-flux; NVIDIA NeMo and
Megatron-Bridge; torchtune; Sam_LoRA.
"""
import json

import loralib
import numpy as np
import torch
from torch.nn import functional as F

from methods_files import save_gguf, save_npz, save_safetensors, save_torch, write_config
from methods_formulas import assert_same, describe, grouped, product, update
from methods_peft import Made


class Draw:
    """Seeded factors: N(0, 0.3^2), float32."""

    def __init__(self, seed):
        self.generator = torch.Generator().manual_seed(seed)

    def __call__(self, *shape):
        return 0.3 * torch.randn(shape, generator=self.generator)


def doubles(tensors):
    return {name: tensor.detach().double().numpy() for name, tensor in tensors.items()}


def agree(delta, layer, kernel=None, inputs=None):
    """ΔW applied to random input must be what layer(x) gives; a kernel (kh, kw) makes ΔW a convolution's."""
    delta = torch.from_numpy(np.asarray(delta))
    generator = torch.Generator().manual_seed(0)
    if kernel:
        weight = delta.reshape(len(delta), -1, *kernel)
        x = torch.randn(2, weight.shape[1], 5, 6, generator=generator, dtype=torch.float64)
        assert_same(F.conv2d(x, weight), layer(x), "conv2d")
    else:
        x = torch.randn(3, delta.shape[1], generator=generator, dtype=torch.float64)
        assert_same(x @ delta.T, layer(x), "linear")


def hadamard_layer(parts):
    """LoHa by the face-splitting product: column (i, j) of the factors is the product of their columns i and j."""
    p = {name: torch.from_numpy(array) for name, array in parts.items()}
    if "hada_t1" in p:
        def kernel(t, a, b):                                                # tap by tap: aᵀ · t[:, :, k, l] · b
            return torch.stack([a.T @ core @ b for core in t.flatten(2).unbind(2)], 2).unflatten(2, t.shape[2:])
        return lambda x: F.conv2d(x, kernel(p["hada_t1"], p["hada_w1_a"], p["hada_w1_b"])
                                  * kernel(p["hada_t2"], p["hada_w2_a"], p["hada_w2_b"]))
    up = (p["hada_w1_a"][:, :, None] * p["hada_w2_a"][:, None]).flatten(1)
    down = (p["hada_w1_b"][:, None] * p["hada_w2_b"][None]).flatten(0, 1)
    return lambda x: (x @ down.T) @ up.T


def kronecker_layer(parts, kernel=None):
    """LoKr without the Kronecker product: the inner matrix on each block of the input, then the blocks mixed."""
    p = {name: torch.from_numpy(array) for name, array in parts.items()}
    outer = p["lokr_w1"] if "lokr_w1" in p else p["lokr_w1_a"] @ p["lokr_w1_b"]
    if not kernel:
        inner = p["lokr_w2"] if "lokr_w2" in p else p["lokr_w2_a"] @ p["lokr_w2_b"]
        return lambda x: torch.einsum("ab,nbj,ij->nai", outer, x.unflatten(1, (outer.shape[1], -1)), inner).flatten(1)

    def blocks(x):
        if "lokr_w2" in p:
            return F.conv2d(x, p["lokr_w2"])
        if "lokr_t2" in p:
            down = F.conv2d(x, p["lokr_w2_b"][:, :, None, None])
            return F.conv2d(F.conv2d(down, p["lokr_t2"]), p["lokr_w2_a"].T[:, :, None, None])
        down = F.conv2d(x, p["lokr_w2_b"].unflatten(1, (-1, *kernel)))
        return F.conv2d(down, p["lokr_w2_a"][:, :, None, None])

    def layer(x):
        y = blocks(x.unflatten(1, (outer.shape[1], -1)).flatten(0, 1))
        return torch.einsum("ab,nbihw->naihw", outer, y.unflatten(0, (len(x), -1))).flatten(1, 2)
    return layer


def locon(path, seed):
    """LyCORIS LoCon, kohya's names: two Tucker convolutions (lora_mid) and one plain pair; alpha tensors."""
    draw, tensors, records = Draw(seed), {}, []
    for name, out, n, r, kernel, alpha in (("lora_unet_down_blocks_0_resnets_0_conv1", 14, 6, 4, (3, 3), 2.0),
                                           ("lora_unet_up_blocks_1_resnets_2_conv2", 10, 8, 3, (3, 2), 6.0)):
        up, mid, down = draw(out, r, 1, 1), draw(r, r, *kernel), draw(r, n, 1, 1)
        tensors |= {f"{name}.lora_up.weight": up, f"{name}.lora_mid.weight": mid, f"{name}.lora_down.weight": down,
                    f"{name}.alpha": torch.tensor(alpha)}
        u, m, d = up.double(), mid.double(), down.double()
        # mid takes down's outputs in its second place and gives up's inputs in its first
        delta = np.einsum("mnkl,om,ni->oikl", m.numpy(), u[:, :, 0, 0].numpy(), d[:, :, 0, 0].numpy()).reshape(out, -1)
        agree(delta, lambda x: F.conv2d(F.conv2d(F.conv2d(x, d), m), u), kernel)
        records.append(describe(name, alpha / r * delta, alpha / r))
    name, up, down = "lora_unet_mid_block_attentions_0_proj_in", draw(9, 5), draw(5, 12)
    tensors |= {f"{name}.lora_up.weight": up, f"{name}.lora_down.weight": down, f"{name}.alpha": torch.tensor(2.0)}
    records.append(describe(name, 0.4 * product(up, down), 0.4))
    save_safetensors(path, tensors)
    return Made("locon", "lycoris", records)


def lycoris_file(path, modules, scale_of):
    """modules: {name: (parts, alpha, kernel)}, kernel None where ΔW is checked as a matrix; scale_of(parts, alpha)."""
    tensors, records = {}, []
    for name, (parts, alpha, kernel) in modules.items():
        tensors |= {f"{name}.{part}": tensor for part, tensor in parts.items()} | {f"{name}.alpha": torch.tensor(alpha)}
        exact, scale = doubles(parts), scale_of(parts, alpha)
        layer = hadamard_layer(exact) if "hada_w1_a" in parts else kronecker_layer(exact, kernel)
        agree(update(exact), layer, kernel)
        records.append(describe(name, scale * update(exact), scale))
    save_safetensors(path, tensors)
    return records


def loha(path, seed):
    """LyCORIS LoHa, kohya's names: a linear layer, a flat convolution, and one by hada_t1, hada_t2; float16."""
    draw, r = Draw(seed), 3

    def flat(out, n):
        return {"hada_w1_a": draw(out, r), "hada_w1_b": draw(r, n), "hada_w2_a": draw(out, r), "hada_w2_b": draw(r, n)}
    core = {f"hada_{part}": draw(r, n) for part, n in (("w1_a", 12), ("w1_b", 5), ("w2_a", 12), ("w2_b", 5))}
    core |= {"hada_t1": draw(r, r, 3, 3), "hada_t2": draw(r, r, 3, 3)}
    modules = {"lora_te_text_model_encoder_layers_0_mlp_fc1": (flat(28, 16), 1.5, None),
               "lora_unet_down_blocks_0_resnets_0_conv1": (flat(16, 5 * 9), 6.0, None),
               "lora_unet_down_blocks_1_resnets_0_conv1": (core, 2.0, (3, 3))}
    modules = {name: ({part: tensor.half() for part, tensor in parts.items()}, *rest)
               for name, (parts, *rest) in modules.items()}
    return Made("loha", "lycoris", lycoris_file(path, modules, lambda parts, alpha: alpha / r))


def lokr_scale(parts, alpha):
    """alpha / r with r from whichever factor is decomposed; 1 when both are full, whatever alpha says."""
    for part in ("lokr_w1_b", "lokr_w2_b"):
        if part in parts:
            return alpha / len(parts[part])
    return 1.0


def lokr(path, seed):
    """LyCORIS LoKr, kohya's names: w1 and w2 full (scale 1 whatever alpha says) or decomposed, one or both; convolutions
    with a full kernel, a flat product, and lokr_t2."""
    draw = Draw(seed)
    modules = {
        "lora_unet_a_full": ({"lokr_w1": draw(4, 3), "lokr_w2": draw(5, 7)}, 6.0, None),
        "lora_unet_b_right": ({"lokr_w1": draw(3, 4), "lokr_w2_a": draw(8, 2), "lokr_w2_b": draw(2, 6)}, 3.0, None),
        "lora_unet_c_both": ({"lokr_w1_a": draw(6, 2), "lokr_w1_b": draw(2, 5), "lokr_w2_a": draw(7, 2),
                              "lokr_w2_b": draw(2, 6)}, 1.0, None),
        "lora_unet_d_left": ({"lokr_w1_a": draw(6, 2), "lokr_w1_b": draw(2, 5), "lokr_w2": draw(3, 4)}, 5.0, None),
        "lora_unet_e_full_kernel": ({"lokr_w1_a": draw(5, 2), "lokr_w1_b": draw(2, 4), "lokr_w2": draw(3, 2, 3, 3)}, 1.0, (3, 3)),
        "lora_unet_f_flat_conv": ({"lokr_w1": draw(2, 3), "lokr_w2_a": draw(6, 2), "lokr_w2_b": draw(2, 3 * 9)}, 4.0, (3, 3)),
        "lora_unet_g_core": ({"lokr_w1": draw(3, 2), "lokr_w2_a": draw(2, 5), "lokr_w2_b": draw(2, 4),
                              "lokr_t2": draw(2, 2, 3, 3)}, 3.0, (3, 3)),
    }
    return Made("lokr", "lycoris", lycoris_file(path, modules, lokr_scale))


def merged_loralib(path, seed):
    """loralib.MergedLinear r=3, alpha 3: query and value of a fused projection, and all three; lora_A and lora_B."""
    draw, tensors, records = Draw(seed), {}, []
    for name, enable in (("layer.0.qkv", [True, False, True]), ("layer.1.qkv", [True, True, True])):
        layer = loralib.MergedLinear(14, 36, r=3, lora_alpha=3, enable_lora=enable, merge_weights=False).double()
        layer.lora_A.data, layer.lora_B.data = draw(*layer.lora_A.shape), draw(*layer.lora_B.shape)
        tensors |= {f"{name}.lora_A": layer.lora_A, f"{name}.lora_B": layer.lora_B}
        delta = grouped(layer.lora_B.detach(), layer.lora_A.detach())
        own = layer.double().merge_AB().detach().numpy()                    # with rows of zeros for what is not adapted
        assert_same(own[np.repeat(enable, 12)], delta, name)
        assert layer.scaling == 1
        records.append(describe(name, delta, 1))
    save_safetensors(path, tensors)
    return Made("lora", "loralib", records)


def merged_peft(path, seed):
    """PEFT 0.1: enable_lora in the config, A (r * k, in), B (rows of what is enabled, r, 1); r=4, alpha 10, saved as .bin."""
    draw, tensors, records = Draw(seed), {}, []
    for i in range(2):
        name, a, b = f"base_model.model.transformer.h.{i}.self_attention.query_key_value", draw(8, 18), draw(24, 4, 1)
        tensors |= {f"{name}.lora_A.weight": a, f"{name}.lora_B.weight": b}
        own = F.conv1d(a.double()[None], b.double(), groups=2)[0]
        delta = grouped(b, a)
        assert_same(own.numpy(), delta, name)
        records.append(describe(name, 2.5 * delta, 2.5))
    write_config(path, {"base_model_name_or_path": "tiny", "bias": "none", "enable_lora": [True, False, True],
                        "fan_in_fan_out": True, "inference_mode": True, "lora_alpha": 10, "lora_dropout": 0.05,
                        "merge_weights": False, "modules_to_save": None, "peft_type": "LORA", "r": 4,
                        "target_modules": ["query_key_value"], "task_type": "CAUSAL_LM"})
    save_torch(path / "adapter_model.bin", tensors)
    return Made("lora", "peft", records, container="torch-zip")


MLX_CONFIG = {"adapter_path": "adapters", "batch_size": 4, "fine_tune_type": "lora", "iters": 100, "learning_rate": 1e-05,
              "lora_parameters": {"alpha": 32, "dropout": 0.0, "rank": 4, "scale": 10.0}, "model": "tiny", "num_layers": 2,
              "train": True}


def mlx_tensors(seed, magnitude=False):
    """lora_a (in, r), lora_b (r, out): y += scale * (x a) b; the scale is the config's, its alpha means nothing."""
    draw, tensors, records = Draw(seed), {}, []
    for name, out, n in (("self_attn.q_proj", 20, 16), ("self_attn.v_proj", 12, 16), ("mlp.down_proj", 16, 30)):
        for layer in (0, 1):
            path, a, b = f"model.layers.{layer}.{name}", draw(n, 4), draw(4, out)
            tensors |= {f"{path}.lora_a": a, f"{path}.lora_b": b}
            if magnitude:
                tensors[f"{path}.m"] = 1 + draw(out).abs()
            delta = product(b.T, a.T)
            agree(delta, lambda x: (x @ a.double()) @ b.double())
            records.append(describe(path, 10 * delta, 10))
    return tensors, records


def mlx(path, seed):
    """mlx-lm, r=4, scale 10 (lora_parameters.scale; alpha beside it is ignored)."""
    tensors, records = mlx_tensors(seed)
    save_safetensors(path / "adapters.safetensors", tensors, {"format": "mlx"})
    write_config(path, dict(MLX_CONFIG))
    return Made("lora", "mlx", records)


def mlx_dora(path, seed):
    """The same as DoRA, with the magnitude m; the numbers are of the directional part."""
    tensors, records = mlx_tensors(seed, magnitude=True)
    save_safetensors(path / "adapters.safetensors", tensors, {"format": "mlx"})
    write_config(path, MLX_CONFIG | {"fine_tune_type": "dora"})
    return Made("dora", "mlx", records)


def mlx_npz(path, seed):
    """The same in adapters.npz, as mlx-lm wrote first."""
    tensors, records = mlx_tensors(seed)
    save_npz(path / "adapters.npz", tensors)
    write_config(path, dict(MLX_CONFIG))
    return Made("lora", "mlx", records, container="npz")


def mlx_experts(path, seed):
    """mlx-lm on a mixture of experts: lora_a (experts, r, in), lora_b (experts, out, r), each expert a weight of its own."""
    draw, tensors, records = Draw(seed), {}, []
    for name, out, n in (("switch_mlp.gate_proj", 22, 12), ("switch_mlp.down_proj", 12, 22)):
        path_in_model, a, b = f"model.layers.0.mlp.{name}", draw(3, 4, n), draw(3, out, 4)
        tensors |= {f"{path_in_model}.lora_a": a, f"{path_in_model}.lora_b": b}
        fused = (10 * b.double()) @ a.double()                              # LoRASwitchLinear.fuse
        for expert in range(3):
            delta = 10 * product(b[expert], a[expert])
            assert_same(fused[expert].numpy(), delta, name)
            records.append(describe(f"{path_in_model}.{expert}", delta, 10))
    save_safetensors(path / "adapters.safetensors", tensors, {"format": "mlx"})
    write_config(path, dict(MLX_CONFIG))
    return Made("lora", "mlx", records, "numbers")


def cloneofsimo_pairs(seed):
    draw = Draw(seed)
    return {"unet": [(draw(20, 4), draw(4, 16)), (draw(12, 4), draw(4, 16)), (draw(10, 4, 1, 1), draw(4, 6, 3, 3))],
            "text_encoder": [(draw(18, 2), draw(2, 14))]}


def cloneofsimo(path, seed):
    """`<model>:<index>:up|down`, the classes in the metadata; no module names, no alpha; a convolution among them."""
    tensors, metadata, records = {}, {}, []
    for model, pairs in cloneofsimo_pairs(seed).items():
        metadata[model] = json.dumps(["CrossAttention", "ResnetBlock2D"] if model == "unet" else ["CLIPAttention"])
        for i, (up, down) in enumerate(pairs):
            tensors |= {f"{model}:{i}:up": up, f"{model}:{i}:down": down}
            metadata[f"{model}:{i}:rank"] = str(len(down))
            records.append(describe(f"{model}:{i}", product(up, down), 1))
    save_safetensors(path, tensors, metadata)
    return Made("lora", "cloneofsimo", records, "numbers")


def cloneofsimo_list(path, seed):
    """torch.save of the list [up0, down0, up1, down1, …] of parameters."""
    pairs = cloneofsimo_pairs(seed)["unet"]
    save_torch(path, [torch.nn.Parameter(factor) for pair in pairs for factor in pair])
    records = [describe(str(i), product(up, down), 1) for i, (up, down) in enumerate(pairs)]
    return Made("lora", "cloneofsimo", records, "numbers", "torch-zip")


def pairs_file(seed, modules, keys, scale=1.0, turned=False):
    """Tensors and records of (name, out, in, r) under the two keys; `turned`: the file has both factors transposed."""
    draw, tensors, records = Draw(seed), {}, []
    for name, out, n, r in modules:
        a, b = draw(r, n), draw(out, r)
        tensors |= {f"{name}{keys[0]}": (a.T if turned else a).contiguous(),
                    f"{name}{keys[1]}": (b.T if turned else b).contiguous()}
        records.append(describe(name, scale * product(b, a), scale))
    return tensors, records


def onnxruntime(path, seed):
    """PEFT's names, factors transposed: lora_A (in, r), lora_B (r, out), the scale folded into B; npz."""
    modules = [(f"model.layers.{i}.{name}", out, n, 5) for i in (0, 1)
               for name, out, n in (("attn.q_proj", 20, 16), ("mlp.down_proj", 16, 26))]
    tensors, records = pairs_file(seed, modules, (".lora_A.weight", ".lora_B.weight"), turned=True)
    save_npz(path, tensors)
    return Made("lora", "onnxruntime", records, container="npz")


def gguf(path, seed):
    """llama.cpp: blk.N.attn_q.weight.lora_a (ne = [in, r]), .lora_b (ne = [r, out]); adapter.lora.alpha 10, r=4."""
    modules = [(f"blk.{i}.{name}.weight", out, n, 4) for i in (0, 1)
               for name, out, n in (("attn_q", 20, 16), ("attn_v", 8, 16), ("ffn_down", 16, 26))]
    tensors, records = pairs_file(seed, modules, (".lora_a", ".lora_b"), 2.5)
    save_gguf(path, tensors, 10.0)
    return Made("lora", "gguf", records, "numbers", "gguf")


def sam(path, seed):
    """Sam_LoRA: w_a_000, w_b_000, numbered; no module names, no alpha."""
    tensors, records = pairs_file(seed, [(f"{i:03d}", 18 + 2 * i, 16, 4) for i in range(4)], ("a", "b"))
    save_safetensors(path, {f"w_{key[-1]}_{key[:3]}": tensor for key, tensor in tensors.items()})
    return Made("lora", "generic", records, "numbers")


def lora_xs_raw(path, seed):
    """LoRA-XS r=5 as a raw state dict has it: default_lora_latent_mapping.weight; the config's alpha / r is 1.6."""
    draw, tensors, records = Draw(seed), {}, []
    for i in (0, 1):
        name = f"base_model.model.model.layers.{i}.self_attn.q_proj"
        b, r, a = draw(20, 5), draw(5, 5), draw(5, 16)
        tensors |= {f"{name}.lora_A.default.weight": a, f"{name}.lora_B.default.weight": b,
                    f"{name}.default_lora_latent_mapping.weight": r}
        delta = update(doubles({"lora_A": a, "lora_B": b, "lora_latent_mapping": r}))
        agree(delta, lambda x: ((x @ a.double().T) @ r.double().T) @ b.double().T)
        records.append(describe(name, 1.6 * delta, 1.6))
    save_safetensors(path / "adapter_model.safetensors", tensors)
    write_config(path, {"peft_type": "LORA", "r": 5, "lora_alpha": 8, "target_modules": ["q_proj"], "bias": "none"})
    return Made("lora-sb", "lora-sb", records)


def xlabs(path, seed):
    """XLabs Flux: double_blocks.N.processor.{qkv,proj}_lora{1,2}.{down,up}.weight; no alpha."""
    modules = [(f"double_blocks.{i}.processor.{name}_lora{stream}", out, 16, 4) for i in (0, 1)
               for name, out in (("qkv", 48), ("proj", 16)) for stream in (1, 2)]
    tensors, records = pairs_file(seed, modules, (".down.weight", ".up.weight"))
    save_safetensors(path, tensors)
    return Made("lora", "generic", records, "numbers")


def nemo(path, seed):
    """NeMo 1 and Megatron-Bridge: linear_in (r, in), linear_out (out, r), the scale in another file."""
    modules = [("model.language_model.encoder.layers.0.self_attention.adapter_layer.lora_kqv_adapter", 36, 12, 4),
               ("model.language_model.encoder.layers.0.self_attention.adapter_layer.lora_dense_attention_adapter", 12, 14, 4),
               ("decoder.layers.1.self_attention.linear_qkv.adapter", 30, 12, 4)]
    tensors, records = pairs_file(seed, modules, (".linear_in.weight", ".linear_out.weight"))
    save_safetensors(path, tensors)
    return Made("lora", "generic", records, "numbers")


def torchtune(path, seed):
    """torchtune's own names, lora_a.weight (r, in), lora_b.weight (out, r), saved by torch."""
    modules = [(f"layers.{i}.attn.{name}", out, 16, 4) for i in (0, 1) for name, out in (("q_proj", 20), ("v_proj", 8))]
    tensors, records = pairs_file(seed, modules, (".lora_a.weight", ".lora_b.weight"))
    save_torch(path, tensors)
    return Made("lora", "generic", records, container="torch-zip")


# path, the weight file in it or "", seed, maker
WRITTEN = [
    ("lycoris-locon.safetensors", "", 301, locon), ("lycoris-loha-f16.safetensors", "", 302, loha),
    ("lycoris-lokr.safetensors", "", 303, lokr), ("loralib-merged.safetensors", "", 304, merged_loralib),
    ("peft-merged-bin", "adapter_model.bin", 305, merged_peft), ("mlx", "adapters.safetensors", 306, mlx),
    ("mlx-dora", "adapters.safetensors", 307, mlx_dora), ("mlx-npz", "adapters.npz", 308, mlx_npz),
    ("mlx-experts", "adapters.safetensors", 309, mlx_experts), ("cloneofsimo.safetensors", "", 310, cloneofsimo),
    ("cloneofsimo-list.pt", "", 311, cloneofsimo_list), ("onnxruntime.npz", "", 312, onnxruntime),
    ("llama-cpp.gguf", "", 313, gguf), ("sam-lora.safetensors", "", 314, sam),
    ("lora-xs-raw", "adapter_model.safetensors", 315, lora_xs_raw), ("xlabs-flux.safetensors", "", 316, xlabs),
    ("nemo.safetensors", "", 317, nemo), ("torchtune.pt", "", 318, torchtune),
]
