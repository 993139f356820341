"""The settings of a cross-validation: what cannot be, and the configuration of each fold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from covidlit.errors import ConfigError
from covidlit.runs.outcomes.outcome import Outcome, Repeatable
from covidlit.runs.processes import started_from_outside


def check_processes(config: Mapping[str, Any], n_jobs: int) -> None:
    """Refuse processes that were started for one training, and several folds on one GPU."""
    if started_from_outside():
        raise ConfigError(
            "a cross-validation is started once, not by every process of srun or torchrun.",
            where="split.fold=all",
            fix="give the command itself; each fold may use the devices of its machine "
            "(trainer.devices).",
        )
    trainer = config["model"].get("trainer") or {}
    if n_jobs != 1 and trainer.get("accelerator", "cpu") != "cpu":
        raise ConfigError(
            "folds side by side would share the GPU and its memory.",
            where="cross_validation.n_jobs",
            fix="set it to 1, or trainer=cpu.",
        )


def check_repeatable(outcome: Outcome, config: Mapping[str, Any], n_repeats: int) -> None:
    """Refuse repeats of an outcome that would count each row as often as it stands in its table."""
    if not isinstance(outcome, Repeatable):
        seed = config["split"].get("seed", 0)
        raise ConfigError(
            f"the outcome of this model ({outcome.metric}) is not evaluated over repeats in one "
            "run.",
            where="cross_validation.repeats",
            fix="set it to 1, and make a run of each repeat: "
            f"-m split.seed={','.join(str(seed + number) for number in range(n_repeats))}.",
        )


def fold_configs(config: dict[str, Any], n_repeats: int) -> list[dict[str, Any]]:
    """The configuration of each fold, that of a run of it alone, repeat after repeat."""
    n_folds = config["split"].get("n_folds")
    if not isinstance(n_folds, int) or isinstance(n_folds, bool) or n_folds < 2:
        raise ConfigError(
            f"split.fold=all needs a split with a number of folds, not {n_folds!r}.",
            where="split",
            fix="give split=k_fold, and split.n_folds of at least 2.",
        )
    if config.get("ckpt_path"):
        raise ConfigError(
            "a cross-validation goes on in its own folder, not from one checkpoint.",
            where="ckpt_path",
            fix="leave it out, and give the folder: hydra.run.dir=RUN.",
        )
    split = config["split"]
    if n_repeats > 1 and not isinstance(split.get("seed"), int):
        raise ConfigError(
            f"repeats need a split that is drawn with a seed, not {split.get('seed')!r}.",
            where="split.seed",
            fix="set split.seed=0 of split=k_fold; each repeat adds its number.",
        )
    return [
        {**config, "split": {**split, "fold": fold, **({"seed": split["seed"] + r} if r else {})}}
        for r in range(n_repeats)
        for fold in range(n_folds)
    ]
