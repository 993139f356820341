"""Networks that are built only to take the weights of a checkpoint."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import init
from torch.overrides import TorchFunctionMode

_DRAWS = {
    torch.Tensor.normal_, torch.Tensor.uniform_, init.normal_, init.uniform_, init.kaiming_normal_,
    init.kaiming_uniform_, init.trunc_normal_, init.xavier_normal_, init.xavier_uniform_,
}  # fmt: skip
"""What draws them: of some functions of `torch.nn.init` a mode sees only what they call."""


class EmptyWeights(TorchFunctionMode):
    """In the block, parameters are not drawn at random: for a caller that overwrites all of them.

    Drawing the 27.5 million of a CSAC-Net takes as long as reading them. Constants (biases, the
    scales of norms) are set as ever, and buffers drawn.
    """

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        drawn = args[0] if args else kwargs.get("tensor")
        if func in _DRAWS and isinstance(drawn, nn.Parameter):
            return drawn
        return func(*args, **kwargs)
