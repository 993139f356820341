"""Read the scans of a table: a folder that several of them share is searched once for all."""

from __future__ import annotations

import os
import pickle
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from covidlit.dicom import Checks, Series, SeriesRefused, choose_series, find_series, read_series
from covidlit.errors import CovidlitError
from covidlit.files import path_named, printable
from covidlit.scans.content import NoChestError
from covidlit.scans.images import is_image_file, read_image
from covidlit.scans.scan import Scan


@dataclass(frozen=True)
class ScanReader:
    """Reads one scan when it is called; small enough to keep thousands and to send to workers.

    Args:
        path: a folder with DICOM series, one DICOM file, or an image file.
        series_uid: which series of the folder; its SeriesInstanceUID or pseudonym.
        checks: which DICOM series are refused; None: the defaults.
        found: what a search of the folder found: the series, packed, or why there is none.

    Raises:
        CovidlitError: (when called) missing or unreadable; `SeriesRefused` where checks refuse.
    """

    path: str
    series_uid: str | None
    checks: Checks | None
    found: bytes | CovidlitError | None = field(default=None, repr=False)

    def __call__(self) -> Scan:
        checks = self.checks or Checks()
        if self.found is None:
            return load_scan(self.path, series_uid=self.series_uid, checks=checks)
        if isinstance(self.found, CovidlitError):
            raise self.found
        return read_series(_unpack(self.found), checks)

    def series(self) -> Series:
        """The DICOM series that it reads.

        Raises:
            CovidlitError: there is none, or several to choose from.
        """
        if isinstance(self.found, CovidlitError):
            raise self.found
        if self.found is not None:
            return _unpack(self.found)
        path = path_named(self.path)
        checks = self.checks or Checks()
        return choose_series(find_series(path), path, checks, series_uid=self.series_uid)

    def file_names(self) -> list[str]:
        """The names of the files that may be named in what is said about this scan."""
        if isinstance(self.found, bytes):
            series = _unpack(self.found)
            paths = [*series.files, *(suspect.path for suspect in series.suspects)]
            return [Path(self.path).name, *(printable(path.name) for path in paths)]
        below = [name for _, _, names in os.walk(path_named(self.path)) for name in names]
        return [Path(self.path).name, *map(printable, below)]


def search_shared(readers: Iterable[ScanReader]) -> list[ScanReader]:
    """The readers of one table, in order; those that share a folder with others know their series.

    Such a folder is searched here, once. Others are left to their readers, so that many processes
    can search them at a time. Memory: the headers of one folder (4 kB a file), and about 50 bytes
    a file for what the readers keep.
    """
    readers = list(readers)
    sharing: dict[str, list[int]] = {}
    for place, reader in enumerate(readers):
        sharing.setdefault(reader.path, []).append(place)
    for path, places in sharing.items():
        if len(places) > 1 and path_named(path).is_dir():
            for place, reader in zip(places, _search([readers[k] for k in places]), strict=True):
                readers[place] = reader
    return readers


def load_scan(
    path: str | Path,
    series_uid: str | None = None,
    checks: Checks = Checks(),  # noqa: B008 (frozen)
) -> Scan:
    """Read a scan wherever it lies: a DICOM folder or file, or an image file.

    Args:
        path: a folder with a DICOM series, one DICOM file, or a file that SimpleITK reads.
        series_uid: which series of the folder; its SeriesInstanceUID or pseudonym.
        checks: see `covidlit.dicom.Checks`; of an image file those on voxels.

    Raises:
        CovidlitError: missing or unreadable; `SeriesRefused` where the checks refuse.
    """
    path = path_named(path)
    if not path.exists():
        raise CovidlitError("there is no such file or folder.", where=path, fix="check the path.")
    if path.is_file() and is_image_file(path):
        return read_image(path, checks.override, checks.image_orientation)
    return read_series(path, checks, series_uid=series_uid)


def lungs_of_refused(error: Exception) -> float | None:
    """How much of the lungs a scan shows that was refused, where it was looked at; in percent."""
    if isinstance(error, NoChestError):
        return error.lungs_in_view_percent
    if isinstance(error, SeriesRefused):
        percent = error.verdict.facts.get("lungs_in_view_percent")
        return percent if isinstance(percent, float) else None
    return None


def _search(readers: Sequence[ScanReader]) -> list[ScanReader]:
    """The readers of one folder with what was found for each."""
    found: dict[str | None, bytes | CovidlitError] = {}
    path, checks = path_named(readers[0].path), readers[0].checks or Checks()
    try:
        folder = find_series(path)
        for uid in {reader.series_uid for reader in readers}:
            try:
                found[uid] = _pack(choose_series(folder, path, checks, series_uid=uid))
            except CovidlitError as error:
                found[uid] = error.with_traceback(None)  # which would keep all headers in memory
    except Exception:
        # Each scan will meet the same fault as it is read, where it costs that scan only.
        return list(readers)
    return [replace(reader, found=found[reader.series_uid]) for reader in readers]


def _pack(series: Series) -> bytes:
    return zlib.compress(pickle.dumps(series, pickle.HIGHEST_PROTOCOL))


def _unpack(packed: bytes) -> Series:
    series: Series = pickle.loads(zlib.decompress(packed))
    return series
