"""The check that stops a run whose parts share a patient, a series or the same pixels."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from covidlit.cohort.split import Split
from covidlit.errors import LeakageError
from covidlit.tables import row_numbers

_LISTED = 5


def check_leakage(
    manifest: pd.DataFrame, split: Split, pixel_hashes: Mapping[str, str] | None = None
) -> None:
    """Stop where anything of one part of a split is also in another part.

    Args:
        manifest: contract 2; scans that the split does not name are ignored.
        split: the parts.
        pixel_hashes: scan_id -> hash of the pixels, so that the same scan under another name,
            patient or UID is found; scans without one (refused ones) may be absent.

    Raises:
        LeakageError: names the rows (from 1, without the header), scan_ids and parts, and the fix.
    """
    table = manifest.assign(
        _row=row_numbers(manifest),
        _part=manifest["scan_id"].map(split.parts),
        _pixels=manifest["scan_id"].map(dict(pixel_hashes or {})),
    )
    table = table[table["_part"].notna()]
    findings = []
    for column, what in (
        ("patient_id", "the same patient"),
        ("series_uid", "the same series"),
        ("_pixels", "the same pixels"),
    ):
        if column in table:
            findings += _shared(table, column, what)
    if not findings:
        return
    more = f"; and {len(findings) - _LISTED} more" if len(findings) > _LISTED else ""
    raise LeakageError(
        f"the parts of the split leak in {len(findings)} place(s): "
        f"{'; '.join(findings[:_LISTED])}{more}.",
        where=f"split {split.hash[:12]} ({split.kind})",
        fix="give all scans of one person the same patient_id and keep one row per scan, then make "
        "the split again with centre_held_out or patient_k_fold.",
    )


def _shared(table: pd.DataFrame, column: str, what: str) -> list[str]:
    known = table[table[column].notna()]
    n_parts = known.groupby(column)["_part"].nunique()
    found = []
    for value in sorted(n_parts.index[n_parts > 1], key=str):
        rows = known[known[column] == value]
        places = [
            f"row {row} (scan {scan}, {part})"
            for row, scan, part in zip(rows["_row"], rows["scan_id"], rows["_part"], strict=True)
        ]
        if len(places) > _LISTED:
            places = [*places[:_LISTED], f"{len(places) - _LISTED} more"]
        name = f" {value}" if column == "patient_id" else ""
        found.append(f"{what}{name} in {', '.join(places)}")
    return found
