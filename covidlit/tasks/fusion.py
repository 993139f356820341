"""What a severity prediction scores with, in training and after it; without Lightning."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from covidlit.errors import ConfigError
from covidlit.models.fusion_ann.settings import check_calibration, check_columns
from covidlit.settings.targets import build

KEYS = ("patient_id", "scan_id")


class FusionMixin:
    """The network of a severity prediction and its scores; for an `nn.Module` with `hparams`."""

    hparams: Any
    net: nn.Module
    n_scoring: int
    calibration: Tensor

    def build_net(self) -> nn.Module:
        """The untrained network of the hyper-parameters, calibrating members among its members.

        Raises:
            ConfigError: nothing says how numbers are prepared, or see
                `covidlit.settings.targets.build`.
        """
        settings = self.hparams["preparation"]
        if not settings:
            raise ConfigError(
                "nothing says how numbers become features.",
                where="preparation",
                fix="let a run fit it (python train.py model=fusion_ann), or take it from "
                "SeverityPrediction.fitted_to(arguments, data).",
            )
        check_columns(settings, self.hparams.get("columns"))
        node = dict(self.hparams["net"])
        folds, each = self.hparams["calibration_folds"], self.hparams["calibration_members"]
        check_calibration(folds, each)
        node["members"] = node.get("members", 8) + folds * each
        net: nn.Module = build(node, "models", preparation=settings)
        if folds and getattr(net, "shares_weights", False):
            raise ConfigError(
                "the network's members share weights, so that none is kept from the rows that the "
                "others learn from, as calibration needs.",
                where="model.task.calibration_folds",
                fix="set it to 0.",
            )
        return net

    def scores(self, logits: Tensor) -> Tensor:
        """(B,) calibrated probabilities of the positive class, of logits (members, B)."""
        factor, offset = self.calibration
        return torch.sigmoid(logits[: self.n_scoring].float().mean(0) * factor + offset)

    def member_scores(self, logits: Tensor) -> Tensor:
        """(members that score, B): what each would say by itself, calibrated alike."""
        factor, offset = self.calibration
        return torch.sigmoid(logits[: self.n_scoring].float() * factor + offset)

    def forward(self, numbers: Tensor) -> Tensor:
        """Logits (members, B) of raw numbers (B, columns), NaN where one is missing."""
        logits: Tensor = self.net(numbers)
        return logits

    def predict_step(self, batch: Mapping[str, Any], batch_idx: int) -> dict[str, Any]:
        """The rows' names and "score" (B,); without rows that only fill up the batch."""
        key = key_of(batch)
        score = self.scores(self.forward(batch["numbers"]))
        counts = batch.get("counts")
        if counts is None:
            return {key: list(batch[key]), "score": score}
        kept = [name for name, own in zip(batch[key], counts.tolist(), strict=True) if own]
        return {key: kept, "score": score[counts]}


class Fusion(FusionMixin, nn.Module):
    """A `SeverityPrediction` without its training: the same weights under the same names.

    Args:
        hparams: of the task: `net`, `preparation`, `columns`, and those of the calibration.

    Raises:
        ConfigError: they do not describe a network.
    """

    def __init__(self, hparams: Mapping[str, Any]) -> None:
        super().__init__()
        self.hparams = dict(hparams)
        self.record: dict[str, Any] = {}
        self.net = self.build_net()
        self.n_scoring = int(self.hparams["net"].get("members", 8))
        self.register_buffer("calibration", torch.tensor([1.0, 0.0]))

    @property
    def columns(self) -> list[str]:
        """Names of the raw numbers that it takes, in order."""
        return [str(name) for name in self.hparams["columns"]]


def key_of(batch: Mapping[str, Any]) -> str:
    """What the rows of a batch are called: `patient_id` or `scan_id`."""
    return next((name for name in KEYS if name in batch), KEYS[-1])
