"""`train.py` with balanced draws made one by one, as a weighted random sampler makes them."""

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[2]))

from covidlit.datamodules import sampling


def one_by_one(
    weights: NDArray[np.float64], classes: NDArray[np.integer], generator: np.random.Generator
) -> NDArray[np.intp]:
    """In place of `balanced_order`: the classes of a batch are left to chance."""
    return generator.choice(len(weights), size=len(weights), p=weights)


if __name__ == "__main__":
    sampling.balanced_order = one_by_one
    from covidlit.cli.train import main

    main()
