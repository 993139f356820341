"""How ill a scan's patient is, by a trained model: asked scan by scan, kept beside the factors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Protocol

import pandas as pd

from covidlit.files import fingerprint
from covidlit.lesions.report.severity import Severity
from covidlit.quantify.scan import Quantified

SEVERITY_TABLE, VALUES_TABLE = "severity.csv", "severity.contributions.csv"
SEVERITY_COLUMNS = (
    "patient_id", "scan_id", "acquisition_date", "score", "score_low", "score_high",
    "predicted_class", "operating_point", "n_missing", "missing", "n_outside", "outside", "status",
    "reason", "notes", "trained_on_synthetic",
)  # fmt: skip
VALUE_COLUMNS = (
    "patient_id", "scan_id", "feature", "value", "unit", "place", "outside", "contribution",
    "attention",
)  # fmt: skip


class SeverityModel(Protocol):
    """Scores the severity of scans from their factors.

    Attributes:
        name: what computes the scores, for people.
    """

    @property
    def name(self) -> str: ...

    def settings(self) -> Mapping[str, Any]:
        """What scores depend on beside the factors, as plain values."""

    def of(self, factors: Mapping[str, Any]) -> Severity:
        """The severity at a scan; where it has none, the row says why.

        Args:
            factors: its row of contract 8.
        """


def key_of(model: SeverityModel | None) -> str:
    """Hash of what scores depend on; empty without a model."""
    return "" if model is None else fingerprint(dict(model.settings()))


def with_severity(found: Quantified, model: SeverityModel | None) -> Quantified:
    """A scan with its severity by a model; without one, with none."""
    severity = None if model is None else model.of(found.factors)
    return replace(found, severity=severity, severity_key=key_of(model))


def severity_table(done: Iterable[Quantified]) -> pd.DataFrame:
    """A row of `SEVERITY_COLUMNS` for each scan whose severity was asked for."""
    rows = [dict(one.severity.row) for one in done if one.severity is not None]
    return pd.DataFrame(rows, columns=list(SEVERITY_COLUMNS))


def values_table(done: Iterable[Quantified]) -> pd.DataFrame:
    """A row of `VALUE_COLUMNS` for each value that a score was made from."""
    rows = [
        (
            one.severity.row["patient_id"], one.severity.row["scan_id"], each.feature, each.value,
            each.unit, each.place, each.outside or None, each.contribution, each.attention,
        )
        for one in done
        if one.severity is not None
        for each in one.severity.values
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=list(VALUE_COLUMNS))
