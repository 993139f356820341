"""A backup of a platform that goes on working: of one moment, whole, and checked when restored.

Files come into their place before the row that names them, and none is changed or taken away
afterwards; so the database is copied first, and every file that it names is there when the files
are copied. Uploads alone are taken away, once they are taken in, and what was received becomes one:
they are held by a second name (a hard link) in the moment of the database, before anything can be
taken away (`PlatformFolder.removing`).
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from covidlit.errors import ConfigError, CovidlitError, machine_trouble
from covidlit.files import check_writable
from covidlit.platform.folder import UNFINISHED, PlatformFolder
from covidlit.platform.operation.containers import Container, new_container
from covidlit.platform.operation.manifest import (
    ABOUT,
    SUMS,
    About,
    read_about,
    read_sums,
    write_sums,
)
from covidlit.platform.operation.snapshot import FILES, snapshot
from covidlit.platform.schema import Ask, migrations_in

_ROOM = ".backing-up"
_NEVER = re.compile(r"^(\..*|static|db\.sqlite3.*|uploads|received)$")
"""At the top of the folder: what is made anew, and what is copied in another way."""
_TRIES = 3

_OPEN = """SELECT u.id FROM intake_upload u LEFT JOIN jobs_job j ON j.id = u.job_id
WHERE j.state IS NULL OR j.state <> 'done'"""
_FOLDERS = {
    "scans": "SELECT folder FROM registry_scan",
    "results": "SELECT folder FROM registry_labelling",
}


def backup(
    folder: PlatformFolder,
    out: Path,
    *,
    since: Path | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> About:
    """Copy all of a platform, whether it is being served or not.

    The backup holds who the patients are, and the keys: it is readable for its owner alone.

    Args:
        folder: of the platform.
        out: a `.tar` file, or a folder; new.
        since: an earlier backup of this platform, as a folder: what has not changed since is
            linked to it and takes no room on the same disk.
        say: told what is done.

    Returns:
        What the backup says of itself.

    Raises:
        CovidlitError: it is there, lies in the platform, or cannot be written; nothing is left.
    """
    _check(folder, out, since)
    known = _sums_of(since) if since is not None else {}
    room = folder.root / _ROOM
    try:
        with FileLock(folder.root / f"{_ROOM}.lock", timeout=0):
            try:
                return _written(folder, out, room, since, known, say)
            finally:
                shutil.rmtree(room, ignore_errors=True)
    except Timeout as error:
        raise ConfigError(
            "another backup of it is being made.", where=folder.root, fix="wait for that one."
        ) from error
    except OSError as error:
        trouble = machine_trouble(error, "No half backup was left. Then make it again.", out)
        raise trouble or CovidlitError(
            f"the backup was not written: {error.strerror or error}.", where=error.filename or out,
            fix="check the folder and its permissions.",
        ) from error  # fmt: skip


def _check(folder: PlatformFolder, out: Path, since: Path | None) -> None:
    if os.path.lexists(out):
        raise ConfigError("it is there.", where=out, fix="give a new name for each backup.")
    if out.resolve().is_relative_to(folder.root.resolve()):
        raise ConfigError(
            "a backup within the platform is lost with it.", where=out,
            fix="give a place outside, best on another disk.",
        )  # fmt: skip
    if since is not None and (out.suffix == ".tar" or not since.is_dir()):
        raise ConfigError(
            "a backup goes on from an earlier one only as a folder beside a folder.", where=since,
            fix="give folders, or leave --since out.",
        )  # fmt: skip
    check_writable(out)


def _sums_of(since: Path) -> dict[str, str]:
    try:
        about = read_about((since / ABOUT).read_bytes(), since)
        return read_sums((since / SUMS).read_bytes(), about, since)
    except FileNotFoundError as error:
        raise ConfigError(
            "it is no backup of a platform.", where=since, fix="give an earlier backup's folder."
        ) from error


def _written(
    folder: PlatformFolder,
    out: Path,
    room: Path,
    since: Path | None,
    known: dict[str, str],
    say: Callable[[str], None],
) -> About:
    shutil.rmtree(room, ignore_errors=True)  # of a backup that was killed
    room.mkdir(mode=0o700)
    sums: dict[str, str] = {}
    n_bytes = 0
    gone: list[str] = []
    with new_container(out, since, known) as container:
        with ExitStack() as stack:
            with folder.removing():
                moment = datetime.now(UTC).isoformat(timespec="seconds")
                taken = stack.enter_context(snapshot(folder, room))
                held = [str(row[0]) for row in taken.ask(_OPEN)]
                held += _others(folder.uploads)
                _hold(folder.uploads, room / "uploads", held)
                _hold(folder.received, room / "received", _others(folder.received))
            say("The database is copied ...")
            taken.write(room / (name := FILES[taken.kind]))
            sums[name], n_bytes = container.add(name, room / name)
            say("The files are copied ...")
            n_bytes += _copied(container, sums, _files(folder.root, room), gone)
            missing, more = _missing(container, sums, folder, taken.ask, gone)
            last = taken.ask("SELECT number, chain FROM audit_entry ORDER BY number DESC LIMIT 1")
            migrations = migrations_in(taken.ask)
        text = write_sums(sums)
        about = About(
            made_at=moment, root=str(folder.root), database=taken.kind, migrations=migrations,
            last_entry=last[0][0] if last else 0, last_chain=last[0][1] if last else "",
            n_files=len(sums), n_bytes=n_bytes + more, missing=missing,
            sums=hashlib.sha256(text).hexdigest(),
        )  # fmt: skip
        container.add_text(SUMS, text)
        container.add_text(ABOUT, about.model_dump_json(indent=2).encode())
    return about


def _others(uploads: Path) -> list[str]:
    """Folders of what waits without being an upload: clinical tables, what was received."""
    return [
        path.name
        for path in (uploads.iterdir() if uploads.is_dir() else ())
        if path.is_dir() and not path.name.isdecimal() and not path.name.startswith(".")
    ]


def _hold(uploads: Path, room: Path, numbers: list[str]) -> None:
    """Give the files of uploads a second name, which stays when they are taken away."""
    for number in numbers:
        for folder, names, files in os.walk(uploads / number):
            if Path(folder) == uploads / number and "unpacked" in names:
                names.remove("unpacked")  # made anew
            target = room / Path(folder).relative_to(uploads)
            target.mkdir(parents=True, exist_ok=True)
            for name in files:
                try:
                    os.link(Path(folder) / name, target / name, follow_symlinks=False)
                except FileNotFoundError:
                    continue


def _files(root: Path, room: Path) -> Iterator[tuple[str, Path]]:
    """Name in the backup and place of all files but the database."""
    for top in sorted(root.iterdir()):
        if _NEVER.match(top.name):
            continue
        if top.is_file():
            yield top.name, top
        else:
            yield from _below(top, top.name)
    for name in ("uploads", "received"):
        yield from _below(room / name, name, all_of_it=True)


def _below(top: Path, name: str, all_of_it: bool = False) -> Iterator[tuple[str, Path]]:
    for folder, names, files in os.walk(top):
        if not all_of_it:
            names[:] = [each for each in names if not UNFINISHED.match(each)]
        for each in files:
            path = Path(folder) / each
            if (all_of_it or not UNFINISHED.match(each)) and not path.is_symlink():
                yield f"{name}/{path.relative_to(top).as_posix()}", path


def _copied(
    container: Container,
    sums: dict[str, str],
    files: Iterable[tuple[str, Path]],
    gone: list[str],
) -> int:
    """Copy files that are not yet; their bytes. `gone` gets the names of those that vanished."""
    total = 0
    for name, path in files:
        if name in sums:
            continue
        try:
            sums[name], size = container.add(name, path)
        except FileNotFoundError:
            gone.append(name)
            continue
        total += size
    return total


def _missing(
    container: Container,
    sums: dict[str, str],
    folder: PlatformFolder,
    ask: Ask,
    gone: list[str],
) -> tuple[list[str], int]:
    """Folders that rows name and that are not whole, and the bytes of those found at last.

    A scan that comes twice at once is put into its place twice: for a moment it is not there.
    """
    total = 0
    wanted = {f"{kind}/{row[0]}" for kind, query in _FOLDERS.items() for row in ask(query)}
    for again in range(_TRIES + 1):
        there = {str(parent) for name in sums for parent in Path(name).parents}
        lost = {str(parent) for name in gone for parent in Path(name).parents}
        missing = sorted(each for each in wanted if each not in there or each in lost)
        if not missing or again == _TRIES:
            break
        time.sleep(0.1 if again else 0.0)
        before, gone = gone, []
        files = [(name, folder.root / name) for name in before]
        files += [each for name in missing for each in _below(folder.root / name, name)]
        total += _copied(container, sums, files, gone)
    return missing, total
