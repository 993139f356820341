"""Labels meet scans: which row of the labels is about which scan, and what fits nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from covidlit.cohort.columns import parse_dates
from covidlit.cohort.labels_table import Labels, lost_zeros
from covidlit.cohort.patient_ids import without_zeros
from covidlit.cohort.pseudonyms import Pseudonyms
from covidlit.counted import counted
from covidlit.errors import ManifestError, did_you_mean
from covidlit.tables import row_lines, row_numbers, row_texts

NO_SCAN = "label without scan"


def match_labels(scans: pd.DataFrame, labels: Labels) -> pd.Series:
    """For each scan the index label of its row in the labels, null where there is none."""
    rows = [
        labels.match(
            {
                "series_uid": row.series_uid,
                "study_uid": row.study_uid,
                "patient_id": row.raw_patient,
            },
            row.place,
        )
        for row in scans.itertuples()
    ]
    return pd.Series(rows, index=scans.index, dtype="Int64")


def labels_without_scan(
    labels: Labels, matched: pd.Series, scans: pd.DataFrame, names: Pseudonyms
) -> list[dict[str, Any]]:
    """The rows of the labels that are about no scan, by number; their keys may identify someone."""
    rest = labels.table[~labels.table.index.isin(matched.dropna())]
    if rest.empty:
        return []
    column = {"patient_id": "raw_patient", "path": "place"}.get(labels.key, labels.key)
    lost = labels.key == "patient_id" and lost_zeros(rest[labels.key], scans[column])
    hint = "; some would match with leading zeros, which spreadsheets drop" if lost else ""
    show = names.key is None or labels.key == "path"
    return [
        {
            "kind": NO_SCAN,
            "label_row": number,
            "label_line": line,
            "reason": f"no scan has this {labels.key}" + (f" ({value})" if show else "") + hint,
        }
        for number, line, value in zip(
            row_numbers(rest), row_lines(rest), rest[labels.key], strict=True
        )
    ]


def zeros_hint(labels: Labels, scans: pd.DataFrame) -> str:
    """A sentence on ids whose leading zeros a spreadsheet took, and how to mend them; else empty.

    Names rows and numbers of zeros, and no id.
    """
    if labels.key != "patient_id":
        return ""
    lost = lost_zeros(labels.table["patient_id"], scans["raw_patient"])
    if not lost:
        return ""
    numbers = dict(zip(labels.table.index, row_texts(labels.table), strict=True))
    some = [f"row {numbers[row]} lacks {n}" for row, n in list(lost.items())[:3]]
    more = f" and {len(lost) - 3} more" if len(lost) > 3 else ""
    return (
        f"{len(lost)} of the {len(labels.table)} ids of the labels would match with the leading "
        f"zeros that a spreadsheet dropped ({', '.join(some)}{more}): write the zeros again, in a "
        "column that is formatted as text, or export the table anew from where it came."
    )


def with_labels(
    scans: pd.DataFrame, labels: Labels, matched: pd.Series, keep_columns: Sequence[str] | None = ()
) -> tuple[pd.DataFrame, list[str]]:
    """The labelled scans with the labels' columns, which win over the headers, and notes on that.

    Args:
        scans: raw rows with `patient_id`.
        labels: any table of labels.
        matched: of `match_labels`.
        keep_columns: names of further columns to copy; None: all of them.

    Raises:
        ManifestError: the labels have no such further column.
    """
    further = _further(labels, keep_columns)
    scans = scans[matched.notna()].copy()
    of_headers = parse_dates(scans["acquisition_date"])
    rows = labels.table.loc[matched.dropna().to_numpy(dtype=int)].set_axis(scans.index)
    notes = []
    left_out = [name for name in labels.further_columns if name not in further]
    if left_out:
        notes.append(
            f"{counted(len(left_out), 'column')} of the labels not copied, as possibly "
            f"identifying: {', '.join(left_out)}. Keep one that is not with --keep-column NAME "
            "(keep_columns)."
        )
    for name in [*labels.contract_columns, *further]:
        stated = rows[name]
        if name in scans:
            header = scans[name]
            if name == "acquisition_date":
                header, stated = parse_dates(header), parse_dates(stated)
            differ = (header.notna() & stated.notna() & (header != stated)).sum()
            if differ and name in ("sex", "acquisition_date"):
                notes.append(
                    f"{counted(int(differ), 'scan')}: the labels' {name} differs from the header; "
                    "it wins."
                )
            stated = stated.astype("object").where(stated.notna(), header.astype("object"))
        scans[name] = stated
    if "acquisition_date" in rows and "acquisition_date_moved" not in rows:
        # A date that somebody looked up is the scan's; one that is copied from a header is no news.
        dates = parse_dates(rows["acquisition_date"])
        scans["acquisition_date_moved"] = scans["acquisition_date_moved"].mask(
            dates.notna() & (dates != of_headers), False
        )
    if labels.key != "patient_id" and "patient_id" in rows:
        scans["patient_id"] = rows["patient_id"].where(
            rows["patient_id"].notna(), scans["patient_id"]
        )
    return scans, notes


def with_centre(scans: pd.DataFrame, centre: str | None) -> tuple[pd.DataFrame, list[str]]:
    """The scans with the centre of each row, and a note where it is not known."""
    given = scans["centre"] if "centre" in scans else pd.Series(None, index=scans.index)
    missing = int(given.isna().sum())
    if missing and centre is None:
        note = (
            f"the centre of {counted(missing, 'scan')} is not known, so none can be held out for "
            "the test: name it in the labels' column centre or with --centre."
        )
        return scans.assign(centre=given), [note]
    return scans.assign(centre=given.astype("object").fillna(centre)), []


def patient_notes(scans: pd.DataFrame) -> list[str]:
    """Warnings about patient identifiers that do not tell persons apart, or stand in paths."""
    notes = []
    patients = scans.groupby("patient_id")
    sexes = int((patients["sex"].nunique() > 1).sum())
    if sexes:
        notes.append(
            f"{counted(sexes, 'patient')} with scans of both sexes: does an anonymiser give "
            "several persons one PatientID? Name the patient in the labels' column patient_id."
        )
    n_studies = patients["study_uid"].nunique()
    if len(scans) >= 4 and n_studies.max() > 0.5 * scans["study_uid"].nunique() > 1:
        notes.append(
            f"one PatientID covers {n_studies.max()} of {scans['study_uid'].nunique()} studies: if "
            "an anonymiser gave several persons the same one, name the patient in the labels' "
            "column patient_id, or the splits cannot keep persons apart."
        )
    alike = scans["raw_patient"].drop_duplicates().map(without_zeros)
    if twice := int(alike[alike != ""].duplicated(keep=False).sum()):
        notes.append(
            f"{twice} PatientIDs differ only in case, blanks or leading zeros, and get pseudonyms "
            "of their own: if they are of the same persons, name the patient in the labels' column "
            "patient_id."
        )
    in_path = sum(
        len(raw) >= 4 and raw in place
        for raw, place in zip(scans["raw_patient"], scans["place"], strict=True)
    )
    if in_path:
        notes.append(
            f"{counted(in_path, 'path')} with the PatientID in it, which the manifest needs: "
            "rename the folders before you share it."
        )
    return notes


def _further(labels: Labels, keep_columns: Sequence[str] | None) -> list[str]:
    """The further columns to copy, in the order of the table."""
    known = labels.further_columns
    if keep_columns is None:
        return known
    for name in keep_columns:
        if name not in known and name not in labels.contract_columns:
            hint = did_you_mean(name, known)
            raise ManifestError(
                f"the labels have no further column {name!r}.",
                where="keep_columns (--keep-column)",
                fix=f"{hint + ' ' if hint else ''}They have: {', '.join(known) or 'none'}.",
            )
    return [name for name in known if name in keep_columns]
