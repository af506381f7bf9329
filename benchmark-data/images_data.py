# SPDX-License-Identifier: Apache-2.0
"""The images: scikit-learn's 8x8 digits for the base model, and the same digits in a hand of their own for each subject.

A subject is what DreamBooth is taught: one hand, seen in N pictures. The hand is a slant and a size drawn once a subject, in
light ink on dark, which the base model has never seen; the pictures are digits drawn at random, without repetition.
"""
import torch
from sklearn.datasets import load_digits
from torch.nn import functional as F

from images_model import PATCHES

POOL = 1000             # pictures of each subject; a micro-dataset of size N is the first N
SIDE = 8


def digits():
    """All 1797 digits (n, 1, 8, 8) from -1, paper, to 1, ink; and which digit each is."""
    pixels, labels = load_digits(return_X_y=True)
    return torch.tensor(pixels / 8 - 1, dtype=torch.float32).view(-1, 1, SIDE, SIDE), torch.tensor(labels)


def patches(images):
    """(…, 1, 8, 8) as (…, patches, pixels): bands from top to bottom."""
    return images.reshape(*images.shape[:-3], PATCHES, -1)


def flipped(x, which):
    """Mirror the images left to right where `which` (…) says so; x as patches."""
    rows = x.unflatten(-1, (-1, SIDE))
    return torch.where(which[..., None, None, None], rows.flip(-1), rows).flatten(-2)


def subject(number, drawing=0):
    """The pool of one subject, (POOL, patches, pixels). Another drawing: other hands, other pictures."""
    generator = torch.Generator().manual_seed(7000 + number + 100000 * drawing)
    images = digits()[0]
    images = images[torch.randperm(len(images), generator=generator)[:POOL]] + 1
    hand = torch.eye(2) + 0.05 * torch.randn(2, 2, generator=generator)
    hand = torch.cat([hand, torch.zeros(2, 1)], dim=1).expand(len(images), 2, 3)
    drawn = F.grid_sample(images, F.affine_grid(hand, images.shape, align_corners=False), align_corners=False)
    return patches(1 - drawn)
