"""The check that stops a run whose parts share a patient, a study, a series or the same pixels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from covidlit.cohort.near_copies import alike
from covidlit.cohort.patient_ids import same_patient, visible, without_zeros
from covidlit.cohort.split import Split, unit_key
from covidlit.counted import counted
from covidlit.errors import LeakageError
from covidlit.tables import row_lines, row_numbers

_LISTED = 5
_WRITTEN = 20


class Suspicion(NamedTuple):
    """What looks like a leak between two parts, or of the outcome, but need not be one.

    Args:
        kind: "patient ids alike", "near copies", "same numbers" or "tells the class alone".
        text: what it is and in which rows, a sentence.
    """

    kind: str
    text: str


def check_leakage(
    manifest: pd.DataFrame,
    split: Split,
    pixel_hashes: Mapping[str, str] | None = None,
    thumbnails: Mapping[str, NDArray[np.int16]] | None = None,
) -> list[Suspicion]:
    """Stop where anything of one part of a split is also in another part.

    Patient ids that differ in upper and lower case or in blanks only are of one patient.

    Args:
        manifest: contract 2; scans that the split does not name are ignored.
        split: the parts.
        pixel_hashes: scan_id -> hash of the pixels, so that the same scan under another name,
            patient or UID is found; scans without one (refused ones) may be absent.
        thumbnails: scan_id -> thumbnail (`covidlit.preprocess.thumbnails`), by which copies are
            found that are not identical; scans without one may be absent.

    Returns:
        What a person should look at: patient ids that differ in leading zeros only, which a
        spreadsheet drops, and scans of different parts that look like copies of each other.

    Raises:
        LeakageError: names the rows (from 1, without the header), scan_ids and parts, and the fix.
    """
    ids = manifest["patient_id"].astype("string")
    table = manifest.assign(
        _row=row_numbers(manifest),
        _line=[
            "" if line is None else f"line {line} of the file, " for line in row_lines(manifest)
        ],
        _part=manifest[unit_key(manifest)].map(split.parts),
        _patient=ids.map(same_patient, na_action="ignore"),
        _number=ids.map(without_zeros, na_action="ignore"),
        _pixels=manifest[unit_key(manifest)].map(dict(pixel_hashes or {})),
        **{
            f"_{name}": manifest[f"{name}_uid"].astype("string").map(visible, na_action="ignore")
            for name in ("study", "series")
            if f"{name}_uid" in manifest
        },
    )
    table = table[table["_part"].notna()]
    findings: list[str] = []
    for column, what in (
        ("_patient", "the same patient"),
        ("_study", "the same study"),
        ("_series", "the same series"),
        ("_pixels", "the same pixels"),
    ):
        if column in table:
            findings += _shared(table, column, what)
    if not findings:
        return _patients_alike(table) + _near_copies(table, split, thumbnails or {})
    more = f"; and {len(findings) - _LISTED} more" if len(findings) > _LISTED else ""
    raise LeakageError(
        f"the parts of the split leak in {counted(len(findings), 'place')}: "
        f"{'; '.join(findings[:_LISTED])}{more}.",
        where=f"split {split.hash[:12]} ({split.kind})",
        fix="give all scans of one person the same patient_id and keep one row per scan, then make "
        "the split again with centre_held_out or patient_k_fold.",
    )


def in_words(suspicions: Sequence[Suspicion]) -> str:
    """The sentences of the first suspicions, and how many more there are."""
    more = len(suspicions) - _WRITTEN
    sentences = [suspicion.text for suspicion in suspicions[:_WRITTEN]]
    return " ".join([*sentences, *([f"There are {more} more such cases."] if more > 0 else [])])


def _shared(table: pd.DataFrame, column: str, what: str) -> list[str]:
    """A phrase for each value of a column that stands in several parts."""
    known = table[table[column].notna() & (table[column] != "")]
    n_parts = known.groupby(column)["_part"].nunique()
    shared = known[known[column].isin(n_parts.index[n_parts > 1])]
    groups = shared.groupby(column, sort=True)
    # The first ones only are shown, so only these are written out.
    named = [_described(rows, what) for _, rows in islice(groups, _LISTED)]
    return named + [what] * (groups.ngroups - len(named))


def _described(rows: pd.DataFrame, what: str) -> str:
    places = [
        f"row {row} ({line}scan {scan}, {part})"
        for row, line, scan, part in zip(
            rows["_row"], rows["_line"], rows[unit_key(rows)], rows["_part"], strict=True
        )
    ]
    if len(places) > _LISTED:
        places = [*places[:_LISTED], f"{len(places) - _LISTED} more"]
    ids = list(map(str, rows["patient_id"].unique()))
    written = ids[0] if len(ids) == 1 else f"written as {', '.join(map(repr, ids[:_LISTED]))}"
    name = f" {written}" if what.endswith("patient") else ""
    return f"{what}{name} in {', '.join(places)}"


def _patients_alike(table: pd.DataFrame) -> list[Suspicion]:
    found = _shared(table, "_number", "perhaps the same patient")
    kind = "patient ids alike"
    text = "Leading zeros of patient ids may have been lost: {}. If so, write them alike."
    return [Suspicion(kind, text.format(place)) for place in found[:_LISTED]] + [
        Suspicion(kind, "Leading zeros of further patient ids may have been lost.")
        for _ in found[_LISTED:]
    ]


def _near_copies(
    table: pd.DataFrame, split: Split, thumbnails: Mapping[str, NDArray[np.int16]]
) -> list[Suspicion]:
    places = (f"{row}, {line}" for row, line in zip(table["_row"], table["_line"], strict=True))
    rows = dict(zip(table[unit_key(table)].astype(str), places, strict=True))
    known = {scan: thumbnails[scan] for scan in rows if scan in thumbnails}
    return [
        Suspicion(
            "near copies",
            f"Scan {one} (row {rows[one]}{split.parts[one]}) and scan {other} (row "
            f"{rows[other]}{split.parts[other]}) look like one scan: at a coarse resolution they "
            f"differ by {difference:.1f} HU. If they are of one person, give both the same "
            "patient_id.",
        )
        for one, other, difference in alike(known, split.parts)
    ]
