"""Declared layers lie where their grids say, seen by what a bright spot does to them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from covidlit.explain import layers_of
from covidlit.models import CSACNet3D, DenseNet3D, ResNet3D
from covidlit.models.explainable import ExplainableLayer

NETS = {
    "csacnet": lambda: CSACNet3D(width=2, zero_init=False),
    "csacnet, thick slices": lambda: CSACNet3D(width=2, zero_init=False, stem_stride=[1, 2, 2]),
    "resnet": lambda: ResNet3D(depth=10, width=2, zero_init=False),
    "resnet, bottlenecks": lambda: ResNet3D(depth=50, width=2, zero_init=False, max_pool=False),
    "densenet": lambda: DenseNet3D(width=4, growth=2),
}


def features(net: nn.Module, layer: ExplainableLayer, image: Tensor) -> Tensor:
    found: list[Tensor] = []
    hook = layer.module.register_forward_hook(lambda module, args, out: found.append(out[0]))
    with torch.no_grad():
        net(image)
    hook.remove()
    return found[0]


@pytest.mark.parametrize(
    ("name", "axis"), [*((name, 2) for name in NETS), ("csacnet, thick slices", 0)]
)
def test_a_bright_spot_is_found_where_the_grid_says(name: str, axis: int) -> None:
    net = NETS[name]().eval()
    for module in net.modules():
        if isinstance(module, nn.Conv3d):  # symmetric kernels: a spot's centre stays where it is
            nn.init.constant_(module.weight, 1 / module.weight[0].numel())
    size = [16, 16, 16]
    size[axis] = 192  # long, so that no border cuts off what a deep layer sees
    empty = torch.zeros(1, 1, *size)
    layers = layers_of(net)
    before = {key: features(net, layer, empty) for key, layer in layers.items()}
    for at in (81, 96, 110):
        spot = [8, 8, 8]
        spot[axis] = at
        image = empty.clone()
        image[(0, 0, *(slice(place - 1, place + 2) for place in spot))] = 5.0
        for key, layer in layers.items():
            change = (features(net, layer, image) - before[key]).abs().sum(0).numpy()
            along = change.sum(axis=tuple({0, 1, 2} - {axis}))
            index = np.average(np.arange(len(along)), weights=along)
            step = layer.grid.step[axis]
            assert abs(layer.grid.first[axis] + step * index - at) <= 0.3 * step + 1, key


def test_the_paper_s_layer_and_each_subnet_are_there() -> None:
    net = CSACNet3D(width=4)
    layers = layers_of(net)
    assert layers["last_pool"].module is net.pools[-1]
    assert [layers[f"subnet{k}"].module for k in (1, 2, 3)] == list(net.subnets)
    assert sum("_unit" in name for name in layers) == 5  # 2, 2 and 1 units
    image = torch.rand(1, 1, 24, 48, 64)
    for layer in layers.values():
        shape = features(net.eval(), layer, image).shape[1:]
        step = np.asarray(layer.grid.step)
        assert list(shape) == list(np.ceil(np.array([24, 48, 64]) / step).astype(int))
