"""Which series of a study stands for it, where a scanner reconstructed several."""

from __future__ import annotations

import re
from typing import Literal

import pandas as pd

from covidlit.cohort.columns import column_of

SeriesChoice = Literal["one_per_study", "all"]

_SOFT_NAMES = ("SOFT", "STANDARD", "STND", "SMOOTH", "BODY", "MEDIASTIN")
_SHARP_NAMES = ("LUNG", "BONE", "EDGE", "DETAIL", "SHARP", "HRCT", "ULTRA")
# Siemens writes sharpness as a number: B30f, B70s, I31f, Br36d, Bl57d; lung kernels start at 50.
_SIEMENS = re.compile(r"^[A-Z][A-Z]?(\d{2})[A-Z]?")
# Canon and Toshiba: FC01-FC18 body, FC30 bone, FC50-FC59 lung, FC80 and above high resolution.
_CANON = re.compile(r"^FC(\d{2})")
_PHILIPS = {"A": "soft", "B": "soft", "C": "soft", "D": "sharp", "E": "sharp", "L": "sharp"}


def kernel_class(kernel: str | None) -> str:
    """`soft`, `sharp` or `unknown`, from the name of a convolution kernel (DICOM 0018,1210).

    GE's names, Siemens' numbers (sharp from 50), Canon's FC numbers and Philips' letters are known.
    """
    name = "" if kernel is None or pd.isna(kernel) else str(kernel).strip().upper()
    if any(word in name for word in _SHARP_NAMES):
        return "sharp"
    if any(word in name for word in _SOFT_NAMES):
        return "soft"
    if canon := _CANON.match(name):
        return "soft" if int(canon[1]) < 30 else "sharp"
    if siemens := _SIEMENS.match(name):
        return "soft" if int(siemens[1]) < 50 else "sharp"
    return _PHILIPS.get(name, "sharp" if name.startswith("Y") else "unknown")


def standing_for_study(
    table: pd.DataFrame, choice: SeriesChoice = "one_per_study", max_thickness_mm: float = 5.0
) -> pd.Series:
    """True for the series that stay.

    Of each study: an accepted series before a refused one, slices of at most `max_thickness_mm`
    before thicker ones, one that was measured before one that was derived from others (which may be
    a projection that does not say so), a soft kernel before an unknown and a sharp one (the paper
    used the soft kernel), then the series with most slices. With "all" every accepted series stays,
    and a refused one where its study has no accepted one.

    Args:
        table: one row per series: `study_uid`, `series_uid`, `status`, `is_image` (no
            localizer, no projection, of no other modality), `is_derived`, `slice_thickness_mm`,
            `kernel`, `n_slices`.
        choice: "one_per_study" or "all".
        max_thickness_mm: in mm.
    """
    best = preferred(table, table["study_uid"], table["series_uid"], max_thickness_mm)
    return best if choice == "one_per_study" else best | (table["status"] == "ok")


def preferred(
    table: pd.DataFrame, group: pd.Series, name: pd.Series, max_thickness_mm: float = 5.0
) -> pd.Series:
    """True for the first row of each group, in the order of `standing_for_study`.

    Args:
        table: the columns of `standing_for_study`, as far as they are known.
        group: what one row is chosen of, such as the study.
        name: decides between rows that are alike.
        max_thickness_mm: in mm.
    """
    thickness = column_of(table, "slice_thickness_mm").astype("float64")
    kernels = column_of(table, "kernel").map(kernel_class)
    ranks = pd.DataFrame(
        {
            "group": group,
            "refused": column_of(table, "status").eq("refused"),
            "other": column_of(table, "is_image").eq(False),
            "thick": (thickness > max_thickness_mm + 1e-3) | thickness.isna(),
            "derived": column_of(table, "is_derived").eq(True),
            "kernel": kernels.map({"soft": 0, "unknown": 1, "sharp": 2}),
            "slices": -column_of(table, "n_slices").astype("float64").fillna(0),
            "name": name,
        },
        index=table.index,
    )
    first = ~ranks.sort_values(list(ranks.columns)).duplicated("group")
    return first.reindex(table.index).astype(bool)
