"""Contract 5, the Outcome: what a run makes of a model's scores, whatever they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from covidlit.evaluation.folds import fold_folder

if TYPE_CHECKING:
    import pandas as pd

    from covidlit.datamodules.cohort_data import CohortData
    from covidlit.runs.runner import Runner

Tables = dict[str, "pd.DataFrame"]
"""The tables of a run by name; each becomes `<name>.parquet` in its folder."""


@dataclass(frozen=True)
class Training:
    """One training of a run, for its report.

    Args:
        data: set up, with the split of the training.
        facts: of `covidlit.runs.steps.facts_of`.
        runner: with its model, where it is in this process.
        fold: of a cross-validation.
        repeat: of a repeated one.
    """

    data: CohortData
    facts: Mapping[str, Any]
    runner: Runner | None = None
    fold: int | None = None
    repeat: int | None = None

    @property
    def folder(self) -> str:
        """The name of the fold's folder; "." of a run that is not one of several folds."""
        return "." if self.fold is None else fold_folder(self.fold, self.repeat)


@runtime_checkable
class Tested(Protocol):
    """An outcome whose value is known of the test part too, to be told, never to choose by."""

    def test_value(self, tables: Tables) -> float | None:
        """The value on the test part; None where it is undefined."""


@runtime_checkable
class Repeatable(Protocol):
    """An outcome whose tables hold the repeats of a cross-validation apart, and count no row twice.

    Attributes:
        repeatable: true.
    """

    repeatable: bool


@runtime_checkable
class Outcome(Protocol):
    """Tables of a run's scores, a value to choose settings by, and the report.

    Attributes:
        metric: what `value` is, in words.
        mode: "max" where a larger value is better, else "min".
    """

    metric: str
    mode: str

    def check_settings(self, config: Mapping[str, Any]) -> None:
        """Refuse settings of the evaluation that are wrong by themselves."""

    def check(self, config: Mapping[str, Any], data: CohortData) -> None:
        """Refuse what would stop the report, before a training that may take days."""

    def check_selection(self, data: CohortData, metric: str, where: str, instead: str) -> None:
        """Refuse to follow a metric that is undefined on the validation part.

        Args:
            data: set up.
            metric: its name.
            where: the setting that follows it.
            instead: a setting that does not.
        """

    def tables(self, runner: Runner, data: CohortData, parts: Sequence[str], **run: Any) -> Tables:
        """Score parts of the split.

        Args:
            runner: trained.
            data: set up.
            parts: of the split.
            run: `run_id`, `seed` and `fold`; `repeat` of an outcome that is `Repeatable`.
        """

    def write(self, tables: Tables, run_dir: Path) -> None:
        """Write the tables into the run's folder, each held against its schema."""

    def read(self, run_dir: Path) -> Tables:
        """The tables that `write` has left."""

    def keep(self, tables: Tables, runner: Runner, config: Mapping[str, Any]) -> None:
        """Write what the scores say of the model into it, such as its operating point."""

    def value(self, tables: Tables) -> float:
        """The value on the validation part.

        Raises:
            TrainingError: it is undefined, with the reason.
        """

    def report(
        self,
        tables: Tables,
        run_dir: Path,
        *,
        config: dict[str, Any],
        trainings: Sequence[Training],
    ) -> None:
        """Write numbers, then pages; several trainings are the folds of a cross-validation."""
