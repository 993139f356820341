"""The trained fusion network in NumPy: scores without torch, which takes seconds to import."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from covidlit.models.fusion_ann.preparation import Preparation
from covidlit.models.fusion_ann.settings import check_calibration, check_columns
from covidlit.models.weight_differences import weight_differences

Array = NDArray[np.float32]


class FusionEnsemble:
    """`FusionANN` with the weights of a `SeverityPrediction`, as it scores after training.

    Args:
        hparams: of the task.
        weights: its state dict, as arrays.

    Attributes:
        columns: names of the raw numbers that it takes, in order.
        names: of the features that it uses.
        n_scoring: members that score; the others have calibrated them.
        calibration: factor and offset of the logits.

    Raises:
        ConfigError: the hyper-parameters do not describe a network.
        ValueError: the weights are those of another one.
    """

    def __init__(self, hparams: Mapping[str, Any], weights: Mapping[str, NDArray[Any]]) -> None:
        net = hparams["net"]
        check_columns(hparams["preparation"], hparams["columns"])
        check_calibration(hparams["calibration_folds"], hparams["calibration_members"])
        self._prepare = Preparation(hparams["preparation"])
        self.columns = [str(name) for name in hparams["columns"]]
        self.names: Sequence[str] = self._prepare.names
        self.n_scoring = int(net.get("members", 8))
        calibrating = hparams["calibration_folds"] * hparams["calibration_members"]
        hidden = [int(size) for size in net.get("hidden", (32, 16))]
        self._attends = bool(net.get("attention", False))
        sizes = [self._prepare.n_features, *hidden]
        shapes = _shapes(self.n_scoring + calibrating, sizes, self._attends)
        if found := weight_differences(shapes, weights):
            raise ValueError(found)
        self._weights = {
            name: weight[: self.n_scoring].astype(np.float32)
            for name, weight in weights.items()
            if name.startswith("net.")
        }
        self._n_layers = len(hidden)
        factor, offset = weights["calibration"].astype(np.float64)
        self.calibration = (float(factor), float(offset))

    def logits(self, numbers: NDArray[np.floating]) -> NDArray[np.float64]:
        """(members that score, n) of raw numbers (n, columns), NaN where one is missing."""
        x = self._prepare(numbers).astype(np.float32)[None]
        if self._attends:
            x = x * self._attention(x) * x.shape[-1]
        found = self._linear("net.direct", x)
        for number in range(self._n_layers):
            x = _silu(self._linear(f"net.layers.{number}", x))
        return (found + self._linear("net.out", x))[..., 0].astype(np.float64)

    def attention(self, numbers: NDArray[np.floating]) -> NDArray[np.float64] | None:
        """Weights (n, names) of the features, that of an indicator with its feature's.

        The members' mean; they sum to 1. None where the network has no attention.
        """
        if not self._attends:
            return None
        weights = self._attention(self._prepare(numbers).astype(np.float32)[None]).mean(0)
        found = weights[:, : len(self.names)].astype(np.float64)
        for place, feature in enumerate(self._prepare.indicated):
            found[:, feature] += weights[:, len(self.names) + place]
        return found

    def _attention(self, x: Array) -> Array:
        found = self._linear("net.attend.1", np.tanh(self._linear("net.attend.0", x)))
        powers = np.exp(found - found.max(-1, keepdims=True))
        return powers / powers.sum(-1, keepdims=True)

    def _linear(self, name: str, x: Array) -> Array:
        found: Array = x @ self._weights[f"{name}.weight"] + self._weights[f"{name}.bias"]
        return found


class _Shape:
    """What a weight has to look like."""

    def __init__(self, *shape: int) -> None:
        self.shape = shape


def _shapes(members: int, sizes: Sequence[int], attends: bool) -> dict[str, _Shape]:
    layers = {"direct": (sizes[0], 1), "out": (sizes[-1], 1)}
    layers |= {f"layers.{i}": pair for i, pair in enumerate(pairwise(sizes))}
    if attends:
        layers |= {"attend.0": (sizes[0], sizes[-1]), "attend.1": (sizes[-1], sizes[0])}
    found = {"calibration": _Shape(2)}
    for name, (n_in, n_out) in layers.items():
        found[f"net.{name}.weight"] = _Shape(members, n_in, n_out)
        found[f"net.{name}.bias"] = _Shape(members, 1, n_out)
    return found


def _silu(x: Array) -> Array:
    # tanh instead of exp, which may overflow.
    found: Array = x * (0.5 + 0.5 * np.tanh(0.5 * x))
    return found
