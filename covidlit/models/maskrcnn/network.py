"""Mask R-CNN for slices of chest CT, with a semantic branch beside the instances."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import (
    FastRCNNConvFCHead,
    FastRCNNPredictor,
    TwoMLPHead,
)
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads
from torchvision.models.detection.rpn import (
    RegionProposalNetwork,
    RPNHead,
    concat_box_prediction_layers,
)

from covidlit.errors import ConfigError
from covidlit.models.layers import check_choice
from covidlit.models.maskrcnn.anchors import LEVELS, RATIOS, SIZES
from covidlit.models.maskrcnn.backbones import (
    N_STAGES,
    NORMS,
    PyramidBackbone,
    freeze_norms,
    norm_layer,
    standardisation,
)
from covidlit.models.maskrcnn.heads import LesionHeads, RegionHeads, Target, mask_predictor
from covidlit.models.maskrcnn.masks import paste_masks
from covidlit.models.maskrcnn.pretrained import COCO, IMAGENET, Loaded, load_pretrained
from covidlit.models.maskrcnn.regions import AlignedRoIAlign
from covidlit.models.maskrcnn.semantic import SemanticBranch, semantic_losses
from covidlit.models.maskrcnn.stages import Dense, Stages

BOX_HEADS = ("mlp", "conv")
LOSSES = ("objectness", "proposal", "classifier", "box", "mask", "semantic", "dice")
MASK_SIZES = (28, 56, 112)
_MASK_CELLS = 14
_DIVISIBLE = 32
_BOX_CELLS = 7


class MaskRCNN(nn.Module):
    """Instances and a class for every pixel, of slices at their own size.

    The parts are torchvision's under torchvision's names, so that its weights load; masks are cut
    and pasted by `covidlit.models.maskrcnn.masks`, regions without a shift.

    Args:
        n_classes: with the background.
        backbone: "resnet18", "resnet34", "resnet50" or "efficientnet_lite0".
        fpn_channels: channels of the feature pyramid and the mask head. The heads decide what a
            slice costs, not the backbone.
        norm: of the backbone: "group" to train from the start, "frozen" or "batch" for pretrained
            weights.
        head_norm: of the pyramid and the heads of the second version; as `norm`.
        trainable_stages: stages of the backbone that are trained, of five, from the deepest on.
        box_head: "mlp" (Mask R-CNN) or "conv" (four convolutions; the second version).
        head_width: of the box head.
        mask_size: rows and columns of an object's mask within its box: 28 as in the paper, or 56
            or 112. A perfect head of 28 leaves a lung a Dice of 0.98 to 0.99, of 56 0.996.
        semantic_width: of the semantic branch.
        proposals: regions that are looked at in a slice.
        train_proposals: regions from which the box head's are drawn in training.
        sampled_regions: regions of each slice that the box head learns from.
        max_detections: objects that are kept of a slice.
        score_threshold: of an object that is kept.
        nms_threshold: overlap from which the weaker of two objects of a class is dropped.
        anchor_sizes: for each of the five levels, in pixels; None: `anchors.SIZES`.
        anchor_ratios: height by width of the anchors; None: `anchors.RATIOS`.
        in_channels: of the slices.
        pretrained: "imagenet", "coco", a file, or None; see `pretrained.load_pretrained`.

    Raises:
        ConfigError: an argument out of its range.
        CheckpointError: the pretrained weights cannot be had or do not fit.

    Source: He et al., Mask R-CNN, ICCV 2017; Li et al., Benchmarking Detection Transfer Learning
    with Vision Transformers, 2021, section 3 (the second version's heads).
    """

    def __init__(
        self,
        n_classes: int,
        backbone: str = "resnet50",
        fpn_channels: int = 256,
        norm: str = "group",
        head_norm: str = "group",
        trainable_stages: int = N_STAGES,
        box_head: str = "conv",
        head_width: int = 1024,
        mask_size: int = 56,
        semantic_width: int = 64,
        proposals: int = 300,
        train_proposals: int = 1000,
        sampled_regions: int = 256,
        max_detections: int = 100,
        score_threshold: float = 0.05,
        nms_threshold: float = 0.5,
        anchor_sizes: Sequence[Sequence[float]] | None = None,
        anchor_ratios: Sequence[float] | None = None,
        in_channels: int = 3,
        pretrained: str | None = None,
    ) -> None:
        super().__init__()
        check_choice(box_head, BOX_HEADS, "box_head")
        check_choice(head_norm, NORMS, "head_norm")
        for name, value in (
            ("proposals", proposals), ("train_proposals", train_proposals),
            ("sampled_regions", sampled_regions), ("max_detections", max_detections),
            ("fpn_channels", fpn_channels), ("head_width", head_width),
        ):  # fmt: skip
            _at_least(value, 1, name)
        _at_least(n_classes, 2, "n_classes")
        if mask_size not in MASK_SIZES:
            raise ConfigError(
                f"mask_size must be one of {', '.join(map(str, MASK_SIZES))}, got {mask_size!r}.",
                where="mask_size",
            )
        self.n_classes = n_classes
        second = box_head == "conv"
        self.backbone = PyramidBackbone(
            backbone, fpn_channels, norm, trainable_stages, in_channels,
            pyramid_norm=head_norm if second else None,
        )  # fmt: skip
        anchors = _anchors(anchor_sizes or SIZES, anchor_ratios or RATIOS)
        self.rpn = RegionProposalNetwork(
            anchors,
            RPNHead(
                fpn_channels, anchors.num_anchors_per_location()[0], conv_depth=2 if second else 1
            ),
            fg_iou_thresh=0.7,
            bg_iou_thresh=0.3,
            batch_size_per_image=256,
            positive_fraction=0.5,
            pre_nms_top_n={"training": train_proposals, "testing": 1000},
            post_nms_top_n={"training": train_proposals, "testing": proposals},
            nms_thresh=0.7,
        )
        self.roi_heads = _heads(
            n_classes, fpn_channels, head_norm, second, head_width, mask_size,
            sampled_regions, max_detections, score_threshold, nms_threshold,
        )  # fmt: skip
        self.semantic = SemanticBranch(fpn_channels, n_classes, semantic_width, in_channels)
        mean, std = standardisation(self.backbone.architecture, in_channels)
        self.input_mean: Tensor
        self.input_std: Tensor
        shape = (1, in_channels, 1, 1)
        self.register_buffer("input_mean", torch.tensor(mean).reshape(shape), persistent=False)
        self.register_buffer("input_std", torch.tensor(std).reshape(shape), persistent=False)
        heads = (self.backbone.fpn, self.rpn, self.roi_heads)
        frozen = [self.backbone.body] if norm == "frozen" else []
        frozen += heads if head_norm == "frozen" else ()
        self._kept = [each for part in frozen for each in freeze_norms(part)]
        self.loaded: Loaded | None = None
        if pretrained is not None:
            needed = {IMAGENET: {"norm": norm}, COCO: {"norm": norm, "head_norm": head_norm}}
            for name, chosen in needed.get(pretrained, {}).items():
                if chosen == "group":
                    raise ConfigError(
                        f"the weights of {pretrained} go with the statistics of batch norm.",
                        where=f"{name}=group",
                        fix=f"set {name}=frozen, or batch where batches are large.",
                    )
            self.loaded = load_pretrained(self, backbone, pretrained)

    def train(self, mode: bool = True) -> MaskRCNN:
        """As `nn.Module.train`; frozen batch norms stay as they are."""
        super().train(mode)
        for module in self._kept:
            module.eval()
        return self

    def forward(
        self, images: Sequence[Tensor], *, stages: Stages | None = None, min_score: float = 0.0
    ) -> list[dict[str, Tensor]]:
        """What is found in slices.

        Args:
            images: (channels, rows, columns) float in [0, 1] each; sizes may differ.
            stages: what computes; None: this network.
            min_score: objects that score less are left out.

        Returns:
            Of each slice `boxes` (n, 4), half-open, in pixels; `labels` (n,) from 1; `scores` (n,);
            `masks` (n, rows, columns) bool; and `semantic` (rows, columns) uint8.
        """
        batch, own = self.batch(images), stages or self
        return self._assembled(batch, own.dense(batch.tensors), own.heads, min_score)

    def batch(self, images: Sequence[Tensor]) -> ImageList:
        """Slices in one tensor, filled up with air to a multiple of 32, and standardised."""
        sizes = [(int(each.shape[-2]), int(each.shape[-1])) for each in images]
        rows, columns = (
            -(-max(size[axis] for size in sizes) // _DIVISIBLE) * _DIVISIBLE for axis in (0, 1)
        )
        padded = [
            functional.pad(each, (0, columns - size[1], 0, rows - size[0]))
            for each, size in zip(images, sizes, strict=True)
        ]
        tensors = (torch.stack(padded) - self.input_mean) / self.input_std
        return ImageList(tensors, sizes)

    def features(self, batch: ImageList) -> dict[str, Tensor]:
        """Of the pyramid, by level."""
        found: dict[str, Tensor] = self.backbone(batch.tensors)
        return found

    @property
    def heads(self) -> LesionHeads:
        """See `Stages`."""
        return self.roi_heads

    def dense(self, tensors: Tensor) -> Dense:
        """See `Stages`."""
        return self._dense(tensors, self.backbone(tensors))

    def found(self, batch: ImageList, features: dict[str, Tensor]) -> list[dict[str, Tensor]]:
        """See `forward`; for features that are there already."""
        return self._assembled(batch, self._dense(batch.tensors, features), self.roi_heads, 0.0)

    def _dense(self, tensors: Tensor, features: dict[str, Tensor]) -> Dense:
        objectness, deltas = self.rpn.head(list(features.values()))
        classes = self.semantic(features, tensors).argmax(dim=1).to(torch.uint8)
        return Dense(features, objectness, deltas, classes)

    def _assembled(
        self, batch: ImageList, dense: Dense, heads: RegionHeads, min_score: float
    ) -> list[dict[str, Tensor]]:
        proposals, *_ = self._proposals(batch, dense.objectness, dense.deltas)
        found = self.roi_heads.detect(
            dense.levels, proposals, batch.image_sizes, heads=heads, min_score=min_score
        )
        for each, (rows, columns), own in zip(found, batch.image_sizes, dense.classes, strict=True):
            each["masks"] = paste_masks(each["masks"], each["boxes"], (rows, columns))
            each["semantic"] = own[:rows, :columns]
        return found

    def losses(
        self,
        batch: ImageList,
        features: dict[str, Tensor],
        targets: Sequence[Target],
        lung: int = 0,
    ) -> dict[str, Tensor]:
        """The terms of the loss (`LOSSES`), scalars in float32.

        Args:
            batch: of the slices.
            features: theirs.
            targets: `boxes`, `labels`, `masks`, `semantic` and perhaps `annotated` of each; the
                same numbers of classes as in `forward`.
            lung: the label that is no lesion; 0: there is none.

        Raises:
            ConfigError: a label that is no class, or a box without width or height.
        """
        check_targets(targets, self.n_classes)
        proposals, found = self._proposal_losses(batch, features, targets)
        found |= self.roi_heads.losses(features, proposals, batch.image_sizes, targets)
        logits = self.semantic(features, batch.tensors)
        own = [
            each[:, :rows, :columns]
            for each, (rows, columns) in zip(logits, batch.image_sizes, strict=True)
        ]
        known = [target.get("annotated") for target in targets]
        return found | semantic_losses(own, [t["semantic"] for t in targets], known, lung)

    def _proposals(
        self, batch: ImageList, objectness: list[Tensor], deltas: list[Tensor]
    ) -> tuple[list[Tensor], Tensor, Tensor, list[Tensor]]:
        """Regions of each slice; anchors in a row with their logits and deltas, in float32."""
        rpn = self.rpn
        anchors = rpn.anchor_generator(batch, objectness)
        counts = [each[0].numel() for each in objectness]
        logits, off = concat_box_prediction_layers(objectness, deltas)
        logits, off = logits.float(), off.float()
        decoded = rpn.box_coder.decode(off.detach(), anchors).view(len(anchors), -1, 4)
        regions, _ = rpn.filter_proposals(decoded, logits.detach(), batch.image_sizes, counts)
        return [each.detach() for each in regions], logits, off, anchors

    def _proposal_losses(
        self, batch: ImageList, features: dict[str, Tensor], targets: Sequence[Target]
    ) -> tuple[list[Tensor], dict[str, Tensor]]:
        """Regions of each slice, and the two losses of the proposals.

        As torchvision's `RegionProposalNetwork.forward`, which gives losses in training alone.
        """
        rpn = self.rpn
        outputs = rpn.head(list(features.values()))
        regions, objectness, deltas, anchors = self._proposals(batch, *outputs)
        labels, matched = rpn.assign_targets_to_anchors(anchors, list(targets))
        wanted = rpn.box_coder.encode(matched, anchors)
        found, off = rpn.compute_loss(objectness, deltas, labels, wanted)
        return regions, {"objectness": found, "proposal": off}


def check_targets(targets: Sequence[Mapping[str, Tensor]], n_classes: int) -> None:
    """Refuse targets that torchvision would take for something else.

    Raises:
        ConfigError: a label that is no class (0 and negative ones would count as background), or a
            box without width or height.
    """
    for target in targets:
        labels, boxes = target["labels"], target["boxes"]
        if len(labels) and not bool(((labels >= 1) & (labels < n_classes)).all()):
            wrong = sorted({int(label) for label in labels.tolist()} - {*range(1, n_classes)})
            raise ConfigError(
                f"the label {wrong[0]} is none of the classes 1 to {n_classes - 1}.",
                where="target.labels",
                fix="give model.task.classes as the data have them (null takes theirs).",
            )
        if len(boxes) and not bool((boxes[:, 2:] > boxes[:, :2]).all()):
            raise ConfigError(
                "a box has no width or no height.",
                where="target.boxes",
                fix="boxes are half-open, (x0, y0, x1, y1): that of one pixel is (x, y, x+1, y+1).",
            )


def _at_least(value: Any, least: int, name: str) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ConfigError(
            f"{name} must be a whole number of at least {least}, got {value!r}.", where=name
        )


def _anchors(sizes: Sequence[Sequence[float]], ratios: Sequence[float]) -> AnchorGenerator:
    counts = {len(each) for each in sizes}
    flat = [*(size for level in sizes for size in level), *ratios]
    if len(sizes) != LEVELS or len(counts) != 1 or counts == {0} or min(flat, default=0) <= 0:
        raise ConfigError(
            f"anchors need positive sizes of {LEVELS} levels, as many for each, and positive "
            f"ratios; got {list(sizes)!r} and {list(ratios)!r}.",
            where="anchor_sizes",
            fix="set both to null, or anchors=fit.",
        )
    return AnchorGenerator(tuple(map(tuple, sizes)), (tuple(ratios),) * LEVELS)


def _heads(
    n_classes: int,
    channels: int,
    norm: str,
    second: bool,
    width: int,
    mask_size: int,
    sampled: int,
    max_detections: int,
    score_threshold: float,
    nms_threshold: float,
) -> LesionHeads:
    """The heads of the first version, or (`second`) those of the second one."""
    layers = norm_layer(norm) if second else None
    box: nn.Module = (
        FastRCNNConvFCHead((channels, _BOX_CELLS, _BOX_CELLS), [channels] * 4, [width], layers)
        if second
        else TwoMLPHead(channels * _BOX_CELLS**2, width)
    )
    classes = FastRCNNPredictor(width, n_classes)
    masks = mask_predictor(channels, n_classes, int(math.log2(mask_size // _MASK_CELLS)))
    # Near even odds, as Detectron starts: large first logits take many steps to unlearn.
    for layer, std in ((classes.cls_score, 0.01), (classes.bbox_pred, 1e-3), (masks[-1], 1e-3)):
        nn.init.normal_(layer.weight, std=std)
        nn.init.zeros_(layer.bias)
    heads = LesionHeads(
        AlignedRoIAlign(_BOX_CELLS),
        box,
        classes,
        fg_iou_thresh=0.5,
        bg_iou_thresh=0.5,
        batch_size_per_image=sampled,
        positive_fraction=0.25,
        bbox_reg_weights=None,
        score_thresh=score_threshold,
        nms_thresh=nms_threshold,
        detections_per_img=max_detections,
        mask_roi_pool=AlignedRoIAlign(_MASK_CELLS),
        mask_head=MaskRCNNHeads(channels, [channels] * 4, 1, layers),
        mask_predictor=masks,
    )
    heads.mask_size = mask_size
    return heads
