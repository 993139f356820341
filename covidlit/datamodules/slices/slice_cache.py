"""The images of labelled slices, read once and kept as memory-mapped arrays.

Layout under the cache folder: `slices/<first two of key>/<key>.npy`, int16 (slices, rows, columns),
and `<key>.json` beside it. The key is a hash of the voxels, where they lie and the number of the
format; `slices/index/` holds what is known of each source, so that it need not be read again.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from covidlit.cohort.scan_reader import ScanReader
from covidlit.datamodules.slices.pictures import read_picture
from covidlit.dicom import SeriesRefused
from covidlit.dicom.pseudonym import without_file_names
from covidlit.errors import CacheError, CovidlitError, fault_reason
from covidlit.files import atomic_path, fingerprint, path_named, write_text
from covidlit.preprocess.backends import LOST, run_in_parallel
from covidlit.preprocess.index import Signatures, decoder_versions
from covidlit.preprocess.thumbnails import thumbnail
from covidlit.progress import progress_bar
from covidlit.scans.same_grid import is_same_grid, largest_offset

FORMAT = 2
"""Raised when the same source gives other files."""

PICTURE_AFFINE = np.eye(4)[[2, 1, 0, 3]]
"""Index (z, y, x) to mm of a picture whose place in a patient is not known: pixels of 1 mm."""


@dataclass(frozen=True)
class _Source:
    """What is read at a time: a scan, or a picture; its slices are those of `indices`."""

    name: str
    path: str
    series_uid: str | None
    kind: str
    shape: tuple[int, int]
    indices: tuple[int, ...]
    labels_affine: str | None
    signature: str | None
    checks: Any
    root: str


def prepare_slices(
    table: pd.DataFrame,
    cache_dir: str | Path,
    *,
    checks: Any = None,
    n_jobs: int = -1,
    backend: str = "loky",
    progress: bool = True,
) -> pd.DataFrame:
    """Read the images of slices into the cache, unless they are there.

    A worker holds one scan at a time.

    Args:
        table: contract 11.
        cache_dir: the cache folder.
        checks: of the scans; None: the defaults.
        n_jobs, backend: see `covidlit.preprocess.backends`.
        progress: show a bar.

    Returns:
        By row of the table: `status`, `reason`, `key`, `plane` (place in the array), `pixel_hash`
        of the slice (null where all its pixels are equal, as in many scans' margins).
    """
    root = Path(cache_dir) / "slices"
    outcomes: dict[str, dict[str, Any]] = {}
    tasks = []
    sources = _sources(table, root, checks)
    for source in sources.values():
        known = _look_up(source)
        if known is None:
            tasks.append(source)
        else:
            outcomes[source.name] = known
    with progress_bar("Preparing slices", len(tasks), show=progress) as bar:
        for name, outcome in run_in_parallel(
            _prepare, tasks, n_jobs=n_jobs, backend=backend, lost=_lost
        ):
            outcomes[name] = outcome
            bar.advance()
    rows = [
        _row(outcomes[_name(row)], int(row.slice_index), str(row.source))
        for row in table.itertuples()
    ]
    columns = ["status", "reason", "key", "plane", "pixel_hash"]
    found = pd.DataFrame(rows, columns=columns, index=table.index)
    return found.astype({**dict.fromkeys(columns, "string"), "plane": "int64"})


class SliceCache:
    """The prepared slices under a cache folder.

    Args:
        cache_dir: the cache folder.
    """

    def __init__(self, cache_dir: str | Path) -> None:
        self.root = Path(cache_dir) / "slices"

    def open(self, key: str) -> np.memmap:
        """The slices of `key`, int16 (slices, rows, columns), mapped into memory.

        Raises:
            CacheError: missing or damaged.
        """
        path = _array_path(self.root, key)
        try:
            array: np.memmap = np.load(path, mmap_mode="r", allow_pickle=False)
        except FileNotFoundError:
            raise CacheError("these slices are not in the cache.", where=path, fix=_MEND) from None
        except (OSError, ValueError, EOFError) as error:
            raise CacheError(f"damaged: {error}.", where=path, fix=_MEND) from error
        return array

    def affine(self, key: str) -> NDArray[np.float64]:
        """Index (z, y, x) of the array of `key` to LPS mm of its source.

        Raises:
            CacheError: missing or damaged.
        """
        return np.array(self._sidecar(key)["affine"], dtype=np.float64)

    def thumbnail(self, key: str) -> NDArray[np.int16] | None:
        """Of a scan, see `covidlit.preprocess.thumbnails`; None of a picture.

        Raises:
            CacheError: missing or damaged.
        """
        found = self._sidecar(key)["thumbnail"]
        return None if found is None else np.array(found, dtype=np.int16)

    def _sidecar(self, key: str) -> dict[str, Any]:
        path = _array_path(self.root, key).with_suffix(".json")
        try:
            sidecar: dict[str, Any] = json.loads(path.read_text())
            _ = sidecar["affine"], sidecar["thumbnail"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise CacheError(f"cannot be read: {error}.", where=path, fix=_MEND) from error
        return sidecar


_MEND = "delete the folder `slices` in the cache and start again: it is made anew."


def _sources(table: pd.DataFrame, root: Path, checks: Any) -> dict[str, _Source]:
    signatures = Signatures(checks)
    found: dict[str, _Source] = {}
    groups = table.assign(_name=[_name(row) for row in table.itertuples()]).groupby("_name")
    for name, rows in groups:
        first = rows.iloc[0]
        uid = first.get("series_uid")
        uid = uid if isinstance(uid, str) and uid else None
        affine = first.get("labels_affine")
        try:
            signature = signatures.of(path_named(first["path"]), uid)
        except OSError:
            signature = None
        found[str(name)] = _Source(
            name=str(name),
            path=str(first["path"]),
            series_uid=uid,
            kind=str(first["source"]),
            shape=(int(first["rows"]), int(first["columns"])),
            indices=tuple(sorted(int(z) for z in rows["slice_index"])),
            labels_affine=affine if isinstance(affine, str) else None,
            signature=signature,
            checks=checks,
            root=str(root.absolute()),
        )
    return found


def _name(row: Any) -> str:
    return str(row.scan_id) if row.source == "scan" else str(row.slice_id)


def _index_path(source: _Source) -> Path:
    digest = hashlib.sha256(source.name.encode()).hexdigest()[:32]
    return Path(source.root) / "index" / f"{digest}.json"


def _stamp(source: _Source) -> str | None:
    """All that an outcome depends on beside the files' content."""
    if source.signature is None:
        return None
    labels = [list(source.shape), source.labels_affine]
    return fingerprint([FORMAT, source.kind, source.signature, labels, decoder_versions()])


def _look_up(source: _Source) -> dict[str, Any] | None:
    try:
        record: dict[str, Any] = json.loads(_index_path(source).read_text())
        stamp = record["stamp"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if stamp is None or stamp != _stamp(source):
        return None
    if record["status"] == "ok":
        try:
            cache = SliceCache(Path(source.root).parent)
            array = cache.open(record["key"])
            cache.affine(record["key"])
        except CacheError:
            return None
        hashes = record["pixel_hashes"]
        if len(array) != len(hashes) or (
            source.kind == "scan" and max(source.indices) >= len(hashes)
        ):
            return None
    return record


def _prepare(source: _Source) -> tuple[str, dict[str, Any]]:
    """Read and write one source; what cannot be used is an outcome, not an error."""
    try:
        array, affine = _read(source)
        small = None
        if source.kind == "scan":
            z, y, x = np.linalg.norm(affine[:3, :3], axis=0).tolist()
            small = thumbnail(array, (z, y, x)).tolist()
    except CovidlitError as error:
        reason = error.verdict.reason if isinstance(error, SeriesRefused) else error.what
        return source.name, _keep(source, {"status": "refused", "reason": _unnamed(reason, source)})
    except (OSError, MemoryError) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        return source.name, {"status": "refused", "reason": f"cannot be read: {reason}."}
    except Exception as error:
        return source.name, {"status": "refused", "reason": fault_reason(error)}
    hashes = [_plane_hash(plane) for plane in array]
    key = fingerprint([FORMAT, hashes, list(array.shape), np.round(affine, 6).tolist(),
                       _content_hash(array)])  # fmt: skip
    path = _array_path(Path(source.root), key)
    if not path.exists():
        # Written first: slices without their sidecar count as missing.
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            header = np.lib.format.header_data_from_array_1_0(array)
            np.lib.format.write_array_header_1_0(file, header)
            file.write(array.data)
    sidecar = {"key": key, "affine": affine.tolist(), "thumbnail": small}
    write_text(path.with_suffix(".json"), json.dumps(sidecar))
    return source.name, _keep(source, {"status": "ok", "key": key, "pixel_hashes": hashes})


def _read(source: _Source) -> tuple[NDArray[np.int16], NDArray[np.float64]]:
    if source.kind == "image":
        picture = read_picture(path_named(source.path), source.shape)
        return picture[None], PICTURE_AFFINE
    scan = ScanReader(source.path, source.series_uid, source.checks)()
    if scan.hu.shape[1:] != source.shape or max(source.indices) >= len(scan.hu):
        raise CovidlitError(
            f"its labels are of another geometry: {max(source.indices) + 1} or more slices of "
            f"{source.shape[0]} x {source.shape[1]} pixels, the scan has {scan.hu.shape}",
            fix="draw them on this scan.",
        )
    if source.labels_affine is not None:
        _check_place(np.array(json.loads(source.labels_affine)), scan.affine, scan.hu.shape)
    return np.ascontiguousarray(scan.hu, dtype="<i2"), scan.affine


def _check_place(labels: NDArray[np.float64], scan: NDArray[np.float64], shape: Any) -> None:
    """Refuse labels whose corner voxels lie elsewhere in the patient than those of the scan."""
    if not is_same_grid(labels, scan, shape):
        offset = largest_offset(labels, scan, shape)
        raise CovidlitError(
            f"its labels lie up to {offset:.2f} mm from where the scan does",
            fix="write them in the geometry of the scan.",
        )


def _keep(source: _Source, record: dict[str, Any]) -> dict[str, Any]:
    stamp = _stamp(source)
    if stamp is not None:
        write_text(_index_path(source), json.dumps({"stamp": stamp, **record}))
    return record


def _unnamed(reason: str, source: _Source) -> str:
    """Paths and file names may hold a patient's name; the slice_id says which slice it is."""
    reader = ScanReader(source.path, source.series_uid, source.checks)
    return without_file_names(reason.replace(source.path, "the source"), reader.file_names())


def _lost(source: _Source) -> tuple[str, dict[str, Any]]:
    return source.name, {"status": "refused", "reason": LOST}


def _row(outcome: dict[str, Any], index: int, kind: str) -> list[Any]:
    plane = index if kind == "scan" else 0
    if outcome["status"] != "ok":
        return [outcome["status"], outcome["reason"], None, plane, None]
    return ["ok", None, outcome["key"], plane, outcome["pixel_hashes"][plane]]


def _plane_hash(plane: NDArray[np.int16]) -> str | None:
    if plane.min() == plane.max():
        return None
    digest = hashlib.sha256(repr(plane.shape).encode())
    digest.update(np.ascontiguousarray(plane, dtype="<i2").data)
    return digest.hexdigest()


def _content_hash(array: NDArray[np.int16]) -> list[int]:
    """The values of planes that have no hash of their own."""
    return [int(plane.flat[0]) for plane in array]


def _array_path(root: Path, key: str) -> Path:
    return root / key[:2] / f"{key}.npy"
