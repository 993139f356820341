"""The classification loss: cross-entropy or focal, binary or multi-class, weighted and smoothed."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def log_probabilities(logits: Tensor) -> Tensor:
    """Log-probabilities (B, C) in float32; one logit (B, 1) counts as two classes, C = 2."""
    logits = logits.float()
    if logits.shape[1] == 1:
        return torch.cat([functional.logsigmoid(-logits), functional.logsigmoid(logits)], dim=1)
    return functional.log_softmax(logits, dim=1)


def classification_loss(
    logits: Tensor,
    target: Tensor,
    *,
    class_weights: Tensor | None = None,
    label_smoothing: float = 0.0,
    gamma: float = 0.0,
) -> Tensor:
    """Mean of `loss_terms` over a batch; its arguments."""
    losses, weights = loss_terms(
        logits,
        target,
        class_weights=class_weights,
        label_smoothing=label_smoothing,
        gamma=gamma,
    )
    return losses.sum() / weights.sum()


def loss_terms(
    logits: Tensor,
    target: Tensor,
    *,
    class_weights: Tensor | None = None,
    label_smoothing: float = 0.0,
    gamma: float = 0.0,
) -> tuple[Tensor, Tensor]:
    """Focal loss of every scan; `gamma` 0 is the cross-entropy (binary: BCE with logits).

    Args:
        logits: (B, 1) for a binary task, (B, C) otherwise.
        target: (B,) int64 class indices.
        class_weights: (C,), the weight of a scan of each class; the mean is taken over weights.
        label_smoothing: this share of each label is spread evenly over the classes.
        gamma: focusing parameter (Lin et al., "Focal loss for dense object detection", eq. 4).

    Returns:
        (B,) losses, each times its weight, and (B,) weights: 1 without `class_weights`.
    """
    log_p = log_probabilities(logits)
    n_classes = log_p.shape[1]
    wanted = functional.one_hot(target, n_classes).to(log_p.dtype)
    wanted = wanted * (1 - label_smoothing) + label_smoothing / n_classes
    terms = wanted * log_p
    if gamma > 0:
        # 1 - p through expm1 keeps its precision (and its gradient) for confident predictions.
        terms = terms * (-torch.expm1(log_p)).clamp_min(1e-12) ** gamma
    losses = -terms.sum(dim=1)
    if class_weights is None:
        return losses, torch.ones_like(losses)
    weights = class_weights.to(losses.dtype)[target]
    return weights * losses, weights
