"""The fusion network: imaging and clinical features side by side into a small network.

The severity paper names an artificial neural network on 15 of 28 features and feature attention,
and no layers (Methods, "Severity prediction"); sizes here are this project's own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from covidlit.errors import ConfigError
from covidlit.models.fusion_ann.features import prepared_features
from covidlit.models.fusion_ann.preparation import Preparation


class MemberLinear(nn.Module):
    """One linear layer for each member, computed together.

    Args:
        n_members, n_inputs, n_outputs: sizes.
        gain: of the weights, which are uniform in +-gain / sqrt(n_inputs); 0: all are 0.
        generators: of each member, for its weights.
    """

    def __init__(
        self,
        n_members: int,
        n_inputs: int,
        n_outputs: int,
        gain: float,
        generators: Sequence[torch.Generator],
    ) -> None:
        super().__init__()
        bound = gain / math.sqrt(max(n_inputs, 1))
        drawn = [torch.rand(n_inputs, n_outputs, generator=each) for each in generators]
        self.weight = nn.Parameter((torch.stack(drawn) * 2 - 1) * bound)
        self.bias = nn.Parameter(torch.zeros(n_members, 1, n_outputs))

    def forward(self, x: Tensor) -> Tensor:
        """(members, B, n_inputs) to (members, B, n_outputs)."""
        return torch.baddbmm(self.bias, x, self.weight)


class FusionANN(nn.Module):
    """An ensemble of small networks on the same features, each with weights of its own.

    A member is a linear model plus a multilayer perceptron of the same prepared features: so it
    starts near logistic regression, and learns what goes beyond. With attention, the features are
    first weighted by a softmax over them that a small network of its own draws from all of them.

    Args:
        preparation: how raw numbers become features; see `covidlit.models.fusion_ann.preparation`.
        hidden: widths of the hidden layers.
        members: of the ensemble.
        attention: weight the features of each row; the weights are the explanation.
        dropout: share of hidden units left out in a training step.
        seed: of the weights; members have seeds of their own that follow from it.

    Raises:
        ConfigError: an argument out of its range.
    """

    def __init__(
        self,
        preparation: Mapping[str, Any],
        hidden: Sequence[int] = (32, 16),
        members: int = 8,
        attention: bool = False,
        dropout: float = 0.0,
        seed: int = 0,
    ) -> None:
        super().__init__()
        _check(hidden, members, dropout)
        self.prepare = Preparation(preparation)
        self.members, self.dropout = members, dropout
        made = [torch.Generator().manual_seed(seed * 100_003 + each) for each in range(members)]
        n_inputs = self.prepare.n_features
        sizes = [n_inputs, *hidden]
        self.direct = MemberLinear(members, n_inputs, 1, 0.0, made)
        self.layers = nn.ModuleList(
            MemberLinear(members, one, other, math.sqrt(3.0), made)
            for one, other in pairwise(sizes)
        )
        self.out = MemberLinear(members, sizes[-1], 1, 0.3, made)
        self.attend: nn.ModuleList | None = None
        if attention:
            self.attend = nn.ModuleList(
                [
                    MemberLinear(members, n_inputs, sizes[-1], 1.0, made),
                    MemberLinear(members, sizes[-1], n_inputs, 0.1, made),
                ]
            )

    def forward(self, numbers: Tensor) -> Tensor:
        """Logits (members, B) of raw numbers (B, columns), NaN where one is missing."""
        return self.of_prepared(self.prepared(numbers).expand(self.members, -1, -1))

    def prepared(self, numbers: Tensor) -> Tensor:
        """Features float32 (B, features) of raw numbers (B, columns); no gradient goes through."""
        return prepared_features(self.prepare, numbers)

    def of_prepared(self, x: Tensor) -> Tensor:
        """Logits (members, B) of prepared features (members, B, features)."""
        if self.attend is not None:
            x = x * self._weights(x) * x.shape[-1]
        found: Tensor = self.direct(x)
        for layer in self.layers:
            x = functional.silu(layer(x))
            if self.dropout:
                x = functional.dropout(x, self.dropout, self.training)
        return (found + self.out(x)).squeeze(-1)

    def attention(self, numbers: Tensor, members: int | None = None) -> Tensor:
        """Weights (B, features) of the prepared features, the mean of the members; they sum to 1.

        Args:
            numbers: (B, columns) raw, NaN where one is missing.
            members: so many of them, from the first; None: all.

        Raises:
            ConfigError: the network has no attention.
        """
        if self.attend is None:
            raise ConfigError(
                "the network has no attention.",
                where="model.task.net.attention",
                fix="train one with model.task.net.attention=true.",
            )
        return self._weights(self.prepared(numbers).expand(self.members, -1, -1))[:members].mean(0)

    def _weights(self, x: Tensor) -> Tensor:
        assert self.attend is not None
        first, second = self.attend
        return second(torch.tanh(first(x))).softmax(-1)


def _check(hidden: Sequence[int], members: int, dropout: float) -> None:
    whole = [size for size in hidden if isinstance(size, int) and size > 0]
    if isinstance(hidden, str) or len(whole) != len(hidden) or not hidden:
        raise ConfigError(
            f"must be a list of widths, not {hidden!r}.", where="net.hidden", fix="use [32, 16]."
        )
    if isinstance(members, bool) or not isinstance(members, int) or members < 1:
        raise ConfigError(
            f"must be a whole number of at least 1, not {members!r}.", where="net.members",
            fix="use 8.",
        )  # fmt: skip
    if not 0 <= dropout < 1:
        raise ConfigError(
            f"must be in [0, 1), not {dropout!r}.", where="net.dropout", fix="use 0.0."
        )
