"""The account of a manifest: what it was made of, what was left out, and what is not in order."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from covidlit.cohort.flow import Flow
from covidlit.cohort.labelling import NO_SCAN
from covidlit.errors import ManifestError
from covidlit.tables import listed_rows

PROBLEM_COLUMNS = ("kind", "label_row", "label_line", "path", "scan_id", "reason")
_SERIOUS = ("file", NO_SCAN, "refused")


@dataclass(frozen=True)
class BuiltManifest:
    """A manifest and the account of how it came about.

    Args:
        manifest: contract 2, with `status` ("ok" or "refused") and `reason`; a labelled scan that
            the checks refuse keeps its row, so that it can be counted to the end.
        problems: what is not as it should be: kind, label_row (from 1), label_line (of their
            file), path, scan_id, reason.
        flow: how many scans each step took out.
        notes: what the user should know, without anything that identifies a patient.
    """

    manifest: pd.DataFrame
    problems: pd.DataFrame
    flow: Flow
    notes: tuple[str, ...] = field(default=())

    @property
    def refused(self) -> pd.DataFrame:
        """The rows of the manifest that the checks refuse."""
        return self.manifest[self.manifest["status"] == "refused"]

    @property
    def unmatched_labels(self) -> pd.DataFrame:
        """The problems that are labels without a scan."""
        return self.problems[self.problems["kind"] == NO_SCAN]


def relative_path(path: str | Path, root: Path) -> str:
    """The path from the folder `root`, with forward slashes; absolute on another drive."""
    try:
        return Path(os.path.relpath(path, root)).as_posix()
    except ValueError:  # another drive, on Windows
        return Path(path).as_posix()


def problem_table(problems: list[dict[str, Any]], folder: Path) -> pd.DataFrame:
    """The problems as a table with `PROBLEM_COLUMNS`, their paths from `folder`."""
    table = pd.DataFrame(problems, columns=list(PROBLEM_COLUMNS))
    root = folder.resolve()
    table["path"] = [
        relative_path(path, root) if isinstance(path, str) else None for path in table["path"]
    ]
    return table.astype({"label_row": "Int64", "label_line": "Int64"})


def label_rows(problems: pd.DataFrame, limit: int = 20) -> str:
    """The rows of the labels that some problems are about: "3, 5 (lines 4, 6 of the file)"."""
    known = problems[problems["label_row"].notna()]
    lines = [None if pd.isna(line) else int(line) for line in known["label_line"]]
    return listed_rows(known["label_row"].astype(int).tolist(), lines, limit)


def refuse_problems(problems: pd.DataFrame, root: Path) -> None:
    """Raise a ManifestError that lists damaged files, labels without a scan and refused scans."""
    serious = problems[problems["kind"].isin(_SERIOUS)]
    if serious.empty:
        return
    first = [
        f"{row.path.iloc[0]}: {row.reason.iloc[0]}"
        if row.label_row.isna().all()
        else f"row {label_rows(row)} of the labels: {row.reason.iloc[0]}"
        for row in (serious.iloc[[place]] for place in range(min(5, len(serious))))
    ]
    counts = "; ".join(f"{n} x {kind}" for kind, n in serious.groupby("kind").size().items())
    raise ManifestError(
        f"strict, and there are problems ({counts}): {'; '.join(first)}.",
        where=root,
        fix="mend these, or run without strict to list them and go on.",
    )
