"""How often each training scan is drawn: by class, or so that the centre does not tell it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

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
        ConfigError: an unknown choice, or "centre" where no centre has every class.
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
    places, where = np.unique(centres.astype(str), return_inverse=True)
    counts = np.zeros((len(names), len(places)))
    np.add.at(counts, (members, where), 1)
    own = counts / counts.sum(axis=1, keepdims=True)
    common = own.min(axis=0)
    if not common.any():
        raise ConfigError(
            "no training centre has scans of every class, so the centre tells the class.",
            where="data.balanced=centre",
            fix="use data.balanced=class, and do not trust the result: see the centre check.",
        )
    wanted = MATCHED * common / common.sum() + (1 - MATCHED) * own
    return (wanted / np.maximum(counts, 1))[members, where] / len(names)
