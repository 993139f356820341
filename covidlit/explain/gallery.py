"""Typical and misdiagnosed cases as pictures, as in the paper's Figures 3 and 4."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from covidlit.evaluation.case_choice import typical_or_worst

OUTCOMES = ("true positive", "false negative", "false positive", "true negative")


@dataclass(frozen=True)
class Picture:
    """One picture of a gallery.

    Args:
        group: its heading.
        caption: what it shows.
        png: the picture.
    """

    group: str
    caption: str
    png: bytes


def outcome(target: int, score: float, point: float) -> str:
    """One of `OUTCOMES`; a scan is called positive from the operating point on."""
    called = score >= point
    if target:
        return "true positive" if called else "false negative"
    return "false positive" if called else "true negative"


def choose_cases(table: pd.DataFrame, n: int = 2) -> pd.DataFrame:
    """Scans for a gallery: typical ones of those called right, the worst of those called wrong.

    Args:
        table: `scan_id`, `target` (0 or 1), `score` and `point`, the operating point of each.
        n: of each outcome.

    Returns:
        Rows of the table with `outcome`, in the order of `OUTCOMES`.
    """
    rows = zip(table["target"], table["score"], table["point"], strict=True)
    found = table.assign(outcome=[outcome(int(t), float(s), float(p)) for t, s, p in rows])
    chosen = []
    for name in OUTCOMES:
        group, right = found[found["outcome"] == name], name.startswith("true")
        chosen.append(typical_or_worst(group, n, right=right, threshold="point"))
    return pd.concat(chosen)


def colour_sentence(layer: str, method: str, scale: float, checked: Sequence[str] = ()) -> str:
    """What the colours mean, and whether it was checked against lesion masks."""
    meaning = {
        "guided": "how much a place raises the score by differing from healthy lung, within the "
        "region whose features raise it (gradient of the image and LayerCAM)",
        "activation": "how strongly the features of the layer respond, whatever they speak for",
        "gradcam": "how much the features there raise the score (Grad-CAM)",
        "layercam": "how much the features there raise the score (LayerCAM, Grad-CAM's finer form)",
    }[method]
    tested = " ".join(checked) or (
        "Whether the heat lies on lesions was not checked for this network: "
        "covidlit explain RUN --truth MASKS does."
    )
    return (
        f"Colour shows {meaning}, at the layer {layer}, on one scale for all scans: its upper end, "
        f"{np.format_float_positional(scale, 3, fractional=False)}, is the upper quartile of the "
        f"largest heats of positive scans that were not tested on. {tested}"
    )
