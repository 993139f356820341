"""Archives in an upload, unpacked within limits of size, count and depth."""

from __future__ import annotations

import errno
import lzma
import shutil
import zlib
from pathlib import Path
from zipfile import BadZipFile, ZipFile, ZipInfo

from covidlit.platform.intake.receiving import UploadRefused, safe_place

_CHUNK = 1 << 20
_DAMAGE = (
    BadZipFile, NotImplementedError, EOFError, ValueError, OSError, zlib.error, lzma.LZMAError,
)  # fmt: skip
"""What reading an archive has been seen to raise; also of a file that is a folder too."""

_MACHINE = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EMFILE, errno.ENFILE, errno.EROFS)
"""Of these the archive is not to blame."""
_KIND_BITS, _LINK_BITS = 0o170000, 0o120000


class Budget:
    """What may still be unpacked.

    Args:
        max_bytes: of all archives of an upload together.
        max_files: of the same.
    """

    def __init__(self, max_bytes: int, max_files: int) -> None:
        self.bytes_left, self.files_left = max_bytes, max_files

    def take_file(self, where: str) -> None:
        """Count a file.

        Raises:
            UploadRefused: there were too many.
        """
        self.files_left -= 1
        if self.files_left < 0:
            raise UploadRefused(
                "the archive holds too many files.", where=where,
                fix="upload fewer at a time ([uploads] max_files in platform.toml is the limit).",
            )  # fmt: skip

    def take_bytes(self, size: int, where: str) -> None:
        """Count what was unpacked, as it comes: what an archive claims is not believed.

        Raises:
            UploadRefused: it was too much.
        """
        self.bytes_left -= size
        if self.bytes_left < 0:
            raise UploadRefused(
                "the archive unpacks to more than an upload may hold.", where=where,
                fix="upload less at a time ([uploads] max_gib in platform.toml is the limit).",
            )  # fmt: skip


def is_archive(path: Path) -> bool:
    """Whether a file is a ZIP archive, by its first bytes."""
    with path.open("rb") as file:
        return file.read(4) == b"PK\x03\x04"


def unpack(path: Path, folder: Path, budget: Budget) -> None:
    """Unpack a ZIP archive into a new folder; archives within it stay as they are.

    Raises:
        UploadRefused: it is damaged or encrypted, holds links or names that lead elsewhere, or
            unpacks to more than is allowed; nothing of it is left.
    """
    try:
        with ZipFile(path) as archive:
            for entry in archive.infolist():
                if not entry.is_dir():
                    _unpack_one(archive, entry, folder, budget, path.name)
    except Exception as error:
        shutil.rmtree(folder, ignore_errors=True)
        of_the_machine = isinstance(error, OSError) and error.errno in _MACHINE
        if of_the_machine or not isinstance(error, _DAMAGE):
            raise
        raise UploadRefused(
            "the archive is damaged, or compressed in a way that is not read.", where=path.name,
            fix="make the ZIP archive again, by another program if need be.",
        ) from error  # fmt: skip


def _unpack_one(archive: ZipFile, entry: ZipInfo, folder: Path, budget: Budget, name: str) -> None:
    where = f"{name}: {entry.filename[:80]}"
    if (entry.external_attr >> 16) & _KIND_BITS == _LINK_BITS:
        raise UploadRefused("it is a link.", where=where, fix="pack the file that it leads to.")
    if entry.flag_bits & 1:
        raise UploadRefused("it is encrypted.", where=where, fix="pack it without a password.")
    target = safe_place(folder, entry.filename)
    budget.take_file(where)
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists():
        raise UploadRefused("it is there twice.", where=where, fix="pack each file once.")
    with archive.open(entry) as source, target.open("xb") as file:
        while piece := source.read(_CHUNK):
            budget.take_bytes(len(piece), where)
            file.write(piece)
