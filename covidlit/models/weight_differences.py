"""How the weights in a file differ from those of a network, in names and shapes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

_LISTED = 3


class Shaped(Protocol):
    """A tensor of torch or an array of NumPy."""

    @property
    def shape(self) -> Sequence[int]: ...


def weight_differences(own: Mapping[str, Shaped], saved: Mapping[str, Shaped]) -> str:
    """Compare names and shapes of two state dicts.

    Args:
        own: of the network.
        saved: of the file.

    Returns:
        How many weights are missing, unexpected and of another shape, with up to three names of
        each; empty where the two fit.
    """
    groups = {
        "missing": [name for name in own if name not in saved],
        "unexpected": [name for name in saved if name not in own],
        "of another shape": [
            f"{name} {tuple(saved[name].shape)} instead of {tuple(own[name].shape)}"
            for name in own
            if name in saved and tuple(saved[name].shape) != tuple(own[name].shape)
        ],
    }
    return "; ".join(
        f"{len(names)} {label}: {', '.join(names[:_LISTED])}{' ...' * (len(names) > _LISTED)}"
        for label, names in groups.items()
        if names
    )
