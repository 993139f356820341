"""The datamodule of volume classification: manifest + split + cache in, batches out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from inspect import signature
from math import prod
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd

from covidlit.arguments import require_n_jobs, require_whole_number
from covidlit.cohort.leakage import check_leakage, in_words
from covidlit.cohort.manifest import read_manifest
from covidlit.cohort.provenance import checks_of
from covidlit.cohort.splits import Split, require_two_targets
from covidlit.datamodules.arguments import as_geometry, as_path, as_window, config_errors
from covidlit.datamodules.cohort_data import TO_CHECK, RunSettings, SplitOf
from covidlit.datamodules.split_datamodule import SplitDataModule
from covidlit.datamodules.volume_dataset import VolumeDataset
from covidlit.datamodules.volume_settings import volume_arguments
from covidlit.datamodules.volume_table import (
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


class VolumeDataModule(SplitDataModule):
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
        super().__init__(
            split,
            batch_size=batch_size,
            num_workers=num_workers,
            balanced=balanced,
            seed=seed,
            drop_last=drop_last,
        )
        require_whole_number(n_classes, "n_classes", at_least=2)
        require_n_jobs(n_jobs)
        self.manifest_path = as_path(manifest, "manifest")
        self.cache_dir = as_path(cache_dir, "cache_dir")
        self.geometry = as_geometry(geometry)
        self.window = as_window(window)
        self.n_classes = n_classes
        self._augmentation = None if augmentation is None else dict(augmentation)
        self._prepare: dict[str, Any] = {"n_jobs": n_jobs, "backend": backend, "strict": strict}
        self.given_checks: Checks = checks or Checks()
        self._label_rule = label_rule
        self._manifest: pd.DataFrame | None = None
        self._prepared: pd.DataFrame | None = None

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any], run: RunSettings) -> Self:
        """The datamodule of `conf/data/*.yaml`; see `covidlit.datamodules.cohort_data`."""
        return cls(**volume_arguments(settings, run, signature(cls).parameters))

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

    def prepare_data(self) -> None:
        """Prepare every scan of the split into the cache; quick where that is done already."""
        # The split first, because it is quick: a wrong one is said before the long part.
        rows = usable_rows(rows_of_split(self.manifest, self.split))
        if self._prepared is not None and rows["scan_id"].isin(self._prepared["scan_id"]).all():
            return
        self._notices.of_plan(self, self.manifest_path.name, self.given_checks, self.checks)
        self._prepared = prepare_cohort(
            rows, self.cache_dir, self.geometry, checks=self.checks, **self._prepare
        ).table

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
        split = self.split
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

    def _loading(self, dataset: VolumeDataset, rows: pd.DataFrame) -> dict[str, Any]:
        return {"row_bytes": 4 * prod(self.geometry.size)}  # float32; the rest is small

    def _build_augmentation(self) -> Any:
        if self._augmentation is None:
            return None
        from covidlit.transforms import Augmentation

        with config_errors("augmentation"):
            return Augmentation(spacing=self.geometry.spacing, **self._augmentation)

    def _while_splitting(self) -> AbstractContextManager[None]:
        return naming_the_rule(self._label_rule, self.manifest)

    def _rows_place(self) -> Path:
        return self.manifest_path
