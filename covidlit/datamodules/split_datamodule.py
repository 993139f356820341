"""What the datamodules of all kinds of rows have in common: rows in the parts of a split."""

from __future__ import annotations

import copy
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
import pytorch_lightning as pl
from numpy.typing import NDArray

from covidlit.arguments import require_whole_number
from covidlit.cohort.leakage import Suspicion
from covidlit.cohort.split import PARTS
from covidlit.cohort.splits import Split
from covidlit.datamodules.arguments import config_errors
from covidlit.datamodules.balance import draw_weights
from covidlit.datamodules.cohort_data import SplitOf
from covidlit.datamodules.loading import epoch_loader
from covidlit.datamodules.notices import Notices
from covidlit.datamodules.sampling import EpochLoader, EpochSampler
from covidlit.datamodules.volume_table import check_manifest_columns
from covidlit.errors import SplitError


class SplitDataModule(pl.LightningDataModule):
    """Rows in the parts of a split, as far as it does not matter what a row is.

    A kind of row gives `manifest`, a `setup` that makes `_table`, `check_learnable`, and
    `dataset_of`; see `covidlit.datamodules.cohort_data.CohortData` for what each is.

    Args:
        split: a Split, the path of one, or a function of the manifest that makes one.
        batch_size: rows per batch and device.
        num_workers: loader processes; 0: in this process.
        balanced: False: every training row once per epoch; "class" or "centre": some more often
            than others, see `covidlit.datamodules.balance`.
        seed: of the order and the augmentation.
        drop_last: leave out the last training batch if it is not full.

    Raises:
        ConfigError: an argument out of range.

    Attributes:
        suspicions: after `setup`, what may be a leak between the parts, but need not be one.
    """

    def __init__(
        self,
        split: Split | str | Path | SplitOf,
        *,
        batch_size: int,
        num_workers: int = 0,
        balanced: bool | str = False,
        seed: int = 0,
        drop_last: bool = False,
    ) -> None:
        super().__init__()
        require_whole_number(batch_size, "batch_size", at_least=1)
        require_whole_number(num_workers, "num_workers", at_least=0)
        require_whole_number(seed, "seed", at_least=0)
        self.batch_size, self.num_workers = batch_size, num_workers
        self.balanced, self.seed, self.drop_last = balanced, seed, drop_last
        self._split_source = split
        self._split: Split | None = None
        self._table: pd.DataFrame | None = None
        self.suspicions: list[Suspicion] = []
        self._notices = Notices()  # shared by copies with another split

    @property
    def manifest(self) -> pd.DataFrame:
        """Every row with its `target`, before any is prepared."""
        raise NotImplementedError

    def with_split(self, split: Split | SplitOf) -> Self:
        """The same rows in other parts; what is read and prepared already is kept."""
        other = copy.copy(self)
        other._split_source, other._split, other._table = split, None, None
        other.suspicions = []
        other.trainer = None
        return other

    @property
    def table(self) -> pd.DataFrame:
        """The manifest's rows with `part`, `status` ("ok" or "refused") and `reason`.

        Refused rows keep their place; the loaders leave them out. Rows with a target that the split
        does not name (the test part, in a sweep) are not here.
        """
        self.setup("fit")
        assert self._table is not None
        return self._table

    @property
    def split(self) -> Split:
        """The split in use, by the names of the rows."""
        if self._split is None:
            rows, source = self._rows_to_split(), self._split_source
            if isinstance(source, str | Path):
                source = Split.load(source)
            if isinstance(source, Split):
                source.check_fits(rows)
                self._split = source
            else:
                with config_errors("split"), self._while_splitting():
                    self._split = source(rows)
                self._split_source = self._split  # a function need not go to another process
        return self._split

    def check_columns(self) -> None:
        """Refuse columns that a table of results has for itself.

        Raises:
            ManifestError: names them.
        """
        check_manifest_columns(self.manifest, self._rows_place())

    def check_learnable(self) -> None:
        """Make sure that there is something to learn.

        Raises:
            SplitError: there is not.
        """
        raise NotImplementedError

    def rows_of(self, part: str) -> pd.DataFrame:
        """The rows of a part that can be used, in the table's order.

        Raises:
            SplitError: there is no such part.
        """
        if part not in PARTS:
            raise SplitError(
                f"there is no part {part!r}.", where="part", fix=f"use one of {', '.join(PARTS)}."
            )
        table = self.table
        return table[(table["part"] == part) & (table["status"] == "ok")]

    def dataloader_of(self, part: str) -> EpochLoader:
        """Batches of a part for one device: every row once, in order, without augmentation."""
        return self._loader(part, ranked=False)

    def train_dataloader(self) -> EpochLoader:
        """Batches of the training part: shuffled or balanced, augmented.

        Raises:
            SplitError: see `check_learnable`.
        """
        self.check_learnable()
        return self._loader("train", training=True)

    def val_dataloader(self) -> EpochLoader | list[EpochLoader]:
        """Batches of the validation part in order; an empty list if there is none."""
        return self._ordered("validation")

    def test_dataloader(self) -> EpochLoader | list[EpochLoader]:
        """Batches of the test part in order; an empty list if there is none."""
        return self._ordered("test")

    def predict_dataloader(self) -> EpochLoader | list[EpochLoader]:
        """Batches of the test part in order; an empty list if there is none."""
        return self._ordered("test")

    def _ordered(self, part: str) -> EpochLoader | list[EpochLoader]:
        return self._loader(part) if len(self.rows_of(part)) else []

    def dataset_of(self, part: str, *, augment: bool = False) -> Any:
        """The examples of a part, in the table's order, with their `targets`."""
        raise NotImplementedError

    def _loader(self, part: str, *, training: bool = False, ranked: bool = True) -> EpochLoader:
        """Batches of a part.

        Args:
            part: of the split.
            training: shuffled or balanced, augmented; else in order and as they are.
            ranked: this process's share of them, where there are several; else all.
        """
        dataset, rows = self.dataset_of(part, augment=training), self.rows_of(part)
        trainer = self.trainer if ranked else None
        groups, balanced = self._to_balance(dataset, rows)
        centres = rows["centre"].to_numpy(dtype=object)
        sampler = EpochSampler(
            dataset,
            seed=self.seed,
            shuffle=training,
            weights=draw_weights(balanced if training else False, groups, centres),
            classes=groups,
            drop_last=training and self.drop_last,
            rank=trainer.global_rank if trainer else 0,
            world_size=trainer.world_size if trainer else 1,
        )
        return epoch_loader(
            dataset,
            sampler,
            batch_size=self.batch_size,
            num_workers=self.num_workers,
            processes=trainer.num_devices if trainer else 1,
            **self._loading(dataset, rows),
        )

    def _to_balance(
        self, dataset: Any, rows: pd.DataFrame
    ) -> tuple[NDArray[np.integer], bool | str]:
        """The group of each row of a part, and how groups are drawn; see `draw_weights`."""
        return dataset.targets, self.balanced

    def _loading(self, dataset: Any, rows: pd.DataFrame) -> dict[str, Any]:
        """Arguments of `epoch_loader` that depend on what a row is, such as `row_bytes`."""
        return {}

    def _rows_to_split(self) -> pd.DataFrame:
        """What the split is made of."""
        return self.manifest

    def _while_splitting(self) -> AbstractContextManager[None]:
        """Around the making of a split, to say more of an error."""
        return nullcontext()

    def _rows_place(self) -> Any:
        """Where the rows come from, for messages."""
        raise NotImplementedError
