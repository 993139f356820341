"""Weights of a checkpoint: their hashes, and whether they are those of a network."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from covidlit.errors import CheckpointError
from covidlit.models.weight_differences import weight_differences

_NOT_FOR_SCORES = ("heat_scales",)
"""Fields of the record that are added after training and change no score and no class."""


def weights_hash(weights: Mapping[str, Tensor]) -> str:
    """SHA-256 (hex) of the names, types, shapes and values of weights, in any order.

    Args:
        weights: the `state_dict` of a checkpoint, or of the task that was loaded from it.
    """
    digest = hashlib.sha256()
    for name in sorted(weights):
        weight = weights[name].detach().cpu().contiguous()
        digest.update(f"{name} {weight.dtype} {tuple(weight.shape)}\n".encode())
        digest.update(weight.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def scoring_hash(checkpoint: Mapping[str, Any]) -> str:
    """SHA-256 (hex) of all in a checkpoint that scores and the classes called from them come from.

    That is its weights, its hyper-parameters and its record (preparation, window, classes,
    operating point, configuration) without the scales of heatmaps.

    Args:
        checkpoint: as `load_checkpoint` returns it.
    """
    own = checkpoint["covidlit"]
    record = {name: value for name, value in own["record"].items() if name not in _NOT_FOR_SCORES}
    described = [own["task"], checkpoint["hyper_parameters"], record]
    text = json.dumps(described, sort_keys=True, default=str)
    both = f"{weights_hash(checkpoint['state_dict'])}\n{text}"
    return hashlib.sha256(both.encode()).hexdigest()


def check_weights(own: Mapping[str, Tensor], saved: Mapping[str, Tensor], where: object) -> None:
    """Compare names and shapes of two state dicts.

    Raises:
        CheckpointError: they differ; names up to three missing, unexpected and misshapen weights.
    """
    if found := weight_differences(own, saved):
        raise CheckpointError(
            f"the checkpoint is of another model ({found}).",
            where=where,
            fix="give the checkpoint of this model, or the model's arguments as they were.",
        )
