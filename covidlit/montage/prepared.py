"""What a network sees: the prepared volumes of a cache, or of the parts of a run, as a page."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from covidlit.cohort.split import PARTS, Split
from covidlit.errors import CacheError, CovidlitError
from covidlit.montage.page import Look, montage_page
from covidlit.montage.picture import LUNG_WINDOW, montage_jpeg
from covidlit.montage.series import size_of
from covidlit.preprocess.cache import VolumeCache
from covidlit.scans.scan import AIR_HU
from covidlit.settings.run_config import read_run_config
from covidlit.settings.words import CONFIG
from covidlit.tables import read_table

TABLE = "prepared.csv"


OTHERS_SINCE = (
    "it is not among the scans that were prepared last in the run's cache: prepare the run's "
    "manifest there again"
)
"""Why a run's page lacks a scan, where another cohort was prepared in the same cache since."""


def is_prepared(folder: Path) -> bool:
    """Whether a folder is a cache of prepared volumes, or a run that has one."""
    return (folder / TABLE).is_file() or (folder / CONFIG).is_file()


def prepared_page(
    folder: Path,
    generator: str,
    table: pd.DataFrame | None = None,
    done: Callable[[], object] = lambda: None,
    expect: Callable[[int], object] = lambda total: None,
) -> str:
    """The page of a cache folder or of a run's folder, as HTML text.

    Args:
        folder: a cache, whose latest preparation is shown, or a run.
        generator: see `montage_page`.
        table: of `prepare_cohort`; None: what the cache last wrote.
        done: called after each scan.
        expect: called with the number of scans before the first one.

    Raises:
        CacheError: the cache, or its table, is not there any more.
        CovidlitError: a run that has no volumes.
    """
    parts: Mapping[str, str] = {}
    window, cache = LUNG_WINDOW, folder
    what = "Volumes as they were prepared for a network: resampled and cut about the body."
    if (folder / CONFIG).is_file():
        window, cache = _of_run(folder)
        parts = Split.load(folder / "split.json").parts
        what = "What the network of this run saw: resampled, cut about the body, in its HU window."
    if table is None:
        if not (cache / TABLE).is_file():
            raise CacheError(
                "there are no prepared volumes.", where=cache / TABLE,
                fix="run `covidlit prepare` with the spacing and size of the run first.",
            )  # fmt: skip
        table = read_table(cache / TABLE, CacheError)
    if parts:
        table = table[table["scan_id"].astype(str).isin(parts)]
    expect(len(table))
    looks = []
    for row in table.to_dict("records"):
        looks.append(_look(VolumeCache(cache), row, parts.get(str(row["scan_id"]), ""), window))
        done()
    for name in sorted(set(parts) - set(table["scan_id"].astype(str))):
        looks.append(Look(name, "Left out", False, reason=OTHERS_SINCE))
    order = [*(f"Part: {part}" for part in PARTS), "Prepared", "Left out"]
    looks.sort(key=lambda look: order.index(look.group))
    return montage_page(
        looks, title="What the network sees", about=what, generator=generator, window=window
    )


def _of_run(folder: Path) -> tuple[tuple[float, float], Path]:
    data = read_run_config(folder).get("data") or {}
    if "cache_dir" not in data or "window" not in data:
        raise CovidlitError(
            "the run's input is no volumes.", where=folder / CONFIG, fix="give a run of scans."
        )
    low, high = data["window"]
    return (float(low), float(high)), Path(data["cache_dir"])


def _look(
    cache: VolumeCache, row: Mapping[str, object], part: str, window: tuple[float, float]
) -> Look:
    name, group = str(row["scan_id"]), f"Part: {part}" if part else "Prepared"
    if row["status"] != "ok":
        return Look(name, "Left out", False, reason=str(row["reason"]))
    try:
        array, sidecar = cache.open(str(row["key"]))
    except CacheError as error:
        return Look(name, "Left out", False, reason=error.what)
    affine = np.array(sidecar.target_affine)
    volume = np.asarray(array)
    filled = float((volume == AIR_HU).mean())
    facts = [
        *size_of(volume.shape, sidecar.arguments.spacing),
        f"cut about the {'body' if sidecar.crop.centred_on == 'body' else 'middle of the image'}",
        f"{filled:.0%} of its voxels at {AIR_HU} HU: outside the scan or its field of view",
    ]
    picture = montage_jpeg(volume, affine, window)
    return Look(name, group, True, picture, facts=facts, notes=list(sidecar.notes))
