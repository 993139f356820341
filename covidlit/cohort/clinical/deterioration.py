"""Who deteriorated and when: a date of its own, or the first severe row of a mild admission."""

from __future__ import annotations

import pandas as pd

from covidlit.cohort.clinical.elapsed import days_between, is_before
from covidlit.cohort.clinical.event_times import PROGRESSED, PROGRESSED_DATE, first_dates
from covidlit.cohort.clinical.indicators import SEVERITIES
from covidlit.counted import counted
from covidlit.errors import ManifestError

_RANK = {name: rank for rank, name in enumerate(SEVERITIES)}
_SEVERE = _RANK["severe"]


def with_deterioration(
    patients: pd.DataFrame, measured: pd.DataFrame, place: str
) -> tuple[pd.DataFrame, list[str]]:
    """Patients with `progressed` and `progressed_date`, as far as the source says them.

    Who was mild or moderate at admission and has a severe or critical row later deteriorated at
    that row's date, unless the source has a date of its own. Rows of a severity that never changes
    date nothing: it is the patient's, at its worst.

    Args:
        patients: one row each: `index_date`, `outcome_date`, and what else is known of them.
        measured: `patient_id`, `moment` and perhaps `severity`.
        place: of the source, for messages.

    Returns:
        The patients, and notes.

    Raises:
        ManifestError: a date of deterioration of who did not deteriorate, or after the outcome.
    """
    rows = _of_severity(patients, measured)
    named = patients[PROGRESSED_DATE].notna()
    if rows is None and not named.any():
        return patients.drop(columns=PROGRESSED_DATE), []
    said = patients.get(PROGRESSED, pd.Series(None, index=patients.index, dtype=object))
    _refuse(patients, named & said.eq(False), place, "did not deteriorate, and has a date of it")
    late = is_before(patients["outcome_date"], patients[PROGRESSED_DATE])
    _refuse(patients, late, place, "deteriorated after the outcome")
    found = pd.Series(pd.NaT, index=patients.index, dtype="datetime64[ns]")
    admission = patients["patient_id"].map(_at_admission(patients, rows))
    mild = admission.lt(_SEVERE).set_axis(patients.index)
    if rows is not None:
        found = _first_severe(patients, rows).where(mild)
    # In a column of dates an empty cell says that it did not happen.
    at_risk = ~admission.ge(_SEVERE).set_axis(patients.index) if named.any() else mild
    dated = patients[PROGRESSED_DATE].where(named, found)
    against = int((found.notna() & ~named & said.eq(False)).sum())
    dated = dated.mask(said.eq(False))
    flag = said.where(said.notna(), dated.notna().where(dated.notna() | at_risk, None))
    notes = []
    if by_rows := int((dated.notna() & ~named).sum()):
        notes.append(
            f"{counted(by_rows, 'patient')}, mild or moderate at admission, with a severe or "
            "critical row later: its date is that of their deterioration."
        )
    if against:
        notes.append(f"{counted(against, 'patient')} with such a row of whom the source says that "
                     "they did not deteriorate: it is believed.")  # fmt: skip
    return patients.assign(**{PROGRESSED: flag.astype(object), PROGRESSED_DATE: dated}), notes


def _of_severity(patients: pd.DataFrame, measured: pd.DataFrame) -> pd.DataFrame | None:
    """Rows of a severity with its rank and the days after admission; None where it never changes.

    (A severity that is the same in all rows of each patient was written down once.)
    """
    if "severity" not in measured:
        return None
    rows = measured.loc[measured["severity"].notna(), ["patient_id", "moment", "severity"]]
    if rows.empty or rows.groupby("patient_id")["severity"].nunique().max() < 2:
        return None
    start = first_dates(patients, measured).set_axis(patients["patient_id"])
    own = rows["patient_id"].map(start).astype("datetime64[ns]")
    rows = rows.assign(rank=rows["severity"].map(_RANK), days=days_between(own, rows["moment"]))
    return rows.sort_values("moment", kind="stable")


def _at_admission(patients: pd.DataFrame, rows: pd.DataFrame | None) -> pd.Series:
    """The rank of each patient's severity at admission: as it is said, else of the first row."""
    known = patients.set_index("patient_id")
    found = pd.Series(float("nan"), index=known.index)
    if "severity_at_admission" in known:
        found = known["severity_at_admission"].map(_RANK).astype("float64")
    if rows is None:
        return found
    return found.fillna(rows[rows["days"] >= 0].groupby("patient_id")["rank"].first())


def _first_severe(patients: pd.DataFrame, rows: pd.DataFrame) -> pd.Series:
    severe = rows[(rows["days"] >= 0) & (rows["rank"] >= _SEVERE)]
    when = patients["patient_id"].map(severe.groupby("patient_id")["moment"].min())
    return when.set_axis(patients.index).astype("datetime64[ns]")


def _refuse(patients: pd.DataFrame, wrong: pd.Series, place: str, what: str) -> None:
    if not wrong.any():
        return
    first = patients[wrong.to_numpy(dtype=bool)].iloc[0]
    outcome = first["outcome_date"]
    until = "" if pd.isna(outcome) else f", outcome {outcome:%Y-%m-%d}"
    raise ManifestError(
        f"patient {first['patient_id']} {what} ({first[PROGRESSED_DATE]:%Y-%m-%d}{until}; "
        f"{counted(int(wrong.sum()), 'such patient')}).",
        where=place,
        fix="correct one of the columns.",
    )
