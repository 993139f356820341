"""Contact sheets of synthetic CT: every kind of disease, axial and coronal, two windows.

    python experiments/synthetic_look/run.py --out sheets [--matrix 256] [--real PATH ...]

With `--real`, scans of your own (a DICOM folder or a NIfTI file) are drawn beside the synthetic
ones, in a sheet of their own; keep that sheet to yourself.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from numpy.typing import NDArray

from covidlit.synthetic.cases import Case
from covidlit.synthetic.grid import grid_of
from covidlit.synthetic.presets import plan_cohort
from covidlit.synthetic.render import render

LUNG, SOFT = (-1000, 400), (-160, 240)
KINDS = ("healthy", "nodule", "other", "bacterial", "mycoplasma", "viral", "covid", "covid")


def first_of_each(seed: int) -> list[Case]:
    """The first case of each kind in a cohort of 300."""
    cases, chosen = plan_cohort("mild", 300, seed), []
    for kind in KINDS:
        chosen.append(next(c for c in cases if c.aetiology == kind and c not in chosen))
    return chosen


def draw_column(
    axes: NDArray[np.object_],
    hu: NDArray[np.int16],
    spacing: tuple[float, float, float],
    title: str,
    lesions: NDArray[np.bool_] | None = None,
) -> None:
    """Axial at the lesions (or the middle) in both windows, coronal, and the axial labels."""
    if lesions is not None and lesions.any():
        z, y = int(lesions.sum((1, 2)).argmax()), int(lesions.sum((0, 2)).argmax())
    else:
        z, y = hu.shape[0] // 2, hu.shape[1] // 2
    for axis, window in ((axes[0], LUNG), (axes[1], SOFT)):
        axis.imshow(hu[z], cmap="gray", vmin=window[0], vmax=window[1])
    axes[2].imshow(
        hu[::-1, y], cmap="gray", vmin=LUNG[0], vmax=LUNG[1], aspect=spacing[0] / spacing[1]
    )
    if lesions is not None and len(axes) > 3:
        axes[3].imshow(hu[z], cmap="gray", vmin=LUNG[0], vmax=LUNG[1])
        axes[3].imshow(np.ma.masked_equal(lesions[z], 0), cmap="autumn", alpha=0.45)
    axes[0].set_title(title, fontsize=9)


def kinds_sheet(seed: int, matrix: int, path: Path) -> None:
    """One column per kind of disease."""
    cases = first_of_each(seed)
    figure, axes = plt.subplots(4, len(cases), figsize=(2.2 * len(cases), 9), squeeze=False)
    for column, case in zip(axes.T, cases, strict=True):
        grid = grid_of(case, matrix, 5.0)
        drawn = render(case, grid)
        title = f"SYNTHETIC\n{case.aetiology}, {case.lesion_volume_ml:.0f} ml"
        draw_column(column, drawn.hu, grid.spacing, title, drawn.classes > 1)
    _save(figure, axes, path)


def levels_sheet(seed: int, matrix: int, path: Path) -> None:
    """One synthetic scan from the upper abdomen to the neck, lung and soft-tissue window."""
    case = plan_cohort("mild", 40, seed)[3]
    grid = grid_of(case, matrix, 5.0)
    _draw_levels(render(case, grid).hu, "SYNTHETIC", path)


def real_sheet(sources: list[Path], path: Path) -> None:
    """The same levels of scans of your own."""
    from covidlit.cohort.scan_reader import load_scan

    for number, source in enumerate(sources):
        _draw_levels(load_scan(source).hu, source.name, path.with_stem(f"{path.stem}_{number}"))


def _draw_levels(hu: NDArray[np.int16], title: str, path: Path) -> None:
    levels = np.linspace(0.03, 0.97, 8) * (hu.shape[0] - 1)
    figure, axes = plt.subplots(2, 8, figsize=(18, 4.8), squeeze=False)
    for column, z in zip(axes.T, levels.astype(int), strict=True):
        for axis, window in zip(column, (LUNG, SOFT), strict=True):
            axis.imshow(hu[z], cmap="gray", vmin=window[0], vmax=window[1])
    axes[0, 0].set_title(title, fontsize=9)
    _save(figure, axes, path)


def _save(figure: plt.Figure, axes: NDArray[np.object_], path: Path) -> None:
    for axis in axes.flat:
        axis.axis("off")
    figure.tight_layout(pad=0.4)
    figure.savefig(path, dpi=60)
    plt.close(figure)
    print(path)


def main() -> None:
    """Write the sheets."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("sheets"), help="folder for the PNGs")
    parser.add_argument("--matrix", type=int, default=256)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--real", type=Path, nargs="*", default=[], help="scans of your own")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    kinds_sheet(arguments.seed, arguments.matrix, arguments.out / "kinds.png")
    levels_sheet(arguments.seed, arguments.matrix, arguments.out / "levels.png")
    real_sheet(arguments.real, arguments.out / "real.png")


if __name__ == "__main__":
    main()
