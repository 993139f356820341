"""Balanced draws: how often each training scan is drawn, and in which order."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from covidlit.counted import counted
from covidlit.errors import ConfigError

MATCHED = 0.75
"""Share of each class that "centre" draws from the centres that all classes have in common."""


def draw_weights(
    balanced: bool | str, classes: NDArray[np.integer], centres: NDArray[np.object_]
) -> NDArray[np.float64] | None:
    """Probability of each scan to be drawn, or None for every scan once.

    Where a class stands in some centres only, a network can learn the scanner instead of the
    disease: in the 3D CSAC-Net paper's cohort COVID-19 occurs in one of three training centres, so
    the centre alone tells most negatives. "centre" draws the classes equally often, and
    three quarters of each from the centres in proportion to what all classes have there.

    Args:
        balanced: False; "class" (or True): the classes equally often; "centre": see above.
        classes: (n,) class of each scan.
        centres: (n,) centre of each scan.

    Raises:
        ConfigError: an unknown choice, or "centre" where no centre has every class or some are not
            known.
    """
    if balanced is False:
        return None
    names, members = np.unique(classes, return_inverse=True)
    if balanced in (True, "class"):
        return 1.0 / (len(names) * np.bincount(members)[members])
    if balanced != "centre":
        raise ConfigError(
            f"balanced must be false, class or centre, not {balanced!r}.", where="data.balanced"
        )
    if unknown := sum(not (isinstance(centre, str) and centre) for centre in centres):
        raise ConfigError(
            f"the centre of {counted(unknown, 'training row')} is not known.",
            where="data.balanced=centre",
            fix="fill the manifest's column centre, or use data.balanced=class.",
        )
    places, where = np.unique(centres.astype(str), return_inverse=True)
    counts = np.zeros((len(names), len(places)))
    np.add.at(counts, (members, where), 1)
    own = counts / counts.sum(axis=1, keepdims=True)
    common = own.min(axis=0)
    if not common.any():
        raise ConfigError(
            "no training centre has every class, so the centre tells the class.",
            where="data.balanced=centre",
            fix="use data.balanced=class, and do not trust the result: see the centre check.",
        )
    wanted = MATCHED * common / common.sum() + (1 - MATCHED) * own
    return (wanted / np.maximum(counts, 1))[members, where] / len(names)


def balanced_order(
    weights: NDArray[np.float64], classes: NDArray[np.integer], generator: np.random.Generator
) -> NDArray[np.intp]:
    """As many draws as there are scans, by weight, the classes spread evenly over the epoch.

    Draws one by one would leave the classes of a batch to chance, and in small batches that noise
    hides what tells the classes apart (experiments/weak_labels). Here a scan is drawn as often as
    its weight asks, rounded up or down at random (systematic resampling), and every batch has each
    class in its share, to within one scan at its ends.

    Args:
        weights: (n,) probability of each scan, summing to 1.
        classes: (n,) class of each scan.
        generator: of the random numbers.

    Returns:
        (n,) index of the scan of each draw.
    """
    size = len(weights)
    order = generator.permutation(size)
    order = order[np.argsort(classes[order], kind="stable")]
    ends = np.cumsum(weights[order]) * size
    ends[-1] = size
    edges = np.floor(ends + generator.random()).astype(np.intp)
    drawn = np.repeat(order, np.diff(edges, prepend=0))
    place = np.empty(size)
    for name in np.unique(classes):
        own = np.flatnonzero(classes[drawn] == name)
        place[own] = (generator.permutation(len(own)) + generator.random(len(own))) / len(own)
    return drawn[np.argsort(place)]
