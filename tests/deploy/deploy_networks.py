"""Networks that export in a moment."""

from __future__ import annotations

import torch
from torch import Tensor, nn

CHANNELS = 8


class Plain(nn.Module):
    """One convolution, its largest values, one linear layer."""

    def __init__(self, n_outputs: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv3d(1, CHANNELS, 3, stride=2)
        self.head = nn.Linear(CHANNELS, n_outputs)

    def forward(self, image: Tensor) -> Tensor:
        return self.head(torch.relu(self.conv(image)).mean((2, 3, 4)))


class Changeling(Plain):
    """Computes something else when it is exported than when it is trained."""

    def forward(self, image: Tensor) -> Tensor:
        return super().forward(image) + (0.1 if torch.compiler.is_compiling() else 0.0)
