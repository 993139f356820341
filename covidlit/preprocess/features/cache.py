"""The features of a cohort, computed once and kept in the cache folder beside the volumes.

Layout: `features/<first two of key>/<key>.json` with the number of the features' format and their
values. The key is the prepared volume's (contract 4), so that no other image's features are served.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from covidlit.files import is_writable, write_json
from covidlit.preprocess import VolumeCache
from covidlit.preprocess.backends import run_in_parallel
from covidlit.preprocess.features.catalogue import FEATURE_FORMAT, FEATURE_NAMES, volume_features
from covidlit.progress import progress_bar


class _Task(NamedTuple):
    row: int
    key: str
    cache_dir: str


def cohort_features(
    cache_dir: str | Path,
    keys: Sequence[str],
    *,
    n_jobs: int = -1,
    backend: str = "loky",
    progress: bool = True,
) -> NDArray[np.float64]:
    """The features of prepared volumes; those that are not kept yet are computed and kept.

    In a cache on a read-only disk they are computed each time.

    Args:
        cache_dir: the cache folder.
        keys: of the volumes.
        n_jobs: workers; -1: one per core.
        backend: joblib's: "loky" (processes), "threading", "dask" or "ray".
        progress: show a progress bar.

    Returns:
        (len(keys), len(FEATURE_NAMES)); NaN where a feature is undefined.

    Raises:
        CacheError: a volume is missing or damaged.
        CovidlitError: the cache folder cannot be written.
    """
    table = np.full((len(keys), len(FEATURE_NAMES)), np.nan)
    tasks = []
    for row, key in enumerate(keys):
        known = _read(features_path(cache_dir, key))
        if known is None:
            tasks.append(_Task(row, key, str(cache_dir)))
        else:
            table[row] = known
    with progress_bar("Measuring volumes", len(tasks), show=progress) as bar:
        for row, values in run_in_parallel(_compute, tasks, n_jobs=n_jobs, backend=backend):
            table[row] = values
            bar.advance()
    return table


def features_path(cache_dir: str | Path, key: str) -> Path:
    """Where the features of the volume of `key` are kept."""
    return Path(cache_dir) / "features" / key[:2] / f"{key}.json"


def _compute(task: _Task) -> tuple[int, list[float]]:
    array, sidecar = VolumeCache(task.cache_dir).open(task.key)
    values = volume_features(np.asarray(array), sidecar.arguments.spacing)
    kept = {name: value if math.isfinite(value) else None for name, value in values.items()}
    if is_writable(task.cache_dir):
        write_json(
            features_path(task.cache_dir, task.key), {"format": FEATURE_FORMAT, "features": kept}
        )
    return task.row, list(values.values())


def _read(path: Path) -> list[float] | None:
    """The kept values; None where there are none of this format, or the file is damaged."""
    try:
        kept: Any = json.loads(path.read_text(encoding="utf-8"))
        if kept["format"] != FEATURE_FORMAT:
            return None
        found = [kept["features"][name] for name in FEATURE_NAMES]
        return [math.nan if value is None else float(value) for value in found]
    except (OSError, UnicodeDecodeError, LookupError, TypeError, ValueError):
        return None
