# SPDX-License-Identifier: Apache-2.0
"""The recipes of the dataset-size set: fifty micro-datasets, and the same training on the first N samples of each."""
from collections import namedtuple

import numpy as np

from language_data import memory_pool
from language_train import train

RANGES = {"low": (1, 2, 3, 4, 5, 6), "medium": (1, 10, 20, 30, 40, 50), "high": (1, 10, 100, 500, 1000)}
RATE, STEPS, SEED = 1e-3, 250, 81

Sizes = namedtuple("Sizes", "rank ranges sets variant_of seed batch dropout", defaults=("", SEED, 4, 0.0))

SIZES = {
    "lang-r8": Sizes(8, ("low", "medium", "high"), 50),
    "lang-r4": Sizes(4, ("low", "medium"), 50),
    "lang-r8-seed1": Sizes(8, ("medium",), 20, "lang-r8", seed=SEED + 1),
    "lang-r8-batch": Sizes(8, ("medium",), 20, "lang-r8", batch=8),
    "lang-r8-dropout": Sizes(8, ("medium",), 20, "lang-r8", dropout=0.1),
}


def sizes_of(recipe):
    return sorted({size for name in recipe.ranges for size in RANGES[name]})


def fine_tune(model, recipe, size, drawing):
    """The attached Stack of all sets at this size. Every size begins with the same factors and the same draws.

    Another drawing: other micro-datasets.
    """
    pools = [memory_pool(size, 8100 + k + 100000 * drawing) for k in range(recipe.sets)]
    examples = [[(row, np.ones(4)) for row in pool] for pool in pools]
    return train(model, examples, [RATE] * recipe.sets, [STEPS] * recipe.sets, recipe.seed, recipe.rank, 2 * recipe.rank,
                 batch=recipe.batch, shared=True, dropout=recipe.dropout)
