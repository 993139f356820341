"""The model-randomisation check: a heatmap that outlives the network's weights explains nothing.

Adebayo et al., "Sanity checks for saliency maps", NeurIPS 2018: the layers are given random
weights one after the other, from the output towards the input, and the heatmap is compared with the
original each time. A map that stays the same shows edges of the image, not what was learned.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import stats
from torch import Tensor, nn

Explain = Callable[[nn.Module, Tensor], NDArray[np.float32]]
"""A heatmap (z, y, x) of a volume (1, channels, z, y, x) by a network."""

THRESHOLD = 0.5
"""Below this median rank correlation, after all weights are random, the check is passed."""


@dataclass(frozen=True)
class Stage:
    """One step of the cascade.

    Args:
        randomised: how many of the modules with weights are random, from the output on.
        last: name of the one nearest to the input.
        similarity: median over the scans of the rank correlation with the original map.
    """

    randomised: int
    last: str
    similarity: float


@dataclass(frozen=True)
class Sanity:
    """The outcome of the check.

    Args:
        stages: the cascade; the last stage has no trained weight left.
        n_scans: how many scans were looked at.
        threshold: the last stage's similarity has to be below this.
    """

    stages: tuple[Stage, ...]
    n_scans: int
    threshold: float = THRESHOLD

    @property
    def passed(self) -> bool:
        """Whether the heat depends on what the network has learned."""
        return self.stages[-1].similarity < self.threshold

    @property
    def sentence(self) -> str:
        """The result in words."""
        found = f"{self.stages[-1].similarity:.2f}"
        verdict = (
            "passed: without what the network has learned, the heatmaps are others"
            if self.passed
            else "NOT passed: the heatmaps stay much the same without anything learned"
        )
        return (
            f"Model-randomisation check {verdict}. All weights of the network were replaced by "
            f"random numbers and the heatmaps of {self.n_scans} scans made again; their rank "
            f"correlation with the original ones is {found} (median; 1 is the same picture, below "
            f"{self.threshold:g} passes)."
        )

    @property
    def meaning(self) -> str:
        """What the check can show, and what it cannot."""
        if not self.passed:
            return (
                "What this means: the heat mostly repeats what is in the image, such as its edges. "
                "Do not read it as a reason for the network's score."
            )
        return (
            "What this can show: the heat depends on what the network learned, and not on the "
            "edges of the image alone. What it cannot show: that the heat lies on disease, that "
            "what was learned is disease rather than the scanner, the table or how the patient "
            "lies, or that a score is right. A network that learned the scanner would pass, too."
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return {
            "passed": self.passed,
            "threshold": self.threshold,
            "n_scans": self.n_scans,
            "stages": [asdict(stage) for stage in self.stages],
            "sentence": self.sentence,
            "meaning": self.meaning,
        }


def randomisation_check(
    net: nn.Module,
    images: Sequence[Tensor],
    explain: Explain,
    *,
    n_stages: int = 5,
    threshold: float = THRESHOLD,
    seed: int = 0,
) -> Sanity:
    """Compare heatmaps while the network's weights become random, from the output to the input.

    Args:
        net: the trained network; it is copied, not changed.
        images: volumes (1, channels, z, y, x), at least one.
        explain: makes a heatmap; called with the copy and each volume.
        n_stages: how often the maps are compared, evenly along the cascade.
        threshold: see `Sanity`.
        seed: of the random weights.

    Raises:
        ValueError: no image, or a network without weights.
    """
    modules = [(n, m) for n, m in net.named_modules() if hasattr(m, "reset_parameters")]
    if not images or not modules:
        raise ValueError("the check needs an image and a network with weights")
    original = [explain(net, image) for image in images]
    changed = copy.deepcopy(net)
    order = [name for name, _ in reversed(modules)]
    ends = np.unique(np.ceil(np.linspace(0, len(order), n_stages + 1)).astype(int))[1:]
    stages, done = [], 0
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        for end in ends.tolist():
            for name in order[done:end]:
                changed.get_submodule(name).reset_parameters()  # type: ignore[operator]
            done = end
            maps = [explain(changed, image) for image in images]
            alike = [rank_similarity(a, b) for a, b in zip(original, maps, strict=True)]
            stages.append(Stage(end, order[end - 1], float(np.median(alike))))
    return Sanity(tuple(stages), len(images), threshold)


def rank_similarity(one: NDArray[np.floating], other: NDArray[np.floating]) -> float:
    """Absolute Spearman correlation of two maps; 0 where just one is flat, 1 where they are equal.

    Source: Adebayo et al. 2018, section 4 ("Spearman ABS" takes absolute values of maps that have
    a sign; a map turned upside down shows the same places, so the absolute correlation is taken).
    """
    if np.array_equal(one, other):
        return 1.0
    if np.ptp(one) == 0 or np.ptp(other) == 0:
        return 0.0
    return float(abs(stats.spearmanr(one.ravel(), other.ravel()).statistic))
