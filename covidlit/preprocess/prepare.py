"""Prepare every scan of a manifest once, in parallel, into the cache."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from covidlit.cohort.scan_reader import ScanReader, lungs_of_refused, search_shared
from covidlit.dicom import SeriesRefused
from covidlit.dicom.pseudonym import without_file_names
from covidlit.errors import CacheError, CovidlitError, ManifestError, fault_reason
from covidlit.files import is_writable, path_named
from covidlit.preprocess.backends import LOST, run_in_parallel
from covidlit.preprocess.cache import VolumeCache, source_hash
from covidlit.preprocess.cache import pixel_hash as hash_pixels
from covidlit.preprocess.geometry import Geometry, prepare_scan
from covidlit.preprocess.index import Signatures, SourceIndex, SourceRecord, decoder_versions
from covidlit.preprocess.thumbnails import keep_thumbnail
from covidlit.process import MEMORY_VARIABLE, SECONDS_VARIABLE
from covidlit.progress import progress_bar
from covidlit.tables import write_table

LEFTOVER_SECONDS = 3600


@dataclass(frozen=True)
class PreparedCohort:
    """What `prepare_cohort` did.

    Args:
        table: one row per scan of the manifest, in its order: scan_id, key, pixel_hash, status
            ("ok" or "refused"), reason (why refused), notes (what was noted of it on the way in),
            lungs_in_view_percent (0 to 100; null where not known), renewed (whether it was
            written now).
        cache_dir: the cache folder.
    """

    table: pd.DataFrame
    cache_dir: Path

    @property
    def refused(self) -> pd.DataFrame:
        """The rows of the scans that were left out."""
        return self.table[self.table["status"] == "refused"]

    def require_all(self) -> None:
        """Raise a CacheError that names the refused scans, if there are any."""
        refused = self.refused
        if refused.empty:
            return
        names = [f"{row.scan_id} ({row.reason})" for row in refused.head(5).itertuples()]
        more = f" and {len(refused) - 5} more" if len(refused) > 5 else ""
        raise CacheError(
            f"{len(refused)} of {len(self.table)} scans were refused: {'; '.join(names)}{more}.",
            where=self.cache_dir / "prepared.csv",
            fix="mend or remove these scans, override the check, or leave strict off.",
        )


@dataclass(frozen=True)
class _Task:
    scan_id: str
    reader: ScanReader
    signature: str | None
    cache_dir: str
    geometry: Geometry


def prepare_cohort(
    manifest: pd.DataFrame,
    cache_dir: str | Path,
    geometry: Geometry | None = None,
    *,
    checks: Any = None,
    n_jobs: int = -1,
    backend: str = "loky",
    strict: bool = False,
    progress: bool = True,
    verify: bool = False,
) -> PreparedCohort:
    """Prepare every scan of a manifest into the cache, and skip those that are there already.

    A run that was killed is taken up where it stopped. A source whose files did not change is not
    read again. Damaged volumes and those of another format are written anew.

    The result is written to `<cache_dir>/prepared.csv` as well, a listing for people that nothing
    reads: it is of the latest preparation into the cache, whole, whichever cohort that was. A cache
    that has every scan may be read-only; the listing stays as it is then.

    Memory: one worker holds one source volume as int16 and a few slices of it. With DICOM of
    300 x 512 x 512 (157 MB) its resident memory peaks at 0.34 GB, Python and its libraries
    included (`benchmarks/memory.py`, "peak of preparing 300 x 512 x 512 DICOM"). SimpleITK reads an
    image file (NIfTI) with copies, which takes more.

    Args:
        manifest: contract 2, as `read_manifest` gives it; uses scan_id, path, which is absolute,
            and series_uid.
        cache_dir: the cache folder.
        geometry: target spacing and size; by default `Geometry()`.
        checks: which series are refused, `covidlit.dicom.Checks`; None: its defaults.
        n_jobs: workers; -1: one per core.
        backend: joblib's: "loky" (processes), "threading", "dask" or "ray".
        strict: raise at the end if a scan was refused.
        progress: show a progress bar.
        verify: read every volume in the cache and compare its hash, rather than its header alone.

    Raises:
        CacheError: (strict) some scans were refused.
        ManifestError: a path is not absolute.
        ConfigError: an unknown backend, or one that is not installed.
        CovidlitError: the disk is full or the cache folder cannot be written. Stops at once; the
            volumes written so far stay.
    """
    geometry = geometry or Geometry()
    root = Path(cache_dir)
    _remove_leftovers(root)
    outcomes: dict[str, dict[str, Any]] = {}
    tasks = []
    for task in _tasks(manifest, root, geometry, checks):
        known = _look_up(task, verify)
        if known is None:
            tasks.append(task)
        else:
            outcomes[task.scan_id] = known
    with progress_bar("Preparing scans", len(tasks), show=progress) as bar:
        readers = search_shared(task.reader for task in tasks)
        tasks = [replace(task, reader=own) for task, own in zip(tasks, readers, strict=True)]
        for outcome in run_in_parallel(
            _prepare_one, tasks, n_jobs=n_jobs, backend=backend, lost=_lost
        ):
            outcomes[outcome["scan_id"]] = outcome
            bar.advance()
    texts = ["scan_id", "key", "pixel_hash", "status", "reason", "notes"]
    rows = [outcomes[str(scan_id)] for scan_id in manifest["scan_id"]]
    table = pd.DataFrame(rows, columns=[*texts, "lungs_in_view_percent", "renewed"])
    for name in texts:
        table[name] = table[name].astype("string")
    table["lungs_in_view_percent"] = table["lungs_in_view_percent"].astype("float64")
    # A complete cache on a read-only disk serves as it is.
    if tasks or is_writable(root):
        write_table(table, root / "prepared.csv")
    cohort = PreparedCohort(table, root)
    if strict:
        cohort.require_all()
    return cohort


def _tasks(manifest: pd.DataFrame, root: Path, geometry: Geometry, checks: Any) -> Iterator[_Task]:
    signatures = Signatures(checks)
    series = manifest["series_uid"] if "series_uid" in manifest else [None] * len(manifest)
    for scan_id, path, uid in zip(manifest["scan_id"], manifest["path"], series, strict=True):
        source = Path(path)
        if not source.is_absolute():
            raise ManifestError(
                f"scan {scan_id}: the relative path {str(path)!r} has no folder to start from.",
                where="manifest, column path",
                fix="read the manifest with read_manifest, or give absolute paths.",
            )
        series_uid = uid if isinstance(uid, str) and uid else None
        try:
            signature = signatures.of(path_named(source), series_uid)
        except OSError:
            signature = None
        reader = ScanReader(str(source), series_uid, checks)
        yield _Task(str(scan_id), reader, signature, str(root.absolute()), geometry)


def _look_up(task: _Task, verify: bool) -> dict[str, Any] | None:
    """The outcome of an earlier run, if it still holds."""
    record = SourceIndex(task.cache_dir).read(task.scan_id)
    if record is None or task.signature is None or record.signature != task.signature:
        return None
    if record.status == "refused" or record.source_hash is None:
        if record.decoders != decoder_versions():
            return None
        return _outcome(
            task.scan_id,
            reason=record.reason,
            status="refused",
            lungs=record.lungs_in_view_percent,
        )
    cache = VolumeCache(task.cache_dir)
    key = cache.key_of(record.source_hash, task.geometry)
    if not cache.contains(key, verify=verify):
        return None
    return _outcome(
        task.scan_id,
        key=key,
        pixel_hash=record.pixel_hash,
        notes=record.notes,
        lungs=record.lungs_in_view_percent,
    )


def _prepare_one(task: _Task) -> dict[str, Any]:
    """Read, resample and write one scan; a scan that cannot be used is an outcome, not an error."""
    index = SourceIndex(task.cache_dir)
    try:
        scan = task.reader()
        pixels = hash_pixels(scan.hu)
        source = source_hash(scan, pixels)
        cache = VolumeCache(task.cache_dir)
        key = cache.key_of(source, task.geometry)
        # The same image may be there under another id or path.
        prepared = None
        if not cache.contains(key, verify=True):
            prepared = prepare_scan(scan, task.geometry)
    except CovidlitError as error:
        # A verdict on the data: it stays until the files, the checks, covidlit or a decoder change.
        reason = error.verdict.reason if isinstance(error, SeriesRefused) else error.what
        reason = _without_source(reason, task.reader)
        lungs = lungs_of_refused(error)
        # What a limit in the environment refused is none: another limit may let it pass.
        of_limit = any(name in reason for name in (MEMORY_VARIABLE, SECONDS_VARIABLE))
        if task.signature is not None and not of_limit:
            index.write(
                SourceRecord(
                    scan_id=task.scan_id,
                    signature=task.signature,
                    status="refused",
                    reason=reason,
                    lungs_in_view_percent=lungs,
                    decoders=decoder_versions(),
                )
            )
        return _outcome(task.scan_id, status="refused", reason=reason, lungs=lungs)
    except (OSError, MemoryError) as error:
        # Of the machine, not of the data: tried again next time, hence no record.
        reason = getattr(error, "strerror", None) or type(error).__name__
        return _outcome(task.scan_id, status="refused", reason=f"cannot be read: {reason}.")
    except Exception as error:
        # A fault of covidlit on one odd file must not cost the work on all others. It is listed
        # like any refusal (strict stops on it).
        return _outcome(task.scan_id, status="refused", reason=fault_reason(error))
    notes = tuple(_without_source(note, task.reader) for note in scan.notes)
    noted = "; ".join(notes) or None
    if prepared is not None:
        cache.write(replace(scan, notes=notes), prepared, task.geometry)
        keep_thumbnail(task.cache_dir, key, prepared.array, task.geometry.spacing)
    if task.signature is not None:
        index.write(
            SourceRecord(
                scan_id=task.scan_id,
                signature=task.signature,
                status="ok",
                source_hash=source,
                pixel_hash=pixels,
                notes=noted,
                lungs_in_view_percent=scan.lungs_in_view_percent,
            )
        )
    return _outcome(
        task.scan_id,
        key=key,
        pixel_hash=pixels,
        renewed=prepared is not None,
        notes=noted,
        lungs=scan.lungs_in_view_percent,
    )


def _lost(task: _Task) -> dict[str, Any]:
    # Of the machine, perhaps: tried again next time, hence no record.
    return _outcome(task.scan_id, status="refused", reason=LOST)


def _without_source(text: str, reader: ScanReader) -> str:
    """Paths and file names may hold a patient's name; the scan_id says which scan it is."""
    return without_file_names(text.replace(reader.path, "the source"), reader.file_names())


def _outcome(
    scan_id: str,
    *,
    key: str | None = None,
    pixel_hash: str | None = None,
    status: str = "ok",
    reason: str | None = None,
    renewed: bool = False,
    notes: str | None = None,
    lungs: float | None = None,
) -> dict[str, Any]:
    return {
        "scan_id": scan_id,
        "key": key,
        "pixel_hash": pixel_hash,
        "status": status,
        "reason": reason,
        "notes": notes,
        "lungs_in_view_percent": lungs,
        "renewed": renewed,
    }


def _remove_leftovers(root: Path) -> None:
    """Remove half-written files of killed runs, but none that a running one may be writing."""
    for folder in (root / "volumes", root / "index", root / "thumbnails"):
        for path in folder.rglob(".*.part*"):
            try:
                if time.time() - path.stat().st_mtime > LEFTOVER_SECONDS:
                    path.unlink()
            except OSError:  # gone meanwhile, or on a disk that is read-only
                continue
