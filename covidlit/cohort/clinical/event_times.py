"""Days from an index date to the outcome or to deterioration, and what they cannot be."""

from __future__ import annotations

import pandas as pd

from covidlit.cohort.clinical.elapsed import days_between
from covidlit.counted import counted
from covidlit.errors import ManifestError

TIME = "event_time_days"
PROGRESSED, PROGRESSED_DATE = "progressed", "progressed_date"


def time_to(index: pd.Series, end: pd.Series) -> pd.Series:
    """Days from the index to an end, by patient; NaN where either is not known.

    An end some hours before the index, on its day, was registered in another order than it
    happened: it comes 0 days after it. Of an earlier day it stays negative.
    """
    days = days_between(index, end)
    same_day = index.dt.normalize().eq(end.dt.normalize())
    return days.mask(same_day & (days < 0), 0.0)


def first_dates(patients: pd.DataFrame, measured: pd.DataFrame) -> pd.Series:
    """The index date of each patient, else the first moment of which there is a row."""
    first = patients["patient_id"].map(measured.groupby("patient_id")["moment"].min())
    first = first.set_axis(patients.index).astype("datetime64[ns]")
    return patients["index_date"].fillna(first)


def with_event_time(
    patients: pd.DataFrame, measured: pd.DataFrame
) -> tuple[pd.DataFrame, list[str]]:
    """Patients with the days from their first date to the outcome, where no column says them."""
    if TIME in patients or patients["outcome_date"].isna().all():
        return patients, []
    days = time_to(first_dates(patients, measured), patients["outcome_date"])
    early = int((days < 0).sum())
    notes = []
    if early:
        notes.append(
            f"{counted(early, 'patient')} with an outcome before their first date, hence no {TIME}."
        )
    return patients.assign(**{TIME: days.where(days >= 0)}), notes


def from_index(
    patients: pd.DataFrame, base: pd.Series | None, place: str, index: str, *, needed: bool
) -> tuple[pd.DataFrame, list[str]]:
    """Patients whose `event_time_days` count from the index dates in use.

    Args:
        patients: `index_date`, the one in use, `outcome_date` and perhaps `event_time_days`.
        base: the date from which `event_time_days` count as it stands; None: not known.
        place: of the source, for messages.
        index: what the index is, for messages.
        needed: whether something is learnt of these times.

    Raises:
        ManifestError: (needed) they count from another date, and no outcome date is known.
    """
    if TIME not in patients:
        return patients, []
    days, own = patients["index_date"], patients[TIME].astype("float64")
    moved = pd.Series(True, patients.index) if base is None else days_between(base, days).ne(0)
    if not moved.any():
        return patients, []
    outcome = patients["outcome_date"]
    if needed and outcome[moved].isna().all():
        raise ManifestError(
            f"{TIME} counts from another date than the index (index={index}), and the date of the "
            "outcome is not known, so that it cannot be counted anew.",
            where=place,
            fix="name outcome_date in the mapping, or use data.index=auto.",
        )
    unknown = int((moved & outcome.isna() & own.notna()).sum())
    lines = []
    if unknown:
        lines.append(f"{counted(unknown, 'patient')} without a date of the outcome, hence no "
                     f"{TIME} from the index ({index}).")  # fmt: skip
    return patients.assign(**{TIME: own.mask(moved, time_to(days, outcome))}), lines


def with_time_to_deterioration(
    patients: pd.DataFrame, place: str, *, needed: bool
) -> tuple[pd.DataFrame, list[str]]:
    """Patients whose `event_time_days` run to deterioration, of those who have it.

    Of the others they run to the outcome or the last news as before. Where no date of a
    deterioration is known, a column of days that the source has itself is taken to be of it.

    Args:
        patients: `index_date`, `outcome_date`, `progressed`, and where they are known
            `progressed_date` and `event_time_days`.
        place: of the source, for messages.
        needed: whether something is learnt of these times.

    Raises:
        ManifestError: (needed) the days run to the outcome, and no deterioration has a date.
    """
    if PROGRESSED not in patients:
        return patients, []
    has = patients[PROGRESSED].astype("boolean").fillna(False).astype(bool)
    when = _dates(patients, PROGRESSED_DATE)
    undated = int((has & when.isna()).sum())
    of_outcome = TIME in patients and _runs_to_outcome(patients)
    if undated == has.sum():
        if undated and needed and of_outcome:
            raise ManifestError(
                f"none of the {undated} patients who deteriorated has a date of it, and {TIME} "
                "runs to the outcome (discharge or death).",
                where=place,
                fix="name its date in the mapping (progressed_date), or a column of severity with "
                f"a row for each date; or give the days to it: {TIME}.",
            )
        lines = [] if not undated or (needed and not of_outcome) else [_UNDATED]
        return patients, lines
    own = patients[TIME].astype("float64") if TIME in patients else time_to(
        patients["index_date"], patients["outcome_date"]
    )  # fmt: skip
    dated = time_to(patients["index_date"], when)
    kept = own.where(pd.Series(not of_outcome, patients.index))
    said = f"{counted(undated, 'patient')} deteriorated at a date that is not known."
    lines = [said] if undated else []
    return patients.assign(**{TIME: own.mask(has, dated.fillna(kept))}), lines


_UNDATED = (
    "When patients deteriorated is not known: values of the window may be of later. Name the date "
    "in the mapping (progressed_date)."
)


def ends(patients: pd.DataFrame, label: str) -> pd.Series:
    """The date of what is predicted, from which on no value counts: the outcome's, or earlier that
    of deterioration where this is predicted.
    """  # fmt: skip
    outcome = patients["outcome_date"]
    if label != PROGRESSED:
        return outcome
    when = _dates(patients, PROGRESSED_DATE)
    earlier = when.notna() & (outcome.isna() | (days_between(outcome, when) < 0))
    return outcome.mask(earlier, when)


def _dates(patients: pd.DataFrame, name: str) -> pd.Series:
    none = pd.Series(pd.NaT, index=patients.index)
    return patients.get(name, none).astype("datetime64[ns]")


def _runs_to_outcome(patients: pd.DataFrame) -> bool:
    """Whether the days of patients are those from the index to the outcome."""
    days = time_to(patients["index_date"], patients["outcome_date"])
    apart = (patients[TIME].astype("float64") - days).abs().dropna()
    return bool(len(apart)) and bool((apart < 1).all())
