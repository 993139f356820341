"""What is known of each scan's source, so that a second run need not read it again.

One small JSON a scan under `<cache>/index/`. It holds a signature of the source's files (names,
sizes, times of change) and of how they are read, never a path or a name. It is the same for every
geometry, because the key of a volume follows from the source's hash.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
from contextlib import suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

import pydantic

from covidlit.files import fingerprint, write_text
from covidlit.scans.folder import walk
from covidlit.version import __version__

_DECODERS = (
    "pydicom", "pylibjpeg", "pylibjpeg-libjpeg", "pylibjpeg-openjpeg", "pylibjpeg-rle",
    "pyjpegls", "python-gdcm", "pillow", "SimpleITK",
)  # fmt: skip
READING = 2
"""Number of what is asked of a scan as it is read: raised where a scan that was read before may be
refused, or noted of, so that it is read again."""

_DETACHED_HEADERS = (".hdr", ".mhd", ".nhdr")


class SourceRecord(pydantic.BaseModel):
    """One scan's source as it was read last."""

    scan_id: str
    signature: str
    status: Literal["ok", "refused"]
    source_hash: str | None = None
    pixel_hash: str | None = None
    reason: str | None = None
    notes: str | None = None
    lungs_in_view_percent: float | None = None
    decoders: dict[str, str] = {}
    """What a refusal rests on: another version of a decoder may read the files."""


@cache
def decoder_versions() -> dict[str, str]:
    """The installed packages that read images and pydicom's compressed pixels, with versions."""
    found = {}
    for name in _DECODERS:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


class SourceIndex:
    """The records of a cache folder.

    Args:
        root: the cache folder.
    """

    def __init__(self, root: str | Path) -> None:
        self.folder = Path(root) / "index"

    def path(self, scan_id: str) -> Path:
        """Where the record of a scan lies; hashed, because an id may hold any character."""
        return self.folder / f"{hashlib.sha256(scan_id.encode()).hexdigest()[:32]}.json"

    def read(self, scan_id: str) -> SourceRecord | None:
        """The record of a scan; None if there is none or it is damaged (it is only a shortcut)."""
        try:
            text = self.path(scan_id).read_text(encoding="utf-8")
            record = SourceRecord.model_validate_json(text)
        except (OSError, ValueError):
            return None
        return record if record.scan_id == scan_id else None

    def write(self, record: SourceRecord) -> None:
        """Write a record atomically."""
        write_text(self.path(record.scan_id), record.model_dump_json(indent=2) + "\n")


class Signatures:
    """Signatures of sources; lists each folder once, however many scans lie in it.

    Args:
        checks: which DICOM series are refused; None where that is known by other means.
    """

    def __init__(self, checks: object | None) -> None:
        self._checks = _plain(checks)
        self._listings: dict[Path, str] = {}

    def of(self, path: Path, series_uid: str | None) -> str:
        """Signature of the files at `path` (a file, or a folder with all below it).

        A file that is changed, added, removed or renamed changes it, as do other checks, another
        series and another version of covidlit, which may judge otherwise.

        Raises:
            OSError: the path does not exist or cannot be listed.
        """
        return fingerprint(
            {
                "files": self._files(path),
                "series": series_uid,
                "checks": self._checks,
                "version": __version__,
                "reading": READING,
            }
        )

    def _files(self, path: Path) -> list[Any]:
        if path.is_dir():
            return [self._listed(path, recursive=True)]
        own = [path.name, *_stamp(path.stat())]
        if path.suffix.lower() in _DETACHED_HEADERS:
            # The voxels of such a header lie in another file beside it, under any name.
            return [own, self._listed(path.parent, recursive=False)]
        return [own]

    def _listed(self, folder: Path, *, recursive: bool) -> str:
        key = folder if recursive else folder / "*"
        if key not in self._listings:
            self._listings[key] = fingerprint(_listing(folder, recursive))
        return self._listings[key]


def _listing(path: Path, recursive: bool) -> list[list[Any]]:
    """The files that `find_series` would find there."""
    files = walk(path).files if recursive else filter(Path.is_file, path.iterdir())
    return sorted([os.path.relpath(file, path), *_stamp(file.stat())] for file in files)


def file_stamp(path: Path) -> list[str | int]:
    """Where a file lies, its size and times: another one wherever its content may be another."""
    return [str(path.resolve()), *_stamp(path.stat())]


def _stamp(stat: os.stat_result) -> tuple[int, int, int]:
    """Size and times. The time of the last change of any kind, which nobody can set, tells a file
    that was replaced by one of the same size with its time of change kept, as archives keep it."""
    return stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns


def _plain(value: Any) -> Any:
    """A configuration object as JSON types in a fixed order."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, (set, frozenset)):
        return sorted(_plain(v) for v in value)
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    return value
