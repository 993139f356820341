"""Activation checkpointing of residual blocks: less memory for a training step, the same result."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import (
    CheckpointPolicy,
    checkpoint,
    create_selective_checkpoint_contexts,
)

_CONVOLUTIONS = (torch.ops.aten.convolution.default, torch.ops.aten.mkldnn_convolution.default)


def through(blocks: nn.Module, x: Tensor) -> Tensor:
    """`blocks(x)` of an `nn.Sequential` of bottleneck blocks, keeping little for the backward pass.

    The blocks' inputs and the results of convolutions larger than 1x1x1 are kept; norms,
    activations and pointwise convolutions are computed again in the backward pass (Chen et al.,
    arXiv:1604.06174), to the same bits. Running statistics of norms take part once.
    """
    for block in blocks.children():
        x = checkpoint(
            block,
            x,
            use_reentrant=False,
            preserve_rng_state=False,  # residual blocks draw nothing
            context_fn=partial(_contexts, block),
        )
    return x


def _contexts(
    block: nn.Module,
) -> tuple[AbstractContextManager[Any], AbstractContextManager[Any]]:
    first, again = create_selective_checkpoint_contexts(_policy)
    return first, _statistics_left_alone(block, again)


def _policy(context: Any, operation: Any, *args: Any, **kwargs: Any) -> CheckpointPolicy:
    if operation in _CONVOLUTIONS and args[1].shape[2:].numel() > 1:
        return CheckpointPolicy.MUST_SAVE
    return CheckpointPolicy.PREFER_RECOMPUTE


@contextmanager
def _statistics_left_alone(block: nn.Module, inner: AbstractContextManager[Any]) -> Iterator[None]:
    norms = [
        (module, module.momentum, module.num_batches_tracked)
        for module in block.modules()
        if isinstance(module, _BatchNorm) and module.num_batches_tracked is not None
    ]
    for module, _, n_batches in norms:
        module.momentum = 0.0
        module.num_batches_tracked = n_batches.clone()
    try:
        with inner:
            yield
    finally:
        for module, momentum, n_batches in norms:
            module.momentum, module.num_batches_tracked = momentum, n_batches
