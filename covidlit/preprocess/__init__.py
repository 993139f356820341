"""Resample and crop every scan once, into a content-addressed cache (contract 4)."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from covidlit.preprocess.cache import FORMAT, Sidecar, VolumeCache, pixel_hash, source_hash
    from covidlit.preprocess.geometry import Crop, Geometry, Prepared, prepare_scan, resample
    from covidlit.preprocess.prepare import PreparedCohort, prepare_cohort

__all__ = [
    "FORMAT",
    "Crop",
    "Geometry",
    "Prepared",
    "PreparedCohort",
    "Sidecar",
    "VolumeCache",
    "pixel_hash",
    "prepare_cohort",
    "prepare_scan",
    "resample",
    "source_hash",
]

_MODULES = {
    "FORMAT": "cache",
    "Sidecar": "cache",
    "VolumeCache": "cache",
    "pixel_hash": "cache",
    "source_hash": "cache",
    "Crop": "geometry",
    "Geometry": "geometry",
    "Prepared": "geometry",
    "prepare_scan": "geometry",
    "resample": "geometry",
    "PreparedCohort": "prepare",
    "prepare_cohort": "prepare",
}


def __getattr__(name: str) -> Any:
    # One scan of a prediction needs nothing of what prepares a cohort.
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
