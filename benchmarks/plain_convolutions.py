"""The network without covidlit's own convolutions, as PyTorch alone would run it."""

from __future__ import annotations

from torch import nn

from covidlit.models.atrous import DepthwiseAtrousConv3d


def use_plain_convolutions(net: nn.Module) -> None:
    """Replace each `DepthwiseAtrousConv3d` by an `nn.Conv3d` with the same weights, in place."""
    for name, module in list(net.named_modules()):
        if isinstance(module, DepthwiseAtrousConv3d):
            plain = nn.Conv3d(
                module.in_channels, module.out_channels, 3, padding=module.padding,
                dilation=module.dilation, groups=module.groups, bias=False,
            )  # fmt: skip
            plain.load_state_dict(module.state_dict())
            parent, _, child = name.rpartition(".")
            setattr(net.get_submodule(parent), child, plain)
