"""The datamodule of labelled slices: contract 11 + split + cache in, detection batches out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from inspect import signature
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from covidlit.arguments import require_n_jobs
from covidlit.cohort.flow import Flow
from covidlit.cohort.leakage import check_leakage, in_words
from covidlit.cohort.slice_criteria import SliceChoice, SliceCriteria
from covidlit.cohort.splits import Split
from covidlit.datamodules.arguments import as_path
from covidlit.datamodules.cohort_data import TO_CHECK, RunSettings, SplitOf
from covidlit.datamodules.slices.labelled import LabelledSlices, labelled_slices
from covidlit.datamodules.slices.objects import rarest_lesion
from covidlit.datamodules.slices.scan_copies import near_copies
from covidlit.datamodules.slices.slice_cache import SliceCache, prepare_slices
from covidlit.datamodules.slices.slice_dataset import SliceDataset, collate_slices, largest_slice
from covidlit.datamodules.slices.slice_features import slice_feature_table, slice_features
from covidlit.datamodules.slices.slice_settings import as_size, as_windows, slice_arguments
from covidlit.datamodules.split_datamodule import SplitDataModule
from covidlit.dicom import Checks
from covidlit.errors import CacheError, ConfigError, SplitError


class SliceDataModule(SplitDataModule):
    """Axial CT slices with the masks of their objects, in the parts of a split by patient.

    A batch is a dict of lists, one element per slice, since slices differ in size:
    `image` float32 (3, rows, columns) in [0, 1]; `target`, see
    `covidlit.datamodules.slices.targets.detection_target`, a label k being `classes[k - 1]`;
    `slice_id`; and as tensors `affine` float64 (B, 4, 4), the index (z, y, x, 1) of each image, as
    augmented, with z = 0, to LPS mm of its source (pixels of 1 mm where that is not known);
    `spacing` float64 (B, 2) in mm (row, column), NaN where unknown; `voxel_ml` float64 (B,), NaN of
    pictures, whose thickness nobody knows; `counts` bool (B,), False for a
    slice that only fills up the batch of one of several devices.

    What is drawn in an epoch and how it is augmented depends on (seed, epoch, slice) alone.

    Args:
        slices: path of the table of slices (contract 11), its annotations beside it.
        cache_dir: the cache folder.
        split: a Split by slice_id, the path of one, or a function of the table that makes one.
        classes: names of the classes in the order of their labels; None: those that were annotated.
        channels: "windows" (three CT windows) or "neighbours" (the slice below, the slice and the
            one above, in one window). Pictures without HU are repeated.
        windows: lowest and highest HU of each of the three, or of the one; None: usual ones.
        size: rows and columns to which slices are scaled; None: each its own.
        min_area_mm2: smaller pieces are no objects.
        inclusion: which gradings are used; None: all.
        choice: which slices of a scan are used.
        augmentation: arguments of `covidlit.transforms.Augmentation` for the training part; None:
            none.
        batch_size: slices per batch and device.
        num_workers: loader processes; 0: in this process.
        balanced: "class": slices with and without a lesion equally often; "centre": and mostly from
            centres that have both; "lesion_class": those without, and those with each class of
            lesion, equally often (a slice with several counts as of the rarest); False: each once.
        seed: of the order and the augmentation.
        n_jobs, backend: processes that read scans, see `covidlit.preprocess.backends`.
        strict: stop if a slice is refused.
        checks: of the scans, `covidlit.dicom.Checks`; None: its defaults.
        drop_last: leave out the last training batch if it is not full.

    Raises:
        ConfigError: an argument out of range or of another type.
    """

    unit = "slice"

    def __init__(
        self,
        slices: str | Path,
        cache_dir: str | Path,
        split: Split | str | Path | SplitOf,
        classes: Sequence[str] | None = None,
        channels: str = "windows",
        windows: Sequence[Sequence[float]] | None = None,
        size: Sequence[int] | None = None,
        min_area_mm2: float = 5.0,
        inclusion: SliceCriteria | None = None,
        choice: SliceChoice | None = None,
        augmentation: Mapping[str, Any] | None = None,
        batch_size: int = 4,
        num_workers: int = 0,
        balanced: bool | str = False,
        seed: int = 0,
        n_jobs: int = -1,
        backend: str = "loky",
        strict: bool = False,
        checks: Any = None,
        drop_last: bool = False,
    ) -> None:
        super().__init__(
            split,
            batch_size=batch_size,
            num_workers=num_workers,
            balanced=balanced,
            seed=seed,
            drop_last=drop_last,
        )
        require_n_jobs(n_jobs)
        if not (isinstance(min_area_mm2, int | float) and 0 <= min_area_mm2 < float("inf")):
            raise ConfigError(
                f"must be a number of mm2 from 0 on, not {min_area_mm2!r}.",
                where="data.min_area_mm2",
                fix="give for example 5.",
            )
        self.slices_path = as_path(slices, "slices")
        self.cache_dir = as_path(cache_dir, "cache_dir")
        self.channels = channels
        self.windows = as_windows(windows, channels)
        self.size = as_size(size)
        self.min_area_mm2 = float(min_area_mm2)
        self.inclusion, self.choice = inclusion, choice or SliceChoice()
        self.given_checks: Checks = checks or Checks(min_slices=1)
        self._given_classes = None if classes is None else tuple(map(str, classes))
        self._augmentation = None if augmentation is None else dict(augmentation)
        self._prepare: dict[str, Any] = {"n_jobs": n_jobs, "backend": backend}
        self._strict = strict
        self._labelled: LabelledSlices | None = None
        self._prepared: pd.DataFrame | None = None

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any], run: RunSettings) -> Self:
        """The datamodule of `conf/data/slices*.yaml`; see `covidlit.datamodules.cohort_data`."""
        return cls(**slice_arguments(settings, run, signature(cls).parameters))

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes: label k of a batch is that of `classes[k - 1]`."""
        return self._read().classes

    @property
    def annotated(self) -> tuple[str, ...]:
        """Names of the classes that were looked for in these slices."""
        labelled = self._read()
        return tuple(labelled.classes[label - 1] for label in labelled.objects.annotated)

    @property
    def flow(self) -> Flow:
        """How many slices and patients each step of the inclusion left."""
        return self._read().flow

    @property
    def manifest(self) -> pd.DataFrame:
        """The slices that are used, with `target` (1: with a lesion), before any is prepared.

        And `status`, `reason`, and the numbers `n_objects`, `n_lesions`, `n_too_small` (pieces that
        are no object for their size) and `n_crowds`.
        """
        return self._read().table

    def prepare_data(self) -> None:
        """Read every image of the split into the cache; quick where that is done already.

        Raises:
            CacheError: (strict) a slice was refused.
        """
        rows = self.manifest[self.manifest["slice_id"].isin(self.split.parts.keys())]
        if self._prepared is not None and rows.index.isin(self._prepared.index).all():
            return
        self._prepared = prepare_slices(
            rows, self.cache_dir, checks=self.given_checks, **self._prepare
        )
        refused = self._prepared[self._prepared["status"] != "ok"]
        if self._strict and len(refused):
            names = rows.loc[refused.index, "slice_id"]
            raise CacheError(
                f"{len(refused)} of {len(rows)} slices were refused, such as {names.iloc[0]}: "
                f"{refused['reason'].iloc[0]}",
                where=self.slices_path,
                fix="mend or remove these slices, or leave strict off.",
            )

    def setup(self, stage: str | None = None) -> None:
        """Split the slices and check them for leakage by patient, study, series and pixels.

        Scans of different parts that look like copies of each other stand in `suspicions`.

        Raises:
            LeakageError: two parts share a patient, a study, a series or a slice.
            SplitError: the split does not fit the slices.
        """
        if self._table is not None:
            return
        self.prepare_data()
        assert self._prepared is not None
        rows = self.manifest[self.manifest["slice_id"].isin(self.split.parts.keys())]
        columns = rows.drop(columns=["status", "reason"])
        table = columns.join(self._prepared)
        table["part"] = table["slice_id"].map(dict(self.split.parts)).astype("string")
        hashed = table[table["pixel_hash"].notna()]
        hashes = dict(zip(hashed["slice_id"], hashed["pixel_hash"], strict=True))
        self.suspicions = check_leakage(table, self.split, hashes)
        self.suspicions += near_copies(table, self.split, SliceCache(self.cache_dir))
        self._table = table.reset_index(drop=True)
        self._notices.of_slices(self._table, self.flow)

    def dataset_of(self, part: str, *, augment: bool = False) -> SliceDataset:
        """The examples of a part, in the table's order."""
        rows = self.rows_of(part)
        labelled = self._read()
        return SliceDataset(
            SliceCache(self.cache_dir),
            rows,
            rows["row"].to_list(),
            labelled.objects,
            len(labelled.classes),
            grey=labelled.grey,
            channels=self.channels,
            windows=self.windows,
            size=self.size,
            min_area_mm2=self.min_area_mm2,
            augmentation=self._augmentation if augment else None,
            seed=self.seed,
        )

    def boxes_of(self, part: str) -> NDArray[np.float32]:
        """(n, 4) the boxes of a part's objects, half-open (x0, y0, x1, y1) in pixels."""
        dataset = self.dataset_of(part)
        boxes = [dataset.target_of(k)["boxes"].numpy() for k in range(len(dataset))]
        return np.concatenate([np.zeros((0, 4), np.float32), *boxes])

    def features_of(self, part: str, groups: Sequence[str] | None = None) -> pd.DataFrame:
        """A few numbers of each slice's intensities, by name."""
        names = self.feature_table(groups)["name"].to_list()
        dataset = self.dataset_of(part)
        rows = [slice_features(dataset[k]["image"]) for k in range(len(dataset))]
        everything = slice_feature_table()["name"].to_list()
        return pd.DataFrame(rows, columns=everything)[names]

    def feature_table(self, groups: Sequence[str] | None = None) -> pd.DataFrame:
        """One row per feature: name, group, description, unit, source."""
        table = slice_feature_table()
        if groups is None:
            return table
        return table[table["group"].isin(list(groups))].reset_index(drop=True)

    def input_record(self) -> dict[str, Any]:
        """Classes, channels and windows: what prepares new slices as these were."""
        return {
            "kind": "slices",
            "classes": list(self.classes),
            "channels": self.channels,
            "windows": [list(window) for window in self.windows],
            "size": None if self.size is None else list(self.size),
            "intensity": "grey" if self._read().grey else "hu",
            "min_area_mm2": self.min_area_mm2,
            "min_slices": self.given_checks.min_slices,
            "override_checks": sorted(self.given_checks.override),
            "image_orientation": self.given_checks.image_orientation,
        }

    def facts(self) -> dict[str, str]:
        """The slices, their inclusion, the cache, the network's input, what to look at."""
        size = "their own size" if self.size is None else f"{self.size[0]} x {self.size[1]}"
        windows = ", ".join(f"{low:g} to {high:g}" for low, high in self.windows)
        grey = self._read().grey
        return {
            **({TO_CHECK: in_words(self.suspicions)} if self.suspicions else {}),
            "source": str(self.slices_path.resolve()),
            "inclusion": self.flow.summary(),
            "prepared in": str(self.cache_dir.resolve()),
            "input (channels, rows, columns)": f"3 channels ({self.channels}) of {size}",
            "window": "grey values of pictures" if grey else f"{windows} HU",
            "classes": ", ".join(self.classes),
        }

    def check_learnable(self) -> None:
        """Make sure that there is something to learn.

        Raises:
            SplitError: no slice of the training part could be read, or none has an object.
        """
        rows = self.rows_of("train")
        if rows.empty:
            raise SplitError(
                "no slice of the training part could be read.",
                where=self.slices_path,
                fix="see the reasons in the log.",
            )
        if not rows["n_objects"].any():
            raise SplitError(
                f"none of the {len(rows)} training slices has an object.",
                where="split",
                fix="check the annotations, or split otherwise.",
            )

    def _to_balance(
        self, dataset: SliceDataset, rows: pd.DataFrame
    ) -> tuple[NDArray[np.integer], bool | str]:
        if self.balanced != "lesion_class":
            return super()._to_balance(dataset, rows)
        labelled = self._read()
        return rarest_lesion(labelled.objects.lesions_of(rows["row"].to_numpy())), "class"

    def _loading(self, dataset: SliceDataset, rows: pd.DataFrame) -> dict[str, Any]:
        return {"collate": collate_slices, "row_bytes": largest_slice(dataset.size, rows)}

    def _rows_to_split(self) -> pd.DataFrame:
        # Without the target: a part whose slices all have lesions teaches as well.
        return self.manifest.drop(columns="target")

    def _rows_place(self) -> Path:
        return self.slices_path

    def _read(self) -> LabelledSlices:
        if self._labelled is None:
            self._labelled = labelled_slices(
                self.slices_path,
                self._given_classes,
                self.min_area_mm2,
                self.inclusion,
                self.choice,
            )
        return self._labelled
