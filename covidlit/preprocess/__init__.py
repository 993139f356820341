"""Resample and crop every scan once, into a content-addressed cache (contract 4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import lazy_loader

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

# One scan of a prediction needs nothing of what prepares a cohort.
__getattr__, __dir__, _ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "cache": ["FORMAT", "Sidecar", "VolumeCache", "pixel_hash", "source_hash"],
        "geometry": ["Crop", "Geometry", "Prepared", "prepare_scan", "resample"],
        "prepare": ["PreparedCohort", "prepare_cohort"],
    },
)
