"""What the numbers of the patient report cannot say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from covidlit.lesions.trend import limits_text

ALWAYS = (
    "They are no diagnosis. The same shadows are seen in other pneumonias, in bleeding, oedema and "
    "fibrosis; which disease it is, the numbers do not tell.",
    "They are as good as the contours. Look at the key slices: vessels, motion, and parts of the "
    "lung that were not ventilated are what is most often drawn wrong.",
    "Volumes depend on how deeply the patient breathed in; a proportion less so. Diameters, edge "
    "clarity and density also depend on slice thickness and kernel: compare scans made alike.",
    "The number of lesions is the least stable of them: two that touch count as one, and a thinner "
    "slice splits them.",
    "Mean density mixes air and tissue, and contrast medium raises it.",
)
NO_SEVERITY = (
    "Nothing here says how ill the patient is: a small part of the lung may matter more than a "
    "large one."
)
SEVERITY = (
    "The severity score is what a model has learnt from patients of its training alone; of others, "
    "and of values outside theirs, it may be wrong and sure. What a value contributes is what the "
    "model makes of it, and no cause: of values that go together, one may stand for the others. "
    "The range of its members shows how far they agree, and not how right they are."
)

NO_LUNG = (
    "No lung was drawn, so that neither the proportion nor the distance to the pleura is known."
)
NO_LESION = (
    "No lesion was drawn. That is no proof that there is none: faint and small ones are missed "
    "first."
)
NO_EARLIER = "There is no earlier scan, so that no change can be given."
CHANGE = (
    "A change within what another breath, kernel or slice thickness alone makes is no change. It "
    "is called one only beyond these limits of agreement (mL, HU, %): "
)


def limits_of(factors: Mapping[str, Any], scored: bool = False) -> list[str]:
    """The sentences that apply to a scan.

    Args:
        factors: its row of contract 8.
        scored: whether the page has a severity score.
    """
    found = [*ALWAYS, SEVERITY if scored else NO_SEVERITY]
    if _is_null(factors.get("proportion_percent")):
        found.insert(0, NO_LUNG)
    if not _is_null(factors.get("n_lesions")) and int(factors["n_lesions"]) == 0:
        found.insert(0, NO_LESION)
    found.append(
        NO_EARLIER
        if _is_null(factors.get("volume_change_ml"))
        else CHANGE + "; ".join(limits_text()) + "."
    )
    return found


def _is_null(value: Any) -> bool:
    return value is None or bool(pd.isna(value))
