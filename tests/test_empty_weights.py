"""Nothing is drawn for weights that a checkpoint overwrites."""

from __future__ import annotations

import torch

from covidlit.empty_weights import EmptyWeights
from covidlit.models import CSACNet3D, ResNet3D


def test_what_no_checkpoint_holds_is_drawn() -> None:
    with EmptyWeights():
        drawn = torch.empty(1000).normal_(generator=torch.Generator().manual_seed(0))
    expected = torch.empty(1000).normal_(generator=torch.Generator().manual_seed(0))
    assert torch.equal(drawn, expected)


def test_a_network_is_built_without_drawing_and_takes_all_weights() -> None:
    for kind in (CSACNet3D, ResNet3D):
        torch.manual_seed(0)
        trained = kind(width=4)
        state = torch.get_rng_state()
        with EmptyWeights():
            empty = kind(width=4)
        assert torch.equal(torch.get_rng_state(), state)
        empty.load_state_dict(trained.state_dict())
        image = torch.rand(1, 1, 16, 32, 32)
        with torch.inference_mode():
            assert torch.equal(empty.eval()(image), trained.eval()(image))
        kind(width=4)
        assert not torch.equal(torch.get_rng_state(), state)  # as ever behind the block
