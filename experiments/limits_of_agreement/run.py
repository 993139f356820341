"""How far factors of an unchanged patient lie apart: two kernels, two thicknesses, two breaths.

python experiments/limits_of_agreement/run.py [--patients 12] [--matrix 192]

Each synthetic patient with COVID-19 is scanned four times on the same day: as planned, with another
kernel, with other slices, and in another breath (the lesions hold the same millilitres). Lungs and
lesions are found in the images alone, lesions by a threshold on the smoothed HU, so that noise,
partial volume and the density of the lung have their say. The limits that `covidlit trend` uses
(`covidlit.lesions.agreement.LIMITS`) are rounded up from `results.json`.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1] / "benchmarks"))

from record import environment  # noqa: E402 (benchmarks/ is not a package)

from covidlit.files import write_json  # noqa: E402
from covidlit.lesions import LesionLabels, number_lesions, quantify_labels, segment_lungs  # noqa: E402
from covidlit.lesions.agreement import bland_altman  # noqa: E402
from covidlit.scans.scan import Scan  # noqa: E402
from covidlit.synthetic.cases import Case  # noqa: E402
from covidlit.synthetic.centres import DEFINITION, LIGHTSPEED  # noqa: E402
from covidlit.synthetic.grid import grid_of  # noqa: E402
from covidlit.synthetic.presets import plan_cohort  # noqa: E402
from covidlit.synthetic.render import render  # noqa: E402

COMMAND = "python experiments/limits_of_agreement/run.py"
SHARP = replace(LIGHTSPEED, kernel="LUNG", noise_hu=22.0, cutoff_per_mm=0.65)
THICK_MM, THIN_MM = 5.0, 2.0
DENSE_HU = -650
FACTORS = {"total_volume_ml": "mL", "lung_volume_ml": "mL", "mean_density_hu": "HU",
           "proportion_percent": "%"}  # fmt: skip
RELATIVE = ("total_volume_ml", "lung_volume_ml", "proportion_percent")


def lesions_by_threshold(
    hu: NDArray[np.int16], lungs: NDArray[np.bool_], spacing: tuple[float, float, float]
) -> NDArray[np.bool_]:
    """Dense parts of the lungs of at least 1 mL and thicker than a vessel, (z, y, x)."""
    smooth = scipy.ndimage.gaussian_filter(hu.astype(np.float32), [1.5 / s for s in spacing])
    dense = lungs & (smooth > DENSE_HU)
    # Vessels and the blurred border of the lung are thin.
    core = scipy.ndimage.distance_transform_edt(dense, sampling=spacing) > 4.0
    thick = scipy.ndimage.distance_transform_edt(~core, sampling=spacing) <= 4.0
    found = thick & dense
    numbers, count = scipy.ndimage.label(found, np.ones((3, 3, 3)))
    sizes = np.bincount(numbers.ravel()) * float(np.prod(spacing)) / 1000
    small = sizes < 1.0
    small[0] = True
    return ~small[numbers] if count else found


def measured(case: Case, matrix: int, thickness: float) -> dict[str, float]:
    """The factors of one scan, from its image alone."""
    grid = grid_of(case, matrix, thickness)
    hu = np.maximum(render(case, grid).hu, -1024).astype(np.int16)
    lungs = segment_lungs(hu, grid.spacing)
    classes = (lungs > 0).astype(np.uint8)
    classes[lesions_by_threshold(hu, lungs > 0, grid.spacing)] = 3
    labels = LesionLabels(classes, number_lesions(classes), grid.affine)
    row = quantify_labels(Scan(hu, grid.affine, case.series_uid), labels).scan
    return {name: float("nan") if row[name] is None else row[name] for name in FACTORS}


def pairs(patients: int, matrix: int, seed: int) -> dict[str, list[tuple[dict[str, float], ...]]]:
    """By what differs: (as planned, otherwise) of each patient."""
    cases = [
        replace(case, scanner=DEFINITION, mas=150)
        for case in plan_cohort("severity", 4 * patients, seed)
        if case.visit == 0
    ][:patients]
    out: dict[str, list[tuple[dict[str, float], ...]]] = {
        "kernel": [],
        "thickness": [],
        "breath": [],
    }
    for k, case in enumerate(cases):
        planned = measured(case, matrix, THICK_MM)
        out["kernel"].append((planned, measured(replace(case, scanner=SHARP), matrix, THICK_MM)))
        out["thickness"].append((planned, measured(case, matrix, THIN_MM)))
        # Another visit with the day and the volume of this one: only breath and noise are drawn.
        out["breath"].append((planned, measured(replace(case, visit=7), matrix, THICK_MM)))
        print(f"{k + 1} of {len(cases)} patients", flush=True)
    return out


def figures(found: dict[str, list[tuple[dict[str, float], ...]]]) -> list[dict[str, Any]]:
    """Bias and limits of every factor and every kind of pair."""
    out = []
    for kind, own in found.items():
        for factor, unit in FACTORS.items():
            values = np.array([[one[factor], other[factor]] for one, other in own])
            values = values[np.isfinite(values).all(axis=1)]
            apart = values.copy()
            if factor in RELATIVE:
                apart = 100 * values / values.mean(axis=1, keepdims=True)
            agreement = bland_altman(apart[:, 0].tolist(), apart[:, 1].tolist())
            shown = "% of the mean" if factor in RELATIVE else unit
            for name, value in (
                ("bias", agreement.bias),
                ("limit (|bias| + 1.96 SD)", abs(agreement.bias) + 1.96 * agreement.sd),
                ("largest difference", float(np.abs(apart[:, 1] - apart[:, 0]).max())),
            ):
                out.append(
                    {
                        "figure": f"{factor}, two values of {kind}: {name}; {agreement.n} pairs",
                        "value": round(value, 2),
                        "unit": shown,
                        "target": None,
                        "peer": None,
                        "command": COMMAND,
                    }
                )
    return out


def main() -> None:
    """Measure all pairs and write `results.json`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--patients", type=int, default=12)
    parser.add_argument("--matrix", type=int, default=192)
    parser.add_argument("--seed", type=int, default=5)
    arguments = parser.parse_args()
    rows = figures(pairs(arguments.patients, arguments.matrix, arguments.seed))
    for row in rows:
        print(f"{row['figure']}: {row['value']} {row['unit']}")
    write_json(HERE / "results.json", {"environment": environment(), "figures": rows})


if __name__ == "__main__":
    main()
