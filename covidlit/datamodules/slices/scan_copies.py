"""Scans of labelled slices that are copies of each other, though not to the pixel."""

from __future__ import annotations

import pandas as pd

from covidlit.cohort.leakage import Suspicion, check_leakage
from covidlit.cohort.split import Split
from covidlit.datamodules.slices.slice_cache import SliceCache


def near_copies(table: pd.DataFrame, split: Split, cache: SliceCache) -> list[Suspicion]:
    """Pairs of scans of different parts that look alike, as `check_leakage` finds them of volumes.

    Pictures are not compared: of a single slice too little tells two patients apart.

    Args:
        table: slices with `part`, `status` and `key`.
        split: of these slices.
        cache: of their images.
    """
    used = table[(table["status"] == "ok") & (table["source"] == "scan")]
    scans = used.drop_duplicates("scan_id").drop(columns="slice_id")
    thumbnails = {
        str(scan): found
        for scan, key in zip(scans["scan_id"], scans["key"], strict=True)
        if (found := cache.thumbnail(str(key))) is not None
    }
    parts = dict(zip(scans["scan_id"].astype(str), scans["part"].astype(str), strict=True))
    of_scans = split.model_copy(update={"parts": parts})
    told = check_leakage(scans, of_scans, thumbnails=thumbnails)
    return [suspicion for suspicion in told if suspicion.kind == "near copies"]
