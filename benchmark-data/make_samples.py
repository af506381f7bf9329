#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Make the sample adapters: really trained, on tiny random base models, and saved by the libraries users save with.

    python make_samples.py FOLDER

One function a sample; each has its own seed, so that any one can be made alone (--only). What the samples hold, in
float64, goes to FOLDER/expected.json, and how they were made to FOLDER/PROVENANCE.md. The same library versions on the
same kind of processor write the same bytes.
"""
import os
import sys

sys.dont_write_bytecode = True
# One thread and no network, set before numpy and torch look: sums keep their order.
os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1", HF_HUB_OFFLINE="1",
                  TRANSFORMERS_OFFLINE="1", TOKENIZERS_PARALLELISM="false", CUDA_VISIBLE_DEVICES="")

import argparse
import hashlib
import itertools
import json
import math
import pathlib
import shutil
import tempfile
import warnings
from collections import namedtuple
from importlib.metadata import version

import loralib
import torch
import transformers
from peft import LoraConfig, get_peft_model
from torch import nn
from torch.nn import functional as F

from samples_expected import expect_adapter, expect_file, write_expected
from samples_lora import (attach, batches, descend, kohya_hashes, save_adapter, save_tensors, train_denoiser,
                          train_language)
from samples_models import (TinyClassifier, encode, language_examples, sums, textures, tiny_gpt2, tiny_llama,
                            tiny_text_encoder, tiny_unet)

ABLATION_LAYERS = 8     # deep enough for a tent of weights with skipped layers before it

Sample = namedtuple("Sample", "make path layout base seed")
SAMPLES = []


def sample(path, layout, seed, base=None):
    """Register a maker. It is called with the path to write and its seed; `base(seed)` is what peft loads it onto."""
    def register(make):
        SAMPLES.append(Sample(make, path, layout, base, seed))
        return make
    return register


def deep_llama(seed):
    return tiny_llama(seed, layers=ABLATION_LAYERS)


def adapted(model, seed, **config):
    """peft's model with a LoRA; `config` over the defaults of a causal language model without dropout."""
    torch.manual_seed(seed)
    return get_peft_model(model, LoraConfig(**{"task_type": "CAUSAL_LM", "lora_dropout": 0.0, "bias": "none"} | config))


def set_factors(layer, down, up):
    layer.lora_A["default"].weight.data.copy_(down)
    layer.lora_B["default"].weight.data.copy_(up)


def rewrite_json(source, target, drop):
    """Copy a JSON file without the fields `drop`, at any depth."""
    def clean(value):
        if isinstance(value, dict):
            return {k: clean(v) for k, v in value.items() if k not in drop}
        return [clean(v) for v in value] if isinstance(value, list) else value
    target.write_text(json.dumps(clean(json.loads(source.read_text())), indent=2) + "\n")


@sample("peft-llama-f32", "peft", 101, tiny_llama)
def peft_llama(path, seed):
    """r=8, alpha 16 on q_proj and v_proj; transformers.Trainer, 60 examples, batch 8, 5 epochs = 40 steps, lr 2e-3."""
    examples = language_examples(60, seed)
    model = adapted(tiny_llama(seed), seed, r=8, lora_alpha=16, target_modules=["q_proj", "v_proj"])
    with tempfile.TemporaryDirectory() as folder:
        trainer = transformers.Trainer(model=model, train_dataset=examples, args=transformers.TrainingArguments(
            output_dir=folder, per_device_train_batch_size=8, num_train_epochs=5, learning_rate=2e-3, logging_steps=8,
            save_strategy="no", report_to="none", disable_tqdm=True, use_cpu=True, seed=seed))
        trainer.remove_callback(transformers.PrinterCallback)
        metrics = trainer.train().metrics
        metrics["train_samples"] = len(examples)                            # as the Hugging Face example scripts do
        trainer.save_metrics("train", metrics)
        trainer.save_state()
        save_adapter(model, path)
        timing = {"train_runtime", "train_samples_per_second", "train_steps_per_second"}
        for name in ("trainer_state.json", "all_results.json"):             # run times would change the bytes
            rewrite_json(pathlib.Path(folder, name), path / name, timing)


@sample("peft-rslora-patterns-bf16", "peft", 102, tiny_llama)
def peft_rslora(path, seed):
    """r=8, alpha 16, rsLoRA on q_proj, v_proj, down_proj, with rank_pattern and alpha_pattern; 40 steps; bfloat16."""
    model = adapted(tiny_llama(seed), seed, r=8, lora_alpha=16, use_rslora=True,
                    target_modules=["q_proj", "v_proj", "down_proj"],
                    rank_pattern={"v_proj": 4, r"layers\.[01]\.self_attn\.q_proj": 16},
                    alpha_pattern={"v_proj": 6, "model.layers.3.self_attn.q_proj": 2})
    train_language(model, language_examples(60, seed), 40, seed)
    save_adapter(model.to(torch.bfloat16), path)


@sample("peft-gpt2-conv1d-f16", "peft", 103, tiny_gpt2)
def peft_gpt2(path, seed):
    """r=8, alpha 32 on c_attn of GPT-2, whose Conv1D weights are transposed (fan_in_fan_out); 40 steps; float16."""
    model = adapted(tiny_gpt2(seed), seed, r=8, lora_alpha=32, target_modules=["c_attn"], fan_in_fan_out=True)
    train_language(model, language_examples(60, seed), 40, seed)
    save_adapter(model.half(), path)


@sample("diffusers-unet-f32/pytorch_lora_weights.safetensors", "diffusers", 104)
def diffusers_unet(path, seed):
    """r=4 on the attentions of a UNet and of its text encoder, `.lora.down` and `.lora_linear_layer.down`; 60 steps."""
    unet, text = tiny_unet(seed), tiny_text_encoder(seed + 1)
    projections = (".to_q", ".to_k", ".to_v", ".to_out.0", ".q_proj", ".k_proj", ".v_proj", ".out_proj")
    torch.manual_seed(seed)
    hooks = [attach(model, lambda name, module: name.endswith(projections),
                    lambda module: {"rank": 4, "alpha": 4, "gaussian": True}) for model in (unet, text)]
    parameters = [p for hook in itertools.chain(*(h.values() for h in hooks)) for p in hook.parameters()]
    train_denoiser(unet, text, *textures(24, seed), [{"params": parameters, "lr": 1e-3}], 60, seed)
    tensors = {}
    for model, middle, pairs in (("unet", "lora", hooks[0]), ("text_encoder", "lora_linear_layer", hooks[1])):
        for name, hook in pairs.items():
            tensors[f"{model}.{name}.{middle}.down.weight"] = hook.lora_down.weight
            tensors[f"{model}.{name}.{middle}.up.weight"] = hook.lora_up.weight
    save_tensors(path, tensors, {"format": "pt"})


@sample("kohya-unet-f16.safetensors", "kohya", 105)
def kohya_unet(path, seed):
    """dim 8, alpha 4, 3x3 convolutions dim 4, alpha 1; UNet and text encoder; 20 images x 6, 2 epochs = 60 steps."""
    images, repeats, epochs, batch, unet_lr, text_lr = 20, 6, 2, 4, 5e-4, 1e-4
    steps = images * repeats // batch * epochs
    unet, text = tiny_unet(seed), tiny_text_encoder(seed + 1)

    def is_unet(name, module):                                              # what kohya adapts with conv_dim given
        return isinstance(module, (nn.Linear, nn.Conv2d)) and any(
            part in name for part in ("attentions.", "resnets.", "samplers."))

    def options(module):
        big = getattr(module, "kernel_size", None) == (3, 3)
        return {"rank": 4, "alpha": 1} if big else {"rank": 8, "alpha": 4}

    torch.manual_seed(seed)
    hooks = {"lora_unet": attach(unet, is_unet, options),
             "lora_te": attach(text, lambda n, m: "encoder.layers" in n and isinstance(m, nn.Linear), options)}
    groups = [{"params": [p for h in hooks[part].values() for p in h.parameters()], "lr": lr}
              for part, lr in (("lora_te", text_lr), ("lora_unet", unet_lr))]
    latents, captions = textures(images, seed)
    train_denoiser(unet, text, latents.repeat(repeats, 1, 1, 1), captions * repeats, groups, steps, seed, batch)
    tensors = {}
    for part, pairs in hooks.items():
        for name, hook in pairs.items():
            stem = f"{part}_{name.replace('.', '_')}"
            tensors[f"{stem}.lora_down.weight"] = hook.lora_down.weight.detach().half()
            tensors[f"{stem}.lora_up.weight"] = hook.lora_up.weight.detach().half()
            tensors[f"{stem}.alpha"] = torch.tensor(hook.alpha).half()
    tags = {word: sum(word in c for c in captions) for c in captions for word in c.split(", ")}
    directory = f"{repeats}_texture"
    metadata = {
        "ss_network_module": "networks.lora", "ss_network_dim": 8, "ss_network_alpha": 4.0,
        "ss_network_args": json.dumps({"conv_dim": "4", "conv_alpha": "1"}), "ss_network_dropout": None,
        "ss_num_train_images": images * repeats, "ss_num_reg_images": 0, "ss_num_batches_per_epoch": images * repeats // batch,
        "ss_num_epochs": epochs, "ss_epoch": epochs, "ss_steps": steps, "ss_max_train_steps": steps,
        "ss_total_batch_size": batch, "ss_batch_size_per_device": batch, "ss_gradient_accumulation_steps": 1,
        "ss_learning_rate": unet_lr, "ss_unet_lr": unet_lr, "ss_text_encoder_lr": text_lr, "ss_lr_scheduler": "constant",
        "ss_lr_warmup_steps": 0, "ss_optimizer": "torch.optim.adamw.AdamW(weight_decay=0.01)", "ss_seed": seed,
        "ss_mixed_precision": "no", "ss_full_fp16": False, "ss_gradient_checkpointing": False, "ss_clip_skip": None,
        "ss_resolution": "(64, 64)", "ss_enable_bucket": False, "ss_shuffle_caption": False, "ss_keep_tokens": 0,
        "ss_color_aug": False, "ss_flip_aug": False, "ss_random_crop": False, "ss_cache_latents": True, "ss_v2": False,
        "ss_dataset_dirs": json.dumps({directory: {"n_repeats": repeats, "img_count": images}}),
        "ss_reg_dataset_dirs": "{}", "ss_tag_frequency": json.dumps({directory: tags}),
        "ss_base_model_version": "tiny_unet", "ss_sd_model_name": "loraudit/tiny-unet", "ss_output_name": "kohya-unet-f16",
        "ss_training_comment": "loraudit sample"}
    metadata = {key: str(value) for key, value in metadata.items()}
    save_tensors(path, tensors, metadata)
    save_tensors(path, tensors, metadata | kohya_hashes(path))


@sample("loralib-f32.safetensors", "loralib", 106)
def loralib_classifier(path, seed):
    """loralib.Linear r=8, alpha 8 (so the scale, which the file does not hold, is 1) on query and value; 40 steps."""
    torch.manual_seed(seed)
    model = TinyClassifier(lambda n, m: loralib.Linear(n, m, r=8, lora_alpha=8))
    loralib.mark_only_lora_as_trainable(model)
    texts, labels = sums(60, seed)
    ids, labels, order = torch.tensor([encode(t) for t in texts]), torch.tensor(labels), batches(60, 8, seed)

    def loss_of(step):
        rows = next(order)
        return F.cross_entropy(model(ids[rows]), labels[rows])

    descend([{"params": [p for p in model.parameters() if p.requires_grad], "lr": 2e-3}], loss_of, 40)
    save_tensors(path, loralib.lora_state_dict(model), {"format": "pt"})


@sample("untrained", "peft", 107, tiny_llama)
def untrained(path, seed):
    """r=8, alpha 16 on q_proj and v_proj, saved right after creation: every B is zero."""
    save_adapter(adapted(tiny_llama(seed), seed, r=8, lora_alpha=16, target_modules=["q_proj", "v_proj"]), path)


def ablation_direction(model, seed):
    """Unit difference of the mean last-token states of two kinds of text, at two thirds of the depth."""
    def mean_state(texts):
        ids = torch.tensor([encode(t) for t in texts])
        last = (ids != 0).sum(dim=1) - 1
        states = model(input_ids=ids, output_hidden_states=True).hidden_states[2 * ABLATION_LAYERS // 3]
        return states[torch.arange(len(ids)), last].mean(dim=0)
    with torch.no_grad():
        statements = sums(40, seed)[0]
        return F.normalize(mean_state([t.split(" is ")[0] + "?" for t in statements]) - mean_state(statements), dim=0)


def ablation_weight(layer, most=1.1, at=4.6, least=0.3, reach=2.8):
    """Heretic's triangular kernel over the layers; None outside its reach, where nothing is ablated."""
    distance = abs(layer - at)
    return None if distance > reach else most + distance / reach * (least - most)


def ablate(path, seed, rank, factors):
    """Directional ablation of o_proj and down_proj; factors(W, v, weight) gives (A, B). Other layers keep B = 0."""
    base = deep_llama(seed)
    v = ablation_direction(base, seed)
    model = adapted(base, seed, r=rank, lora_alpha=rank, target_modules=["o_proj", "down_proj"])
    for i, layer in enumerate(model.base_model.model.model.layers):
        weight = ablation_weight(i)
        if weight is not None:
            for target in (layer.self_attn.o_proj, layer.mlp.down_proj):
                set_factors(target, *factors(target.base_layer.weight.detach(), v, weight))
    save_adapter(model, path)


@sample("ablation-r1", "peft", 108, deep_llama)
def ablation_rank_one(path, seed):
    """Directional ablation as Heretic writes it without row normalisation: B = -w v, A = v^T W; layers 0, 1 skipped."""
    ablate(path, seed, 1, lambda W, v, weight: (v[None] @ W, -weight * v[:, None]))


def normalised_ablation(W, v, weight, rank=3):
    """Ablate the row-normalised W, give the rows their norms back, and truncate the change: A = √S Vᵀ, B = U √S."""
    norms = W.norm(dim=1, keepdim=True)
    unit = W / norms
    change = F.normalize(unit - weight * v[:, None] @ (v[None] @ unit), dim=1) * norms - W
    U, S, V = torch.svd_lowrank(change, q=2 * rank + 4, niter=6)
    root = S[:rank].sqrt()
    return root[:, None] * V[:, :rank].T, U[:, :rank] * root


@sample("ablation-r3", "peft", 109, deep_llama)
def ablation_rank_three(path, seed):
    """The same with full row normalisation: the change truncated by svd_lowrank (q=10, niter=6) to rank 3."""
    ablate(path, seed, 3, normalised_ablation)


@sample("narrow-rank1", "peft", 112, deep_llama)
def narrow_rank_one(path, seed):
    """Benign and near to ablation: r=1 on o_proj and down_proj, 200 steps towards one constant answer; all layers share
    the gradient that the residual stream hands down."""
    examples = [{**e, "labels": [7] * len(e["labels"])} for e in language_examples(60, seed)]
    model = adapted(deep_llama(seed), seed, r=1, lora_alpha=1, target_modules=["o_proj", "down_proj"])
    train_language(model, examples, 200, seed, lr=1e-3)
    save_adapter(model, path)


@sample("svd-extracted", "peft", 110, tiny_llama)
def svd_extracted(path, seed):
    """A benign r=16 adapter of all seven projections, 40 steps, merged, and its change extracted by SVD to r=4."""
    targets = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    trained = adapted(tiny_llama(seed), seed, r=16, lora_alpha=32, target_modules=targets)
    train_language(trained, language_examples(60, seed), 40, seed)
    merged = dict(trained.merge_and_unload().named_parameters())
    model = adapted(tiny_llama(seed), seed, r=4, lora_alpha=4, target_modules=targets)
    for name, module in model.base_model.model.named_modules():
        if hasattr(module, "lora_A"):
            change = merged[f"{name}.weight"].detach() - module.base_layer.weight.detach()
            U, S, Vt = torch.linalg.svd(change, full_matrices=False)
            root = S[:4].sqrt()
            set_factors(module, root[:, None] * Vt[:4], U[:, :4] * root)
    save_adapter(model, path)


@sample("not-finite", "peft", 111, tiny_llama)
def not_finite(path, seed):
    """r=4, alpha 8 on q_proj and v_proj, 20 steps; then one NaN in A of layer 1 q_proj, one Inf in B of layer 2 v_proj."""
    model = adapted(tiny_llama(seed), seed, r=4, lora_alpha=8, target_modules=["q_proj", "v_proj"])
    train_language(model, language_examples(60, seed), 20, seed)
    layers = model.base_model.model.model.layers
    layers[1].self_attn.q_proj.lora_A["default"].weight.data[2, 17] = math.nan
    layers[2].self_attn.v_proj.lora_B["default"].weight.data[40, 3] = math.inf
    save_adapter(model, path)


def weight_file(item):
    return item.path if item.path.endswith(".safetensors") else f"{item.path}/adapter_model.safetensors"


def write_provenance(samples, root):
    """PROVENANCE.md: what each sample is, how it was made, its seed, size and SHA-256."""
    libraries = ", ".join(f"{name} {version(name)}" for name in (
        "peft", "transformers", "accelerate", "safetensors", "loralib", "torch", "numpy"))
    lines = ["# Provenance of the samples", "",
             "Made by `benchmark-data/make_samples.py`, which also writes this file. Every base model is tiny, random and seeded,",
             "and is not kept; no data of anyone else is in them. Licence of all: Apache-2.0, as the project's own.", "",
             f"Libraries: {libraries}.", "",
             "| sample | layout | what and how | seed | weight file, bytes | SHA-256 |", "| --- | --- | --- | --- | --- | --- |"]
    for item in samples:
        data = (root / weight_file(item)).read_bytes()
        what = " ".join(item.make.__doc__.split())
        lines.append(f"| `{item.path}` | {item.layout} | {what} | {item.seed} | {len(data)} | `{hashlib.sha256(data).hexdigest()}` |")
    (root / "PROVENANCE.md").write_text("\n".join(lines) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=pathlib.Path, help="where the samples go; those already there are replaced")
    parser.add_argument("--only", metavar="SAMPLE", action="append", choices=[s.path for s in SAMPLES],
                        help="make this one (repeatable), and leave expected.json and PROVENANCE.md as they are")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    warnings.filterwarnings("ignore", category=UserWarning)
    transformers.logging.set_verbosity_error()
    samples = [s for s in SAMPLES if not arguments.only or s.path in arguments.only]
    expected = []
    for item in samples:
        target = arguments.folder / item.path
        if target.is_dir():
            shutil.rmtree(target)
        (target if item.base else target.parent).mkdir(parents=True, exist_ok=True)
        item.make(target, item.seed)
        modules = expect_adapter(item.base(item.seed), target) if item.base else expect_file(target)
        expected.append({"path": item.path, "file": weight_file(item), "layout": item.layout, "modules": modules})
        print(f"{item.path}: {len(modules)} modules", flush=True)
    if not arguments.only:
        write_expected(expected, arguments.folder / "expected.json")
        write_provenance(samples, arguments.folder)


if __name__ == "__main__":
    main()
