"""Chests with a lesion, as scans and their label volumes."""

from __future__ import annotations

import numpy as np

SHAPE, SPACING = (6, 40, 48), (8.0, 6.0, 7.0)
AFFINE = np.array(
    [[0, 0, SPACING[2], -160], [0, SPACING[1], 0, -110], [SPACING[0], 0, 0, -900], [0, 0, 0, 1]],
    float,
)


def chest_with_lesions(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """HU and classes of a chest: two lungs, a ground-glass lesion in one, in the middle slices."""
    rng = np.random.default_rng(seed)
    _, y, x = np.meshgrid(*(np.arange(n) for n in SHAPE), indexing="ij")
    hu = np.where(((y - 20) / 19) ** 2 + ((x - 24) / 23) ** 2 < 1, 40.0, -1000.0)
    classes = np.zeros(SHAPE, np.uint8)
    for centre in (13, 35):
        classes[((y - 20) / max(12 - seed, 8)) ** 2 + ((x - centre) / 8) ** 2 < 1] = 1
    classes[2:4, 14 + seed : 20 + seed, 10:15] = 3
    hu[classes == 1], hu[classes == 3] = -850.0, -600.0
    return (hu + rng.normal(0, 8, SHAPE)).astype(np.int16), classes
