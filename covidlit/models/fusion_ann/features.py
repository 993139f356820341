"""Raw numbers of a batch to the features that a network takes."""

from __future__ import annotations

import torch
from torch import Tensor

from covidlit.models.fusion_ann.preparation import Preparation


def prepared_features(prepare: Preparation, numbers: Tensor) -> Tensor:
    """Features float32 (B, features) of raw numbers (B, columns); no gradient goes through.

    Args:
        prepare: fitted on the training rows.
        numbers: NaN where one is missing; of the device "meta" where only sizes are asked for.
    """
    if numbers.is_meta:
        return numbers.new_empty(len(numbers), prepare.n_features, dtype=torch.float32)
    found = prepare(numbers.detach().cpu().numpy())
    return torch.from_numpy(found).to(numbers.device, torch.float32)
