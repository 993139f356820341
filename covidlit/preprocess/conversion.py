"""DICOM series as NIfTI: what `covidlit convert` does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import pandas as pd

from covidlit.cohort.converted import SeriesVerdict, as_row, read_verdict, series_of
from covidlit.cohort.scan_sources import ScanSource, find_scans, refusal_reason
from covidlit.dicom import Checks
from covidlit.errors import CovidlitError
from covidlit.files import atomic_path, check_replaceable, check_writable, fingerprint
from covidlit.preprocess.backends import run_in_parallel
from covidlit.preprocess.cache import pixel_hash, scan_name
from covidlit.preprocess.index import Signatures
from covidlit.progress import progress_bar
from covidlit.scans.scan import Scan, to_ras_xyz
from covidlit.tables import write_table

TABLE = "series.csv"
COLUMNS = (
    "scan_id", "path", "series_uid", "accepted", "reason", "notes", "nifti", "n_slices",
    "slice_spacing_mm", "spacing_mm", "pixel_hash",
)  # fmt: skip
"""Of `series.csv`."""


@dataclass(frozen=True)
class _Task:
    source: ScanSource
    out_dir: Path
    made_from: str | None


def convert_scans(
    path: str | Path,
    out_dir: str | Path,
    checks: Checks | None = None,
    *,
    n_jobs: int = 1,
    progress: bool = False,
) -> pd.DataFrame:
    """Write every scan at a path that the checks accept as `<scan_id>.nii.gz`.

    Each file is whole or not there. Values are HU in int16, as `read_series` gives them, slices in
    their order from feet to head; the affine is the scan's own. `verdicts/<scan_id>.json` beside it
    says which series it came from and where each voxel lies; a series that was refused has one too.
    What an earlier call has done is left alone where the source's files and the checks are the
    same, so that a call that was stopped goes on.

    Args:
        path: a folder with DICOM series (or images), one file, or a manifest.
        out_dir: folder, made if needed; what lies in it is no source.
        checks: which DICOM series are refused; None: the defaults.
        n_jobs: scans read at a time, each in a process of its own; -1: one per core.
        progress: show a progress bar.

    Returns:
        `series.csv`, which is written at the end: `COLUMNS`, one row per series or file, in the
        order in which they were found.

    Raises:
        CovidlitError: no such path, no scan there, or `out_dir` cannot be written.
    """
    path, folder = Path(path), Path(out_dir)
    if path.is_dir() and path.resolve() == folder.resolve():
        raise CovidlitError(
            "the NIfTI files would lie among the DICOM files that they are made of.",
            where=folder,
            fix="give a folder of their own, inside or beside it.",
        )
    check_writable(folder / TABLE)
    checks = checks or Checks()
    sources = [one for one in find_scans(path, checks) if not _lies_in(one, folder, path)]
    if not sources:
        raise CovidlitError(
            "no CT scan was found there beside those in the folder to write to.",
            where=path, fix="give the folder of the DICOM files first, then another one.",
        )  # fmt: skip
    signatures = Signatures(checks)
    tasks = [_Task(source, folder, _made_from(source, signatures)) for source in sources]
    verdicts: dict[int, SeriesVerdict] = {}
    waiting: list[tuple[int, _Task]] = []
    taken: set[str] = set()
    for place, task in enumerate(tasks):
        known, scan_id = _known(task), task.source.scan_id
        if scan_id and scan_id in taken:
            verdicts[place] = _refused(task, "another series of the same UID was converted.")
        elif known is not None:
            verdicts[place] = known
        else:
            waiting.append((place, task))
        taken.add(scan_id)
    with progress_bar("Converting scans", len(waiting), show=progress) as bar:
        for place, verdict in run_in_parallel(_convert_one, waiting, n_jobs=n_jobs):
            verdicts[place] = verdict
            bar.advance()
    table = _table([verdicts[place] for place in range(len(tasks))])
    write_table(table, folder / TABLE)
    return table


def write_scan(scan: Scan, path: Path) -> Path:
    """Write a scan as NIfTI (`.nii.gz`), atomically; returns the path.

    Args:
        scan: int16 HU, with its affine, which is kept as it is (as the sform and the qform).
        path: of the file.

    Raises:
        CovidlitError: the disk is full or the folder cannot be written.
    """
    affine = to_ras_xyz(scan.affine)
    image = nib.Nifti1Image(scan.hu.T, affine)  # index order (x, y, z)
    image.header.set_qform(affine, code="scanner")
    image.header.set_sform(affine, code="scanner")
    image.header.set_xyzt_units("mm", "sec")
    with atomic_path(path) as temporary:
        nib.save(image, temporary)
    return path


def _convert_one(placed: tuple[int, _Task]) -> tuple[int, SeriesVerdict]:
    """Read and write one scan; one that cannot be used is an outcome, not an error."""
    place, task = placed
    source = task.source
    if source.read is None:
        return place, _kept(_refused(task, source.reason), task)
    try:
        scan = source.read()
        name = scan_name(source.scan_id, scan)
        target = task.out_dir / f"{name}.nii.gz"
        check_replaceable(target, lambda file: series_of(file) is not None, "covidlit convert")
    except Exception as error:
        return place, _kept(_refused(task, refusal_reason(error)), task)
    written = write_scan(scan, target)
    z, y, x = scan.hu.shape
    verdict = SeriesVerdict(
        scan_id=name,
        path=source.path,
        series_uid=source.series_uid,
        accepted=True,
        notes=scan.notes,
        nifti=written.name,
        shape=(z, y, x),
        affine=scan.affine.tolist(),
        pixel_hash=pixel_hash(scan.hu),
        n_bytes=written.stat().st_size,
        made_from=task.made_from,
    )
    return place, _kept(verdict, task)


def _refused(task: _Task, reason: str) -> SeriesVerdict:
    source = task.source
    return SeriesVerdict(
        scan_id=source.scan_id, path=source.path, series_uid=source.series_uid, accepted=False,
        reason=reason, made_from=task.made_from,
    )  # fmt: skip


def _kept(verdict: SeriesVerdict, task: _Task) -> SeriesVerdict:
    """The verdict, written; a file that has no name of its own stands in the table alone."""
    if verdict.scan_id:
        verdict.write(task.out_dir)
    return verdict


def _known(task: _Task) -> SeriesVerdict | None:
    """The verdict of an earlier call whose files are there and whole."""
    if not task.source.scan_id or task.source.read is None or task.made_from is None:
        return None
    found = read_verdict(task.out_dir, task.source.scan_id)
    if found is None or found.made_from != task.made_from or found.nifti is None:
        return None
    file = task.out_dir / found.nifti
    whole = file.is_file() and file.stat().st_size == found.n_bytes
    return found.model_copy(update={"path": task.source.path}) if whole else None


def _made_from(source: ScanSource, signatures: Signatures) -> str | None:
    if source.location is None or source.read is None:
        return None
    try:
        files = signatures.of(source.location, source.series_uid)
    except (OSError, CovidlitError):
        return None  # said when it is read
    return fingerprint([source.scan_id, str(source.location), files])


def _lies_in(source: ScanSource, folder: Path, searched: Path) -> bool:
    """Whether a scan is what an earlier call has written, by its place in the folder."""
    inside = folder.resolve()
    if inside in searched.resolve().parents:
        return False  # the folder holds the sources as well, and these are not where it writes
    return source.location is not None and inside in (
        source.location.resolve(),
        *source.location.resolve().parents,
    )


def _table(verdicts: Sequence[SeriesVerdict]) -> pd.DataFrame:
    table = pd.DataFrame([as_row(one) for one in verdicts], columns=list(COLUMNS))
    for name in ("scan_id", "path", "series_uid", "reason", "notes", "nifti", "pixel_hash"):
        table[name] = table[name].astype("string")
    table["n_slices"] = table["n_slices"].astype("Int64")
    for name in ("slice_spacing_mm", "spacing_mm"):
        table[name] = table[name].astype("float64")
    return table
