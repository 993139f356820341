"""The severity of patients at their scans: what `covidlit predict --explain` says, scan by scan."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from covidlit.cohort.clinical.mapping_file import load_mapping
from covidlit.cohort.factor_limits import FACTORS
from covidlit.deploy.exported import network_hash
from covidlit.deploy.file_hash import file_hash
from covidlit.deploy.tables.at_scan import ClinicalAtScan, rows_of_scan
from covidlit.deploy.tables.limits import range_of
from covidlit.deploy.tables.model import load_table_model
from covidlit.deploy.tables.predict_rows import COLUMNS, score_rows, seen_by
from covidlit.deploy.tables.read_rows import Rows
from covidlit.errors import ConfigError, CovidlitError
from covidlit.explain.tables.contributions import contributions_of, reference_of
from covidlit.files import fingerprint
from covidlit.lesions.report.severity import ScoredValue, Severity

KEYS = ("patient_id", "scan_id", "acquisition_date")
_NO_UNIT = "("
"""A unit in brackets is an explanation."""


class SeverityOfScans:
    """Scores scans by a model of data=factors, or of data=clinical beside a clinical table.

    Args:
        checkpoint: of the model, or the folder of its run.
        clinical: table of laboratory values, for a model of data=clinical.
        mapping: of a hospital's own table.

    Raises:
        CheckpointError: see `load_table_model`; or the model does not know its training values.
        ConfigError: a clinical table for a model that takes none, or none for one that does.
        ManifestError: see `ClinicalAtScan`.
    """

    def __init__(
        self,
        checkpoint: str | Path,
        clinical: str | Path | None = None,
        mapping: str | None = None,
    ) -> None:
        self._model = load_table_model(checkpoint)
        reference_of(self._model)
        kind = self._model.record.preprocess.kind
        if kind == "clinical" and clinical is None:
            raise ConfigError(
                "the model takes laboratory values.",
                where="--severity",
                fix="give them too: --clinical TABLE, with --mapping where it is a hospital's own.",
            )
        if kind != "clinical" and (clinical is not None or mapping is not None):
            raise ConfigError(
                "the severity model takes factors of scans alone.",
                where="--clinical" if clinical is not None else "--mapping",
                fix="leave it out, or give a model of data=clinical.",
            )
        self._clinical = (
            None if clinical is None else ClinicalAtScan(clinical, mapping, self._model.record)
        )
        self._seen = seen_by(self._model, checkpoint)
        self._settings = {
            "model": network_hash(checkpoint),
            "seen": fingerprint(self._seen),
            "clinical": None if clinical is None else file_hash(clinical),
            "mapping": _content_of(mapping),
        }

    @property
    def name(self) -> str:
        """What computes the scores, for people."""
        return self._model.name

    def settings(self) -> Mapping[str, Any]:
        """What scores depend on beside the factors, as plain values."""
        return self._settings

    def of(self, factors: Mapping[str, Any]) -> Severity:
        """The severity at a scan; without a score, and with the reason, where it has none.

        Args:
            factors: of the scan, contract 8.
        """
        try:
            rows = self._rows(factors)
        except CovidlitError as error:
            empty = dict.fromkeys(COLUMNS)
            reason = f"{error.what} Fix: {error.fix}" if error.fix else error.what
            row = {
                **empty, "status": "refused", "reason": reason,
                "trained_on_synthetic": self._model.record.synthetic,
            }  # fmt: skip
            return Severity(
                {**_keys(factors), **row}, positive=self._positive, model=self._model.name
            )
        scored = score_rows(self._model, rows, self._seen).table
        usable = scored["status"].eq("ok")
        found = contributions_of(self._model, rows, usable)
        row = {name: _plain(value) for name, value in scored[list(COLUMNS)].iloc[0].items()}
        values = tuple(
            ScoredValue(
                feature=(name := str(line["feature"])),
                label=self._label(name),
                unit=self._unit(name),
                value=_plain(line["value"]),
                place=_plain(line["place"]),
                outside=_plain(line["outside"]) or "",
                contribution=float(line["contribution"]),
                attention=_plain(line["attention"]),
            )
            for line in found.to_dict("records")
        )
        return Severity(
            {**_keys(factors), **row},
            values,
            float(found["reference_score"].iloc[0]) if len(found) else None,
            self._positive,
            self._model.name,
            rows.lines,
        )

    def _rows(self, factors: Mapping[str, Any]) -> Rows:
        features = list(self._model.features)
        if self._clinical is None:
            return rows_of_scan(factors, self._model.record, features)
        return self._clinical.rows(factors, features)

    @property
    def _positive(self) -> str:
        """What the score is the probability of."""
        record = self._model.record
        if record.classes:
            return record.classes[-1]
        rule = record.config.get("label_rule") or {}
        positive = rule.get("positive")
        if isinstance(positive, list):
            return " or ".join(map(str, positive))
        return str(positive or rule.get("name") or "the positive class")

    def _label(self, name: str) -> str:
        told = {} if self._clinical is None else self._clinical.descriptions
        text = FACTORS.get(name) or told.get(name) or name.replace("_", " ")
        if self._unit(name).startswith("%"):
            text = text.removesuffix(" percent")
        return text[:1].upper() + text[1:]

    def _unit(self, name: str) -> str:
        units = self._model.record.preprocess.model_dump().get("units") or {}
        unit = range_of(name).unit or str(units.get(name) or "")
        if unit.startswith("percent"):
            return f"%{unit.removeprefix('percent')}"
        return "" if unit.startswith(_NO_UNIT) or unit == "lesions" else unit


def _keys(factors: Mapping[str, Any]) -> dict[str, str | None]:
    day = pd.to_datetime(factors.get("acquisition_date"), errors="coerce")
    names = {name: str(factors[name]) for name in KEYS[:2]}
    return {**names, KEYS[2]: None if pd.isna(day) else f"{day:%Y-%m-%d}"}


def _plain(value: Any) -> Any:
    """A cell as JSON holds it; None where it is missing."""
    if value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value)):
        return None
    return value.item() if hasattr(value, "item") else value


def _content_of(mapping: str | None) -> str | None:
    """Hash of a mapping by its content, which may change under its name."""
    if mapping is None:
        return None
    return fingerprint(load_mapping(mapping).model_dump(mode="json"))
