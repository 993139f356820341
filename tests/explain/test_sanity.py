"""The model-randomisation check tells a heatmap of the network from one of the image."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor, nn

from covidlit.explain import grad_cam, layer_of, randomisation_check
from covidlit.explain.sanity import rank_similarity
from covidlit.models import CSACNet3D


def edges(net: nn.Module, image: Tensor) -> NDArray[np.float32]:
    """An "explanation" that looks convincing and has nothing to do with the network."""
    return ndimage.gaussian_gradient_magnitude(image[0, 0].numpy(), 1.0)


def explain(net: nn.Module, image: Tensor) -> NDArray[np.float32]:
    return grad_cam(net, image, layer_of(net, "subnet1_unit1"))


@pytest.fixture(scope="module")
def net() -> nn.Module:
    torch.manual_seed(0)
    return CSACNet3D(width=4, zero_init=False).eval()


@pytest.fixture(scope="module")
def images() -> list[Tensor]:
    rng = torch.Generator().manual_seed(1)
    return [torch.rand(1, 1, 16, 32, 32, generator=rng) for _ in range(3)]


def test_an_edge_detector_does_not_pass(net: nn.Module, images: list[Tensor]) -> None:
    outcome = randomisation_check(net, images, edges)
    assert not outcome.passed
    assert [stage.similarity for stage in outcome.stages] == [1.0] * 5
    assert "NOT passed" in outcome.sentence
    assert "Do not read it as a reason" in outcome.meaning


def test_grad_cam_passes_and_the_network_stays_as_it_was(
    net: nn.Module, images: list[Tensor]
) -> None:
    before = {name: value.clone() for name, value in net.state_dict().items()}
    outcome = randomisation_check(net, images, explain)
    assert outcome.passed
    assert "What it cannot show" in outcome.meaning
    assert outcome.stages[0].last.startswith(("head", "subnets"))  # from the output on
    assert outcome.stages[-1].last == "stem.0"
    n_modules = sum(hasattr(module, "reset_parameters") for module in net.modules())
    assert outcome.stages[-1].randomised == n_modules
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert randomisation_check(net, images, explain) == outcome  # the same for the same seed


def test_similarity_is_of_ranks() -> None:
    one = np.random.default_rng(0).random((4, 5, 6))
    assert rank_similarity(one, one**3) == pytest.approx(1)
    assert rank_similarity(one, np.zeros((4, 5, 6))) == 0
    assert rank_similarity(one, np.random.default_rng(1).random((4, 5, 6))) < 0.3
