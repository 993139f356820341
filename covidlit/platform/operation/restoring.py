"""A platform made from a backup: every file checked, and nothing there where one is not right."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any, NamedTuple

from covidlit.errors import ConfigError, CovidlitError, machine_trouble
from covidlit.platform.database import database_settings
from covidlit.platform.folder import SETTINGS_FILE, VARIABLE, PlatformFolder
from covidlit.platform.operation.containers import files_in, part_of
from covidlit.platform.operation.manifest import (
    ABOUT,
    SUMS,
    About,
    damaged,
    read_about,
    read_sums,
)
from covidlit.platform.operation.programs import run_on
from covidlit.platform.operation.snapshot import FILES, POSTGRESQL, SQLITE
from covidlit.platform.schema import check_known

_CHUNK = 1 << 20


class Restored(NamedTuple):
    """What became of a backup.

    Args:
        about: the backup.
        n_jobs: that ran or waited, and wait now.
        n_held: that were to send to archives or fetch from them, and were cancelled.
        missing: files that rows name and that were not in the backup either.
    """

    about: About
    n_jobs: int
    n_held: int
    missing: list[str]


def check_backup(backup: Path) -> About:
    """Read all of a backup, and make sure that it is as it was written.

    Raises:
        CovidlitError: it is not, or was made by a newer covidlit.
    """
    return _read(backup, None)


def restore(
    backup: Path,
    target: Path,
    database: str = "",
    say: Callable[[str], None] = lambda _: None,
) -> Restored:
    """Make a platform from a backup.

    Everybody has to log in again, and jobs that ran are waiting again, but for those that send to
    archives or fetch from them: they are cancelled until a person has them tried again.

    Args:
        backup: what `backup` wrote.
        target: a new or empty folder.
        database: address of an empty PostgreSQL database, for a backup of one.
        say: told what is done.

    Raises:
        CovidlitError: the backup is not whole or newer than this covidlit, or there is something
            in the folder or the database already; then nothing is left in the folder.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ConfigError("it is not empty.", where=target, fix="give a new folder.")
    try:
        with part_of(target.absolute()) as part:
            say("The files are copied and checked ...")
            about = _read(backup, part)
            said = _settings_for(part, target.absolute(), about, database)
            _bring_back(part, about)
            say("The platform is made ready ...")
            told = _settled(part, about)
            (part / SETTINGS_FILE).write_text(said, encoding="utf-8")
    except OSError as error:
        trouble = machine_trouble(error, "Nothing was left. Then restore it again.", target)
        raise trouble or CovidlitError(
            f"it was not restored: {error.strerror or error}.", where=error.filename or target,
            fix="check the folder and its permissions.",
        ) from error  # fmt: skip
    return Restored(about, told["jobs"], told["held"], told["missing"])


def _read(backup: Path, target: Path | None) -> About:
    """Check a backup, and copy it on the way where there is a folder for it."""
    if not backup.exists():
        raise ConfigError("there is no such backup.", where=backup, fix="give another one.")
    texts: dict[str, bytes] = {}
    try:
        found = _read_files(backup, target, texts)
    except (tarfile.TarError, EOFError) as error:
        raise damaged(backup, f"it cannot be read ({error})") from error
    for name in (ABOUT, SUMS):
        if name not in texts:
            raise damaged(backup, f"{name} is missing, which is written last")
    about = read_about(texts[ABOUT], backup)
    check_known(about.migrations, backup, about.covidlit)
    sums = read_sums(texts[SUMS], about, backup)
    for name in sorted(sums.keys() | found.keys()):
        if sums.get(name) != found.get(name):
            what = "is missing" if name not in found else "is not as it was written"
            raise damaged(backup, f"{name} {what}" if name in sums else f"{name} is not of it")
    return about


def _read_files(backup: Path, target: Path | None, texts: dict[str, bytes]) -> dict[str, str]:
    """The sum of each file; `texts` gets what the backup says of itself."""
    found: dict[str, str] = {}
    for name, content in files_in(backup):
        if name in (ABOUT, SUMS):
            texts[name] = content.read()
            continue
        if name.startswith("/") or ".." in Path(name).parts:
            raise damaged(backup, f"the name {name!r} leads out of it")
        digest = hashlib.sha256()
        with nullcontext() if target is None else _new(target / name) as to:
            while piece := content.read(_CHUNK):
                digest.update(piece)
                if to is not None:
                    to.write(piece)
        found[name] = digest.hexdigest()
    return found


def _new(path: Path) -> Any:
    path.parent.mkdir(parents=True, exist_ok=True)
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")


def _settings_for(part: Path, target: Path, about: About, database: str) -> str:
    """The settings of the restored platform: its own database, and its own folder in paths."""
    path = part / SETTINGS_FILE
    text = path.read_text(encoding="utf-8")
    if about.database == POSTGRESQL:
        if not database:
            raise ConfigError(
                "it is of a platform on PostgreSQL.", where="--database",
                fix="give an empty database for it: postgresql://user:password@host/name",
            )  # fmt: skip
        line = f"database = {json.dumps(database)}"
        text, n = re.subn(r"(?m)^database\s*=.*$", lambda _: line, text)
        if n != 1:
            raise damaged(SETTINGS_FILE, "it names no database")
    elif database:
        raise ConfigError(
            "it is of a platform on SQLite, which is restored as one.", where="--database",
            fix="leave it out.",
        )  # fmt: skip
    path.write_text(text, encoding="utf-8")
    for name in ("scans", "results", "uploads"):
        (part / name).mkdir(exist_ok=True)
    return text.replace(about.root.rstrip("/") + "/", f"{target.as_posix()}/")


def _bring_back(part: Path, about: About) -> None:
    """The database, from its file in the backup."""
    folder = PlatformFolder(part)
    kept = part / FILES[about.database]
    if about.database == SQLITE:
        kept.rename(folder.database)
        return
    own = database_settings(folder)
    run_on(
        own, "pg_restore", "--no-owner", "--no-privileges", "--exit-on-error",
        "--single-transaction", str(kept),
    )  # fmt: skip
    kept.unlink()


def _settled(part: Path, about: About) -> dict[str, Any]:
    """Have another process make it ready: Django works on one platform in a process."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("DJANGO")}
    done = subprocess.run(
        [sys.executable, "-m", "covidlit.platform.operation.settling",
         str(about.last_entry), about.last_chain],
        env=environment | {VARIABLE: str(part)}, capture_output=True, text=True,
    )  # fmt: skip
    if done.returncode:
        said = done.stderr.strip().splitlines()
        raise CovidlitError(
            f"it cannot be made ready: {said[-1] if said else done.returncode}.", where=part.name,
            fix="restore from another backup.",
        )  # fmt: skip
    shutil.rmtree(part / "static", ignore_errors=True)  # `serve` makes it
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told
