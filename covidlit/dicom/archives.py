"""Archives and compressed files that hold DICOM: told from other files, never unpacked here."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO

from covidlit.dicom.series import FileProblem
from covidlit.dicom.wording import name_some
from covidlit.files import printable

_HEAD = 262
_LOOKED_INTO = 1 << 20  # bytes of a stream
_MEMBERS = 8
_NAMES = (".dcm", ".dicom", ".ima", "dicomdir")


def packed_problems(paths: Iterable[Path]) -> list[FileProblem]:
    """Those of the files that hold packed DICOM, one problem for all of a kind in a folder.

    Args:
        paths: files that are not DICOM.
    """
    kinds: dict[tuple[Path, str], list[Path]] = {}
    for path in paths:
        if what := packed_dicom(path):
            kinds.setdefault((path.parent, what), []).append(path)
    return [_problem(folder, what, files) for (folder, what), files in kinds.items()]


def packed_dicom(path: Path) -> str:
    """What an archive or compressed file with DICOM in it is; empty for every other file.

    At most a megabyte is unpacked, in memory. What cannot be looked into is told by its name.
    """
    try:
        with path.open("rb") as handle:
            head = handle.read(_HEAD)
            if head[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
                handle.seek(0)
                return _zip(handle)
            if head[257:262] == b"ustar":
                handle.seek(0)
                return "tar archive" if _holds_dicom(handle.read(_LOOKED_INTO)) else ""
            if head[:6] == b"7z\xbc\xaf\x27\x1c":
                return "7z archive"
            if head[:4] == b"Rar!":
                return "RAR archive"
            for mark, opened, what in (
                (b"\x1f\x8b", gzip.open, "gzip"),
                (b"BZh", bz2.open, "bzip2"),
                (b"\xfd7zXZ\0", lzma.open, "xz"),
            ):
                if head.startswith(mark):
                    with opened(path) as stream:
                        return _stream(stream.read(_LOOKED_INTO), what)
    except (OSError, EOFError, ValueError, RuntimeError, NotImplementedError,
            zlib.error, lzma.LZMAError, zipfile.BadZipFile, tarfile.TarError):  # fmt: skip
        return ""
    return ""


def _stream(content: bytes, what: str) -> str:
    if content[128:132] == b"DICM":
        return f"DICOM file compressed by {what}"
    if content[257:262] == b"ustar" and _holds_dicom(content):
        return f"tar archive compressed by {what}"
    return ""


def _zip(handle: IO[bytes]) -> str:
    with zipfile.ZipFile(handle) as archive:
        members = [one for one in archive.infolist() if not one.is_dir()]
        if any(one.filename.lower().endswith(_NAMES) for one in members):
            return "ZIP archive"
        for member in members[:_MEMBERS]:
            if not member.flag_bits & 1:
                with archive.open(member) as stream:
                    if stream.read(132)[128:] == b"DICM":
                        return "ZIP archive"
    return ""


def _holds_dicom(start: bytes) -> bool:
    """Whether a tar that starts so holds DICOM among its first members."""
    with tarfile.open(fileobj=io.BytesIO(start), mode="r:") as archive:
        try:
            for number, member in enumerate(archive):
                if member.isfile():
                    data = start[member.offset_data : member.offset_data + 132]
                    if data[128:] == b"DICM" or member.name.lower().endswith(_NAMES):
                        return True
                if number >= _MEMBERS:
                    break
        except tarfile.TarError:
            return False  # the first member reaches beyond what was read
    return False


def _problem(folder: Path, what: str, files: Sequence[Path]) -> FileProblem:
    example = printable(files[0].name)
    if "archive" not in what:
        tool = {"gzip": "gunzip", "bzip2": "bunzip2", "xz": "unxz"}[what.rpartition(" ")[2]]
        how = f"{tool} {'*' + printable(files[0].suffix) if len(files) > 1 else example}"
    elif what.startswith("tar"):
        how = f"tar -xf {example}"
    else:
        how = f"unzip {example}" if what == "ZIP archive" else f"7z x {example}"
    if len(files) == 1:
        return FileProblem(files[0], f"a {what} is not read: unpack it, as by `{how}`")
    plural = what.replace("archive", "archives").replace("file", "files")
    names = name_some([path.name for path in files])
    return FileProblem(
        folder, f"{len(files)} {plural} are not read ({names}): unpack them, as by `{how}`"
    )
