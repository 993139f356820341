"""The scans of a training run that heatmaps are made of, with their targets and the scale."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from covidlit.checkpoints.of_run import CLASSICAL, model_of_run
from covidlit.cohort.scan_reader import ScanReader, search_shared
from covidlit.cohort.scan_sources import ScanSource, relative_place
from covidlit.cohort.splits import from_file
from covidlit.datamodules.build import build_datamodule
from covidlit.datamodules.volume_datamodule import VolumeDataModule
from covidlit.errors import CheckpointError, CovidlitError
from covidlit.explain.explain import explain_image, output_of
from covidlit.explain.scale import scale_of
from covidlit.settings.run_config import read_run_config
from covidlit.settings.targets import build
from covidlit.settings.words import CONFIG
from covidlit.synthetic.source import synthetic_manifest_path

if TYPE_CHECKING:
    from covidlit.tasks import VolumeClassification

MOST_SCANS = 200
"""Of the positive scans that the scale is taken from; more change a percentile little."""


@dataclass(frozen=True)
class RunScans:
    """The scans of one part of a run.

    Args:
        sources: each can be read.
        targets: scan_id to 1 (the class of interest) or 0.
        patients: scan_id to patient_id.
    """

    sources: list[ScanSource]
    targets: dict[str, int]
    patients: dict[str, str]


def run_of(checkpoint: Path) -> Path | None:
    """The folder of the run that a checkpoint lies in; None where it lies in none."""
    folder = checkpoint.absolute().parent
    run_dir = folder.parent
    in_run = folder.name == "checkpoints" and (run_dir / CONFIG).is_file()
    return run_dir if in_run and (run_dir / "split.json").is_file() else None


def checkpoint_of(run_dir: str | Path) -> Path:
    """The checkpoint of the network that a run was judged by.

    Raises:
        CheckpointError: the folder holds none, or it is the run of a classical baseline.
    """
    folder = Path(run_dir)
    classical = f"checkpoints/{CLASSICAL}"
    if any(folder.glob(f"fold_*/{classical}")) or (folder / classical).is_file():
        raise CheckpointError(
            "this is the run of a classical baseline, which has no heatmaps.",
            where=run_dir,
            fix="give the folder of a network's run.",
        )
    return model_of_run(run_dir)


def datamodule_of(run_dir: str | Path, split_hash: str) -> VolumeDataModule:
    """The data of a run, by the configuration and the split in its folder.

    The split as it was saved: another version of covidlit may draw another one.

    Raises:
        CovidlitError: no configuration there, or it gives another split than the checkpoint's.
    """
    path = Path(run_dir) / CONFIG
    datamodule = build_datamodule(config_within(read_run_config(run_dir), Path(run_dir)))
    if not isinstance(datamodule, VolumeDataModule):
        raise CovidlitError("the run's rows are no scans.", where=path, fix="give a run of scans.")
    saved = path.with_name("split.json")
    if saved.is_file():
        datamodule = datamodule.with_split(from_file(datamodule.manifest, saved))
    if datamodule.split.hash != split_hash:
        raise CovidlitError(
            "the cohort has changed since the run: its split is another one now.",
            where=path,
            fix="give the manifest as the path, or the data as they were.",
        )
    return datamodule


def config_within(config: dict[str, Any], run_dir: Path) -> dict[str, Any]:
    """A run's configuration with which nothing is written but below its folder, or in its cache.

    Raises:
        CovidlitError: its synthetic cohort is not there any more.
    """
    data = dict(config["data"])
    cache = Path(str(data.get("cache_dir", "")))
    if not all((cache / part).is_dir() for part in ("volumes", "index")):
        data["cache_dir"] = str(run_dir / "cache")
    source = dict(data.get("source") or {})
    if str(source.get("_target_", "")).endswith(".synthetic_manifest"):
        manifest = _synthetic_manifest(source, config.get("inclusion"))
        data["source"] = {**_READ_ONLY, "path": str(manifest)}
        return {**config, "data": data, "inclusion": None}  # its rows are those that meet it
    if "_target_" in source:
        data["source"] = {**source, "folder": str(run_dir / "manifests")}
    return {**config, "data": data}


_READ_ONLY = {"_target_": "covidlit.cohort.sources.existing_manifest"}


def _synthetic_manifest(source: Mapping[str, Any], inclusion: Mapping[str, Any] | None) -> Path:
    """The manifest that a run's synthetic cohort has; it is never drawn here."""
    of_source = ("_target_", "folder", "n_jobs", "inclusion")
    named = {str(k): v for k, v in source.items() if k not in of_source}
    criteria = build(inclusion, "inclusion") if inclusion else None
    folder = str(source.get("folder", ""))
    manifest = synthetic_manifest_path(folder, criteria, **named)
    if not manifest.is_file():
        raise CovidlitError(
            "the run's cohort is not there any more.",
            where=manifest.parent,
            fix="give a checkpoint and a path of scans instead of the run's folder.",
        )
    return manifest


def scans_of(datamodule: VolumeDataModule, part: str, positive: int) -> RunScans:
    """The scans of a part that can be read.

    Args:
        datamodule: of the run.
        part: train, validation or test.
        positive: target of the class of interest.
    """
    chosen = datamodule.scans(part)
    table = datamodule.table
    rows: list[dict[str, Any]] = table[table["scan_id"].isin(chosen)].to_dict("records")
    for row in rows:
        row["series_uid"] = uid if isinstance(uid := row.get("series_uid"), str) else ""
    checks, root = datamodule.checks, Path(datamodule.manifest_path).resolve().parent
    readers = search_shared(
        ScanReader(row["path"], row["series_uid"] or None, checks) for row in rows
    )
    sources = [
        ScanSource(
            str(row["scan_id"]), relative_place(Path(row["path"]), root), row["series_uid"], reader,
            location=Path(row["path"]),
            synthetic=flag if isinstance(flag := row.get("synthetic"), bool) else None,
        )
        for row, reader in zip(rows, readers, strict=True)
    ]  # fmt: skip
    targets = {str(row["scan_id"]): int(row["target"] == positive) for row in rows}
    patients = {str(row["scan_id"]): str(row["patient_id"]) for row in rows}
    return RunScans(sources, targets, patients)


def find_scale(
    task: VolumeClassification, datamodule: VolumeDataModule, layer: str, method: str
) -> float:
    """The scale of a network's heatmaps, from the run's positive validation scans.

    A run without such scans takes those that it was trained on; never those of the test part.

    Raises:
        ExplainError: there is no positive scan, or no heat in any.
    """
    positive = positive_target(task)
    maxima: list[float] = []
    for part in ("validation", "train"):
        dataset = datamodule.dataset_of(part)
        for index in [i for i, t in enumerate(dataset.targets) if t == positive][:MOST_SCANS]:
            image = dataset[index]["image"]
            assert isinstance(image, torch.Tensor)
            heat = explain_image(task, image[None].to(task.device), layer, method)
            maxima.append(heat.maximum)
        if maxima:
            break
    return scale_of(maxima)


def positive_target(task: VolumeClassification) -> int:
    """The target of the class of interest: 1 in a binary task."""
    return 1 if task.hparams["n_classes"] == 2 else output_of(task)
