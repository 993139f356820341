"""The datamodule of volume classification: manifest + split + cache in, batches out."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from inspect import signature
from math import prod
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
import pytorch_lightning as pl
from numpy.typing import NDArray

from covidlit.arguments import require_n_jobs, require_whole_number
from covidlit.cohort.leakage import Suspicion, check_leakage, in_words
from covidlit.cohort.manifest import read_manifest
from covidlit.cohort.provenance import checks_of
from covidlit.cohort.split import PARTS
from covidlit.cohort.splits import Split, require_two_targets
from covidlit.datamodules.arguments import as_geometry, as_path, as_window, config_errors
from covidlit.datamodules.balance import draw_weights
from covidlit.datamodules.cohort_data import TO_CHECK, RunSettings, SplitOf
from covidlit.datamodules.loading import epoch_loader
from covidlit.datamodules.notices import Notices
from covidlit.datamodules.sampling import EpochLoader, EpochSampler
from covidlit.datamodules.volume_dataset import VolumeDataset
from covidlit.datamodules.volume_settings import volume_arguments
from covidlit.datamodules.volume_table import (
    check_manifest_columns,
    naming_the_rule,
    prepared_table,
    rows_of_split,
    usable_rows,
    with_target,
)
from covidlit.dicom import Checks
from covidlit.errors import SplitError
from covidlit.preprocess import Geometry, prepare_cohort
from covidlit.preprocess.features.cache import cohort_features
from covidlit.preprocess.features.catalogue import FEATURE_NAMES, GROUPS, feature_table, features_of
from covidlit.preprocess.thumbnails import cohort_thumbnails


class VolumeDataModule(pl.LightningDataModule):
    """Prepared CT volumes with their labels, in the parts of a split.

    A batch is a dict: `image` float32 (B, 1, z, y, x) in [0, 1]; `affine` float32 (B, 4, 4), the
    index (z, y, x, 1) of each image, as augmented, to LPS millimetres (x, y, z, 1) of its source
    scan; `target` int64 (B,); `scan_id` list of B strings; `counts` bool (B,), False for a scan
    that only fills up the batch of one of several devices.

    What is drawn in an epoch and how it is augmented depends on (seed, epoch, scan) alone: not on
    the number of workers, nor on what was drawn before, so a run resumed at an epoch's end goes on
    bit for bit. Works with any number of devices without Lightning's own sampler, and batch k of
    all devices together is batch k of one whose batches are as large.

    Args:
        manifest: path of the manifest (contract 2).
        cache_dir: the cache folder (contract 4).
        split: a Split, the path of one, or a function of the manifest that makes one.
        geometry: `spacing` in mm and `size` in voxels (z, y, x).
        window: lowest and highest HU, mapped to 0 and 1.
        augmentation: arguments of `covidlit.transforms.Augmentation` for the training part; None:
            none.
        batch_size: scans per batch and device.
        num_workers: loader processes; 0: in this process.
        balanced: False: every training scan once per epoch; "class" or "centre": some more often
            than others, see `covidlit.datamodules.balance`.
        seed: of the order and the augmentation.
        n_classes: targets are 0 .. n_classes - 1.
        n_jobs: processes that prepare scans; -1: one per core.
        backend: of joblib, for preparing: loky, threading, dask or ray.
        strict: stop if a scan is refused.
        checks: which series are refused, `covidlit.dicom.Checks`; None: its defaults.
        label_rule: has `apply(manifest)`, which returns the target column; None: the manifest's
            own.
        drop_last: leave out the last training batch if it is not full.

    Raises:
        ConfigError: an argument out of range or of another type.
    """

    unit = "scan"

    def __init__(
        self,
        manifest: str | Path,
        cache_dir: str | Path,
        split: Split | str | Path | SplitOf,
        geometry: Geometry | Mapping[str, Any] | None = None,
        window: tuple[float, float] = (-1000.0, 400.0),
        augmentation: Mapping[str, Any] | None = None,
        batch_size: int = 10,
        num_workers: int = 0,
        balanced: bool | str = False,
        seed: int = 0,
        n_classes: int = 2,
        n_jobs: int = -1,
        backend: str = "loky",
        strict: bool = False,
        checks: Any = None,
        label_rule: Any = None,
        drop_last: bool = False,
    ) -> None:
        super().__init__()
        require_whole_number(batch_size, "batch_size", at_least=1)
        require_whole_number(num_workers, "num_workers", at_least=0)
        require_whole_number(n_classes, "n_classes", at_least=2)
        require_whole_number(seed, "seed", at_least=0)
        require_n_jobs(n_jobs)
        self.manifest_path = as_path(manifest, "manifest")
        self.cache_dir = as_path(cache_dir, "cache_dir")
        self.geometry = as_geometry(geometry)
        self.window = as_window(window)
        self.batch_size = batch_size
        self.num_workers = num_workers
        self.balanced = balanced
        self.seed = seed
        self.n_classes = n_classes
        self.drop_last = drop_last
        self._split_source = split
        self._augmentation = None if augmentation is None else dict(augmentation)
        self._prepare: dict[str, Any] = {"n_jobs": n_jobs, "backend": backend, "strict": strict}
        self.given_checks: Checks = checks or Checks()
        self._label_rule = label_rule
        self._manifest: pd.DataFrame | None = None
        self._prepared: pd.DataFrame | None = None
        self._table: pd.DataFrame | None = None
        self._split: Split | None = None
        self.suspicions: list[Suspicion] = []
        self._notices = Notices()  # shared by copies with another split

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any], run: RunSettings) -> Self:
        """The datamodule of `conf/data/*.yaml`; see `covidlit.datamodules.cohort_data`."""
        return cls(**volume_arguments(settings, run, signature(cls).parameters))

    def with_split(self, split: Split | SplitOf) -> Self:
        """The same scans in other parts; what is prepared already is not looked at again."""
        other = copy.copy(self)
        other._split_source, other._split, other._table = split, None, None
        other.suspicions = []
        other.trainer = None
        return other

    @property
    def manifest(self) -> pd.DataFrame:
        """The manifest's rows with `target`, `status` and `reason`, before any is prepared."""
        if self._manifest is None:
            self._manifest = with_target(
                read_manifest(self.manifest_path), self._label_rule, self.n_classes
            )
        return self._manifest

    @property
    def checks(self) -> Checks:
        """The checks of the scans: those given, and those that the manifest was made with."""
        return checks_of(self.manifest, self.given_checks)

    @property
    def table(self) -> pd.DataFrame:
        """The manifest's rows with `target`, `part`, `status` ("ok" or "refused"), `reason`, `key`.

        Refused scans keep their row; the loaders leave them out. Scans with a target that the split
        does not name (the test part, in a sweep) have none.
        """
        self.setup()
        assert self._table is not None
        return self._table

    @property
    def split(self) -> Split:
        """The split in use."""
        return self._make_split()

    def prepare_data(self) -> None:
        """Prepare every scan of the split into the cache; quick where that is done already."""
        # The split first, because it is quick: a wrong one is said before the long part.
        rows = usable_rows(rows_of_split(self.manifest, self._make_split()))
        if self._prepared is not None and rows["scan_id"].isin(self._prepared["scan_id"]).all():
            return
        self._notices.of_plan(self, self.manifest_path.name, self.given_checks, self.checks)
        self._prepared = prepare_cohort(
            rows, self.cache_dir, self.geometry, checks=self.checks, **self._prepare
        ).table

    def check_columns(self) -> None:
        """Refuse columns of the manifest that a predictions table has for itself.

        Raises:
            ManifestError: names them.
        """
        check_manifest_columns(self.manifest, self.manifest_path)

    def setup(self, stage: str | None = None) -> None:
        """Split the cohort and check it for leakage by patient, study, series and pixels.

        What may be a leak, but need not be one, stands in `suspicions`.

        Raises:
            LeakageError: two parts share a patient, a study, a series or an image.
            SplitError: the split does not fit the manifest, or leaves no training scan.
            ManifestError: a target is out of range.
        """
        if self._table is not None:
            return
        self.prepare_data()
        assert self._prepared is not None
        split = self._make_split()
        table = prepared_table(rows_of_split(self.manifest, split), self._prepared, split)
        usable = table[table["pixel_hash"].notna()]
        scans = usable["scan_id"].astype(str).to_list()
        hashes = dict(zip(scans, usable["pixel_hash"], strict=True))
        workers = {name: self._prepare[name] for name in ("n_jobs", "backend")}
        made = cohort_thumbnails(self.cache_dir, usable["key"].to_list(), **workers)
        thumbnails = dict(zip(scans, made, strict=True))
        self.suspicions = check_leakage(table, split, hashes, thumbnails)
        self._table = table
        self._notices.of_rows(self)

    def scans(self, part: str) -> list[str]:
        """The scan_ids of a part that can be loaded, in the table's order."""
        return [str(scan_id) for scan_id in self.rows_of(part)["scan_id"]]

    def rows_of(self, part: str) -> pd.DataFrame:
        """The rows of a part that can be loaded, in the table's order."""
        if part not in PARTS:
            raise SplitError(
                f"there is no part {part!r}.", where="part", fix=f"use one of {', '.join(PARTS)}."
            )
        table = self.table
        return table[(table["part"] == part) & (table["status"] == "ok")]

    def dataset_of(self, part: str, *, augment: bool = False) -> VolumeDataset:
        """The examples of a part, in the table's order."""
        rows = self.rows_of(part)
        return VolumeDataset(
            self.cache_dir,
            self.geometry.size,
            rows["scan_id"].to_list(),
            rows["key"].to_list(),
            rows["target"].to_numpy(dtype=np.int64),
            window=self.window,
            augment=self._build_augmentation() if augment else None,
            seed=self.seed,
        )

    def dataloader_of(self, part: str) -> EpochLoader:
        """Batches of a part for one device: every scan once, in order, without augmentation."""
        return self._loader(self.dataset_of(part), shuffle=False, ranked=False)

    def features_of(self, part: str, groups: Sequence[str] | None = None) -> pd.DataFrame:
        """The features of a part's prepared volumes, by name; see `covidlit.preprocess.features`.

        They are measured once and kept in the cache.
        """
        names = [feature.name for feature in features_of(GROUPS if groups is None else groups)]
        keys = self.rows_of(part)["key"].to_list()
        workers = {name: self._prepare[name] for name in ("n_jobs", "backend")}
        values = cohort_features(self.cache_dir, keys, **workers)
        return pd.DataFrame(values, columns=list(FEATURE_NAMES))[names]

    def feature_table(self, groups: Sequence[str] | None = None) -> pd.DataFrame:
        """One row per feature: name, group, description, unit, source."""
        return feature_table(GROUPS if groups is None else groups)

    def input_record(self) -> dict[str, Any]:
        """Geometry, window and checks: what prepares a new scan as these were."""
        checks = self.checks
        return {
            "kind": "volume",
            "geometry": self.geometry.arguments(),
            "window": list(self.window),
            "min_slices": checks.min_slices,
            "override_checks": sorted(checks.override),
            "image_orientation": checks.image_orientation,
        }

    def facts(self) -> dict[str, str]:
        """The manifest, the cache, the network's input, and what to look at once set up."""
        return {
            **({TO_CHECK: in_words(self.suspicions)} if self.suspicions else {}),
            "source": str(self.manifest_path.resolve()),
            "prepared in": str(self.cache_dir.resolve()),
            "input (z, y, x)": f"{list(self.geometry.size)} voxels of "
            f"{list(self.geometry.spacing)} mm",
            "window": f"{list(self.window)} HU",
        }

    def check_learnable(self) -> None:
        """Make sure that there is something to learn.

        Raises:
            SplitError: no scan of the training part could be prepared, or those of one class only.
        """
        rows = self.rows_of("train")
        if rows.empty:
            raise SplitError(
                "no scan of the training part could be prepared.",
                where=self.cache_dir / "prepared.csv",
                fix="see the reasons there.",
            )
        require_two_targets(rows, "split", whole=self.table)

    def train_dataloader(self) -> EpochLoader:
        """Batches of the training part: shuffled or balanced, augmented.

        Raises:
            SplitError: no scan of it could be prepared, or those of one class only.
        """
        self.check_learnable()
        dataset = self.dataset_of("train", augment=True)
        return self._loader(
            dataset, shuffle=True, ranked=True, balanced=self.balanced, drop_last=self.drop_last
        )

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
        dataset = self.dataset_of(part)
        return self._loader(dataset, shuffle=False, ranked=True) if len(dataset) else []

    def _loader(
        self,
        dataset: VolumeDataset,
        *,
        shuffle: bool,
        ranked: bool,
        balanced: bool | str = False,
        drop_last: bool = False,
    ) -> EpochLoader:
        trainer = self.trainer if ranked else None
        sampler = EpochSampler(
            dataset,
            seed=self.seed,
            shuffle=shuffle,
            weights=draw_weights(balanced, dataset.targets, self._centres(dataset)),
            classes=dataset.targets,
            drop_last=drop_last,
            rank=trainer.global_rank if trainer else 0,
            world_size=trainer.world_size if trainer else 1,
        )
        return epoch_loader(
            dataset,
            sampler,
            batch_size=self.batch_size,
            num_workers=self.num_workers,
            row_bytes=4 * prod(self.geometry.size),  # float32; the rest is small
            processes=trainer.num_devices if trainer else 1,
        )

    def _centres(self, dataset: VolumeDataset) -> NDArray[np.object_]:
        centres = self.table.set_index("scan_id")["centre"]
        return centres.reindex(list(dataset.scan_ids)).to_numpy(dtype=object)

    def _build_augmentation(self) -> Any:
        if self._augmentation is None:
            return None
        from covidlit.transforms import Augmentation

        with config_errors("augmentation"):
            return Augmentation(spacing=self.geometry.spacing, **self._augmentation)

    def _make_split(self) -> Split:
        if self._split is None:
            manifest = self.manifest
            source = self._split_source
            if isinstance(source, (str, Path)):
                source = Split.load(source)
            if isinstance(source, Split):
                source.check_fits(manifest)
                self._split = source
            else:
                with config_errors("split"), naming_the_rule(self._label_rule, manifest):
                    self._split = source(manifest)
                self._split_source = self._split  # a function need not go to another process
        return self._split
