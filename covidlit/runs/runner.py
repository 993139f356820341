"""Contract 5, the Runner: what every `conf/model/*.yaml` yields, deep or classical."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from covidlit.settings.words import Node

if TYPE_CHECKING:
    import pandas as pd

    from covidlit.datamodules.cohort_data import CohortData


@runtime_checkable
class Runner(Protocol):
    """Anything that can be trained on a cohort's data and then score its rows.

    Whatever it fits on data (scaling, imputation, selection) is its own, never the data's.

    Attributes:
        name: of the model, as it stands in the tables.
        record: what the kept model says about the run; `covidlit.checkpoints.record.RunRecord`.
    """

    name: str
    record: Node

    @property
    def outcome(self) -> str:
        """What the run is after: a name of `covidlit.runs.outcomes.OUTCOMES`, or a dotted path."""

    @property
    def selected_on(self) -> str | None:
        """What chose the weights or the parameters, in words; None where nothing did."""

    @property
    def cut_short(self) -> str:
        """What a debugging setting left of the training, as a sentence; empty: all of it."""

    def check(self, data: CohortData) -> None:
        """Refuse what the data cannot give, before anything is prepared."""

    def settle(self, config: dict[str, Any], data: CohortData) -> dict[str, Any]:
        """The configuration with what depends on the machine settled; the data set up.

        Raises:
            ConfigError: the machine cannot do what is asked for.
        """

    def fit(self, data: CohortData, run_dir: Path) -> None:
        """Train on the part `train`, select on `validation`, and leave the model in `run_dir`."""

    def predict(self, data: CohortData, part: str) -> pd.DataFrame:
        """Score one part: `<unit>_id` and the columns that the outcome needs, such as `score`."""

    def describe(self) -> dict[str, Any]:
        """Facts about the model for the report, such as its number of parameters."""

    def training_facts(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """How it was trained, for the report, from itself and the resolved configuration."""

    def keep(self, **fields: Any) -> None:
        """Write fields of the record, such as `operating_point`, into the model that it kept."""
