"""A folder sent to a platform in pieces, each from where the platform says that the file ends."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

from covidlit.platform.client.connection import Connection, PlatformError
from covidlit.platform.client.rows import Upload

PIECE = 4 << 20
"""Bytes of a piece: what a break costs at most."""

_FIRST_LOOK, _LONGEST_LOOK = 0.5, 5.0


class Progress(Protocol):
    """Told how many bytes of all have come."""

    def __call__(self, sent: int, total: int) -> None: ...


def send_files(
    connection: Connection,
    files: Sequence[tuple[Path, str]],
    upload: Upload,
    progress: Progress | None = None,
) -> Upload:
    """Send what has not come yet of files, then say that all has come.

    Args:
        connection: to the platform.
        files: with the names that they are sent under.
        upload: that was begun, here or before a break.
        progress: told after each piece.

    Raises:
        PlatformError: something was refused, or the connection did not come back; `upload` can
            be gone on with.
    """
    total = sum(path.stat().st_size for path, _ in files)
    sent = 0
    address = f"/uploads/{upload.id}/file"
    for path, name in files:
        for size in _send_file(connection, address, path, name, min(PIECE, upload.most_piece)):
            if progress is not None:
                progress(sent + size, total)
        sent += path.stat().st_size
    return Upload.of(connection, connection.post(f"/uploads/{upload.id}/finish"))


def files_of(folder: Path) -> list[tuple[Path, str]]:
    """The files below a folder with the names that they are sent under; hidden ones are left.

    Args:
        folder: with DICOM files or ZIP archives; or one such file.

    Raises:
        PlatformError: there is none.
    """
    if folder.is_file():
        return [(folder, folder.name)]
    if not folder.is_dir():
        raise PlatformError("it is not there.", where=folder, fix="name the scans' folder.")
    found = list(_below(folder))
    if not found:
        raise PlatformError("there is no file in it.", where=folder, fix="name the scans' folder.")
    return found


def _below(folder: Path) -> Iterator[tuple[Path, str]]:
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(each for each in folders if not each.startswith("."))
        for name in sorted(names):
            path = Path(root, name)
            if not name.startswith(".") and path.is_file():
                yield path, f"{folder.resolve().name}/{path.relative_to(folder).as_posix()}"


def wait_for(connection: Connection, upload: Upload, longest: float | None = None) -> Upload:
    """Wait until the job that takes an upload in is over.

    Args:
        connection: to the platform.
        upload: that is finished.
        longest: seconds; None: however long it takes.

    Raises:
        PlatformError: it took longer, the job failed or was cancelled, or the connection was lost.
    """
    wait, last = _FIRST_LOOK, None if longest is None else time.monotonic() + longest
    while upload.job is None or not upload.job.is_over:
        if last is not None and time.monotonic() > last:
            raise PlatformError(
                f"it is not taken in after {longest:g} s.", where=f"upload {upload.id}",
                fix=f"ask again later: find_upload({upload.id}).",
            )  # fmt: skip
        time.sleep(wait)
        wait = min(1.5 * wait, _LONGEST_LOOK)
        try:
            upload = Upload.of(connection, connection.get(f"/uploads/{upload.id}"))
        except PlatformError as error:
            raise PlatformError(
                f"all was sent, but what became of it is not known: {error.what}",
                where=f"upload {upload.id}", status=error.status,
                fix=f"{error.fix or ''} Then look at it again: find_upload({upload.id}).".strip(),
            ) from error  # fmt: skip
    if upload.job.state != "done":
        raise PlatformError(
            f"taking it in {upload.job.state}: {upload.job.message or 'no reason given'}",
            where=f"upload {upload.id}", fix="mend that, then send the folder again.",
        )  # fmt: skip
    return upload


def _send_file(
    connection: Connection, address: str, path: Path, name: str, most: int
) -> Iterator[int]:
    """Send a file, and tell its size on the platform after each piece."""
    about = path.stat()
    of = f"{about.st_size} {about.st_mtime_ns // 10**6}"
    size = int(connection.get(address, name=name)["size"])
    asked = False
    with path.open("rb") as file:
        # Asked once even where all has come: another file of this name is told apart, and an
        # empty one is one.
        while size < about.st_size or not asked:
            start = size if size < about.st_size else 0
            file.seek(start)
            piece = file.read(most)
            if start < about.st_size and not piece:
                raise PlatformError(
                    "it has become shorter meanwhile.", where=path, fix="send it in a new upload."
                )
            size = _send_piece(connection, address, name, start, piece, of)
            asked = True
            yield size


def _send_piece(
    connection: Connection, address: str, name: str, offset: int, piece: bytes, of: str
) -> int:
    """Send a piece; the size of the file on the platform now."""
    query = {"name": name, "offset": offset, "of": of}
    try:
        return int(connection.call("PUT", address, query, data=piece).json()["size"])
    except PlatformError as error:
        if error.status == 409 and error.size is not None:
            return error.size
        raise
