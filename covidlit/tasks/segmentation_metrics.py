"""Metrics of a segmentation in training; with intervals they are those of `evaluation`."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.detection import MeanAveragePrecision

from covidlit.scans.run_length import encode_masks, overlaps
from covidlit.tasks.matching import match, on_ignored, sensitivity_at

LUNG = "lung"
_OUTSIDE_THE_LUNG = "pleural_effusion"


class OverlapMetric(Metric):
    """Pixels over all slices: `dice`, `iou` and `volume_error` of lesions of any class.

    And `dice_<class>` and `iou_<class>` of every class; of the lung they are those of the lung
    field, with the lesions in it. `volume_error` is (predicted - true) / true.

    Args:
        classes: names of the labels from 1.
    """

    full_state_update = False
    sums: Tensor

    def __init__(self, classes: Sequence[str]) -> None:
        super().__init__()
        self.classes = list(classes)
        # Rows: classes, then lesions of any; columns: common, predicted, true pixels.
        shape = (len(self.classes) + 1, 3)
        self.add_state("sums", torch.zeros(shape, dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, predicted: Tensor, truth: Tensor, known: Tensor) -> None:
        """Add a slice.

        Args:
            predicted, truth: (rows, columns) labels.
            known: (classes + 1,) bool, which classes were looked for.
        """
        groups = pixel_groups(self.classes)
        for index, labels in enumerate(groups):
            own = [label for label in labels if bool(known[label])]
            if not own or (index < len(self.classes) and not bool(known[index + 1])):
                continue
            wanted = torch.tensor(own, device=predicted.device)
            one, other = torch.isin(predicted.long(), wanted), torch.isin(truth.long(), wanted)
            found = torch.stack([(one & other).sum(), one.sum(), other.sum()])
            self.sums[index] += found.to(self.sums)

    def compute(self) -> dict[str, Tensor]:
        """NaN of a class that is neither there nor predicted."""
        common, predicted, true = self.sums.unbind(dim=1)
        dice, iou = 2 * common / (predicted + true), common / (predicted + true - common)
        error = torch.where(true > 0, (predicted - true) / true, torch.nan)
        named = {
            f"{measure}_{name}": value[index].float()
            for measure, value in (("dice", dice), ("iou", iou))
            for index, name in enumerate(self.classes)
        }
        whole = {"dice": dice, "iou": iou, "volume_error": error}
        return {name: value[-1].float() for name, value in whole.items()} | named


def pixel_groups(classes: Sequence[str]) -> list[list[int]]:
    """The labels that count as each class, then those of lesions of any class.

    The lung's are its own and those of lesions within it: a map of classes has the lesion where
    both are.
    """
    lesions = [label for label, name in enumerate(classes, start=1) if name != LUNG]
    groups = [[label] for label in range(1, len(classes) + 1)]
    for index, name in enumerate(classes):
        if name == LUNG:
            inside = [k for k in lesions if classes[k - 1] != _OUTSIDE_THE_LUNG]
            groups[index] = [index + 1, *inside]
    return [*groups, lesions]


IOU_THRESHOLDS = np.linspace(0.5, 0.95, 10)
RECALLS = np.linspace(0, 1, 101)


def coco_metric() -> MeanAveragePrecision:
    """COCO's mean average precision of boxes and masks.

    Of masks alone, torchmetrics leaves out slices without a true mask, and with them every false
    positive there: both are asked for. Its own thresholds are in single precision, where a recall
    of 0.35 misses the threshold of 0.35: given as these, it agrees with COCO's program.
    """
    metric = MeanAveragePrecision(
        iou_type=("bbox", "segm"),
        backend="faster_coco_eval",
        iou_thresholds=IOU_THRESHOLDS.tolist(),
        rec_thresholds=RECALLS.tolist(),
    )
    metric.warn_on_many_detections = False
    return metric


class DetectionMetric(Metric):
    """`map_box` and `map_mask`, mean average precision; NaN without an object."""

    full_state_update = False

    def __init__(self) -> None:
        super().__init__()
        self.precision = coco_metric()

    def update(self, found: Mapping[str, Tensor], target: Mapping[str, Tensor]) -> None:
        """Add a slice; see `MaskRCNN.forward` and its targets.

        What is ignored counts as COCO's crowds.
        """
        kinds = ["", "ignored_"] if "ignored_labels" in target else [""]
        truth = {
            name: torch.cat([target[f"{kind}{name}"] for kind in kinds])
            for name in ("boxes", "labels", "masks")
        }
        crowd = torch.zeros(len(truth["labels"]), dtype=torch.int64, device=truth["labels"].device)
        crowd[len(target["labels"]) :] = 1
        self.precision.update(
            [{**found, "masks": found["masks"].bool()}],
            [{**truth, "masks": truth["masks"].bool(), "iscrowd": crowd}],
        )

    def compute(self) -> dict[str, Tensor]:
        """See the class."""
        # Also where this process has seen no object: with others that have, all must compute.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # nothing was added yet
            measured = self.precision.compute()
        found = {"map_box": measured["bbox_map"], "map_mask": measured["segm_map"]}
        return {name: torch.where(value < 0, torch.nan, value) for name, value in found.items()}

    def reset(self) -> None:
        """Forget all slices."""
        super().reset()
        self.precision.reset()


class FrocMetric(Metric):
    """`sensitivity`: share of the lesions, of any class, found at one false positive per slice."""

    full_state_update = False
    found: list[Tensor]
    false: list[Tensor]
    n_slices: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("found", [], dist_reduce_fx="cat")
        self.add_state("false", [], dist_reduce_fx="cat")
        self.add_state("n_slices", torch.zeros(()), dist_reduce_fx="sum")

    def update(
        self, found: Mapping[str, Tensor], target: Mapping[str, Tensor], lung: int = 0
    ) -> None:
        """Add a slice; objects with the label `lung` are no lesions."""
        own, true = found["labels"] != lung, target["labels"] != lung
        shape = (int(target["masks"].shape[1]), int(target["masks"].shape[2]))
        scores = found["scores"][own].float().cpu().numpy()
        masks = encode_masks(found["masks"][own].cpu().numpy())
        truth = encode_masks(target["masks"][true].cpu().numpy())
        ignored = None
        if "ignored_labels" in target:
            regions = target["ignored_masks"][target["ignored_labels"] != lung].cpu().numpy()
            ignored = on_ignored(masks, encode_masks(regions), shape)
        matched = match(overlaps(masks, truth, shape), scores, ignored=ignored)
        device = self.n_slices.device
        self.found.append(torch.as_tensor(matched.found, device=device))
        self.false.append(torch.as_tensor(scores[matched.false], device=device))
        self.n_slices += 1

    def compute(self) -> dict[str, Tensor]:
        """NaN without a lesion."""
        found, false = (
            _joined(self.found).cpu().numpy(), _joined(self.false).cpu().numpy(),
        )  # fmt: skip
        value = sensitivity_at(found, false.astype(np.float64), int(self.n_slices))
        return {"sensitivity": torch.tensor(value)}


def _joined(values: list[Tensor] | Tensor) -> Tensor:
    if isinstance(values, Tensor):  # of several processes
        return values
    return torch.cat(values) if values else torch.zeros(0)
