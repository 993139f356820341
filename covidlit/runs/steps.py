"""The steps of one run from configuration to report: what `python train.py` does."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.utils import instantiate

from covidlit.arguments import require_whole_number
from covidlit.checkpoints.record import run_record
from covidlit.datamodules.build import build_datamodule
from covidlit.datamodules.cohort_data import rows_hash
from covidlit.errors import TrainingError
from covidlit.evaluation.predictions import is_synthetic
from covidlit.runs.lightning_runner import LightningRunner
from covidlit.runs.log import keep_logged_metrics, log_cohort, quieten_lightning, timed_training
from covidlit.runs.outcomes import outcome_of
from covidlit.runs.outcomes.outcome import Tables, Training
from covidlit.runs.processes import process_rank
from covidlit.runs.run_folder import RunFolder, run_folder
from covidlit.settings.trainer import check_loggers, check_trainer_settings

if TYPE_CHECKING:
    from covidlit.datamodules.cohort_data import CohortData
    from covidlit.runs.outcomes.outcome import Outcome
    from covidlit.runs.runner import Runner

log = logging.getLogger(__name__)

EVALUATED = ("validation", "test")
"""The parts that a whole run scores."""


def train_and_evaluate(config: dict[str, Any], run_dir: Path) -> float | None:
    """Do one run, in this process and those that its training starts.

    Args:
        config: the resolved tree of `conf/train.yaml` as plain types.
        run_dir: the run's folder.

    Returns:
        The outcome's value on the validation part; None where it is undefined, and in the further
        processes of a training.
    """
    if process_rank() > 0:
        config = going_on(config, RunFolder(run_dir, goes_on=True))
        runner = begin(config, run_dir)
        train_one(config, run_dir, load_data(config, runner), runner=runner)
        return None
    with run_folder(run_dir, config) as folder:
        config = going_on(config, folder)
        runner = begin(config, run_dir)
        data = load_data(config, runner)
        outcome_of(runner).check(config, data)
        trained = train_one(config, run_dir, data, runner=runner)
        assert trained is not None
        tables, facts = trained
        folder.finish(facts)
        make_report(tables, run_dir, config, [Training(data, facts, runner)])
    return value_of(outcome_of(runner), tables)


def going_on(config: dict[str, Any], folder: RunFolder) -> dict[str, Any]:
    """The configuration with the checkpoint that an unfinished run in the folder goes on from."""
    last = folder.checkpoint
    if last is None or config.get("ckpt_path"):
        return config
    log.info("The run in %s goes on from its last finished epoch.", folder.path)
    if process_rank() == 0:
        keep_logged_metrics(folder.path)
    model = {**config["model"], "ckpt_path": str(last)}
    return {**config, "model": model, "ckpt_path": str(last)}


def begin(config: dict[str, Any], run_dir: Path) -> Runner:
    """Check the settings that need no data, seed every generator, make the runner."""
    import pytorch_lightning as pl

    quieten_lightning()
    check_trainer_settings(config["trainer"])
    require_whole_number(config["seed"], "seed", at_least=0)
    pl.seed_everything(config["seed"], workers=True, verbose=False)
    runner = build_runner(config)
    outcome_of(runner).check_settings(config)
    check_loggers(config["model"].get("logger"), run_dir / "logs")
    return runner


def build_runner(config: dict[str, Any]) -> Runner:
    """The runner of `conf/model/*.yaml`."""
    runner: Runner = instantiate(config["model"], _recursive_=False, _convert_="all")
    return runner


def load_data(
    config: dict[str, Any],
    runner: Runner,
    use: Callable[[CohortData], CohortData] = lambda data: data,
) -> CohortData:
    """The data of a run, prepared and checked for leakage.

    Args:
        config: the resolved configuration.
        runner: that is to be trained on them.
        use: gives them another split; what that leaves out is not prepared.
    """
    data = use(build_datamodule(config, trusted=True))
    data.check_columns()
    runner.check(data)
    data.prepare_data()
    data.setup()
    return data


def train_one(
    config: dict[str, Any],
    run_dir: Path,
    data: CohortData,
    *,
    runner: Runner | None = None,
    adapt: Callable[[Runner], None] = lambda runner: None,
    **scoring: Any,
) -> tuple[Tables, dict[str, Any]] | None:
    """Train on a split, then score parts of it.

    Args:
        config: the resolved configuration.
        run_dir: where split, records, model and tables go.
        data: set up.
        runner: as `begin` has made it; None: made here.
        adapt: called with the runner before it is trained.
        scoring: see `score`.

    Returns:
        The outcome's tables, and plain facts for a report; None in a further process of a training.
    """
    runner = begin(config, run_dir) if runner is None else runner
    adapt(runner)
    config = train(config, run_dir, data, runner)
    if process_rank() > 0:
        return None
    return score(config, run_dir, data, runner, **scoring), facts_of(runner, config)


def train(
    config: dict[str, Any], run_dir: Path, data: CohortData, runner: Runner
) -> dict[str, Any]:
    """Write split and records, say what is trained on, and train; in every process of the run.

    Returns:
        The configuration, with what the runner has settled.
    """
    config = runner.settle(config, data)
    from covidlit.runs.records import write_run_records

    first = process_rank() == 0
    runner.record = record_of(config, data)
    if first:
        data.split.save(run_dir / "split.json")
        write_run_records(config, data, run_dir)
        log_cohort(data)
    adopted = isinstance(runner, LightningRunner) and runner.adopted
    with timed_training(run_dir, silent=not first or adopted):
        runner.fit(data, run_dir)
    return config


def score(
    config: dict[str, Any],
    run_dir: Path,
    data: CohortData,
    runner: Runner,
    *,
    parts: Sequence[str] = EVALUATED,
    **run: Any,
) -> Tables:
    """Score parts of the split; the tables are written first, then the operating point.

    Args:
        config: the resolved configuration.
        run_dir: of the run.
        data: set up.
        runner: trained.
        parts: which are scored.
        run: `run_id` and `fold`, where they are not the folder's name and the split's fold.
    """
    outcome = outcome_of(runner)
    named = {"run_id": run_dir.name, "seed": config["seed"], "fold": data.split.fold, **run}
    tables = outcome.tables(runner, data, parts, **named)
    outcome.write(tables, run_dir)
    outcome.keep(tables, runner, config)
    return tables


def facts_of(runner: Runner, config: dict[str, Any]) -> dict[str, Any]:
    """What a report says of a trained model: `model`, `training`, `selected_on`, `cut_short`."""
    return {
        "model": runner.describe(),
        "training": runner.training_facts(config),
        "selected_on": runner.selected_on,
        "cut_short": runner.cut_short,
    }


def make_report(
    tables: Tables, run_dir: Path, config: dict[str, Any], trainings: Sequence[Training]
) -> None:
    """The outcome's report; where it fails, nothing of the finished training is lost."""
    outcome = outcome_of(trainings[0].runner or build_runner(config))
    try:
        outcome.report(tables, run_dir, config=config, trainings=trainings)
    except Exception:
        log.error(
            "The training is finished and kept in %s, its report is not: mend what is said below, "
            "then `covidlit evaluate %s --out %s` makes it.", run_dir, run_dir, run_dir,
        )  # fmt: skip
        raise


def value_of(outcome: Outcome, tables: Tables) -> float | None:
    """The outcome's value on the validation part, or None where it is undefined."""
    try:
        return outcome.value(tables)
    except TrainingError:
        return None


def record_of(config: dict[str, Any], data: CohortData) -> dict[str, Any]:
    """What the kept model says of the run; `covidlit.checkpoints.record.RunRecord`."""
    learnt = data.table[data.table["part"].isin(("train", "validation"))]
    return run_record(
        config,
        data.split.hash,
        data.input_record(),
        synthetic=bool(is_synthetic(learnt)),
        rows=rows_hash(data),
    )
