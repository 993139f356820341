"""The files below a folder: regular ones only, each once, also where links lead in circles."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import NamedTuple

_KINDS = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


class Unread(NamedTuple):
    """A path below a folder that is not looked into, and why."""

    path: Path
    reason: str


class Walked(NamedTuple):
    """What lies below a folder.

    Args:
        files: regular files, sorted.
        unread: what may not be looked into, leads nowhere, or is no regular file.
    """

    files: list[Path]
    unread: list[Unread]


def walk(root: str | Path) -> Walked:
    """All regular files below a folder, to any depth; nothing is opened.

    Symbolic links are followed after everything else, and only to what was not met before: a file
    that can be reached in two ways is found once, and a link to a folder above ends there. Pipes,
    sockets and devices are listed, for opening one may wait for ever.

    Args:
        root: a folder.
    """
    found = _Walk()
    found.folder(str(root))
    to_files = []
    while found.links:
        links, found.links = sorted(found.links), []
        to_files += [path for path in links if not found.folder_behind(path)]
    for path in to_files:
        found.file_behind(path)
    return Walked(sorted(map(Path, found.files)), found.unread)


def kind_of_special(path: str | Path) -> str:
    """What a path is that is neither a file nor a folder, in words; empty where it is one.

    Raises:
        OSError: there is no such path, or it may not be looked at.
    """
    mode = stat.S_IFMT(Path(path).stat().st_mode)
    if mode in (stat.S_IFREG, stat.S_IFDIR):
        return ""
    return _KINDS.get(mode, "no regular file")


class _Walk:
    """One walk: what was found, and what was met already, as (device, inode)."""

    def __init__(self) -> None:
        self.files: list[str] = []
        self.links: list[str] = []
        self.unread: list[Unread] = []
        self.met: set[tuple[int, int]] = set()

    def folder(self, start: str) -> None:
        waiting = [start]
        while waiting:
            folder = waiting.pop()
            try:
                state = os.stat(folder)  # noqa: PTH116 (speed, many folders)
                if (state.st_dev, state.st_ino) in self.met:
                    continue
                self.met.add((state.st_dev, state.st_ino))
                with os.scandir(folder) as entries:
                    for entry in entries:
                        if entry.is_symlink():
                            self.links.append(entry.path)
                        elif entry.is_dir(follow_symlinks=False):
                            waiting.append(entry.path)
                        elif entry.is_file(follow_symlinks=False):
                            self.met.add((state.st_dev, entry.inode()))
                            self.files.append(entry.path)
                        else:
                            self.special(entry.path)
            except OSError as error:
                self.closed(error.filename or folder, error)

    def folder_behind(self, path: str) -> bool:
        """Follow a link if it leads to a folder."""
        if not os.path.isdir(path):  # noqa: PTH112 (as above)
            return False
        target = os.path.realpath(path)
        # A link to a folder that holds it leads in a circle.
        if not os.path.realpath(os.path.dirname(path)).startswith(  # noqa: PTH120 (as above)
            os.path.join(target, "")  # noqa: PTH118 (as above)
        ):
            self.folder(path)
        return True

    def file_behind(self, path: str) -> None:
        try:
            state = os.stat(path)  # noqa: PTH116 (as above)
        except OSError as error:
            if os.path.lexists(path) and isinstance(error, FileNotFoundError):
                self.unread.append(Unread(Path(path), "a symbolic link whose target is not there"))
            else:
                self.closed(path, error)
            return
        if not stat.S_ISREG(state.st_mode):
            self.special(path)
        elif (state.st_dev, state.st_ino) not in self.met:
            self.met.add((state.st_dev, state.st_ino))
            self.files.append(path)

    def special(self, path: str) -> None:
        try:
            kind = kind_of_special(path) or "no regular file"
        except OSError as error:
            self.closed(path, error)
            return
        self.unread.append(Unread(Path(path), f"{kind} and no regular file: not opened"))

    def closed(self, path: str, error: OSError) -> None:
        self.unread.append(Unread(Path(path), f"cannot be opened: {error.strerror}."))
