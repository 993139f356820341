"""The datamodule of a table of numbers joined to a manifest: what its kinds have in common."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
import pytorch_lightning as pl

from covidlit.arguments import require_whole_number
from covidlit.cohort.leakage import Suspicion, check_leakage, in_words
from covidlit.cohort.manifest import read_manifest
from covidlit.cohort.split import PARTS
from covidlit.cohort.splits import Split, require_two_targets
from covidlit.datamodules.arguments import as_path, config_errors
from covidlit.datamodules.balance import draw_weights
from covidlit.datamodules.cohort_data import TO_CHECK, RunSettings, SplitOf
from covidlit.datamodules.loading import epoch_loader
from covidlit.datamodules.notices import Notices
from covidlit.datamodules.sampling import EpochLoader, EpochSampler
from covidlit.datamodules.tables.numbers import (
    Joined,
    Numbers,
    chosen_features,
    join,
    same_numbers,
)
from covidlit.datamodules.tables.table_dataset import TableDataset
from covidlit.datamodules.volume_table import (
    check_manifest_columns,
    naming_the_rule,
    rows_of_split,
    with_target,
)
from covidlit.errors import ManifestError, SplitError


class TableDataModule(pl.LightningDataModule):
    """Numbers of scans from a table, with the labels of a manifest, in the parts of a split.

    A kind of table says in `read_numbers` where its numbers come from, and in `from_settings` how a
    configuration names it. What is fitted on numbers (scaling, imputation) belongs to the model.

    A batch is a dict: `numbers` float32 (B, features), NaN where one is undefined; `target` int64
    (B,); `scan_id` list of B strings; `counts` bool (B,), False for a row that only fills up the
    batch of one of several devices.

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
        super().__init__()
        require_whole_number(batch_size, "batch_size", at_least=1)
        require_whole_number(n_classes, "n_classes", at_least=2)
        require_whole_number(seed, "seed", at_least=0)
        self.manifest_path = as_path(manifest, "manifest")
        self.batch_size = batch_size
        self.balanced = balanced
        self.seed = seed
        self.n_classes = n_classes
        self.drop_last = drop_last
        self._strict = strict
        self._split_source = split
        self._label_rule = label_rule
        self._numbers: Numbers | None = None
        self._joined: Joined | None = None
        self._table: pd.DataFrame | None = None
        self._split: Split | None = None
        self.suspicions: list[Suspicion] = []
        self._notices = Notices()  # shared by copies with another split

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any], run: RunSettings) -> Self:
        """The datamodule of its `conf/data/*.yaml`; see `covidlit.datamodules.cohort_data`."""
        raise NotImplementedError

    def read_numbers(self) -> Numbers:
        """Read the table of numbers; called once."""
        raise NotImplementedError

    def with_split(self, split: Split | SplitOf) -> Self:
        """The same rows in other parts; what is read already is kept."""
        other = copy.copy(self)
        other._split_source, other._split, other._table = split, None, None
        other.suspicions = []
        other.trainer = None
        return other

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

    @property
    def table(self) -> pd.DataFrame:
        """The manifest's rows with `part`; a scan without numbers is refused and keeps its row."""
        self.setup()
        assert self._table is not None
        return self._table

    @property
    def split(self) -> Split:
        """The split in use: of every scan with a target, as of other data of the same manifest."""
        if self._split is None:
            manifest, source = self.manifest, self._split_source
            if isinstance(source, str | Path):
                source = Split.load(source)
            if isinstance(source, Split):
                source.check_fits(manifest)
                self._split = source
            else:
                with config_errors("split"), naming_the_rule(self._label_rule, manifest):
                    self._split = source(manifest)
                self._split_source = self._split  # a function need not go to another process
        return self._split

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
                f"{joined.n_without} of {len(rows)} scans have no {self.numbers_name}, such as "
                f"{without['scan_id'].iloc[0]}: {without['reason'].iloc[0]}.",
                where=self.numbers.place,
                fix="measure these, or leave strict off.",
            )

    def check_columns(self) -> None:
        """Refuse columns of the manifest that a predictions table has for itself.

        Raises:
            ManifestError: names them.
        """
        check_manifest_columns(self.manifest, self.manifest_path)

    def setup(self, stage: str | None = None) -> None:
        """Split the rows and check them for leakage by patient, study and series.

        Scans of different parts that have the same numbers stand in `suspicions`.

        Raises:
            LeakageError: two parts share a patient, a study or a series.
            SplitError: the split does not fit the manifest.
        """
        if self._table is not None:
            return
        self.prepare_data()
        table = rows_of_split(self.manifest, self.split)
        table = table.assign(
            part=table["scan_id"].astype(str).map(dict(self.split.parts)).astype("string")
        )
        self.suspicions = check_leakage(table, self.split)
        self.suspicions += same_numbers(table, self._join().values)
        self._table = table
        self._notices.of_join(self, self._join().lines)

    def rows_of(self, part: str) -> pd.DataFrame:
        """The rows of a part that can be used, in the table's order."""
        if part not in PARTS:
            raise SplitError(
                f"there is no part {part!r}.", where="part", fix=f"use one of {', '.join(PARTS)}."
            )
        table = self.table
        return table[(table["part"] == part) & (table["status"] == "ok")]

    def dataset_of(self, part: str) -> TableDataset:
        """The examples of a part, in the table's order."""
        rows = self.rows_of(part)
        key = f"{self.unit}_id"
        return TableDataset(
            rows[key].astype(str).to_list(),
            self._join().values.loc[rows.index].to_numpy(dtype=float),
            rows["target"].to_numpy(dtype=np.int64),
            key,
        )

    def dataloader_of(self, part: str) -> EpochLoader:
        """Batches of a part for one device: every row once, in order."""
        return self._loader(part, ranked=False)

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
        return chosen_features(self.numbers.features, groups)

    def input_record(self) -> dict[str, Any]:
        """The columns: what a new table must have."""
        return {"kind": self.kind, "columns": self.numbers.names}

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
                f"no scan of the training part has {self.numbers_name}.",
                where=self.numbers.place,
                fix="see the reasons in the log.",
            )
        require_two_targets(rows, "split", whole=self.table)

    def train_dataloader(self) -> EpochLoader:
        """Batches of the training part: shuffled or balanced.

        Raises:
            SplitError: there is nothing to learn.
        """
        self.check_learnable()
        return self._loader("train", shuffle=True, balanced=self.balanced, drop_last=self.drop_last)

    def val_dataloader(self) -> EpochLoader | list[EpochLoader]:
        """Batches of the validation part in order; an empty list if there is none."""
        return self._ordered("validation")

    def test_dataloader(self) -> EpochLoader | list[EpochLoader]:
        """Batches of the test part in order; an empty list if there is none."""
        return self._ordered("test")

    predict_dataloader = test_dataloader

    def _ordered(self, part: str) -> EpochLoader | list[EpochLoader]:
        return self._loader(part) if len(self.rows_of(part)) else []

    def _loader(
        self,
        part: str,
        *,
        ranked: bool = True,
        shuffle: bool = False,
        balanced: bool | str = False,
        drop_last: bool = False,
    ) -> EpochLoader:
        dataset, trainer = self.dataset_of(part), self.trainer if ranked else None
        sampler = EpochSampler(
            dataset,
            seed=self.seed,
            shuffle=shuffle,
            weights=draw_weights(
                balanced, dataset.targets, self.rows_of(part)["centre"].to_numpy(dtype=object)
            ),
            classes=dataset.targets,
            drop_last=drop_last,
            rank=trainer.global_rank if trainer else 0,
            world_size=trainer.world_size if trainer else 1,
        )
        return epoch_loader(dataset, sampler, batch_size=self.batch_size)

    def _join(self) -> Joined:
        if self._joined is None:
            manifest = with_target(
                read_manifest(self.manifest_path), self._label_rule, self.n_classes
            )
            self._joined = join(manifest, self.numbers, self.numbers_name)
        return self._joined
