"""Boosted hazards with the record of their run: trees as LightGBM's text and numbers in JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from covidlit.baselines.boosted_text import check_model_text
from covidlit.baselines.survival.boosted_hazards import NO_CLASS, BoostedHazards
from covidlit.baselines.survival.kept import risk_table, values_by_name
from covidlit.checkpoints.kept_survival import BOOSTED
from covidlit.checkpoints.record import RunRecord, validated_record
from covidlit.errors import CheckpointError
from covidlit.files import write_json

FORMAT = 1
FILE = f"{BOOSTED}.json"

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class BoostedHazardModel:
    """Scores rows of raw features; see `covidlit.baselines.survival.kept.SurvivalModel`.

    Attributes:
        columns: names of the raw features, in order.
        fit: the fitted trees and their baseline hazard.
        cuts: risk scores that separate the risk groups.
        horizons: days at which risks are given.
        record: of the run.
    """

    columns: tuple[str, ...]
    fit: BoostedHazards
    cuts: tuple[float, ...]
    horizons: tuple[float, ...]
    record: RunRecord = field(repr=False)

    def log_hazard(self, table: pd.DataFrame) -> Floats:
        """(n,) log hazard relative to the mean; raw features by name, NaN where one is missing.

        Raises:
            CheckpointError: the table lacks a feature.
        """
        return self.fit.log_hazard(values_by_name(table, self.columns))

    def scores(self, table: pd.DataFrame) -> pd.DataFrame:
        """`risk_score` (the log hazard), `risk_group` and `risk_<days>_days`, one row each."""
        values = values_by_name(table, self.columns)
        score = self.fit.log_hazard(values)

        def risks(days: float) -> Floats:
            return self.fit.risk(values, days)

        return risk_table(score, self.cuts, risks, self.horizons, table.index)

    def with_record(self, **fields: Any) -> BoostedHazardModel:
        """The same model with other fields of its record."""
        record = RunRecord.model_validate(self.record.model_dump() | fields)
        return replace(self, record=record)

    def save(self, path: str | Path) -> Path:
        """Keep the model at `path`, atomically; what the training rows were given is not kept."""
        fit = {name: value for name, value in vars(self.fit).items() if name != "held_back"}
        for name in ("times", "hazard"):
            fit[name] = fit[name].tolist()
        content = {
            "format": FORMAT,
            "kind": BOOSTED,
            "columns": list(self.columns),
            "fit": fit,
            "cuts": list(self.cuts),
            "horizons": list(self.horizons),
            "record": self.record.model_dump(mode="json"),
        }
        return write_json(path, content)


def load_boosted_hazards(path: str | Path) -> BoostedHazardModel:
    """The model of a `boosted_hazards.json`; nothing in it is executed.

    Raises:
        CheckpointError: missing, damaged, or of another format.
    """
    path = Path(path)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if (content["kind"], content["format"]) != (BOOSTED, FORMAT):
            raise CheckpointError(
                f"it is of kind {content['kind']!r} and format {content['format']!r}.",
                where=path, fix=f"this version reads boosted hazards of format {FORMAT}.",
            )  # fmt: skip
        columns, fit = tuple(map(str, content["columns"])), content["fit"]
        found = BoostedHazards(
            text=fit["text"],
            n_features=int(fit["n_features"]),
            centre=float(fit["centre"]),
            factor=float(fit["factor"]),
            times=np.array(fit["times"], dtype=float),
            hazard=np.array(fit["hazard"], dtype=float),
            n=int(fit["n"]),
            n_events=int(fit["n_events"]),
            problems=tuple(map(str, fit["problems"])),
            n_folds=int(fit["n_folds"]),
        )
        numbers = (found.centre, found.factor, *found.times, *found.hazard)
        if not np.isfinite(numbers).all() or found.factor < 0:
            raise ValueError("some of its numbers are not finite, or the factor is negative")
        if len(columns) != found.n_features or found.times.shape != found.hazard.shape:
            raise ValueError("its parts do not fit together")
        if (np.diff(found.times) <= 0).any() or (np.diff(found.hazard, prepend=0.0) < 0).any():
            raise ValueError("its baseline hazard does not grow with time")
        if found.text != "":
            check_model_text(found.text, found.n_features, NO_CLASS)
        return BoostedHazardModel(
            columns, found, tuple(map(float, content["cuts"])),
            tuple(map(float, content["horizons"])), validated_record(content["record"], path),
        )  # fmt: skip
    except CheckpointError as error:
        raise CheckpointError(error.what, where=path, fix=error.fix) from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(
            f"these are no boosted hazards of covidlit: {error}.",
            where=path,
            fix=f"use a file that a run wrote (checkpoints/{FILE}).",
        ) from error
