"""The classification loss against PyTorch's and torchvision's."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional
from torchvision.ops import sigmoid_focal_loss

from covidlit.tasks.losses import classification_loss, log_probabilities

GENERATOR = torch.Generator().manual_seed(0)
BINARY = 4 * torch.randn(16, 1, generator=GENERATOR)
MULTI = 4 * torch.randn(16, 3, generator=GENERATOR)
TARGET2 = torch.arange(16) % 2
TARGET3 = torch.arange(16) % 3


def test_binary_is_bce_with_logits() -> None:
    expected = functional.binary_cross_entropy_with_logits(BINARY[:, 0], TARGET2.float())
    torch.testing.assert_close(classification_loss(BINARY, TARGET2), expected)


def test_multi_class_is_cross_entropy() -> None:
    weights = torch.tensor([0.2, 1.0, 3.0])
    torch.testing.assert_close(
        classification_loss(MULTI, TARGET3, class_weights=weights),
        functional.cross_entropy(MULTI, TARGET3, weight=weights),
    )
    torch.testing.assert_close(
        classification_loss(MULTI, TARGET3, label_smoothing=0.1),
        functional.cross_entropy(MULTI, TARGET3, label_smoothing=0.1),
    )


@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_focal_is_torchvisions(gamma: float) -> None:
    expected = sigmoid_focal_loss(
        BINARY[:, 0], TARGET2.float(), alpha=-1, gamma=gamma, reduction="mean"
    )
    found = classification_loss(BINARY, TARGET2, gamma=gamma)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)


def test_gradients_stay_finite_for_confident_predictions() -> None:
    logits = torch.tensor([[60.0], [-60.0], [60.0], [-60.0]], requires_grad=True)
    loss = classification_loss(logits, torch.tensor([1, 0, 0, 1]), gamma=0.5)
    loss.backward()
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()
    assert loss.item() == pytest.approx(30, rel=1e-3)


def test_probabilities_sum_to_one_in_float32() -> None:
    for logits in (BINARY, MULTI.bfloat16()):
        p = log_probabilities(logits).exp()
        assert p.dtype == torch.float32
        torch.testing.assert_close(p.sum(1), torch.ones(16))
