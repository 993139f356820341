"""The sampler and the pruner of a sweep, from their settings."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import optuna
from hydra.utils import get_class, instantiate
from optuna.samplers import BaseSampler, CmaEsSampler, RandomSampler
from optuna.trial import FrozenTrial

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.pruners import BasePruner
    from optuna.study import Study


class Grid(RandomSampler):
    """Every combination of the search space once, in order.

    The points come from `SearchSpace.grid`, which knows conditional parameters; Optuna's own grid
    sampler does not.
    """


class CmaEs(CmaEsSampler):
    """CMA-ES whose proposals depend on how many were drawn, not on the trial's number.

    Optuna adds the number to the seed, and a trial that was killed and tried again has another.
    """

    draw = 0

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Optuna's proposal for the draw."""
        numbered = copy.copy(trial)
        numbered.number = self.draw
        return super().sample_relative(study, numbered, search_space)


def make_sampler(settings: Mapping[str, Any], draw: int) -> BaseSampler:
    """The sampler for one draw, seeded by the sweep's seed and the number of the draw.

    A new one for each draw, because a generator that goes on would start again in a command that
    goes on with a sweep, and two processes with the same seed would propose the same.

    Args:
        settings: `hydra.sweeper.sampler`: `_target_`, `seed` (None: by chance) and arguments.
        draw: how many were drawn before.
    """
    given = dict(settings)
    if (seed := given.get("seed")) is not None:
        given["seed"] = draw_seed(int(seed), draw)
    with warnings.catch_warnings():  # that `group` and the like may change in Optuna
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        sampler: BaseSampler = instantiate(given)
    if isinstance(sampler, CmaEs):
        sampler.draw = draw
    return sampler


def draw_seed(seed: int, draw: int) -> int:
    """A seed of 32 bits for one draw of a seeded sweep; NumPy's SeedSequence keeps them apart."""
    return int(np.random.SeedSequence([seed, draw]).generate_state(1)[0])


def is_grid(settings: Mapping[str, Any]) -> bool:
    """Whether `hydra.sweeper.sampler` asks for the grid."""
    return issubclass(get_class(settings["_target_"]), Grid)


def make_pruner(settings: Mapping[str, Any]) -> BasePruner:
    """The pruner of `hydra.sweeper.pruner`."""
    pruner: BasePruner = instantiate(dict(settings))
    return pruner
