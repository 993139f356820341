"""The files of an upload, which come in pieces and may go on after a break."""

from __future__ import annotations

import os
import shutil
from pathlib import Path, PurePosixPath

from django.conf import settings
from django.db.models import F

from covidlit.errors import CovidlitError
from covidlit.platform.intake.models import Upload

MOST_PIECE = 16 << 20
"""Bytes of a piece."""

LONGEST_NAME = 200
_DEEPEST = 12


class UploadRefused(CovidlitError):  # noqa: N818 (a refusal, not a fault)
    """A file or piece that an upload may not have."""


class WrongOffset(CovidlitError):  # noqa: N818
    """A piece that does not begin where the file ends.

    Args:
        size: bytes of the file that have come.
    """

    def __init__(self, size: int) -> None:
        super().__init__(
            f"the file has {size} bytes so far.", where="offset", fix=f"send on from {size}."
        )
        self.size = size


def folder_of(upload: Upload) -> Path:
    """Where the files of an upload lie."""
    return settings.FOLDER.uploads / str(upload.pk)


def size_of(upload: Upload, name: str) -> int:
    """Bytes of a file that have come; 0 where nothing has."""
    path = _place(upload, name)
    return path.stat().st_size if path.is_file() else 0


def add_piece(upload: Upload, name: str, offset: int, piece: bytes) -> int:
    """Add a piece to a file; the new size.

    A piece that has come before is not added again, so that a sender that heard nothing may repeat.

    Raises:
        UploadRefused: a name that leads elsewhere, too many or too large files, or the upload is
            finished.
        WrongOffset: bytes before it are missing.
    """
    if upload.finished_at is not None:
        raise UploadRefused("it is finished.", where=str(upload), fix="begin another upload.")
    path = _place(upload, name)
    size = path.stat().st_size if path.is_file() else 0
    if path.is_file() and offset + len(piece) <= size:
        return size
    if offset != size:
        raise WrongOffset(size)
    if len(piece) > MOST_PIECE:
        raise UploadRefused(
            f"a piece of {len(piece)} bytes.", where=name, fix=f"send at most {MOST_PIECE}."
        )
    _count(upload, path, len(piece))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
    except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
        raise UploadRefused(
            "there is a file and a folder of this name.", where=name, fix="rename one of them."
        ) from error
    with os.fdopen(handle, "ab") as file:
        file.write(piece)
        file.flush()
        os.fsync(file.fileno())
    return size + len(piece)


def remove_files(upload: Upload) -> None:
    """Remove the files of an upload that is taken in, or given up."""
    shutil.rmtree(folder_of(upload), ignore_errors=True)


def safe_place(root: Path, name: str) -> Path:
    """Where a file of this name may lie below a folder.

    Raises:
        UploadRefused: the name is none, leads out of the folder, or is too long or deep.
    """
    parts = PurePosixPath(name.replace("\\", "/")).parts
    odd = any(
        part in ("", ".", "..", "/") or part.endswith(":") or not part.isprintable()
        or len(part.encode()) > LONGEST_NAME
        for part in parts
    )  # fmt: skip
    if not parts or len(parts) > _DEEPEST or odd:
        raise UploadRefused(
            f"the name {name[:80]!r} is not one of a file in a folder.", where="name",
            fix="send the file under a plain name, such as scan/1.dcm.",
        )  # fmt: skip
    return root.joinpath(*parts)


def _place(upload: Upload, name: str) -> Path:
    return safe_place(folder_of(upload) / "files", name)


def _count(upload: Upload, path: Path, more: int) -> None:
    """Count a piece against the limits, before it is written."""
    limits = settings.FOLDER.settings.uploads
    new = 0 if path.exists() else 1
    most_bytes = round(limits.max_gib * 2**30)
    counted = Upload.objects.filter(
        pk=upload.pk, n_bytes__lte=most_bytes - more, n_files__lte=limits.max_files - new
    ).update(n_bytes=F("n_bytes") + more, n_files=F("n_files") + new)
    if not counted:
        raise UploadRefused(
            f"the upload would be larger than {limits.max_gib:g} GiB, or have more than "
            f"{limits.max_files} files.",
            where=str(upload),
            fix="upload less at a time ([uploads] in platform.toml holds the limits).",
        )
