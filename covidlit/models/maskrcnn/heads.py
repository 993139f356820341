"""The second stage of Mask R-CNN: classes, boxes and masks of proposed regions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models.detection.mask_rcnn import MaskRCNNPredictor
from torchvision.models.detection.roi_heads import RoIHeads

from covidlit.models.maskrcnn.masks import project_masks

Target = dict[str, Tensor]


class RegionHeads(Protocol):
    """What is computed of features that are cut out at regions."""

    def box_outputs(self, regions: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (n, classes) and box deltas (n, 4 * classes) of regions (n, channels, 7, 7)."""

    def mask_probabilities(self, regions: Tensor, labels: Tensor) -> Tensor:
        """Masks (n, size, size), each of its label (n,), of regions (n, channels, 14, 14)."""


class LesionHeads(RoIHeads):
    """torchvision's heads, with masks that lie where they should; see `maskrcnn.masks`.

    A class that was not annotated in a slice's source is neither right nor wrong there: its logit
    is left out of the loss.

    Attributes:
        mask_size: rows and columns of an object's mask within its box.
    """

    mask_size = 28

    def losses(
        self,
        features: dict[str, Tensor],
        proposals: list[Tensor],
        sizes: list[tuple[int, int]],
        targets: Sequence[Target],
    ) -> dict[str, Tensor]:
        """`classifier`, `box` and `mask`, each a scalar in float32.

        Args:
            features: of the pyramid.
            proposals: of each slice, (n, 4).
            sizes: rows and columns of each slice.
            targets: `boxes`, `labels`, `masks` and perhaps `annotated` of each slice.
        """
        proposals, matched, labels, regression = self.select_training_samples(
            proposals, list(targets)
        )
        logits, deltas = self.box_predictor(
            self.box_head(self.box_roi_pool(features, proposals, sizes))
        )
        logits = logits.float() + _not_annotated(targets, proposals, logits.shape[1], logits)
        classes = torch.cat(labels)
        found = {"classifier": functional.cross_entropy(logits, classes)}
        positive = torch.where(classes > 0)[0]
        own = deltas.float().reshape(len(classes), -1, 4)[positive, classes[positive]]
        off = functional.smooth_l1_loss(
            own, torch.cat(regression)[positive].float(), beta=1 / 9, reduction="sum"
        )
        found["box"] = off / max(len(classes), 1)
        regions = [p[label > 0] for p, label in zip(proposals, labels, strict=True)]
        wanted = [
            project_masks(t["masks"][index[label > 0]], region, self.mask_size)
            for t, index, label, region in zip(targets, matched, labels, regions, strict=True)
        ]
        found["mask"] = self._mask_loss(
            features, regions, sizes, torch.cat(wanted), classes[positive]
        )
        return found

    def _mask_loss(
        self,
        features: dict[str, Tensor],
        regions: list[Tensor],
        sizes: list[tuple[int, int]],
        wanted: Tensor,
        classes: Tensor,
    ) -> Tensor:
        if len(classes) == 0:  # all parameters stay in the graph, which DDP wants
            used = sum(p.sum() for p in self._mask_parameters())
            return 0.0 * torch.as_tensor(used, device=wanted.device).float()
        logits = self._mask_logits(features, regions, sizes)
        own = logits[torch.arange(len(classes), device=classes.device), classes].float()
        return functional.binary_cross_entropy_with_logits(own, wanted)

    def _mask_parameters(self) -> list[Tensor]:
        return [*self.mask_head.parameters(), *self.mask_predictor.parameters()]

    def _mask_logits(
        self, features: dict[str, Tensor], regions: list[Tensor], sizes: list[tuple[int, int]]
    ) -> Tensor:
        pooled = self.mask_roi_pool(features, regions, sizes)
        logits: Tensor = self.mask_predictor(self.mask_head(pooled))
        return logits

    def box_outputs(self, regions: Tensor) -> tuple[Tensor, Tensor]:
        """See `RegionHeads`."""
        logits, deltas = self.box_predictor(self.box_head(regions))
        return logits, deltas

    def mask_probabilities(self, regions: Tensor, labels: Tensor) -> Tensor:
        """See `RegionHeads`."""
        logits: Tensor = self.mask_predictor(self.mask_head(regions)).float()
        own = labels[:, None, None, None].expand(-1, 1, self.mask_size, self.mask_size)
        return logits.gather(1, own)[:, 0].sigmoid()

    def detect(
        self,
        features: dict[str, Tensor],
        proposals: list[Tensor],
        sizes: list[tuple[int, int]],
        *,
        heads: RegionHeads | None = None,
        min_score: float = 0.0,
    ) -> list[dict[str, Tensor]]:
        """Of each slice `boxes`, `labels`, `scores` and `masks`, the latter as probabilities.

        Masks are (n, size, size) within their boxes.

        Args:
            features: of the pyramid.
            proposals: of each slice, (n, 4).
            sizes: rows and columns of each slice.
            heads: what computes; None: these heads.
            min_score: what scores less is left out, before its mask is computed.
        """
        own = heads or self
        logits, deltas = own.box_outputs(self.box_roi_pool(features, proposals, sizes))
        found = self.postprocess_detections(logits.float(), deltas.float(), proposals, sizes)
        kept = [scores >= min_score for scores in found[1]]
        boxes, scores, labels = (
            [each[keep] for each, keep in zip(values, kept, strict=True)] for values in found
        )
        counts = [len(each) for each in boxes]
        if sum(counts):
            regions = self.mask_roi_pool(features, boxes, sizes)
            masks = own.mask_probabilities(regions, torch.cat(labels)).split(counts)
        else:
            size = self.mask_size
            masks = tuple(each.new_zeros((0, size, size)) for each in boxes)
        return [
            {"boxes": b, "labels": c, "scores": s, "masks": m}
            for b, c, s, m in zip(boxes, labels, scores, masks, strict=True)
        ]


def mask_predictor(channels: int, n_classes: int, doublings: int) -> MaskRCNNPredictor:
    """Logits of masks, each doubling twice as fine as the features.

    With one it is torchvision's; further ones have half the channels of the one before.
    """
    predictor = MaskRCNNPredictor(channels, channels, n_classes)
    logits = predictor.mask_fcn_logits
    for number in range(1, doublings):
        finer = max(channels // 2, 8)
        up = nn.ConvTranspose2d(channels, finer, 2, 2)
        nn.init.kaiming_normal_(up.weight, nonlinearity="relu")
        del predictor.mask_fcn_logits
        predictor.add_module(f"conv{5 + number}_mask", up)
        predictor.add_module(f"relu{number}", nn.ReLU(inplace=True))
        channels, logits = finer, nn.Conv2d(finer, n_classes, 1)
        predictor.add_module("mask_fcn_logits", logits)
    return predictor


def _not_annotated(
    targets: Sequence[Target], proposals: Sequence[Tensor], n_classes: int, like: Tensor
) -> Tensor:
    """(regions, classes): 0, and minus infinity for classes that nobody looked for."""
    rows = []
    for target, own in zip(targets, proposals, strict=True):
        row = like.new_zeros(n_classes, dtype=torch.float32)
        if (annotated := target.get("annotated")) is not None:
            left_out = ~annotated[:n_classes].bool().to(row.device)
            left_out[0] = False
            row[: len(left_out)][left_out] = -torch.inf
        rows.append(row.expand(len(own), -1))
    return torch.cat(rows)
