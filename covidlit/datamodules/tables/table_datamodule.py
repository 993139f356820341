"""The datamodule of a table of numbers joined to a manifest: what its kinds have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd

from covidlit.arguments import require_whole_number
from covidlit.cohort.feature_presets import absent_of_presets
from covidlit.cohort.leakage import check_leakage, in_words
from covidlit.cohort.manifest import read_manifest
from covidlit.cohort.splits import Split, require_two_targets
from covidlit.datamodules.arguments import as_path
from covidlit.datamodules.cohort_data import TO_CHECK, RunSettings, SplitOf
from covidlit.datamodules.split_datamodule import SplitDataModule
from covidlit.datamodules.tables.numbers import (
    Joined,
    Numbers,
    chosen_features,
    join,
    same_numbers,
    undefined_lines,
)
from covidlit.datamodules.tables.separation import tells_alone
from covidlit.datamodules.tables.table_dataset import TableDataset
from covidlit.datamodules.tables.training_values import spread_of
from covidlit.datamodules.volume_table import (
    naming_the_rule,
    rows_of_split,
    with_target,
)
from covidlit.errors import ManifestError, SplitError


class TableDataModule(SplitDataModule):
    """Numbers of scans from a table, with the labels of a manifest, in the parts of a split.

    A kind of table says in `read_numbers` where its numbers come from, and in `from_settings` how a
    configuration names it. What is fitted on numbers (scaling, imputation) belongs to the model.

    A batch is a dict: `numbers` float32 (B, features), NaN where one is undefined; `target` int64
    (B,); the rows' names, `scan_id` or `patient_id`, list of B strings; `counts` bool (B,), False
    for a row that only fills up the batch of one of several devices.

    Args:
        manifest: path of the manifest (contract 2).
        split: a Split, the path of one, or a function of the manifest that makes one.
        batch_size: rows per batch and device.
        balanced: False: every training row once per epoch; "class" or "centre": some more often
            than others, see `covidlit.datamodules.balance`.
        seed: of the order.
        n_classes: targets are 0 .. n_classes - 1.
        strict: stop if a scan of the split has no numbers.
        label_rule: has `apply(manifest)`, which returns the target column; None: the manifest's
            own.
        drop_last: leave out the last training batch if it is not full.

    Raises:
        ConfigError: an argument out of range or of another type.
    """

    unit = "scan"
    kind = "table"
    """Of `input_record`."""
    numbers_name = "numbers"
    """What the numbers are called in sentences."""
    left_out_by = "data.columns"
    """The setting that leaves a number out."""

    def __init__(
        self,
        manifest: str | Path,
        split: Split | str | Path | SplitOf,
        batch_size: int = 32,
        balanced: bool | str = False,
        seed: int = 0,
        n_classes: int = 2,
        strict: bool = False,
        label_rule: Any = None,
        drop_last: bool = False,
    ) -> None:
        super().__init__(
            split,
            batch_size=batch_size,
            balanced=balanced,
            seed=seed,
            drop_last=drop_last,
        )
        require_whole_number(n_classes, "n_classes", at_least=2)
        self.manifest_path = as_path(manifest, "manifest")
        self.n_classes = n_classes
        self._strict = strict
        self._label_rule = label_rule
        self._numbers: Numbers | None = None
        self._joined: Joined | None = None

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any], run: RunSettings) -> Self:
        """The datamodule of its `conf/data/*.yaml`; see `covidlit.datamodules.cohort_data`."""
        raise NotImplementedError

    def read_numbers(self) -> Numbers:
        """Read the table of numbers; called once."""
        raise NotImplementedError

    @property
    def numbers(self) -> Numbers:
        """The table of numbers, of scans of the manifest and perhaps of others."""
        if self._numbers is None:
            self._numbers = self.read_numbers()
        return self._numbers

    @property
    def manifest(self) -> pd.DataFrame:
        """The manifest's rows with `target`, `status`, `reason` and `key`."""
        return self._join().rows

    def prepare_data(self) -> None:
        """Join the tables.

        Raises:
            ManifestError: a table is wrong, or (strict) a scan has no numbers.
        """
        joined = self._join()
        if self._strict and joined.n_without:
            rows = joined.rows
            without = rows[rows["status"].ne("ok") & rows["key"].isna() & rows["target"].notna()]
            raise ManifestError(
                f"{joined.n_without} of {len(rows)} {self.unit}s have no {self.numbers_name}, such "
                f"as {without['scan_id'].iloc[0]}: {without['reason'].iloc[0]}.",
                where=self.numbers.place,
                fix="measure these, or leave strict off.",
            )

    def setup(self, stage: str | None = None) -> None:
        """Split the rows and check them for leakage by patient, study and series.

        Scans of different parts that have the same numbers, and numbers that tell the classes of
        the training part apart by themselves, stand in `suspicions`.

        Raises:
            LeakageError: two parts share a patient, a study or a series.
            SplitError: the split does not fit the manifest.
        """
        if self._table is not None:
            return
        self.prepare_data()
        table = rows_of_split(self.manifest, self.split)
        table = table.assign(
            part=table[f"{self.unit}_id"].astype(str).map(dict(self.split.parts)).astype("string")
        )
        self.suspicions = check_leakage(table, self.split)
        self.suspicions += same_numbers(table, self._join().values, self.unit)
        self._table = table
        used = {part: self.rows_of(part).index for part in ("train", "validation", "test")}
        values = self._join().values
        train = self.rows_of("train")
        self.suspicions += tells_alone(values.loc[train.index], train["target"], self.left_out_by)
        everywhere = [row for rows in used.values() for row in rows]
        undefined = undefined_lines(
            values.loc[everywhere],
            values.loc[used["train"]],
            self.numbers_name,
            self.unit,
            self.left_out_by,
        )
        self._notices.of_join(self, [*self._join().lines, *undefined])

    def dataset_of(self, part: str, *, augment: bool = False) -> TableDataset:
        """The examples of a part, in the table's order; numbers have no augmentation."""
        rows = self.rows_of(part)
        key = f"{self.unit}_id"
        return TableDataset(
            rows[key].astype(str).to_list(),
            self._join().values.loc[rows.index].to_numpy(dtype=float),
            rows["target"].to_numpy(dtype=np.int64),
            key,
        )

    def features_of(self, part: str, groups: Sequence[str] | None = None) -> pd.DataFrame:
        """The numbers of a part's rows by name, NaN where one is undefined.

        Args:
            part: of the split.
            groups: of features, or features by name; None: all.
        """
        names = self.feature_table(groups)["name"].to_list()
        return self._join().values.loc[self.rows_of(part).index, names]

    def feature_table(self, groups: Sequence[str] | None = None) -> pd.DataFrame:
        """One row per feature: name, group, description, unit, source, and how it is read."""
        every = self.numbers.features
        found = chosen_features(every, groups)
        asked = [groups] if isinstance(groups, str) else groups or ()
        self._notices.of_presets(absent_of_presets(asked, [*every["group"], *every["name"]]))
        return found

    def input_record(self) -> dict[str, Any]:
        """The columns; once set up, how their numbers are spread in the training part."""
        record = {"kind": self.kind, "columns": self.numbers.names}
        if self._table is None:
            return record
        train = self._join().values.loc[self.rows_of("train").index, self.numbers.names]
        return {**record, "training": spread_of(train)}

    def facts(self) -> dict[str, str]:
        """Both tables, how many rows found each other, and what to look at once set up."""
        joined, numbers = self._join(), self.numbers
        return {
            **({TO_CHECK: in_words(self.suspicions)} if self.suspicions else {}),
            "source": str(self.manifest_path.resolve()),
            self.numbers_name: Path(numbers.place).name,
            "input": f"{len(numbers.names)} numbers per {self.unit}",
            f"scans without {self.numbers_name}": str(joined.n_without),
            f"{self.numbers_name} of other scans": str(joined.n_left),
        }

    def check_learnable(self) -> None:
        """Make sure that there is something to learn.

        Raises:
            SplitError: no row of the training part can be used, or those of one class only.
        """
        rows = self.rows_of("train")
        if rows.empty:
            raise SplitError(
                f"no {self.unit} of the training part has {self.numbers_name}.",
                where=self.numbers.place,
                fix="see the reasons in the log.",
            )
        require_two_targets(rows, "split", whole=self.table)

    def _while_splitting(self) -> AbstractContextManager[None]:
        return naming_the_rule(self._label_rule, self.manifest)

    def _rows_place(self) -> Path:
        return self.manifest_path

    def _join(self) -> Joined:
        if self._joined is None:
            manifest = with_target(
                read_manifest(self.manifest_path), self._label_rule, self.n_classes
            )
            self._joined = join(manifest, self.numbers, self.numbers_name)
        return self._joined
