"""All factors of a large scan with 300 lesions, beside scipy.ndimage and skimage.regionprops.

python benchmarks/lesion_factors.py

Both sides measure the same: volumes, long diameters in space and in the slice, densities, edge
clarity, distance to the pleura and form of every lesion, and the share of the lungs by side and
zone. The peers take scipy's and scikit-image's functions on each lesion's box of `regionprops`,
with distances to the pleura from one transform of the volume.

pyradiomics and mirp cannot be installed beside covidlit. Where each has an environment of its own
(pyradiomics 3.0.1 with `pip install --no-build-isolation`, after numpy, setuptools, versioneer and
cython), name its interpreter with --pyradiomics and --mirp: their volume, diameters, sphericity,
mean and variance of each lesion, cut out beforehand, are timed against all factors of ours. mirp
takes every n-th lesion by size, since it takes seconds for each. Their sphericity is that of the
mesh of the mask: it is compared with the one of `covidlit.lesions.spread`, and not with form.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray
from record import write_results
from scipy.spatial.distance import pdist
from skimage.measure import find_contours, marching_cubes, mesh_surface_area, regionprops

from covidlit.lesions import LesionLabels, quantify_labels
from covidlit.lesions.edge import OFFSET
from covidlit.lesions.spread import binary_mesh
from covidlit.lesions.volume import crops_of, grown
from covidlit.scans.scan import Scan

COMMAND = "python benchmarks/lesion_factors.py"
SPACING = (1.0, 0.7, 0.7)


def make_scan(shape: tuple[int, int, int], count: int, seed: int = 0) -> tuple[Scan, LesionLabels]:
    """Two ellipsoids of lung with rough lesions of 1.5 to 22 mm, anywhere in them."""
    rng = np.random.default_rng(seed)
    z, y, x = (np.linspace(-1.0, 1.0, n)[_at(k)] for k, n in enumerate(shape))
    classes = np.zeros(shape, np.uint8)
    for side in (-1, 1):
        classes[(z / 0.87) ** 2 + (y / 0.55) ** 2 + ((x - side * 0.47) / 0.37) ** 2 < 1] = 1
    instances = np.zeros(shape, np.int32)
    hu = np.where(classes == 1, rng.integers(-880, -820, shape, dtype=np.int16), np.int16(40))
    hu = hu.astype(np.int16)
    number = 0
    while number < count:
        centre = rng.integers(0, shape)
        if classes[tuple(centre)] != 1:
            continue
        radius = float(np.clip(np.exp(rng.normal(1.6, 0.5)), 1.5, 22))
        axes = radius * np.exp(rng.normal(0, 0.25, 3))
        half = np.ceil(axes * 1.3 / SPACING).astype(int) + 2
        low, high = np.maximum(centre - half, 0), np.minimum(centre + half + 1, shape)
        box = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
        away = [
            ((np.arange(a, b) - c) * s / r)[_at(k)]
            for k, (a, b, c, s, r) in enumerate(zip(low, high, centre, SPACING, axes, strict=True))
        ]
        field = away[0] ** 2 + away[1] ** 2 + away[2] ** 2
        field = field + 2.8 * scipy.ndimage.gaussian_filter(rng.standard_normal(field.shape), 2)
        inside = (field < 1) & (classes[box] == 1)
        if not inside.any():
            continue
        number += 1
        classes[box][inside] = 2 + number % 4
        instances[box][inside] = number
        hu[box][inside] = rng.normal(-300, 60, int(inside.sum()))
    affine = np.zeros((4, 4))
    affine[[2, 1, 0, 3], [0, 1, 2, 3]] = (*SPACING, 1.0)
    return Scan(hu, affine, "1.2.3"), LesionLabels(classes, instances, affine)


def _at(axis: int) -> tuple[Any, ...]:
    return tuple(slice(None) if k == axis else None for k in range(3))


def by_peers(scan: Scan, labels: LesionLabels) -> dict[str, NDArray[np.float64]]:
    """The factors of every lesion by scipy.ndimage and scikit-image, in order of the numbers."""
    classes, instances, hu = labels.classes, labels.instances, scan.hu
    wall = scipy.ndimage.binary_dilation(classes == 0, np.ones((3, 3, 3)))
    pleura = scipy.ndimage.distance_transform_edt(~wall, sampling=SPACING)
    columns: dict[str, list[float]] = {name: [] for name in TOLERANCE}
    for region in regionprops(instances, intensity_image=hu, spacing=SPACING):
        box, mask = region.slice, region.image
        columns["volume_ml"].append(float(region.area) / 1000)
        columns["mean_density_hu"].append(float(region.intensity_mean))
        columns["density_sd_hu"].append(float(region.image_intensity[mask].std()))
        columns["pleural_distance_mm"].append(float(pleura[box][mask].min()))
        padded = np.pad(mask, 1).astype(np.float32)
        points = marching_cubes(padded, 0.5, spacing=SPACING)[0]
        columns["max_diameter_3d_mm"].append(float(_longest(points)))
        longest = 0.0
        for section in padded[1:-1]:
            lines = find_contours(section, 0.5)
            longest = max(longest, _longest(np.concatenate(lines) * SPACING[1:]))
        columns["max_diameter_2d_mm"].append(longest)
        by = [int(np.ceil(3.0 / step)) + 1 for step in SPACING]
        around = np.pad(mask, [(m, m) for m in by])
        whole = [slice(p.start - m, p.stop + m) for p, m in zip(box, by, strict=True)]
        depth = scipy.ndimage.distance_transform_edt(around, sampling=SPACING)
        height = scipy.ndimage.distance_transform_edt(~around, sampling=SPACING)
        columns["edge_clarity_hu_per_mm"].append(_edge(depth, height, around, whole, hu, classes))
        columns["form"].append(_form(depth - height))
    return {name: np.array(values) for name, values in columns.items()}


def _longest(points: NDArray[Any]) -> float:
    """The largest distance of any two points, as scikit-image's feret_diameter_max has it."""
    return float(np.sqrt(pdist(points, "sqeuclidean").max()))


def _edge(
    depth: NDArray[np.float64],
    height: NDArray[np.float64],
    mask: NDArray[np.bool_],
    box: list[slice],
    hu: NDArray[np.int16],
    classes: NDArray[np.uint8],
) -> float:
    index = [np.arange(p.start, p.stop) for p in box]
    there = [(i >= 0) & (i < n) for i, n in zip(index, hu.shape, strict=True)]
    index = [np.clip(i, 0, n - 1) for i, n in zip(index, hu.shape, strict=True)]
    grid = np.ix_(*index)
    valid = there[0][:, None, None] & there[1][:, None] & there[2]
    values, lung = hu[grid], (classes[grid] == 1) & valid
    reach = 3.0 + SPACING[0] / 2
    outer = lung & (height <= reach)
    size = [2 * int(np.ceil(3.0 / step)) + 1 for step in SPACING]
    inner = mask & (depth <= reach)
    inner &= scipy.ndimage.maximum_filter(outer.astype(np.uint8), size, mode="constant") > 0
    if not inner.any() or not outer.any():
        return np.nan
    signed = []
    for distance, chosen in ((depth, inner), (height, outer)):
        rise = np.abs(np.gradient(depth - height, SPACING[0], axis=0)[chosen]).clip(0, 1)
        step = rise * SPACING[0] + np.sqrt(1 - rise**2) * SPACING[1]
        signed.append(np.maximum(distance[chosen] - OFFSET * step, 0))
    at = np.concatenate([signed[0], -signed[1]])
    all_hu = np.concatenate([values[inner], values[outer]]).astype(np.float64)
    close = np.abs(at) <= 3.0
    return float(abs(np.polyfit(at[close], all_hu[close], 1)[0]))


def _form(signed: NDArray[np.float64]) -> float:
    size = [int((n - 1) * step) + 1 for n, step in zip(signed.shape, SPACING, strict=True)]
    at = np.meshgrid(*[np.arange(n) / step for n, step in zip(size, SPACING, strict=True)],
                     indexing="ij")  # fmt: skip
    fine = scipy.ndimage.map_coordinates(signed, at, order=1, mode="nearest")
    fine = scipy.ndimage.gaussian_filter(fine, 1.0, truncate=3.0)
    if fine.max() <= 0:
        return np.nan
    points, faces, _, _ = marching_cubes(fine, 0.0)
    a, b, c = (points[faces[:, k]].astype(np.float64) for k in range(3))
    volume = abs(float(np.einsum("ij,ij->", a, np.cross(b, c)))) / 6
    return min(1.0, (36 * np.pi * volume**2) ** (1 / 3) / float(mesh_surface_area(points, faces)))


TOLERANCE = {
    "volume_ml": 1e-6, "mean_density_hu": 1e-3, "density_sd_hu": 1e-3, "max_diameter_3d_mm": 1e-3,
    "max_diameter_2d_mm": 1e-3, "edge_clarity_hu_per_mm": 0.5, "pleural_distance_mm": 1.0,
    "form": 0.005,
}  # fmt: skip
"""Largest differences that are allowed, in each factor's unit."""


_ALIKE = {
    "volume_ml": 1e-5, "max_diameter_3d_mm": 1e-3, "mean_density_hu": 1e-2, "density_sd_hu": 1e-2,
}  # fmt: skip
RADIOMICS_TOLERANCE = {
    "pyradiomics": {**_ALIKE, "mesh_sphericity": 0.02},
    "mirp": {**_ALIKE, "mesh_sphericity": 1e-4},
}
"""mirp takes scikit-image's mesh as we do, pyradiomics one of its own with other triangles."""

MIRP_EVERY = 10


def by_radiomics(
    name: str, interpreter: str, scan: Scan, labels: LesionLabels, every: int
) -> tuple[list[float], list[int], dict[str, NDArray[np.float64]]]:
    """Seconds (wall clock, processor) for a lesion, the numbers of those measured, their values."""
    crops = sorted(crops_of(labels.instances), key=lambda crop: crop.n_voxels)[::every]
    arrays: dict[str, Any] = {"spacing": np.array(SPACING)}
    for k, crop in enumerate(crops):
        box = grown(crop.box, (2, 2, 2), scan.hu.shape)
        arrays |= {f"hu{k}": scan.hu[box], f"mask{k}": labels.instances[box] == crop.number}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "lesions.npz")
        np.savez(path, **arrays)
        script = Path(__file__).with_name("radiomics_peers.py")
        done = subprocess.run(
            [interpreter, str(script), name, str(path)], capture_output=True, text=True, check=True
        )
    answer = json.loads(done.stdout.splitlines()[-1])
    values = {key: np.array(column) for key, column in answer["values"].items()}
    values["volume_ml"] = values["volume_ml"] / 1000
    values["density_sd_hu"] = np.sqrt(values.pop("density_variance"))
    each = [seconds / len(crops) for seconds in answer["seconds"]]
    return each, [crop.number for crop in crops], values


def mesh_sphericity(labels: LesionLabels) -> dict[int, float]:
    """Of each lesion, by number, as IBSI has it."""
    out = {}
    for crop in crops_of(labels.instances):
        volume, area = binary_mesh(crop.mask, SPACING)
        out[crop.number] = (36 * np.pi * volume**2) ** (1 / 3) / area
    return out


class PeakMemory:
    """The most memory that this process held within a block, above what it held before, bytes."""

    def __enter__(self) -> PeakMemory:
        self.before = self.most = _resident()
        self._stop = threading.Event()
        self._watch = threading.Thread(target=self._look)
        self._watch.start()
        return self

    def _look(self) -> None:
        while not self._stop.wait(0.002):
            self.most = max(self.most, _resident())

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._watch.join()


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def main() -> None:
    """Measure both, compare them and write `results/lesion_factors.json`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shape", type=int, nargs=3, default=(300, 512, 512))
    parser.add_argument("--lesions", type=int, default=300)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--pyradiomics", metavar="PYTHON", help="interpreter that has it")
    parser.add_argument("--mirp", metavar="PYTHON", help="interpreter that has it")
    arguments = parser.parse_args()
    scan, labels = make_scan(tuple(arguments.shape), arguments.lesions)
    quantify_labels(scan, labels)  # pays for the imports
    with PeakMemory() as memory:
        found = quantify_labels(scan, labels)
    ours, processor, peers = [], [], []
    for _ in range(arguments.repeats):
        start, busy = time.perf_counter(), time.process_time()
        found = quantify_labels(scan, labels)
        ours.append(time.perf_counter() - start)
        processor.append(time.process_time() - busy)
        start = time.perf_counter()
        expected = by_peers(scan, labels)
        peers.append(time.perf_counter() - start)
        print(
            f"ours {ours[-1]:.2f} s ({processor[-1]:.2f} s of processor), peers {peers[-1]:.1f} s"
        )
    size = "x".join(map(str, arguments.shape))
    what = f"{arguments.lesions} lesions in {size}"
    peer = "scipy.ndimage and skimage.measure.regionprops"
    seconds, theirs = statistics.median(ours), statistics.median(peers)
    growth = (memory.most - memory.before) / scan.hu.nbytes
    rows: list[tuple[str, float, str, str | None, str | None]] = [
        (f"all factors of {what}, wall clock", seconds, "s", "<= 1.5", None),
        (f"all factors of {what}, processor time", statistics.median(processor), "s", None, None),
        (f"all factors of {what}: times as fast", theirs / seconds, "times", ">= 10", peer),
        (
            "most resident memory beyond scan and labels (looked at every 2 ms), over the volume "
            "in int16",
            growth,
            "times",
            "<= 3",
            None,
        ),
    ]
    table = found.lesions.sort_values("lesion_id")
    for name, tolerance in TOLERANCE.items():
        own = table[name].to_numpy(dtype=float)
        apart = np.abs(own - expected[name])
        worst = float(np.nanmax(apart))
        same_gaps = bool((np.isnan(own) == np.isnan(expected[name])).all())
        rows.append(
            (
                f"largest difference in {name}",
                worst if same_gaps else 1e9,
                "",
                f"<= {tolerance}",
                peer,
            )
        )
    for name, interpreter, every in (
        ("pyradiomics", arguments.pyradiomics, 1),
        ("mirp", arguments.mirp, MIRP_EVERY),
    ):
        if interpreter is None:
            print(f"{name}: left out, since --{name} names no interpreter that has it")
            continue
        each, numbers, expected = by_radiomics(name, interpreter, scan, labels, every)
        rows.append(
            (
                f"all factors of {what}: times as fast as six features ({len(numbers)} lesions)",
                each[0] * arguments.lesions / seconds, "times", ">= 5", name,
            )
        )  # fmt: skip
        busy = each[1] * arguments.lesions / statistics.median(processor)
        rows.append((f"the same for {what} by processor time", busy, "times", None, name))
        own_table = table.set_index("lesion_id").loc[numbers].copy()
        round_by_mesh = mesh_sphericity(labels)
        own_table["mesh_sphericity"] = [round_by_mesh[number] for number in numbers]
        for column, tolerance in RADIOMICS_TOLERANCE[name].items():
            worst = float(np.abs(own_table[column].to_numpy(float) - expected[column]).max())
            rows.append((f"largest difference in {column}", worst, "", f"<= {tolerance}", name))
    figures = [
        {
            "figure": figure,
            "value": round(value, 6),
            "unit": unit,
            "target": target,
            "peer": against,
            "command": COMMAND,
        }
        for figure, value, unit, target, against in rows
    ]
    for figure in figures:
        print(f"{figure['figure']}: {figure['value']} {figure['unit']} (target {figure['target']})")
    print(write_results("lesion_factors", figures))


if __name__ == "__main__":
    main()
