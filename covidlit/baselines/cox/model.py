"""A fitted Cox model with its preparation and the record of its run, as plain numbers in JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from covidlit.baselines.cox.fitted import CoxFit
from covidlit.baselines.survival.kept import risk_table, values_by_name
from covidlit.checkpoints.kept_survival import COX
from covidlit.checkpoints.record import RunRecord, validated_record
from covidlit.errors import CheckpointError, ConfigError
from covidlit.files import write_json
from covidlit.models.fusion_ann.preparation import Preparation

FORMAT = 1
FILE = f"{COX}.json"

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class CoxModel:
    """Scores rows of raw features.

    Attributes:
        columns: names of the raw features, in order.
        preparation: settings of `covidlit.models.fusion_ann.Preparation`; None: nothing varied
            among the training patients, and all risks are alike.
        names: of the prepared features, which have the coefficients.
        fit: the fitted model of prepared features.
        cuts: risk scores that separate the risk groups.
        horizons: days at which risks are given.
        record: of the run.
    """

    columns: tuple[str, ...]
    preparation: dict[str, Any] | None
    names: tuple[str, ...]
    fit: CoxFit
    cuts: tuple[float, ...]
    horizons: tuple[float, ...]
    record: RunRecord = field(repr=False)

    def prepared(self, table: pd.DataFrame) -> Floats:
        """(n, len(names)) prepared features of rows of raw ones, found by name.

        Raises:
            CheckpointError: the table lacks a feature.
        """
        values = values_by_name(table, self.columns)
        if self.preparation is None:
            return np.zeros((len(table), 0))
        return Preparation(self.preparation)(values)

    def scores(self, table: pd.DataFrame) -> pd.DataFrame:
        """`risk_score` (log hazard relative to the mean), `risk_group` and `risk_<days>_days`.

        Args:
            table: raw features by name, NaN where one is missing.

        Returns:
            One row each, in the table's order; the lowest risk group is 0.
        """
        x = self.prepared(table)
        score = self.fit.log_hazard(x)

        def risks(days: float) -> Floats:
            return self.fit.risk(x, days)

        return risk_table(score, self.cuts, risks, self.horizons, table.index)

    def log_hazard(self, table: pd.DataFrame) -> Floats:
        """(n,) log hazard relative to the mean; raw features by name, NaN where one is missing."""
        return self.fit.log_hazard(self.prepared(table))

    def with_record(self, **fields: Any) -> CoxModel:
        """The same model with other fields of its record."""
        record = RunRecord.model_validate(self.record.model_dump() | fields)
        return replace(self, record=record)

    def save(self, path: str | Path) -> Path:
        """Keep the model at `path`, atomically."""
        fit = asdict(self.fit)
        for name, value in fit.items():
            fit[name] = value.tolist() if isinstance(value, np.ndarray) else value
        fit["covariance"] = [
            [v if np.isfinite(v) else None for v in row] for row in fit["covariance"]
        ]
        content = {
            "format": FORMAT,
            "kind": COX,
            "columns": list(self.columns),
            "preparation": self.preparation,
            "names": list(self.names),
            "fit": fit,
            "cuts": list(self.cuts),
            "horizons": list(self.horizons),
            "record": self.record.model_dump(mode="json"),
        }
        return write_json(path, content)


def load_cox(path: str | Path) -> CoxModel:
    """The model of a `cox.json`.

    Raises:
        CheckpointError: missing, damaged, or of another format.
    """
    path = Path(path)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if (content["kind"], content["format"]) != (COX, FORMAT):
            raise CheckpointError(
                f"it is of kind {content['kind']!r} and format {content['format']!r}.",
                where=path, fix=f"this version reads Cox models of format {FORMAT}.",
            )  # fmt: skip
        fit, names = content["fit"], tuple(map(str, content["names"]))
        arrays = {
            name: np.array(fit[name], dtype=bool if name == "fitted" else float)
            for name in ("coefficients", "covariance", "times", "hazard", "fitted")
        }
        p = len(names)
        arrays["covariance"] = arrays["covariance"].reshape(p, p)
        if len(arrays["coefficients"]) != p or len(arrays["times"]) != len(arrays["hazard"]):
            raise ValueError("its parts do not fit together")
        if content["preparation"] is not None:
            Preparation(content["preparation"])
        return CoxModel(
            columns=tuple(map(str, content["columns"])),
            preparation=content["preparation"],
            names=names,
            fit=CoxFit(
                **arrays,
                log_likelihood=float(fit["log_likelihood"]),
                n=int(fit["n"]),
                n_events=int(fit["n_events"]),
                problems=tuple(map(str, fit["problems"])),
            ),
            cuts=tuple(map(float, content["cuts"])),
            horizons=tuple(map(float, content["horizons"])),
            record=validated_record(content["record"], path),
        )
    except (OSError, ValueError, KeyError, TypeError, IndexError, ConfigError) as error:
        raise CheckpointError(
            f"this is no Cox model of covidlit: {error}.",
            where=path,
            fix="use a file that a run wrote (checkpoints/cox.json).",
        ) from error
