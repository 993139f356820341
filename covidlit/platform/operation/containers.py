"""What a backup is written into and read from: a folder, or a `.tar` file; whole or not there."""

from __future__ import annotations

import hashlib
import os
import shutil
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, Protocol

from filelock import FileLock, Timeout

from covidlit.errors import ConfigError
from covidlit.files import atomic_path
from covidlit.platform.operation.manifest import damaged

_CHUNK = 1 << 20


class Hashed:
    """A stream that is read up to a size, and hashed as it goes.

    Args:
        stream: that may grow meanwhile.
        size: bytes of it that count.
    """

    def __init__(self, stream: BinaryIO, size: int) -> None:
        self._stream, self._left, self._sum = stream, size, hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        """As of a file."""
        wanted = self._left if size < 0 else min(size, self._left)
        content = self._stream.read(wanted)
        self._left -= len(content)
        self._sum.update(content)
        return content

    @property
    def sum(self) -> str:
        """SHA-256 of what was read."""
        return self._sum.hexdigest()


class Container(Protocol):
    """Takes the files of a backup."""

    def add(self, name: str, path: Path) -> tuple[str, int]:
        """Keep a file under a name; its SHA-256 and bytes.

        Raises:
            FileNotFoundError: it is gone.
        """

    def add_text(self, name: str, content: bytes) -> None:
        """Keep a file that is written here."""


class _Folder:
    def __init__(self, root: Path, since: Path | None, known: dict[str, str]) -> None:
        self._root, self._since, self._known = root, since, known

    def add(self, name: str, path: Path) -> tuple[str, int]:
        with path.open("rb") as file:
            about = os.fstat(file.fileno())
            target = self._root / name
            target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            if linked := self._linked(name, target, about):
                return linked
            hashed = Hashed(file, about.st_size)
            with os.fdopen(
                os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb"
            ) as to:
                shutil.copyfileobj(hashed, to, _CHUNK)
                size = to.tell()
        os.utime(target, ns=(about.st_atime_ns, about.st_mtime_ns))
        return hashed.sum, size

    def _linked(self, name: str, target: Path, about: os.stat_result) -> tuple[str, int] | None:
        """The file of the earlier backup, where it is the same by size and time."""
        if self._since is None or name not in self._known:
            return None
        before = self._since / name
        try:
            own = before.stat()
            if (own.st_size, own.st_mtime_ns) != (about.st_size, about.st_mtime_ns):
                return None
            os.link(before, target)
        except OSError:  # gone, or on another disk: then it is copied
            return None
        return self._known[name], about.st_size

    def add_text(self, name: str, content: bytes) -> None:
        path = self._root / name
        path.touch(0o600)
        path.write_bytes(content)


class _Tar:
    def __init__(self, archive: tarfile.TarFile) -> None:
        self._archive = archive

    def add(self, name: str, path: Path) -> tuple[str, int]:
        with path.open("rb") as file:
            about = self._archive.gettarinfo(arcname=name, fileobj=file)
            hashed = Hashed(file, about.size)
            self._archive.addfile(_plain(about), hashed)
        return hashed.sum, about.size

    def add_text(self, name: str, content: bytes) -> None:
        about = tarfile.TarInfo(name)
        about.size = len(content)
        self._archive.addfile(_plain(about), BytesIO(content))


def _plain(about: tarfile.TarInfo) -> tarfile.TarInfo:
    about.uid = about.gid = 0
    about.uname = about.gname = ""
    about.mode = 0o600
    about.type, about.linkname = tarfile.REGTYPE, ""  # also of a file with a second name
    return about


@contextmanager
def new_container(
    out: Path, since: Path | None = None, known: dict[str, str] | None = None
) -> Iterator[Container]:
    """A new backup that is there when all of it is, and not at all where something goes wrong.

    Args:
        out: a `.tar` file, or a folder; it must not be there.
        since: an earlier backup, as a folder, whose unchanged files are linked and not copied.
        known: the sums of its files.
    """
    if out.suffix == ".tar":
        with atomic_path(out) as temporary:
            temporary.chmod(0o600)
            with tarfile.open(temporary, "w", format=tarfile.PAX_FORMAT) as archive:
                yield _Tar(archive)
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
        return
    with part_of(out) as part:
        yield _Folder(part, since, known or {})
        os.sync()  # once for all files: it has its name when it is on the disk


@contextmanager
def part_of(folder: Path) -> Iterator[Path]:
    """A hidden folder beside one, which gets its place when all went well, and else vanishes.

    What a killed process has left under this name is removed.

    Raises:
        ConfigError: another process is making the same folder.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = folder.with_name(f".{folder.name}.part")
    lock = folder.with_name(f".{folder.name}.lock")
    try:
        with FileLock(lock, timeout=0):
            shutil.rmtree(part, ignore_errors=True)
            try:
                part.mkdir(mode=0o700)
                yield part
                part.rename(folder)
            finally:
                shutil.rmtree(part, ignore_errors=True)
                lock.unlink(missing_ok=True)
    except Timeout as error:
        raise ConfigError(
            "another process is making it.", where=folder, fix="wait for that one."
        ) from error


def files_in(backup: Path) -> Iterator[tuple[str, BinaryIO]]:
    """Name and content of each file of a backup.

    Raises:
        CovidlitError: there is something else in it.
        tarfile.TarError, EOFError: a `.tar` file ends too early; also while a content is read.
    """
    if backup.is_dir():
        for path in sorted(each for each in backup.rglob("*") if not each.is_dir()):
            with path.open("rb") as file:
                yield path.relative_to(backup).as_posix(), file
        return
    with tarfile.open(backup, "r|") as archive:
        for about in archive:
            content = archive.extractfile(about)
            if content is None:
                raise damaged(backup, f"{about.name!r} is no file")
            yield about.name, content  # type: ignore[misc]
