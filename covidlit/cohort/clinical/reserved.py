"""Names that columns of runs and their tables have, which no feature and no group can have."""

from __future__ import annotations

LABELS = ("target", "class_name", "split")
"""Columns that say what is predicted, or which part a patient is in, where a table has them."""

_MARK = "synthetic"

_OF_TABLES = (
    "patient_id", "date", "moment", "index_date", "outcome_date", "progressed_date", "scan_id",
    "scan_days", "study_uid", "series_uid", "path", "acquisition_date",
)  # fmt: skip
_OF_PATIENTS = (
    "centre", "age", "sex", "male", "smoker", "epidemiology", "severity", "severity_at_admission",
    "progressed", "outcome", "event_time_days", "comorbidity_count", _MARK,
)  # fmt: skip
_OF_RUNS = (
    "part", "status", "reason", "key", "notes", "run_id", "model", "seed", "fold", "repeat",
    "score", "time_days", "competing_event", "event", "risk_score", "risk_group",
)  # fmt: skip

RESERVED = frozenset((*LABELS, *_OF_TABLES, *_OF_PATIENTS, *_OF_RUNS))
_PREFIXES = ("symptom_", "comorbidity_")


def taken(name: str, *, group: bool = False) -> str:
    """Why a name cannot be that of a feature or group; empty where it can.

    Args:
        name: that a mapping gives.
        group: it is of a group: labels and the mark of synthetic rows may be groups, scores of
            classes may not.
    """
    if group and name in (*LABELS, _MARK):
        return ""
    prefixes = (*_PREFIXES, "score_") if group else _PREFIXES
    if name in RESERVED or name.startswith(prefixes):
        return "covidlit's own tables have a column of that name; use another"
    return ""
