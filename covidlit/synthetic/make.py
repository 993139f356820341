"""Make a synthetic cohort: DICOM series, labels, clinical table and ground truth on the disk."""

from __future__ import annotations

import json
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from joblib import Parallel, delayed
from rich.progress import Progress

from covidlit.cohort.clinical import write_clinical
from covidlit.cohort.scan_ids import scan_id_of
from covidlit.errors import ConfigError, CovidlitError
from covidlit.files import fingerprint, write_json
from covidlit.scans.images import write_nifti
from covidlit.synthetic.cases import Case
from covidlit.synthetic.dicom_writer import write_series
from covidlit.synthetic.grid import Grid, grid_of
from covidlit.synthetic.labs import clinical_table
from covidlit.synthetic.presets import plan_cohort
from covidlit.synthetic.render import Rendered, render
from covidlit.tables import write_table
from covidlit.version import __version__

GENERATOR_FORMAT = 2
"""Raised whenever the same arguments give other bytes."""


@dataclass(frozen=True)
class CohortPaths:
    """Where the parts of a synthetic cohort lie.

    Args:
        root: the cohort's folder.
        dicom: folder of the DICOM series, `<centre>/<case>/<files>`.
        labels: table of labels, keyed by `series_uid`.
        truth: folder of the lesion labels (contract 7), or None where they were not asked for.
        clinical: table of laboratory values (contract 9), or None for the presets without.
        info: arguments, version and hash of the cohort, JSON.
    """

    root: Path
    dicom: Path
    labels: Path
    truth: Path | None
    clinical: Path | None
    info: Path


def make_cohort(
    out_dir: str | Path,
    *,
    preset: str = "mild",
    n_scans: int = 160,
    seed: int = 0,
    matrix: int = 128,
    thickness_mm: float | None = 5.0,
    truth: bool = True,
    n_jobs: int = 1,
    progress: bool = True,
) -> CohortPaths:
    """Make a cohort of synthetic chest CT scans with the make-up of the CSAC-Net paper's.

    The same arguments give the same bytes, whatever `n_jobs`. An interrupted run goes on where it
    stopped; a finished one is left alone.

    Args:
        out_dir: folder for the cohort: new, empty, or of the same cohort.
        preset: "mild", "lesions" or "severity" (see `presets.plan_cohort`).
        n_scans: how many scans.
        seed: of the cohort.
        matrix: rows and columns, 32 to 1024.
        thickness_mm: of the slices (0.5 to 10), which touch; None for each scanner's own 1-5 mm.
        truth: whether to write the lesion labels.
        n_jobs: processes, as joblib counts them (-1: one per core).
        progress: whether to show a progress bar.

    Raises:
        ConfigError: an argument out of range.
        CovidlitError: the folder holds something else.
    """
    if not 32 <= matrix <= 1024:
        raise ConfigError(f"matrix must be 32 to 1024, got {matrix}.", where="make_cohort")
    if thickness_mm is not None and not 0.5 <= thickness_mm <= 10:
        raise ConfigError(
            f"thickness_mm must be 0.5 to 10 or None, got {thickness_mm}.", where="make_cohort"
        )
    cases = plan_cohort(preset, n_scans, seed)
    arguments: dict[str, Any] = {
        "preset": preset, "n_scans": n_scans, "seed": seed, "matrix": matrix,
        "thickness_mm": thickness_mm, "truth": truth,
    }  # fmt: skip
    info = {"arguments": arguments, "format": GENERATOR_FORMAT}
    key = fingerprint(info)
    paths = _paths(Path(out_dir), preset, truth)
    if _open_cohort(paths, key):
        return paths
    record = {"synthetic": True, "version": __version__, **info, "hash": key}
    write_json(paths.info, {**record, "complete": False})
    _make_scans(paths, cases, matrix, thickness_mm, n_jobs, progress)
    write_table(labels_table(cases), paths.labels)
    if paths.clinical is not None:
        write_clinical(clinical_table(cases), paths.clinical)
    write_json(paths.info, {**record, "complete": True})
    return paths


def _paths(root: Path, preset: str, truth: bool) -> CohortPaths:
    return CohortPaths(
        root=root, dicom=root / "dicom", labels=root / "labels.csv",
        truth=root / "truth" if truth else None,
        clinical=root / "clinical.csv" if preset == "severity" else None,
        info=root / "cohort.json",
    )  # fmt: skip


def _open_cohort(paths: CohortPaths, key: str) -> bool:
    """Whether the cohort is finished; makes its folder, or refuses one that holds another.

    What the folder holds is seen before its description: another process writes that first.
    """
    strange = paths.root.exists() and (not paths.root.is_dir() or _holds_other(paths))
    if paths.info.is_file():
        try:
            known = json.loads(paths.info.read_text(encoding="utf-8"))
            same = known["hash"] == key
        except (json.JSONDecodeError, KeyError, TypeError) as error:
            raise CovidlitError(
                "not the description of a synthetic cohort.", where=paths.info,
                fix="choose another folder.",
            ) from error  # fmt: skip
        if not same:
            raise CovidlitError(
                f"the folder holds another synthetic cohort ({known['arguments']}).",
                where=paths.root,
                fix="choose another folder, or delete this one first.",
            )
        return bool(known["complete"])
    if strange:
        raise CovidlitError(
            "the folder is not empty and holds no synthetic cohort.", where=paths.root,
            fix="choose a new or empty folder.",
        )  # fmt: skip
    paths.root.mkdir(parents=True, exist_ok=True)
    return False


def _holds_other(paths: CohortPaths) -> bool:
    """Whether the folder holds more than a description, also one that is just being written."""
    own = (paths.info.name, f".{paths.info.name}.")
    return any(not path.name.startswith(own) for path in paths.root.iterdir())


def _make_scans(
    paths: CohortPaths,
    cases: list[Case],
    matrix: int,
    thickness_mm: float | None,
    n_jobs: int,
    progress: bool,
) -> None:
    jobs = (delayed(make_scan)(paths, case, grid_of(case, matrix, thickness_mm)) for case in cases)
    done = Parallel(n_jobs=n_jobs, return_as="generator_unordered")(jobs)
    with Progress(disable=not progress) as bar:
        for _ in bar.track(done, total=len(cases), description="synthetic scans"):
            pass


def make_scan(paths: CohortPaths, case: Case, grid: Grid) -> None:
    """Draw and write one scan, unless it is there: first its truth, then its series at a stroke."""
    folder = paths.dicom / case.centre / case.name
    if folder.exists():
        return
    drawn = render(case, grid)
    if paths.truth is not None:
        _write_truth(paths.truth, case, grid, drawn)
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Outside dicom/, so that what a killed run leaves behind is never found as a series.
    temporary = paths.root / f".{case.name}.{secrets.token_hex(4)}.part"
    temporary.mkdir()
    try:
        write_series(temporary, case, grid, drawn.hu)
        try:
            temporary.rename(folder)
        except OSError:
            if not folder.exists():
                raise
            # Another process, such as another rank of a run, was first with the same bytes.
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _write_truth(folder: Path, case: Case, grid: Grid, drawn: Rendered) -> None:
    scan_id = scan_id_of(case.series_uid)
    for name, array in (("classes", drawn.classes), ("instances", drawn.instances)):
        write_nifti(array, grid.affine, folder / f"{scan_id}.{name}.nii.gz")


def labels_table(cases: list[Case]) -> pd.DataFrame:
    """The table of labels of a cohort, one row per scan, keyed by `series_uid`."""
    rows = [
        {
            "series_uid": case.series_uid,
            "patient_id": case.patient_id,
            "centre": case.centre,
            "class_name": case.class_name,
            "rtpcr_initial": case.rtpcr_initial,
            "rtpcr_round": case.rtpcr_round,
            "aetiology": case.aetiology,
            "age": case.age,
            "sex": case.sex,
            "acquisition_date": case.acquired.isoformat(),
            "severity": case.severity,
            "spo2_percent": case.spo2_percent,
            "synthetic": True,
        }
        for case in cases
    ]
    return pd.DataFrame(rows).astype({"rtpcr_round": "Int64", "spo2_percent": "Int64"})
