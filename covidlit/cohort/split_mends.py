"""Settings of a split that give what was found to be missing, each of them tried."""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature

import pandas as pd

from covidlit.cohort.split import Split, unit_key
from covidlit.cohort.splits import centre_held_out, patient_k_fold
from covidlit.errors import SplitError


def validation_fraction_for(manifest: pd.DataFrame, split: Split) -> float | None:
    """The smallest share of a few whose validation part has every class, or None.

    Args:
        manifest: that the split was made from.
        split: of a kind that draws its validation part; others have none of these shares.
    """
    makers: dict[str, Callable[..., Split]] = {
        "centre_held_out": centre_held_out,
        "patient_k_fold": patient_k_fold,
    }
    if (make := makers.get(split.kind)) is None:
        return None
    fold = {} if split.fold is None else {"fold": split.fold}
    known = signature(make).parameters
    given = {name: value for name, value in split.arguments.items() if name in known}
    for fraction in (0.1, 0.2, 0.3, 0.5):
        arguments = {**given, "validation_fraction": fraction, "seed": split.seed, **fold}
        try:
            scans = make(manifest, **arguments).scans("validation")
        except SplitError:
            continue
        named = manifest[unit_key(manifest)].astype(str).isin(scans)
        if manifest.loc[named, "target"].nunique() == manifest["target"].nunique():
            return fraction
    return None


def centres_with_every_class(manifest: pd.DataFrame) -> list[str]:
    """Centres that have every class, and without which every class is left to train on."""
    rows = manifest[manifest["target"].notna() & manifest["centre"].notna()]
    every = manifest["target"].nunique()
    return [
        str(name)
        for name, own in rows.groupby("centre")
        if own["target"].nunique() == every
        and rows.loc[rows["centre"] != name, "target"].nunique() == every
    ]
