"""The steps of one run from configuration to report: what `python train.py` does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from covidlit.arguments import require_whole_number
from covidlit.datamodules.build import build_datamodule
from covidlit.runs.processes import process_rank

if TYPE_CHECKING:
    import pandas as pd

    from covidlit.cohort.split import Split
    from covidlit.datamodules import VolumeDataModule
    from covidlit.runs.runner import Runner


def train_and_evaluate(config: dict[str, Any], run_dir: Path) -> float | None:
    """Do one run; see `run`. `config` is the resolved tree of `conf/train.yaml` as plain types."""
    from covidlit.runs.checks import check_evaluation
    from covidlit.runs.outcomes.classification import report
    from covidlit.runs.records import write_run_records

    begin(config, run_dir)
    datamodule = load_data(config)
    check_evaluation(config, datamodule)
    runner = build_runner(config, datamodule)
    first = process_rank() == 0
    if first:
        write_config(config, run_dir)
        write_run_records(config, datamodule, run_dir)
    train(runner, datamodule, run_dir)
    if not first:
        return None
    predictions = score(runner, datamodule, run_dir, seed=config["seed"])
    return report(predictions, run_dir, config=config, datamodule=datamodule, runner=runner)


def begin(config: dict[str, Any], run_dir: Path) -> None:
    """Check the settings that need no scan, and seed every generator."""
    import pytorch_lightning as pl

    from covidlit.runs.checks import check_evaluation_settings
    from covidlit.runs.log import quieten_lightning
    from covidlit.settings.trainer import check_loggers, check_trainer_settings

    quieten_lightning()
    check_trainer_settings(config["trainer"])
    require_whole_number(config["seed"], "seed", at_least=0)
    pl.seed_everything(config["seed"], workers=True, verbose=False)
    check_evaluation_settings(config["evaluation"])
    check_loggers(config["model"].get("logger"), run_dir / "logs")


def load_data(
    config: dict[str, Any], use: Callable[[Split, pd.DataFrame], Split] | None = None
) -> VolumeDataModule:
    """The datamodule of a configuration, prepared and checked; see `build_datamodule`."""
    from covidlit.runs.checks import check_manifest_columns

    datamodule = build_datamodule(config, use)
    check_manifest_columns(datamodule.manifest, datamodule.manifest_path)
    datamodule.prepare_data()
    datamodule.setup()
    return datamodule


def write_config(config: dict[str, Any], run_dir: Path) -> None:
    """Write the resolved configuration as the run's `config.yaml`."""
    import yaml

    from covidlit.files import write_text

    write_text(run_dir / "config.yaml", yaml.safe_dump(config, sort_keys=False))


def train(runner: Runner, datamodule: VolumeDataModule, run_dir: Path) -> None:
    """Write the split, say what is trained on, and train; in every process of the run."""
    from covidlit.runs.log import log_cohort, timed_training

    first = process_rank() == 0
    if first:
        datamodule.split.save(run_dir / "split.json")
        log_cohort(datamodule)
    with timed_training(run_dir, silent=not first):
        runner.fit(datamodule, run_dir)


def score(
    runner: Runner,
    datamodule: VolumeDataModule,
    run_dir: Path,
    *,
    seed: int,
    parts: Sequence[str] = ("validation", "test"),
    **facts: Any,
) -> pd.DataFrame:
    """Score parts of the split and write `predictions.parquet`.

    Args:
        runner: trained.
        datamodule: set up.
        run_dir: of the run.
        seed: of the run.
        parts: which are scored.
        facts: `run_id` and `fold`, where they are not the folder's name and the split's fold.

    Returns:
        The predictions table (contract 6).
    """
    from covidlit.evaluation import write_predictions
    from covidlit.runs.outcomes.classification import assemble_predictions

    scores = {part: runner.predict(datamodule, part) for part in parts}
    named = {"run_id": run_dir.name, "fold": datamodule.split.fold, **facts}
    predictions = assemble_predictions(
        datamodule.table, scores, model=runner.name, seed=seed, **named
    )
    write_predictions(predictions, run_dir / "predictions.parquet")
    return predictions


def build_runner(config: dict[str, Any], datamodule: VolumeDataModule) -> Runner:
    """The runner of `conf/model/*.yaml`, with the record that its checkpoints will carry."""
    from hydra.utils import instantiate

    from covidlit.checkpoints.record import run_record
    from covidlit.evaluation.predictions import is_synthetic

    runner: Runner = instantiate(config["model"], _recursive_=False, _convert_="all")
    table = datamodule.table
    runner.record = run_record(
        config=config,
        split_hash=datamodule.split.hash,
        synthetic=bool(is_synthetic(table[table["part"].isin(("train", "validation"))])),
    )
    return runner
