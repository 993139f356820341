"""The semantic branch: a class for every pixel, for what has no number, such as ground glass."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from covidlit.models.maskrcnn.regions import STRIDES

_GROUPS = 8
_FINE = 16


class SemanticBranch(nn.Module):
    """Logits of every pixel from the levels of a feature pyramid.

    Each level is brought to stride 4 and they are added up; a thin path from the slice itself
    gives edges back at stride 2.

    Args:
        channels: of the pyramid.
        n_classes: with the background.
        width: of the branch; a multiple of 8.
        in_channels: of the slice.

    Source: Kirillov et al., Panoptic Feature Pyramid Networks, CVPR 2019, section 3; the fine path
    is ours.
    """

    def __init__(
        self, channels: int, n_classes: int, width: int = 64, in_channels: int = 3
    ) -> None:
        super().__init__()
        self.levels = nn.ModuleList(_convolution(channels, width) for _ in STRIDES)
        self.fine = _convolution(in_channels, _FINE, stride=2)
        self.join = _convolution(width + _FINE, width // 2)
        self.classify = nn.Conv2d(width // 2, n_classes, 1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        nn.init.normal_(self.classify.weight, std=(width // 2) ** -0.5)
        nn.init.zeros_(self.classify.bias)  # type: ignore[arg-type]  # it has one

    def forward(self, features: dict[str, Tensor], image: Tensor) -> Tensor:
        """(B, classes, rows, columns) logits of images (B, channels, rows, columns)."""
        finest = features["0"].shape[-2:]
        summed = torch.zeros((), device=image.device)
        for index, level in enumerate(self.levels):
            summed = summed + _resize(level(features[str(index)]), finest)
        fine = self.fine(image)
        joined = self.join(torch.cat([_resize(summed, fine.shape[-2:]), fine], dim=1))
        return _resize(self.classify(joined), image.shape[-2:])


def _convolution(channels: int, width: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, width, 3, stride, 1, bias=False),
        nn.GroupNorm(min(_GROUPS, width), width),
        nn.ReLU(inplace=True),
    )


def _resize(features: Tensor, shape: Sequence[int]) -> Tensor:
    if tuple(features.shape[-2:]) == tuple(shape):
        return features
    # No plain numbers: an exported graph takes the size from its input.
    return functional.interpolate(features, size=list(shape), mode="bilinear", align_corners=False)


def semantic_losses(
    logits: Sequence[Tensor],
    targets: Sequence[Tensor],
    annotated: Sequence[Tensor | None],
    lung: int = 0,
) -> dict[str, Tensor]:
    """Cross-entropy of all pixels, and 1 - Dice of the classes that the batch holds.

    To the latter that of lesions of any class is added: where a lesion is, is learnt long before
    what it is.

    Args:
        logits: of each slice, (classes, rows, columns).
        targets: of each slice, (rows, columns), the class of each pixel.
        annotated: of each slice which classes were looked for, (classes,) bool; None: all. What was
            not is left out of the softmax: nothing is learnt about it from this slice.
        lung: the label that is no lesion; 0: there is none.

    Returns:
        `semantic` and `dice`, scalars in float32.
    """
    n_classes, n_pixels = logits[0].shape[0], sum(target.numel() for target in targets)
    entropy = logits[0].new_zeros((), dtype=torch.float32)
    common = logits[0].new_zeros(n_classes, dtype=torch.float32)
    both, true = torch.zeros_like(common), torch.zeros_like(common)
    merged = common.new_zeros(3)
    for own, target, known in zip(logits, targets, annotated, strict=True):
        own = own.float()
        seen = torch.ones(n_classes, dtype=torch.bool, device=own.device)
        if known is not None:
            seen[1:] = known[1:n_classes].bool().to(own.device)
        own = own.masked_fill(~seen[:, None, None], -torch.inf)
        wanted = target.long()
        wanted = torch.where(seen[wanted], wanted, 0)
        entropy = entropy + functional.cross_entropy(own[None], wanted[None], reduction="sum")
        probability = own.softmax(dim=0)
        one_hot = functional.one_hot(wanted, n_classes).movedim(-1, 0).float()
        common = common + (probability * one_hot).sum((1, 2))
        both = both + probability.sum((1, 2)) + one_hot.sum((1, 2))
        true = true + one_hot.sum((1, 2)).detach()
        lesion = torch.tensor([k not in (0, lung) for k in range(n_classes)], device=own.device)
        any_lesion, is_lesion = probability[lesion].sum(0), one_hot[lesion].sum(0)
        found = torch.stack([(any_lesion * is_lesion).sum(), any_lesion.sum(), is_lesion.sum()])
        merged = merged + found
    held = true > 0
    held[0] = False
    dice = (1 - (2 * common + 1) / (both + 1))[held]
    off = dice.mean() if held.any() else 0.0 * common.sum()
    return {"semantic": entropy / n_pixels, "dice": off + _lesion_dice(merged)}


def _lesion_dice(merged: Tensor) -> Tensor:
    """1 - Dice from the sums (common, predicted, true); 0 where no pixel is true."""
    common, predicted, true = merged.unbind()
    return (1 - (2 * common + 1) / (predicted + true + 1)) * (true > 0)
