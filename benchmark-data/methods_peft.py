# SPDX-License-Identifier: Apache-2.0
"""Adapters of every method that PEFT 0.10 saves, on tiny models that are never run: every factor is set to seeded
random numbers, so that nothing in them is zero, and save_pretrained writes them.

What they hold comes from PEFT too: the folder is loaded again, turned to float64, and asked for get_delta_weight; the
formulas of methods_formulas.py must agree. Two things are not taken from PEFT 0.10 as they are: its LoKr leaves
alpha / r out of get_delta_weight, which later versions put in; and DoRA's magnitude needs the base weight, so that only
the s * B * A inside it is compared.
"""
import re
from collections import namedtuple

import torch
from peft import (AdaLoraConfig, AdaptionPromptConfig, IA3Config, LoHaConfig, LoKrConfig, LoraConfig,
                  MultitaskPromptTuningConfig, OFTConfig, PeftModel, PolyConfig, PrefixTuningConfig,
                  PromptEncoderConfig, PromptTuningConfig, get_peft_model)
from safetensors.torch import load_file
from torch import nn
from transformers import LlamaConfig, LlamaForCausalLM
from transformers.pytorch_utils import Conv1D

from methods_files import save_peft
from methods_formulas import assert_same, describe, matrix, update

Made = namedtuple("Made", "method layout modules matched container", defaults=("name", "safetensors"))
PART = re.compile(r"(?P<name>.+)\.(?P<part>(?:lora|hada|lokr)_\w+?)(?:\.weight)?$")


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.q = nn.Linear(24, 16)
        self.up = nn.Linear(16, 40)
        self.down = nn.Linear(40, 16)


class Parts(nn.Module):
    """One layer of each kind that some method adapts."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(21, 12)
        self.conv3 = nn.Conv2d(6, 10, 3)
        self.conv1 = nn.Conv2d(10, 8, 1)
        self.fused = Conv1D(36, 12)                                         # transposed: weight (12, 36)
        self.layers = nn.ModuleList([Block(), Block()])
        self.head = nn.Linear(16, 5)


def parts(seed):
    torch.manual_seed(seed)
    return Parts()


def llama(seed):
    torch.manual_seed(seed)
    return LlamaForCausalLM(LlamaConfig(vocab_size=32, hidden_size=16, intermediate_size=24, num_hidden_layers=2,
                                        num_attention_heads=2, num_key_value_heads=2, max_position_embeddings=32))


def randomise(model, seed):
    """Every trainable number of the adapter from N(0, 0.3^2)."""
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        if any(word in name for word in ("lora_", "hada_", "lokr_", "ia3_", "oft_", "poly_", "adaption_", "prompt_encoder")):
            parameter.data = 0.3 * torch.randn(parameter.shape, generator=generator)


def adapted(config, seed, base=parts):
    torch.manual_seed(seed)
    model = get_peft_model(base(seed), config)
    randomise(model, seed)
    return model


def tensors_of(folder):
    file = folder / "adapter_model.safetensors"
    return load_file(file) if file.exists() else torch.load(folder / "adapter_model.bin")


def factors_of(folder):
    """{module: {part: array}} of a saved folder."""
    modules = {}
    for key, tensor in tensors_of(folder).items():
        match = PART.match(key)
        if match:
            modules.setdefault(match["name"], {})[match["part"]] = tensor.double().numpy()
    return modules


def scale_of(module):
    """s as PEFT applies it: AdaLoRA divides by the rank it began with, whatever was masked since."""
    scale = module.scaling["default"]
    return scale / (float(module.ranknum["default"]) + 1e-5) if hasattr(module, "ranknum") else scale


def loaded_modules(folder, base, seed):
    """Records of a saved folder, by PEFT's own get_delta_weight in float64."""
    model = PeftModel.from_pretrained(base(seed), folder).double()
    factors, records = factors_of(folder), []
    for path, module in model.named_modules():
        if not hasattr(module, "get_delta_weight"):
            continue
        delta, scale = module.get_delta_weight("default").detach(), scale_of(module)
        if hasattr(module, "lokr_w1"):                                      # 0.10 leaves the scale out
            delta = delta * scale
        turned = getattr(module, "fan_in_fan_out", False) or isinstance(module.base_layer, nn.Embedding)
        delta = matrix((delta.T if turned else delta).numpy())
        assert_same(delta, scale * update(factors.pop(path)), path)
        records.append(describe(path, delta, scale))
    assert not factors, (folder, list(factors))
    return records


def made(model, path, seed, method, safe=True, base=parts):
    save_peft(model, path, safe)
    return Made(method, "peft", loaded_modules(path, base, seed), container="safetensors" if safe else "torch-zip")


LINEAR = ["q", "up", "down"]


def lora_all_layers(path, seed):
    """LoRA r=4, alpha 6 on Linear, Conv2d 3x3 and 1x1, and Embedding."""
    config = LoraConfig(r=4, lora_alpha=6, target_modules=["q", "up", "embed", "conv3", "conv1"])
    return made(adapted(config, seed), path, seed, "lora")


def lora_conv1d(path, seed):
    """LoRA r=3, alpha 12 on a transposed Conv1D (fan_in_fan_out), saved as .bin."""
    config = LoraConfig(r=3, lora_alpha=12, target_modules=["fused"], fan_in_fan_out=True)
    return made(adapted(config, seed), path, seed, "lora", safe=False)


def lora_patterns(path, seed):
    """rsLoRA r=4, alpha 5 with rank_pattern and alpha_pattern, biases of the base and a module to save beside the factors."""
    config = LoraConfig(r=4, lora_alpha=5, use_rslora=True, target_modules=LINEAR, bias="all", modules_to_save=["head"],
                        rank_pattern={"up": 7, r"layers\.1\.down": 2}, alpha_pattern={"layers.0.q": 3, "down": 11})
    return made(adapted(config, seed), path, seed, "lora")


def dora(path, seed):
    """DoRA r=4, alpha 8; the numbers are of the directional part s * B * A."""
    return made(adapted(LoraConfig(r=4, lora_alpha=8, use_dora=True, target_modules=LINEAR), seed), path, seed, "dora")


def adalora_config(**fields):
    return AdaLoraConfig(**{"init_r": 6, "target_r": 3, "lora_alpha": 9, "target_modules": LINEAR, "tinit": 1, "tfinal": 2,
                            "deltaT": 1, "total_step": 8} | fields)


def adalora(path, seed):
    """AdaLoRA init_r=6, alpha 9, before any rank is masked; r in the config is PEFT's default and means nothing."""
    return made(adapted(adalora_config(), seed), path, seed, "adalora")


def adalora_masked(path, seed):
    """AdaLoRA init_r=6, alpha 9, after the rank allocator has masked ranks to 3 on average; saved as .bin."""
    model = adapted(adalora_config(), seed)
    generator = torch.Generator().manual_seed(seed)
    for step in range(1, 9):
        for name, parameter in model.named_parameters():
            if "lora_" in name:
                parameter.grad = torch.randn(parameter.shape, generator=generator)
        model.base_model.update_and_allocate(step)
    model.zero_grad()
    ranks = {len(part["lora_A"]) for part in (save_peft(model, path, safe=False), factors_of(path))[1].values()}
    assert len(ranks) > 1 and min(ranks) > 0, ranks
    return Made("adalora", "peft", loaded_modules(path, parts, seed), container="torch-zip")


def loha(path, seed):
    """LoHa r=4, alpha 5 on Linear and, as flat matrices, on Conv2d. (PEFT rounds alpha / r to float32: it is exact here.)"""
    config = LoHaConfig(r=4, alpha=5, target_modules=["q", "up", "conv3", "conv1"], rank_pattern={"up": 2})
    return made(adapted(config, seed), path, seed, "loha")


def loha_effective(path, seed):
    """LoHa r=2, alpha 3 with use_effective_conv2d (hada_t1, hada_t2) on Conv2d, saved as .bin."""
    config = LoHaConfig(r=2, alpha=3, target_modules=["conv3", "conv1", "down"], use_effective_conv2d=True)
    return made(adapted(config, seed), path, seed, "loha", safe=False)


def lokr(path, seed):
    """LoKr r=2, alpha 5: w1 full and w2 decomposed; both full where rank_pattern asks for r=4."""
    config = LoKrConfig(r=2, alpha=5, target_modules=LINEAR, rank_pattern={"q": 4})
    return made(adapted(config, seed), path, seed, "lokr")


def lokr_both(path, seed):
    """LoKr r=2, alpha 3 with decompose_both: w1 and w2 decomposed, where w1 is large enough; saved as .bin."""
    config = LoKrConfig(r=2, alpha=3, target_modules=LINEAR, decompose_both=True)
    return made(adapted(config, seed), path, seed, "lokr", safe=False)


def lokr_conv(path, seed):
    """LoKr r=2, alpha 3 on Conv2d: w2 a flat product for 3x3, full with its kernel where rank_pattern asks for r=3."""
    config = LoKrConfig(r=2, alpha=3, target_modules=["conv3", "conv1"], rank_pattern={"conv1": 3})
    return made(adapted(config, seed), path, seed, "lokr")


def lokr_effective(path, seed):
    """LoKr r=2, alpha 3 with use_effective_conv2d (lokr_t2) on Conv2d 3x3."""
    config = LoKrConfig(r=2, alpha=3, target_modules=["conv3"], use_effective_conv2d=True)
    return made(adapted(config, seed), path, seed, "lokr")


def with_latent_mapping(seed):
    """An r x r map between frozen A and B, as LoRA-XS and LoRA-SB put it there."""
    model = adapted(LoraConfig(r=5, lora_alpha=10, target_modules=["q", "up"]), seed)
    generator = torch.Generator().manual_seed(seed + 1)
    for module in model.modules():
        if hasattr(module, "lora_A"):
            module.default_lora_latent_mapping = nn.Linear(5, 5, bias=False)
            module.default_lora_latent_mapping.weight.data = 0.3 * torch.randn(5, 5, generator=generator)
    return model


def lora_sb(path, seed):
    """LoRA-XS r=5, alpha 10: s * B * R * A. PEFT cuts «.default» out of the map's key: q_lora_latent_mapping.weight."""
    model = with_latent_mapping(seed)
    save_peft(model, path)
    records, saved = [], tensors_of(path)
    for name, module in model.named_modules():
        if hasattr(module, "default_lora_latent_mapping"):
            key = {part: saved[f"{name}.{part}.weight"] for part in ("lora_A", "lora_B")}
            key["lora_latent_mapping"] = saved[f"{name}_lora_latent_mapping.weight"]
            delta = module.scaling["default"] * update({part: tensor.double().numpy() for part, tensor in key.items()})
            b, r, a = (m.weight.detach().double() for m in (
                module.lora_B["default"], module.default_lora_latent_mapping, module.lora_A["default"]))
            assert_same(delta, (b @ r @ a * module.scaling["default"]).numpy(), name)
            records.append(describe(name, delta, module.scaling["default"]))
    return Made("lora-sb", "lora-sb", records)


def named(model, path, method):
    save_peft(model, path)
    return Made(method, "peft", [])


def ia3(path, seed):
    """(IA)3 on two layers, one of them feed-forward: learned vectors, nothing is added to W."""
    config = IA3Config(target_modules=["q", "down"], feedforward_modules=["down"])
    return named(adapted(config, seed), path, "ia3")


def oft(path, seed):
    """OFT r=4: rotations of W."""
    return named(adapted(OFTConfig(r=4, target_modules=["q"]), seed), path, "oft")


def poly(path, seed):
    """Poly: a routed mixture of low-rank skills; which one acts depends on the task."""
    config = PolyConfig(r=2, n_tasks=2, n_skills=2, n_splits=2, target_modules=["q"])
    return named(adapted(config, seed), path, "poly")


def prompt(config):
    def make(path, seed):
        return named(adapted(config, seed, llama), path, "prompt")
    make.__doc__ = f"{config.peft_type.value.replace('_', ' ').lower()}: virtual tokens, no weight is changed."
    return make


def adaption_prompt(path, seed):
    """Adaption prompt (LLaMA-Adapter) on one layer."""
    config = AdaptionPromptConfig(adapter_len=3, adapter_layers=1, task_type="CAUSAL_LM")
    return named(adapted(config, seed, llama), path, "adaption_prompt")


# path, seed, maker
PEFT = [
    ("peft-lora", 201, lora_all_layers), ("peft-lora-conv1d-bin", 202, lora_conv1d), ("peft-rslora", 203, lora_patterns),
    ("peft-dora", 204, dora), ("peft-adalora", 205, adalora), ("peft-adalora-masked-bin", 206, adalora_masked),
    ("peft-loha", 207, loha), ("peft-loha-effective-bin", 208, loha_effective), ("peft-lokr", 209, lokr),
    ("peft-lokr-both-bin", 210, lokr_both), ("peft-lokr-conv", 211, lokr_conv), ("peft-lokr-effective", 212, lokr_effective),
    ("lora-xs", 213, lora_sb), ("peft-ia3", 214, ia3), ("peft-oft", 215, oft), ("peft-poly", 216, poly),
    ("peft-prompt", 217, prompt(PromptTuningConfig(num_virtual_tokens=3, task_type="CAUSAL_LM"))),
    ("peft-prefix", 218, prompt(PrefixTuningConfig(num_virtual_tokens=3, task_type="CAUSAL_LM"))),
    ("peft-p-tuning", 219, prompt(PromptEncoderConfig(num_virtual_tokens=3, encoder_hidden_size=8, task_type="CAUSAL_LM"))),
    ("peft-multitask-prompt", 220, prompt(MultitaskPromptTuningConfig(num_virtual_tokens=3, num_tasks=2, task_type="CAUSAL_LM"))),
    ("peft-adaption-prompt", 221, adaption_prompt),
]
