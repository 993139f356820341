"""The scans that an export is compared, and calibrated, on."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from covidlit.checkpoints.record import RunRecord
from covidlit.cohort.class_names import class_of_interest
from covidlit.cohort.scan_sources import ScanSource, find_scans
from covidlit.deploy.known_targets import known_targets
from covidlit.deploy.parity import Labels
from covidlit.deploy.preparation import prepare_ahead
from covidlit.dicom import Checks
from covidlit.errors import ExportError
from covidlit.preprocess import Geometry
from covidlit.progress import progress_bar

LEAST_CALIBRATION = 8
"""Fewer scans say too little of the range of a network's activations."""

Volumes = NDArray[np.int16]


@dataclass(frozen=True)
class ParityScans:
    """Prepared scans of a path.

    Args:
        volumes: int16 HU (n, z, y, x), to compare scores on.
        calibration: int16 HU (m, z, y, x) of others; m may be 0.
        labels: of the scans that are compared.
    """

    volumes: Volumes
    calibration: Volumes
    labels: Labels


def parity_scans(
    path: str | Path,
    record: RunRecord,
    n_scans: int,
    override: Iterable[str] = (),
    *,
    n_calibration: int = 0,
    progress: bool = False,
) -> ParityScans:
    """Prepare some of the scans at a path, evenly spaced among those found.

    Half of few scans calibrate at most; the others are compared. Volumes lie in a file that ends
    with them, so that memory does not grow with their number.

    Args:
        path: a folder with DICOM series or images, or a manifest, whose classes are used.
        record: of the run: how scans are prepared, its label rule.
        n_scans: to compare, at most; at least 2.
        override: names of DICOM checks to switch off.
        n_calibration: further scans, to calibrate on.
        progress: show a bar.

    Raises:
        ExportError: fewer than two could be read, or too few to calibrate.
    """
    wanted = record.volume_input
    overridden = frozenset(wanted.override_checks) | frozenset(override)
    checks = Checks(wanted.min_slices, overridden, wanted.image_orientation)
    found = find_scans(path, checks)
    readable = [source for source in found if source.read is not None]
    wanted_calibration = min(n_calibration, len(readable) // 2)
    calibrating = _evenly(len(readable), wanted_calibration)
    others = sorted(set(range(len(readable))) - set(calibrating))
    comparing = [others[place] for place in _evenly(len(others), min(n_scans, len(others)))]
    geometry = Geometry(wanted.geometry.spacing, wanted.geometry.size)
    reasons = {source.reason for source in found} - {""}
    with progress_bar("Preparing scans", len(calibrating) + len(comparing), show=progress) as bar:

        def prepared(places: Sequence[int]) -> tuple[Volumes, list[ScanSource]]:
            with tempfile.TemporaryFile() as file:
                kept = []
                for source, one in prepare_ahead([readable[k] for k in places], geometry):
                    bar.advance()
                    if one.prepared is None:
                        reasons.add(one.reason)
                        continue
                    file.write(np.ascontiguousarray(one.prepared.array).tobytes())
                    kept.append(source)
                file.flush()
                shape = (len(kept), *geometry.size)
                empty = np.zeros(shape, np.int16)
                return (np.memmap(file, np.int16, "r", shape=shape) if kept else empty), kept

        calibration, _ = prepared(calibrating)
        volumes, sources = prepared(comparing)
    why = f" ({'; '.join(sorted(reasons)[:3])})" if reasons else ""
    if len(volumes) < 2:
        raise ExportError(
            f"{len(volumes)} of {len(found)} scans could be read, at least 2 are needed{why}.",
            where=path,
            fix="give a folder or manifest with several usable scans.",
        )
    if n_calibration and len(calibration) < LEAST_CALIBRATION:
        raise ExportError(
            f"int8 is calibrated on at least {LEAST_CALIBRATION} scans and compared on others: of "
            f"{len(found)} scans {len(calibration)} are left to calibrate on{why}.",
            where=path,
            fix=f"give at least {2 * LEAST_CALIBRATION} usable scans, better 300 and more, or use "
            "--precision bf16 or f32.",
        )
    return ParityScans(volumes, calibration, _labels(path, record, sources))


def parity_volumes(
    path: str | Path, record: RunRecord, n_scans: int, override: Iterable[str] = ()
) -> Volumes:
    """Prepare some of the scans at a path: int16 HU (n, z, y, x), evenly spaced among those found.

    Raises:
        ExportError: fewer than two could be read.
    """
    return np.array(parity_scans(path, record, n_scans, override).volumes)


def _evenly(n: int, count: int) -> list[int]:
    """`count` of the places 0 .. n - 1, evenly spaced."""
    return np.linspace(0, n - 1, count).round().astype(int).tolist() if count else []


def _labels(path: str | Path, record: RunRecord, sources: Sequence[ScanSource]) -> Labels:
    classes = record.classes
    positive = classes.index(class_of_interest(classes)) if len(classes) > 2 else 1
    known = known_targets(path, record, positive)
    ids = [source.scan_id for source in sources]
    target = np.array([known.targets.get(one, np.nan) for one in ids], dtype=np.float64)
    patient = np.array(_patients(ids, known.patients), dtype=str)
    problem = known.problem.rstrip(".")
    if not problem and not np.isfinite(target).any():
        problem = "no class of these scans is known: give a manifest with classes"
    return Labels(target, patient, problem)


def _patients(ids: Sequence[str], known: Mapping[str, str]) -> list[str]:
    """Whose each scan is; one of an unknown patient is a patient of its own.

    A patient_id may be any text, so that both kinds get a beginning that the other has not.
    """
    return [f"known {known[one]}" if one in known else f"of scan {k}" for k, one in enumerate(ids)]
