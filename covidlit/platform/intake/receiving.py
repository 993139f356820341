"""The files of an upload, which come in pieces and may go on after a break."""

from __future__ import annotations

import fcntl
import hashlib
import io
import os
import shutil
from contextlib import suppress
from pathlib import Path, PurePosixPath

from django.conf import settings
from django.db.models import F, Q

from covidlit.errors import CovidlitError
from covidlit.platform.accounts.models import User
from covidlit.platform.folder import NEW
from covidlit.platform.intake.models import Upload
from covidlit.platform.jobs.models import OPEN, JobState

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


def waiting_of(upload: Upload) -> Path:
    """Where scans of an upload are written before they are whole, on the disk of the scans."""
    return settings.FOLDER.scans / NEW / str(upload.pk)


def size_of(upload: Upload, name: str) -> int:
    """Bytes of a file that have come; 0 where nothing has."""
    path = _place(upload, name)
    return path.stat().st_size if path.is_file() else 0


def files_of(upload: Upload, most: int) -> list[tuple[str, int]]:
    """Names and bytes of the first files that have come, by name.

    Args:
        upload: that is not taken in yet.
        most: files that are named.
    """
    root, found = folder_of(upload) / "files", []
    for path in sorted(each for each in root.rglob("*") if each.is_file())[:most]:
        with suppress(FileNotFoundError):  # it is dropped meanwhile
            found.append((path.relative_to(root).as_posix(), path.stat().st_size))
    return found


def has_most_open(user: User) -> bool:
    """Whether so many uploads of a person have files, or a job that brings them, as he may have.

    With the size of one this limits what one person can fill the disk with.
    """
    own = Upload.objects.filter(owner=user).exclude(job__state=JobState.DONE)
    is_open = own.filter(Q(n_files__gt=0) | Q(job__state__in=OPEN))
    return is_open.count() >= settings.FOLDER.settings.uploads.max_open


def add_piece(upload: Upload, name: str, offset: int, piece: bytes, of: str = "") -> int:
    """Add a piece to a file; the new size.

    A piece that has come before is compared and not added again, so that a sender that heard
    nothing may repeat; of several at a time one is added after the other.

    Args:
        upload: that is not finished.
        name: of the file, with its folders.
        offset: bytes of the file before the piece.
        piece: at most `MOST_PIECE` bytes.
        of: what tells the file from another one of the same name, such as its size and day.

    Raises:
        UploadRefused: a name that leads elsewhere, too many or too large files, another file of
            this name, the upload is finished, or it is empty and too many others are open.
        WrongOffset: bytes before it are missing.
    """
    path = _place(upload, name)
    if len(piece) > MOST_PIECE:
        raise UploadRefused(
            f"a piece of {len(piece)} bytes.", where=name, fix=f"send at most {MOST_PIECE}."
        )
    # Before a file is made that nobody has counted.
    if not path.exists():
        _check_open(upload)
        if offset > 0:
            raise WrongOffset(0)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        is_new = not path.exists()
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
        raise UploadRefused(
            "there is a file and a folder of this name.", where=name, fix="rename one of them."
        ) from error
    with os.fdopen(handle, "r+b", buffering=0) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        size = file.seek(0, os.SEEK_END)
        if offset > size:
            raise WrongOffset(size)
        file.seek(offset)
        known = file.read(min(len(piece), size - offset))
        if known != piece[: len(known)] or not _is_same(upload, name, of):
            raise UploadRefused(
                "another file of this name has come.", where=name,
                fix="send it in a folder of its own, or in another upload.",
            )  # fmt: skip
        more = piece[len(known) :]
        try:
            _count(upload, more=len(more), new=is_new)
        except UploadRefused:
            if is_new and size == 0:
                path.unlink(missing_ok=True)
                _remove_empty(path.parent)
            raise
        try:
            file.seek(0, os.SEEK_END)
            _write(file, more)
            os.fsync(file.fileno())
        except OSError:  # the disk is full: what has come of the piece is taken back
            os.ftruncate(file.fileno(), size)
            _uncount(upload, len(more))
            raise
    return size + len(more)


def _write(file: io.FileIO, content: bytes) -> None:
    """All of it: one call of the system may take a part."""
    left = memoryview(content)
    while left:
        left = left[file.write(left) :]


def _check_open(upload: Upload) -> None:
    """Refuse a piece of an upload that is finished, or the first of one too many."""
    if Upload.objects.filter(pk=upload.pk, finished_at__isnull=False).exists():
        raise _finished(upload)
    if upload.n_files == 0 and has_most_open(upload.owner):
        raise UploadRefused(
            "too many other uploads of yours are not taken in yet.", where=str(upload),
            fix="finish or drop one of them, then send again ([uploads] max_open in platform.toml "
            "is the limit).",
        )  # fmt: skip


def _is_same(upload: Upload, name: str, of: str) -> bool:
    """Whether a file is the one that was begun under this name; the first to say it decides."""
    if not of:
        return True
    told = folder_of(upload) / "told" / hashlib.sha256(name.encode()).hexdigest()
    told.parent.mkdir(exist_ok=True)
    try:
        with told.open("x") as file:
            file.write(of)
    except FileExistsError:
        return told.read_text() == of
    return True


def remove_files(upload: Upload) -> None:
    """Remove the files of an upload that is taken in, or given up."""
    settings.FOLDER.remove(folder_of(upload))
    shutil.rmtree(waiting_of(upload), ignore_errors=True)


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


def _count(upload: Upload, more: int, new: bool) -> None:
    """Count a piece against the limits, before it is written, unless the upload is finished."""
    limits = settings.FOLDER.settings.uploads
    most_bytes = round(limits.max_gib * 2**30)
    own = Upload.objects.filter(pk=upload.pk)
    counted = own.filter(
        finished_at__isnull=True,
        n_bytes__lte=most_bytes - more,
        n_files__lte=limits.max_files - new,
    ).update(n_bytes=F("n_bytes") + more, n_files=F("n_files") + int(new))
    if counted:
        return
    if not own.filter(finished_at__isnull=True).exists():
        raise _finished(upload)
    raise UploadRefused(
        f"the upload would be larger than {limits.max_gib:g} GiB, or have more than "
        f"{limits.max_files} files.",
        where=str(upload),
        fix="upload less at a time ([uploads] in platform.toml holds the limits).",
    )


def _uncount(upload: Upload, n_bytes: int) -> None:
    """Take back what was counted of a piece that could not be written; its file counts still."""
    Upload.objects.filter(pk=upload.pk).update(n_bytes=F("n_bytes") - n_bytes)


def _remove_empty(folder: Path) -> None:
    """Remove the folders that were made for a file that may not be."""
    try:
        while folder != settings.FOLDER.uploads:
            folder.rmdir()
            folder = folder.parent
    except OSError:  # something else lies there, or somebody was faster
        return


def _finished(upload: Upload) -> UploadRefused:
    return UploadRefused(
        "it is finished or dropped.", where=str(upload), fix="begin another upload."
    )
