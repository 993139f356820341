"""Contract 5, the data of a run: what every `conf/data/*.yaml` yields, whatever a row of it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, Self, runtime_checkable

from covidlit.files import fingerprint

if TYPE_CHECKING:
    import pandas as pd

    from covidlit.cohort.split import Split

TO_CHECK = "to check"

SplitOf = Callable[["pd.DataFrame"], "Split"]
"""Makes the split of a table of rows with `target`."""


@dataclass(frozen=True)
class RunSettings:
    """What a run settles for its data beside the data's own settings.

    Args:
        label_rule: has `apply(table)`, the targets, and `n_classes`; None where there is none.
        split: makes the split.
        inclusion: node of the inclusion criteria, or None.
        augmentation: arguments of the augmentation of the training part, or None.
        seed: of the run.
        strict: stop at the first row that cannot be used.
        build: makes the object that a node with `_target_` describes; takes the node, its kind (of
            `covidlit.settings.targets.ALLOWED_TARGETS`) and further arguments.
    """

    label_rule: Any
    split: SplitOf
    inclusion: Mapping[str, Any] | None
    augmentation: Mapping[str, Any] | None
    seed: int
    strict: bool
    build: Callable[..., Any]


@runtime_checkable
class CohortData(Protocol):
    """Rows of one kind with their targets and parts, as batches or as features.

    Attributes:
        unit: what a row is: "scan", "slice", "patient", ...; `<unit>_id` names it.
        manifest: every row with its `target`, before any is prepared; what the split is made of.
        table: one row per unit: `<unit>_id`, `patient_id`, `target`, `part`, `status` ("ok" or
            another word for a row that cannot be used, with its `reason`), and whatever describes
            it; complete after `setup`.
        split: in use; its keys are the values of `<unit>_id`.
    """

    unit: str

    @property
    def manifest(self) -> pd.DataFrame: ...

    @property
    def table(self) -> pd.DataFrame: ...

    @property
    def split(self) -> Split: ...

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any], run: RunSettings) -> Self:
        """Make it from its node of a configuration, without `_target_`.

        Raises:
            ConfigError: a setting that does not exist or does not fit.
        """

    def with_split(self, split: Split | SplitOf) -> Self:
        """The same rows in other parts; what is read and prepared already is kept."""

    def prepare_data(self) -> None:
        """Read and prepare what takes long, once for all processes."""

    def setup(self, stage: str | None = None) -> None:
        """Make the table, and check that the parts share nothing."""

    def check_columns(self) -> None:
        """Refuse columns that cannot stand beside a run's results; quick, before `prepare_data`."""

    def check_learnable(self) -> None:
        """Refuse a training part that teaches nothing."""

    def rows_of(self, part: str) -> pd.DataFrame:
        """The rows of a part that can be used, in the table's order."""

    def dataloader_of(self, part: str) -> Any:
        """Batches of `rows_of(part)`, each row once, in order, without augmentation."""

    def features_of(self, part: str, groups: Sequence[str] | None = None) -> pd.DataFrame:
        """One row of numbers for each of `rows_of(part)`, by name; NaN where one is undefined.

        Args:
            part: of the split.
            groups: of features; None: all.
        """

    def feature_table(self, groups: Sequence[str] | None = None) -> pd.DataFrame:
        """What each feature is: `name`, `group`, `description`, `unit`, `source`."""

    def input_record(self) -> dict[str, Any]:
        """What a checkpoint keeps to prepare new input alike: `kind` and plain values."""

    def facts(self) -> dict[str, str]:
        """Where the rows come from and what the input is, for people: log and report.

        Under `TO_CHECK` what may be a leak between the parts, once set up, if anything is.
        """


class Planned:
    """Data of which nothing is prepared yet, for what can be said before that long part.

    Args:
        data: whose `rows_of` becomes that of the manifest: preparing them may refuse some of these
            rows, and adds none.
    """

    def __init__(self, data: CohortData) -> None:
        self._data = data

    def __getattr__(self, name: str) -> Any:
        return getattr(self._data, name)

    def rows_of(self, part: str) -> pd.DataFrame:
        """The rows of a part that have a target and were not refused before."""
        table = self._data.manifest
        part_of = table[f"{self._data.unit}_id"].astype(str).map(dict(self._data.split.parts))
        rows = table[part_of.eq(part) & table["target"].notna()]
        return rows[rows["status"] == "ok"] if "status" in rows else rows


def rows_hash(data: CohortData) -> str:
    """Hash of the split and of what each row was prepared from; the data set up.

    Paths are no settings, and files change: this tells other rows under the same names.
    """
    columns = [name for name in (f"{data.unit}_id", "status", "key") if name in data.table]
    rows = sorted(map(str, data.table[columns].astype("string").to_numpy().tolist()))
    return fingerprint([data.split.hash, rows])
