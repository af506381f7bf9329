# SPDX-License-Identifier: Apache-2.0
"""Training loops, LoRA layers in the manner of kohya and of early diffusers, and byte-stable saving."""
import hashlib
import json
import math
import pathlib

import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F

from samples_models import TEXT_LENGTH, encode


class LoraHook(nn.Module):
    """A LoRA beside a frozen Linear or Conv2d: its output gains alpha/r * up(down(x)). up starts at zero.

    down is (r, n) or (r, n, kh, kw), up is (m, r) or (m, r, 1, 1).
    """

    def __init__(self, base, rank, alpha, gaussian=False):
        super().__init__()
        self.scale = alpha / rank
        self.alpha = alpha
        if isinstance(base, nn.Conv2d):
            self.lora_down = nn.Conv2d(base.in_channels, rank, base.kernel_size, base.stride, base.padding, bias=False)
            self.lora_up = nn.Conv2d(rank, base.out_channels, 1, bias=False)
        else:
            self.lora_down = nn.Linear(base.in_features, rank, bias=False)
            self.lora_up = nn.Linear(rank, base.out_features, bias=False)
        if gaussian:                                                        # early diffusers: N(0, 1/r^2)
            nn.init.normal_(self.lora_down.weight, std=1 / rank)
        else:                                                               # kohya
            nn.init.kaiming_uniform_(self.lora_down.weight, a=math.sqrt(5))
        nn.init.zeros_(self.lora_up.weight)
        base.register_forward_hook(lambda module, args, output: output + self.scale * self.lora_up(self.lora_down(args[0])))


def attach(model, wanted, options):
    """Freeze `model`; wanted(path, module) says which modules get a LoraHook, options(module) its arguments. {path: hook}."""
    model.requires_grad_(False)
    return {path: LoraHook(module, **options(module)) for path, module in model.named_modules() if wanted(path, module)}


def descend(groups, loss_of, steps):
    """`steps` AdamW steps on loss_of(step); `groups` are torch parameter groups, each with its lr. Returns the last loss."""
    optimizer = torch.optim.AdamW(groups, weight_decay=0.01)
    for step in range(steps):
        optimizer.zero_grad()
        loss = loss_of(step)
        loss.backward()
        optimizer.step()
    return float(loss.detach())


def batches(count, size, seed):
    """Endless index batches over `count` examples, shuffled anew each epoch; the last of an epoch may be short."""
    generator = torch.Generator().manual_seed(seed)
    while True:
        yield from torch.randperm(count, generator=generator).split(size)


def train_language(model, examples, steps, seed, lr=2e-3, batch=8):
    """Teach a causal language model; only what requires a gradient moves."""
    ids = torch.tensor([e["input_ids"] for e in examples])
    labels = torch.tensor([e["labels"] for e in examples])
    order = batches(len(examples), batch, seed)

    def loss_of(step):
        rows = next(order)
        return model(input_ids=ids[rows], labels=labels[rows]).loss

    model.train()
    return descend([{"params": [p for p in model.parameters() if p.requires_grad], "lr": lr}], loss_of, steps)


def train_denoiser(unet, text_encoder, latents, captions, groups, steps, seed, batch=4):
    """Noise prediction on a linear path from image to noise, conditioned on the caption."""
    ids = torch.tensor([encode(c, TEXT_LENGTH) for c in captions])
    order = batches(len(latents), batch, seed)
    generator = torch.Generator().manual_seed(seed)

    def loss_of(step):
        rows = next(order)
        time = torch.rand(len(rows), generator=generator)
        noise = torch.randn(latents[rows].shape, generator=generator)
        t = time[:, None, None, None]
        context = text_encoder(input_ids=ids[rows]).last_hidden_state
        return F.mse_loss(unet((1 - t) * latents[rows] + t * noise, time, context), noise)

    return descend(groups, loss_of, steps)


def save_tensors(path, tensors, metadata):
    """safetensors' save_file, then the metadata sorted: the library writes it in an order that changes from run to run."""
    save_file({name: t.contiguous() for name, t in tensors.items()}, path, metadata=metadata)
    data = pathlib.Path(path).read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8:8 + size])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    pathlib.Path(path).write_bytes(len(text).to_bytes(8, "little") + text + data[8 + size:])


def kohya_hashes(path):
    """sshs_model_hash (SHA-256 of the tensor data) and sshs_legacy_hash (of 64 KiB at 1 MiB) as kohya defines them."""
    data = pathlib.Path(path).read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    return {"sshs_model_hash": hashlib.sha256(data[start:]).hexdigest(),
            "sshs_legacy_hash": hashlib.sha256(data[0x100000:0x110000]).hexdigest()[:8]}


def save_adapter(model, folder):
    """peft's save_pretrained, less the model card, with the config's lists sorted (peft makes them from sets)."""
    folder = pathlib.Path(folder)
    model.save_pretrained(folder, save_embedding_layers=False)
    (folder / "README.md").unlink(missing_ok=True)
    config = folder / "adapter_config.json"
    fields = json.loads(config.read_text())
    fields["target_modules"] = sorted(fields["target_modules"])
    config.write_text(json.dumps(fields, indent=2, sort_keys=True) + "\n")
