"""Find and read a DICOM series with all checks on, against SimpleITK with its own series search.

    python benchmarks/dicom_reading.py

Writes benchmarks/results/dicom_reading.json. The series is synthetic; the repeats interleave.
"""

from __future__ import annotations

import argparse
import hashlib
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import SimpleITK as sitk  # noqa: N813
from dicom_series import compress, write_series
from record import write_results
from rich.progress import track

from covidlit.dicom import find_series, read_series
from covidlit.process import collect_less

PEER = "SimpleITK ImageSeriesReader with GetGDCMSeriesFileNames"


def read_covidlit(folder: Path) -> np.ndarray:
    """Find the series, judge it, read it."""
    (series,) = find_series(folder).series
    return read_series(series).hu


def read_simpleitk(folder: Path) -> sitk.Image:
    """The same with SimpleITK, which checks nothing."""
    names = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder))
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(names)
    return reader.Execute()


def hash_files(folder: Path) -> str:
    """SHA-256 over the bytes of all files, as the cache needs it."""
    digest = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def interleaved(
    actions: dict[str, Callable[[], object]], repeats: int, title: str
) -> dict[str, list[float]]:
    """Seconds of each action, one repeat of each in turn, after one untimed round."""
    seconds: dict[str, list[float]] = {name: [] for name in actions}
    for repeat in track(range(repeats + 1), title):
        for name, action in actions.items():
            start = time.perf_counter()
            action()
            if repeat:
                seconds[name].append(time.perf_counter() - start)
    return seconds


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slices", type=int, default=300)
    parser.add_argument("--jpeg-slices", type=int, default=150)
    parser.add_argument("--repeats", type=int, default=21)
    parser.add_argument("--jpeg-repeats", type=int, default=5)
    arguments = parser.parse_args()
    collect_less()  # as every command of covidlit does; the process is the same for both
    figures = []
    with tempfile.TemporaryDirectory() as scratch:
        plain, small, jpeg = (Path(scratch, name) for name in ("plain", "small", "jpeg"))
        write_series(plain, arguments.slices)
        write_series(small, arguments.jpeg_slices, seed=1)
        compress(small, jpeg)
        for name, folder, n, repeats, target in (
            ("uncompressed", plain, arguments.slices, arguments.repeats, ">= 5"),
            ("JPEG lossless", jpeg, arguments.jpeg_slices, arguments.jpeg_repeats, ">= 1"),
        ):
            theirs = sitk.GetArrayFromImage(read_simpleitk(folder))
            if not np.array_equal(read_covidlit(folder), theirs):
                raise SystemExit(f"{name}: the two readers differ")
            actions = {
                "covidlit": lambda folder=folder: read_covidlit(folder),
                "SimpleITK": lambda folder=folder: read_simpleitk(folder),
                "sha256": lambda folder=folder: hash_files(folder),
            }
            seconds = interleaved(actions, repeats, name)
            median = {key: statistics.median(values) for key, values in seconds.items()}
            ratio = statistics.median(
                peer / own
                for peer, own in zip(seconds["SimpleITK"], seconds["covidlit"], strict=True)
            )
            series = f"find and read {n} slices 512x512, {name}, synthetic"
            figures += [
                _figure(f"{series}: SimpleITK time / covidlit time", ratio, "ratio", target, PEER),
                _figure(f"{series}: covidlit", median["covidlit"], "s"),
                _figure(f"{series}: SimpleITK", median["SimpleITK"], "s"),
                _figure(f"SHA-256 of the files of {n} slices, {name}", median["sha256"], "s"),
            ]
    command = (
        f"python benchmarks/dicom_reading.py --slices {arguments.slices} --jpeg-slices "
        f"{arguments.jpeg_slices} --repeats {arguments.repeats} --jpeg-repeats "
        f"{arguments.jpeg_repeats}"
    )
    for figure in figures:
        figure["command"] = command
        print(
            f"{figure['figure']}: {figure['value']:.3f} {figure['unit']} {figure['target'] or ''}"
        )
    print(write_results("dicom_reading", figures))


def _figure(
    name: str, value: float, unit: str, target: str | None = None, peer: str | None = None
) -> dict[str, object]:
    return {
        "figure": name,
        "value": round(value, 4),
        "unit": unit,
        "target": target,
        "peer": peer,
    }


if __name__ == "__main__":
    main()
