"""Features of lesions by pyradiomics or mirp, run by the interpreter that has it.

PYTHON benchmarks/radiomics_peers.py pyradiomics LESIONS.npz

For `lesion_factors.py`, which cuts the lesions out and compares: neither peer can be installed
beside covidlit. LESIONS.npz holds `spacing` and for each lesion k its box, `hu<k>` and `mask<k>`
(z, y, x). Prints seconds and values as JSON. Needs only NumPy and the peer.
"""

from __future__ import annotations

import json
import logging
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np

NAMES = {
    "pyradiomics": {
        "volume_ml": "original_shape_VoxelVolume",
        "max_diameter_3d_mm": "original_shape_Maximum3DDiameter",
        "mesh_sphericity": "original_shape_Sphericity",
        "mean_density_hu": "original_firstorder_Mean",
        "density_variance": "original_firstorder_Variance",
    },
    "mirp": {
        "volume_ml": "morph_vol_approx",
        "max_diameter_3d_mm": "morph_diam",
        "mesh_sphericity": "morph_sphericity",
        "mean_density_hu": "stat_mean",
        "density_variance": "stat_var",
    },
}
"""Ours -> the peer's name of it; volumes are in mm3 there."""


def by_pyradiomics(hu: list[Any], masks: list[Any], spacing: list[float]) -> tuple[Any, list]:
    """Seconds (wall clock, processor), and the features; no others are asked for."""
    import SimpleITK
    from radiomics import setVerbosity
    from radiomics.featureextractor import RadiomicsFeatureExtractor

    setVerbosity(60)
    extractor = RadiomicsFeatureExtractor(minimumROIDimensions=1, minimumROISize=1)
    extractor.disableAllFeatures()
    extractor.enableFeaturesByName(
        shape=["VoxelVolume", "Maximum3DDiameter", "Maximum2DDiameterSlice", "Sphericity"],
        firstorder=["Mean", "Variance"],
    )
    found = []
    start = _now()
    for values, mask in zip(hu, masks, strict=True):
        image = SimpleITK.GetImageFromArray(values)
        roi = SimpleITK.GetImageFromArray(mask)
        image.SetSpacing(spacing[::-1])
        roi.SetSpacing(spacing[::-1])
        found.append(extractor.execute(image, roi))
    return [end - begin for begin, end in zip(start, _now(), strict=True)], found


def by_mirp(hu: list[Any], masks: list[Any], spacing: list[float]) -> tuple[Any, list]:
    """Seconds (wall clock, processor), and the features; mirp computes whole families only."""
    import itk
    from mirp import extract_features

    logging.disable(logging.CRITICAL)
    warnings.filterwarnings("ignore")
    found = []
    with tempfile.TemporaryDirectory() as folder:
        paths = []
        for k, pair in enumerate(zip(hu, masks, strict=True)):
            own = []
            for name, values in zip(("hu", "mask"), pair, strict=True):
                image = itk.image_from_array(values)
                image.SetSpacing(spacing[::-1])
                own.append(str(Path(folder, f"{name}{k}.nii")))
                itk.imwrite(image, own[-1])
            paths.append(own)
        start = _now()
        for image, mask in paths:
            tables = extract_features(
                image=image,
                mask=mask,
                image_modality="ct",
                base_feature_families=["morphology", "statistics"],
            )
            found.append(tables[0].iloc[0].to_dict())
        return [end - begin for begin, end in zip(start, _now(), strict=True)], found


def _now() -> tuple[float, float]:
    return time.perf_counter(), time.process_time()


def main() -> None:
    """Measure the lesions of a file by one peer and print what came of it."""
    peer, path = sys.argv[1:]
    with np.load(path) as kept:
        count = sum(name.startswith("mask") for name in kept)
        hu = [kept[f"hu{k}"].astype(np.float32) for k in range(count)]
        masks = [kept[f"mask{k}"].astype(np.uint8) for k in range(count)]
        spacing = [float(step) for step in kept["spacing"]]
    measure = {"pyradiomics": by_pyradiomics, "mirp": by_mirp}[peer]
    measure(hu[:1], masks[:1], spacing)  # pays for the imports
    seconds, found = measure(hu, masks, spacing)
    values = {ours: [float(row[theirs]) for row in found] for ours, theirs in NAMES[peer].items()}
    print(json.dumps({"seconds": seconds, "values": values}))


if __name__ == "__main__":
    main()
