"""Features are computed once, kept beside the volumes, and computed anew where damaged."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from covidlit.errors import CacheError
from covidlit.preprocess.features.cache import cohort_features, features_path
from covidlit.preprocess.features.catalogue import FEATURE_NAMES, volume_features

SPACING = (12.0, 12.0, 12.0)


def test_features_are_kept_and_damaged_ones_computed_anew(make: Callable[..., Any]) -> None:
    data = make()
    data.setup()
    keys = [key.decode() for key in data.dataset_of("test").keys]
    first = cohort_features(data.cache_dir, keys, n_jobs=1, progress=False)
    array = np.load(data.dataset_of("test").cache.array_path(keys[0]))
    assert first[0].tolist() == list(volume_features(array, SPACING).values())

    path = features_path(data.cache_dir, keys[0])
    kept = json.loads(path.read_text())
    kept["features"]["lung_mean"] = 12.5
    path.write_text(json.dumps(kept))
    features_path(data.cache_dir, keys[1]).write_text("{")
    again = cohort_features(data.cache_dir, keys, n_jobs=1, progress=False)
    assert again[0][FEATURE_NAMES.index("lung_mean")] == 12.5
    assert again[1].tolist() == first[1].tolist()

    path.write_text(json.dumps({**kept, "format": 0}))
    renewed = cohort_features(data.cache_dir, keys, n_jobs=1, progress=False)
    assert renewed[0].tolist() == first[0].tolist()


def test_features_of_a_volume_that_is_not_there_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CacheError, match="not in the cache"):
        cohort_features(tmp_path, ["ab" * 32], n_jobs=1, progress=False)
