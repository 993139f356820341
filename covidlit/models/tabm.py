"""TabM behind the seam of the fusion network: a tabular deep learner as its peer.

Gorishniy, Kotelnikov and Babenko, ICLR 2025 (arXiv 2410.24210): an ensemble of multilayer
perceptrons that share most of their weights. The network itself is that of its authors' package
`tabm` (Apache-2.0), an extra; nothing is downloaded.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from covidlit.errors import ConfigError
from covidlit.models.fusion_ann.features import prepared_features
from covidlit.models.fusion_ann.preparation import Preparation


class TabM(nn.Module):
    """TabM on features that are prepared as the fusion network's.

    Args:
        preparation: how raw numbers become features; see `covidlit.models.fusion_ann.preparation`.
        members: of the ensemble; its authors' k.
        n_blocks: hidden layers.
        d_block: their width.
        dropout: share of hidden units left out in a training step.
        seed: of the weights.

    Raises:
        ConfigError: the package is not installed, or an argument is out of its range.
    """

    shares_weights = True
    """What one member learns from changes what the others say."""

    def __init__(
        self,
        preparation: Mapping[str, Any],
        members: int = 32,
        n_blocks: int = 2,
        d_block: int = 64,
        dropout: float = 0.1,
        seed: int = 0,
    ) -> None:
        super().__init__()
        sizes = {"members": members, "n_blocks": n_blocks, "d_block": d_block}
        for name, value in sizes.items():
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ConfigError(
                    f"must be a whole number of at least 1, not {value!r}.", where=f"net.{name}",
                    fix="use 32 members, 2 blocks of 64.",
                )  # fmt: skip
        if isinstance(dropout, bool) or not 0 <= dropout < 1:
            raise ConfigError(
                f"must be in [0, 1), not {dropout!r}.", where="net.dropout", fix="use 0.1."
            )
        try:
            from tabm import TabM as Backbone
        except ImportError as error:
            raise ConfigError(
                f"TabM's package cannot be loaded: {error}.",
                where="model.task.net",
                fix="pip install 'covidlit[tabm]', or use model=fusion_ann.",
            ) from error
        self.prepare = Preparation(preparation)
        # Its weights are drawn from torch's own generator, which others draw from too.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.ensemble: nn.Module = Backbone.make(
                n_num_features=self.prepare.n_features, d_out=1, k=members, n_blocks=n_blocks,
                d_block=d_block, dropout=dropout,
            )  # fmt: skip

    def forward(self, numbers: Tensor) -> Tensor:
        """Logits (members, B) of raw numbers (B, columns), NaN where one is missing."""
        found: Tensor = self.ensemble(prepared_features(self.prepare, numbers))
        return found.squeeze(-1).T
