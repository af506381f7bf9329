# SPDX-License-Identifier: Apache-2.0
"""Tiny seeded base models and training data for the sample adapters.

Everything here is made from a seed: the models start from random weights, the texts are sums and their results, the
images are sinusoidal textures. Nothing is downloaded.
"""
import random

import torch
from torch import nn
from torch.nn import functional as F
from transformers import CLIPTextConfig, CLIPTextModel, GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

TEXT_LENGTH = 24        # tokens, one a byte
TEXT_WIDTH = 64         # hidden size of the tiny text encoder
PATTERNS = ("stripes", "checks", "waves", "dots")


def tiny_llama(seed, layers=4):
    """LlamaForCausalLM on bytes: hidden 128, intermediate 256, 4 query heads over 2 key-value heads."""
    torch.manual_seed(seed)
    model = LlamaForCausalLM(LlamaConfig(
        vocab_size=256, hidden_size=128, intermediate_size=256, num_hidden_layers=layers, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=64, use_cache=False, pad_token_id=0, bos_token_id=1, eos_token_id=2))
    model.config._name_or_path = model.name_or_path = "loraudit/tiny-llama"
    return model


def tiny_gpt2(seed):
    """GPT2LMHeadModel on bytes: hidden 128, 3 layers of 4 heads; its projections are transposed Conv1D modules."""
    torch.manual_seed(seed)
    model = GPT2LMHeadModel(GPT2Config(
        vocab_size=256, n_positions=64, n_embd=128, n_layer=3, n_head=4, use_cache=False, bos_token_id=1, eos_token_id=2))
    model.config._name_or_path = model.name_or_path = "loraudit/tiny-gpt2"
    return model


def tiny_text_encoder(seed):
    """CLIPTextModel on bytes: hidden 64, 2 layers."""
    torch.manual_seed(seed)
    return CLIPTextModel(CLIPTextConfig(
        vocab_size=256, hidden_size=TEXT_WIDTH, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4,
        max_position_embeddings=TEXT_LENGTH, bos_token_id=1, eos_token_id=2, pad_token_id=0))


class ResnetBlock(nn.Module):
    """Two 3x3 convolutions and a time embedding, named as in diffusers' ResnetBlock2D."""

    def __init__(self, channels_in, channels_out, time_width):
        super().__init__()
        self.norm1 = nn.GroupNorm(8, channels_in)
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, padding=1)
        self.time_emb_proj = nn.Linear(time_width, channels_out)
        self.norm2 = nn.GroupNorm(8, channels_out)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, padding=1)
        self.conv_shortcut = nn.Conv2d(channels_in, channels_out, 1) if channels_in != channels_out else nn.Identity()

    def forward(self, x, time):
        h = self.conv1(F.silu(self.norm1(x))) + self.time_emb_proj(F.silu(time))[:, :, None, None]
        return self.conv_shortcut(x) + self.conv2(F.silu(self.norm2(h)))


class Attention(nn.Module):
    """Multi-head attention with diffusers' names: to_q, to_k, to_v, to_out.0."""

    def __init__(self, width, context_width, heads=4):
        super().__init__()
        self.heads = heads
        self.to_q = nn.Linear(width, width, bias=False)
        self.to_k = nn.Linear(context_width, width, bias=False)
        self.to_v = nn.Linear(context_width, width, bias=False)
        self.to_out = nn.ModuleList([nn.Linear(width, width), nn.Dropout(0.0)])

    def forward(self, x, context):
        q, k, v = (t.unflatten(2, (self.heads, -1)).transpose(1, 2)
                   for t in (self.to_q(x), self.to_k(context), self.to_v(context)))
        weights = torch.softmax(q @ k.transpose(2, 3) * q.shape[-1] ** -0.5, dim=-1)
        return self.to_out[0]((weights @ v).transpose(1, 2).flatten(2))


class GatedProjection(nn.Module):
    """diffusers' GEGLU."""

    def __init__(self, width, inner):
        super().__init__()
        self.proj = nn.Linear(width, 2 * inner)

    def forward(self, x):
        h, gate = self.proj(x).chunk(2, dim=-1)
        return h * F.gelu(gate)


class FeedForward(nn.Module):
    """diffusers' FeedForward: net.0.proj and net.2."""

    def __init__(self, width):
        super().__init__()
        self.net = nn.ModuleList([GatedProjection(width, 2 * width), nn.Dropout(0.0), nn.Linear(2 * width, width)])

    def forward(self, x):
        return self.net[2](self.net[0](x))


class TransformerBlock(nn.Module):
    """Self-attention, cross-attention and feed-forward, named as in diffusers' BasicTransformerBlock."""

    def __init__(self, width):
        super().__init__()
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(width) for _ in range(3))
        self.attn1 = Attention(width, width)
        self.attn2 = Attention(width, TEXT_WIDTH)
        self.ff = FeedForward(width)

    def forward(self, x, context):
        h = self.norm1(x)
        x = x + self.attn1(h, h)
        x = x + self.attn2(self.norm2(x), context)
        return x + self.ff(self.norm3(x))


class Transformer2D(nn.Module):
    """One transformer block between 1x1 convolutions, named as in diffusers' Transformer2DModel."""

    def __init__(self, width):
        super().__init__()
        self.norm = nn.GroupNorm(8, width)
        self.proj_in = nn.Conv2d(width, width, 1)
        self.transformer_blocks = nn.ModuleList([TransformerBlock(width)])
        self.proj_out = nn.Conv2d(width, width, 1)

    def forward(self, x, context):
        h = self.proj_in(self.norm(x))
        h = self.transformer_blocks[0](h.flatten(2).transpose(1, 2), context)
        return x + self.proj_out(h.transpose(1, 2).unflatten(2, x.shape[2:]))


class Resampler(nn.Module):
    """The 3x3 convolution of diffusers' Downsample2D (stride 2) and Upsample2D (after doubling)."""

    def __init__(self, channels, up):
        super().__init__()
        self.up = up
        self.conv = nn.Conv2d(channels, channels, 3, padding=1, stride=1 if up else 2)

    def forward(self, x):
        return self.conv(F.interpolate(x, scale_factor=2.0) if self.up else x)


class UNetBlock(nn.Module):
    """One resnet, one cross-attention, and optionally a down- or an upsampler."""

    def __init__(self, channels_in, channels_out, time_width, resample=None):
        super().__init__()
        self.resnets = nn.ModuleList([ResnetBlock(channels_in, channels_out, time_width)])
        self.attentions = nn.ModuleList([Transformer2D(channels_out)])
        if resample:
            setattr(self, f"{resample}samplers", nn.ModuleList([Resampler(channels_out, up=resample == "up")]))

    def forward(self, x, time, context):
        x = self.attentions[0](self.resnets[0](x, time), context)
        for name in ("downsamplers", "upsamplers"):
            if hasattr(self, name):
                x = getattr(self, name)[0](x)
        return x


class TinyUNet(nn.Module):
    """A cross-attention UNet on 4-channel 8x8 latents, 64 and 128 wide, with the module names of diffusers."""

    def __init__(self):
        super().__init__()
        time_width = 64
        self.conv_in = nn.Conv2d(4, 64, 3, padding=1)
        self.time_embedding = nn.Linear(1, time_width)
        self.down_blocks = nn.ModuleList([UNetBlock(64, 64, time_width, "down"), UNetBlock(64, 128, time_width)])
        self.mid_block = UNetBlock(128, 128, time_width)
        self.up_blocks = nn.ModuleList([UNetBlock(256, 128, time_width, "up")])
        self.conv_out = nn.Conv2d(128, 4, 3, padding=1)

    def forward(self, x, time, context):
        x, time = self.conv_in(x), torch.sin(self.time_embedding(time[:, None]))
        for block in self.down_blocks:
            x = block(x, time, context)
        middle = self.mid_block(x, time, context)
        return self.conv_out(self.up_blocks[0](torch.cat([middle, x], dim=1), time, context))


def tiny_unet(seed):
    torch.manual_seed(seed)
    return TinyUNet()


class TinyClassifier(nn.Module):
    """Four pre-norm residual layers `layer.N.{query,value,output}` over byte embeddings, for the loralib sample.

    `linear(n, m)` makes query and value, so that the caller can hand in an adapted layer.
    """

    def __init__(self, linear, width=128, layers=4, classes=10):
        super().__init__()
        self.embedding = nn.Embedding(256, width)
        self.layer = nn.ModuleList([nn.ModuleDict({
            "norm": nn.LayerNorm(width), "query": linear(width, width), "value": linear(width, width // 2),
            "output": nn.Linear(width // 2, width)}) for _ in range(layers)])
        self.head = nn.Linear(width, classes)

    def forward(self, ids):
        x = self.embedding(ids)
        for part in self.layer:
            h = part["norm"](x)
            weights = torch.softmax(part["query"](h) @ h.transpose(1, 2) * h.shape[-1] ** -0.5, dim=-1)
            x = x + part["output"](weights @ part["value"](h))
        return self.head(x.mean(dim=1))


def encode(text, length=TEXT_LENGTH):
    """Bytes between begin (1) and end (2), padded with 0 to `length`."""
    ids = [1, *text.encode()[:length - 2], 2]
    return ids + [0] * (length - len(ids))


def sums(count, seed):
    """`count` texts «a plus b is c» and the last digit of c as their class."""
    draw = random.Random(seed)
    pairs = [(draw.randrange(100), draw.randrange(100)) for _ in range(count)]
    return [f"{a} plus {b} is {a + b}" for a, b in pairs], [(a + b) % 10 for a, b in pairs]


def language_examples(count, seed):
    """A list of {input_ids, labels} as transformers.Trainer takes them; padding is not learned."""
    ids = [encode(text) for text in sums(count, seed)[0]]
    return [{"input_ids": row, "labels": [i if i else -100 for i in row]} for row in ids]


def textures(count, seed):
    """`count` latents (4, 8, 8) of sinusoidal patterns, and their captions."""
    draw = random.Random(seed)
    y, x = torch.meshgrid(torch.arange(8.0), torch.arange(8.0), indexing="ij")
    latents, captions = [], []
    for i in range(count):
        pattern = PATTERNS[i % len(PATTERNS)]
        a, b = draw.uniform(0.5, 2.5), draw.uniform(0.5, 2.5)
        plane = {"stripes": torch.sin(a * x), "checks": torch.sin(a * x).sign() * torch.sin(b * y).sign(),
                 "waves": torch.sin(a * x + torch.sin(b * y)), "dots": torch.sin(a * x) * torch.sin(b * y)}[pattern]
        latents.append(torch.stack([plane * draw.uniform(0.5, 1.5) for _ in range(4)]))
        captions.append(f"{pattern}, texture")
    return torch.stack(latents), captions
