"""What a backup says of itself: `backup.json`, and the SHA-256 of every file in `files.sha256`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from covidlit.errors import CovidlitError
from covidlit.platform.operation.snapshot import Kind
from covidlit.version import __version__

ABOUT, SUMS = "backup.json", "files.sha256"
FORMAT = 1


class About(BaseModel):
    """What stands in `backup.json`.

    Args:
        format: of backups; raised when an older covidlit could not restore them.
        covidlit: version that made it.
        made_at: UTC.
        root: folder of the platform.
        database: its kind.
        migrations: of the platform's own tables, by app.
        last_entry, last_chain: of the audit trail.
        n_files, n_bytes: of the backup without this file and the sums.
        missing: files that rows of the database name and that the platform itself had lost.
        sums: SHA-256 of `files.sha256`.
    """

    model_config = ConfigDict(frozen=True)

    kind: Literal["backup of a covidlit platform"] = "backup of a covidlit platform"
    format: int = FORMAT
    covidlit: str = __version__
    made_at: str
    root: str
    database: Kind
    migrations: dict[str, list[str]]
    last_entry: int = 0
    last_chain: str = ""
    n_files: int
    n_bytes: int
    missing: list[str] = []
    sums: str


def read_about(content: bytes, where: object) -> About:
    """`backup.json`, checked.

    Raises:
        CovidlitError: it is none, or of a newer version.
    """
    try:
        raw: Any = json.loads(content)
        newer = isinstance(raw, dict) and isinstance(raw.get("format"), int)
        if newer and raw["format"] > FORMAT:
            raise CovidlitError(
                f"it was made by a newer covidlit ({raw.get('covidlit')}).", where=where,
                fix="install that version of covidlit, or a later one.",
            )  # fmt: skip
        return About(**raw)
    except (ValueError, TypeError, ValidationError) as error:
        raise CovidlitError(
            "it is no backup of a platform.", where=where,
            fix="give what `covidlit platform backup` wrote.",
        ) from error  # fmt: skip


def write_sums(sums: Mapping[str, str]) -> bytes:
    """Names and sums as `sha256sum --check` reads them."""
    lines = []
    for name, total in sorted(sums.items()):
        odd = "\\" in name or "\n" in name
        shown = name.replace("\\", "\\\\").replace("\n", "\\n") if odd else name
        lines.append(f"{chr(92) if odd else ''}{total}  {shown}\n")
    return "".join(lines).encode("utf-8", "surrogateescape")


def read_sums(content: bytes, about: About, where: object) -> dict[str, str]:
    """The sum of each file by its name.

    Raises:
        CovidlitError: the list is not the one that was written.
    """
    if hashlib.sha256(content).hexdigest() != about.sums:
        raise damaged(where, f"{SUMS} is not as it was written")
    found = {}
    for line in content.decode("utf-8", "surrogateescape").split("\n")[:-1]:
        odd, line = line.startswith("\\"), line.removeprefix("\\")
        total, _, name = line.partition("  ")
        if odd:
            name = name.replace("\\\\", "\0").replace("\\n", "\n").replace("\0", "\\")
        found[name] = total
    return found


def damaged(where: object, what: str) -> CovidlitError:
    """The error of a backup that is not whole."""
    return CovidlitError(
        f"the backup is damaged: {what}.", where=where, fix="restore from another backup."
    )
