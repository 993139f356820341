"""Segmentation of slices: lungs and lesions, each as an object and as a class of pixels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torchmetrics import Metric

from covidlit.errors import ConfigError
from covidlit.models.layers import check_choice
from covidlit.models.maskrcnn.anchors import fit_anchors
from covidlit.models.maskrcnn.network import LOSSES
from covidlit.tasks.base import BaseTask, Batch, diverged
from covidlit.tasks.segmentation_metrics import DetectionMetric, FrocMetric, OverlapMetric
from covidlit.tasks.segmentation_rows import SliceRows, rows_of_slice
from covidlit.tasks.segmenter import SegmenterMixin
from covidlit.tasks.slice_metrics import SliceMetric

if TYPE_CHECKING:
    from covidlit.datamodules.cohort_data import CohortData

ANCHORS = ("fit", "default")
_METRICS = ("overlap", "detection", "froc", "slices")


class LesionSegmentation(SegmenterMixin, BaseTask):
    """Mask R-CNN with a semantic branch, on axial slices.

    A batch holds lists with an element for each slice: "image" (channels, rows, columns) float32 in
    [0, 1]; "target" with `boxes` (n, 4) half-open pixel edges, `labels` (n,) from 1, `masks`
    (n, rows, columns), `semantic` (rows, columns) and `annotated` (classes + 1,), which classes
    were looked for; where there are any, `ignored_boxes`, `ignored_labels` and `ignored_masks` of
    crowds and pieces that are no object: to find one is neither right nor wrong; "slice_id";
    "affine" (4, 4) and "spacing" (2,) in mm, NaN where unknown; and
    "voxel_ml", the volume of a voxel.

    Args:
        net: `_target_` (`covidlit.models.MaskRCNN`) and its arguments; `n_classes` is filled in.
        classes: names of the labels from 1; None: the six of the lesion labels, or those of the
            data where a run trains it.
        anchors: "fit" to the objects of the training part where a run trains it and `net` names
            none, or "default".
        anchor_fit: what was measured of anchors that were fit; filled in where a run trains it.
        loss_weights: of the terms of the loss, 1 where one is not named; see
            `covidlit.models.maskrcnn.network.LOSSES`.
        optimizer: `_target_` in torch.optim and its arguments; None is AdamW, lr 3e-4.
        scheduler: `_target_` in torch.optim.lr_scheduler and its arguments, or None.

    Raises:
        ConfigError: an argument out of its range; the message names it.
    """

    monitor = "val_dice"
    mode = "max"
    outcome = "segmentation"
    takes = "slices"

    def __init__(
        self,
        net: Mapping[str, Any],
        classes: Sequence[str] | None = None,
        anchors: str = "fit",
        anchor_fit: Mapping[str, Any] | None = None,
        loss_weights: Mapping[str, float] | None = None,
        optimizer: Mapping[str, Any] | None = None,
        scheduler: Mapping[str, Any] | None = None,
    ) -> None:
        if optimizer is None:
            optimizer = {"_target_": "torch.optim.AdamW", "lr": 3e-4}
        super().__init__()

    @classmethod
    def fitted_to(cls, arguments: Mapping[str, Any], data: CohortData) -> dict[str, Any]:
        """Arguments with the classes and channels of the data, and anchors fit to its objects.

        Raises:
            ConfigError: the data are no slices, or have other classes than those asked for, or
                classes that were not annotated; there is no object to fit anchors to.
        """
        record, fitted, net = data.input_record(), dict(arguments), dict(arguments["net"])
        if record.get("kind") != "slices":
            raise ConfigError(
                f"a segmentation learns from slices, and these data are {record.get('kind')!r}.",
                where="data",
                fix="give data=slices.",
            )
        classes = list(record["classes"])
        if fitted.get("classes") and list(fitted["classes"]) != classes:
            raise ConfigError(
                f"the data have the classes {', '.join(classes)}, and "
                f"{', '.join(fitted['classes'])} are asked for.",
                where="model.task.classes",
                fix="leave it null: a run takes those of its data.",
            )
        unknown = [n for n in classes if n not in getattr(data, "annotated", classes)]
        if unknown and not net.get("pretrained"):
            raise ConfigError(
                f"nobody looked for {', '.join(unknown)} in these slices: a network that starts "
                "from nothing would call such lesions at random.",
                where="data.classes",
                fix="leave it null, or start from a checkpoint that knows them "
                "(model.task.net.pretrained).",
            )
        fitted["classes"] = classes
        if isinstance(record.get("channels"), int):
            net["in_channels"] = record["channels"]
        if net.get("norm") == "frozen" and not net.get("pretrained"):
            raise ConfigError(
                "a frozen batch norm without pretrained weights normalises nothing.",
                where="model.task.net.norm=frozen",
                fix="give model.task.net.pretrained, or set model.task.net.norm=group.",
            )
        if fitted.get("anchors", "fit") == "fit" and net.get("anchor_sizes") is None:
            fit = fit_anchors(_boxes(data))
            net |= fit.settings()
            fitted["anchor_fit"] = fit.facts()
        return {**fitted, "net": net}

    def configure_models(self) -> None:
        check_choice(self.hparams["anchors"], ANCHORS, "anchors")
        if len(set(self.classes)) != len(self.classes) or not self.classes:
            raise ConfigError(
                f"classes must be different names, got {self.classes}.", where="classes"
            )
        self.net = self.build_net()

    def facts(self) -> dict[str, Any]:
        """What was measured of anchors that were fit."""
        return dict(self.hparams["anchor_fit"] or {})

    def configure_losses(self) -> None:
        given = dict(self.hparams["loss_weights"] or {})
        if unknown := sorted(set(given) - set(LOSSES)):
            raise ConfigError(
                f"there is no term {unknown[0]!r}.",
                where="loss_weights",
                fix=f"the terms are {', '.join(LOSSES)}.",
            )
        self.loss_weights = {name: float(given.get(name, 1.0)) for name in LOSSES}
        if min(self.loss_weights.values()) < 0:
            raise ConfigError("a weight is below 0.", where="loss_weights", fix="0 leaves it out.")

    def configure_metrics(self) -> None:
        for stage in ("val", "test"):
            metrics: dict[str, Metric] = {
                "overlap": OverlapMetric(self.classes),
                "detection": DetectionMetric(),
                "froc": FrocMetric(),
                "slices": SliceMetric(),
            }
            for name, metric in metrics.items():
                self.add_module(f"{stage}_{name}", metric)

    def forward(self, images: Sequence[Tensor]) -> list[dict[str, Tensor]]:
        """See `MaskRCNN.forward`."""
        found: list[dict[str, Tensor]] = self.net(images)
        return found

    def shared_step(self, batch: Batch, stage: str) -> Tensor:
        batch = _own_slices(batch)
        images = self.net.batch(batch["image"])
        features = self.net.features(images)
        if stage == "train":
            terms = self.net.losses(images, features, batch["target"], self.lung)
        else:
            # Regions are drawn for the loss: always the same ones, and not from the training's
            # generators, so that a resumed run goes on as the stopped one would have.
            devices = [self.device] if self.device.type == "cuda" else []
            with torch.random.fork_rng(devices=devices):
                torch.manual_seed(0)
                terms = self.net.losses(images, features, batch["target"], self.lung)
        loss = self._total(terms, batch)
        size = len(batch["image"])
        for name, value in {"loss": loss, **terms}.items():
            shown = f"{stage}_loss" if name == "loss" else f"{stage}_loss_{name}"
            self.log(
                shown, value.detach(), on_step=False, on_epoch=True, batch_size=size, sync_dist=True
            )
        if stage != "train":
            self._measure(batch, self.net.found(images, features), stage)
        return loss

    def _total(self, terms: Mapping[str, Tensor], batch: Batch) -> Tensor:
        lost = [name for name, value in terms.items() if not bool(value.isfinite())]
        if lost:
            named = ", ".join(map(str, batch["slice_id"][:4]))
            raise diverged(f"the loss {' and '.join(lost)} is not finite on the slices {named}")
        return torch.stack([self.loss_weights[name] * terms[name] for name in LOSSES]).sum()

    def _measure(self, batch: Batch, found: Sequence[dict[str, Tensor]], stage: str) -> None:
        overlap, detection, froc, slices = (
            self.get_submodule(f"{stage}_{name}") for name in _METRICS
        )
        for index in _counted(batch):
            target, own = batch["target"][index], found[index]
            known = annotated(target, len(self.classes))
            overlap.update(own["semantic"], target["semantic"], known)  # type: ignore[operator]
            kept = known[own["labels"]]
            kept_of = {name: own[name][kept] for name in ("boxes", "labels", "scores", "masks")}
            own = {**own, **kept_of}
            spacing = None if batch.get("spacing") is None else batch["spacing"][index]
            slices.update(own, target, self.lung, known, spacing)  # type: ignore[operator]
            own = kept_of
            detection.update(own, target)  # type: ignore[operator]
            froc.update(own, target, self.lung)  # type: ignore[operator]

    def on_validation_epoch_end(self) -> None:
        super().on_validation_epoch_end()
        self._log_metrics("val")

    def on_test_epoch_end(self) -> None:
        self._log_metrics("test")

    def _log_metrics(self, stage: str) -> None:
        for name in _METRICS:
            metric = self.get_submodule(f"{stage}_{name}")
            assert isinstance(metric, Metric)
            for measure, value in metric.compute().items():
                self.log(f"{stage}_{measure}", value.to(self.device), sync_dist=False)
            metric.reset()

    def predict_step(self, batch: Batch, batch_idx: int) -> SliceRows:
        """Rows of the tables of an outcome: slices, what was found, and what there is."""
        found, rows = self(batch["image"]), SliceRows([], [], [])
        for index in _counted(batch):
            scores = found[index]["scores"]
            if not bool(scores.isfinite().all()):
                raise diverged(f"scores of the slice {batch['slice_id'][index]} are not finite")
            rows.add(rows_of_slice(batch, index, found[index], self.classes))
        return rows

    def table_of(self, batches: Sequence[SliceRows], classes: Sequence[str] = ()) -> pd.DataFrame:  # type: ignore[override]
        """One table of all rows; `kind` says which is a slice, a detection or an object."""
        rows = SliceRows([], [], [])
        for batch in batches:
            rows.add(batch)
        return rows.table()


def annotated(target: Mapping[str, Tensor], n_classes: int) -> Tensor:
    """(n_classes + 1,) bool: the classes that were looked for in a slice, and the background."""
    known = target.get("annotated")
    if known is None:
        return torch.ones(n_classes + 1, dtype=torch.bool, device=target["labels"].device)
    known = known[: n_classes + 1].bool().clone()
    known[0] = True
    return known


def _own_slices(batch: Batch) -> Batch:
    """The batch without what only fills it up; as it is where there is nothing else.

    Then its gradient is that of slices which count in another process: every process has to take
    part in a step.
    """
    own = _counted(batch)
    if not own or len(own) == len(batch["image"]):
        return batch
    chosen = {
        name: [batch[name][index] for index in own] for name in ("image", "target", "slice_id")
    }
    return {**batch, **chosen, "counts": None}


def _counted(batch: Batch) -> list[int]:
    """The slices that do not only fill up the batch of one of several processes."""
    counts = batch.get("counts")
    if counts is None:
        return list(range(len(batch["image"])))
    return [index for index, own in enumerate(counts) if bool(own)]


def _boxes(data: Any) -> np.ndarray[Any, Any]:
    """(n, 4) the boxes of the training part."""
    if callable(of_part := getattr(data, "boxes_of", None)):
        return np.asarray(of_part("train"), dtype=np.float64).reshape(-1, 4)
    found = [
        target["boxes"].numpy()
        for batch in data.dataloader_of("train")
        for target in batch["target"]
    ]
    return np.concatenate([np.zeros((0, 4)), *found])
