"""A cross-validation as one run: its data read and prepared once, a folder for each fold.

Repeated, each repeat draws folds of its own, with the seed of the split raised by its number.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from covidlit.arguments import n_workers, require_n_jobs, require_whole_number
from covidlit.datamodules.cohort_data import rows_hash
from covidlit.errors import ConfigError
from covidlit.evaluation.folds import fold_folder
from covidlit.preprocess.backends import run_in_parallel
from covidlit.runs.fold_configs import check_processes, check_repeatable, fold_configs
from covidlit.runs.fold_log import fold_log
from covidlit.runs.folds import Fold
from covidlit.runs.folds_together import keeping, train_together
from covidlit.runs.lightning_runner import LightningRunner
from covidlit.runs.memory import available_memory, peak_memory
from covidlit.runs.outcomes import outcome_of
from covidlit.runs.outcomes.outcome import Outcome, Tables, Tested, Training
from covidlit.runs.records import write_run_records
from covidlit.runs.run_folder import run_folder
from covidlit.runs.steps import (
    begin,
    build_runner,
    going_on,
    load_data,
    make_report,
    train_one,
    value_of,
)
from covidlit.settings.run_config import read_run_config
from covidlit.settings.targets import build
from covidlit.settings.words import AUTO, CONFIG

if TYPE_CHECKING:
    from covidlit.datamodules.cohort_data import CohortData
    from covidlit.runs.runner import Runner

log = logging.getLogger(__name__)

ALL = "all"
ROWS = "rows"
"""Of the facts of a fold: what it was trained and tested on."""


@dataclass(frozen=True)
class TrainedFold:
    """What came of a fold: its tables, and facts for a report."""

    number: int
    tables: Tables
    facts: dict[str, Any]


def is_cross_validation(config: Mapping[str, Any]) -> bool:
    """Whether a configuration asks for all folds of its split in one run."""
    return bool(config["split"].get("fold") == ALL)


def cross_validate(config: dict[str, Any], run_dir: Path) -> float | None:
    """Train and test every fold; leaves `fold_<k>/`, the tables of all and one report.

    With several repeats the folders are `fold_<k>_repeat_<r>/`. A run that was stopped goes on in
    its folder: finished folds are kept, the one that was being trained goes on from its last epoch.

    Args:
        config: the resolved tree of `conf/train.yaml`, with `split.fold` "all".
        run_dir: the run's folder.

    Returns:
        The mean over the folds of the outcome's value on the validation part; None where it is
        undefined in one.
    """
    settings = config.get("cross_validation") or {}
    n_jobs, backend = settings.get("n_jobs", 1), settings.get("backend", "loky")
    n_repeats = settings.get("repeats", 1)
    require_n_jobs(n_jobs)
    if backend == "loky":
        n_workers(n_jobs)  # now: the others begin after the first fold
    require_whole_number(n_repeats, "cross_validation.repeats", at_least=1)
    check_processes(config, n_jobs)
    configs = fold_configs(config, n_repeats)
    with run_folder(run_dir, config) as folder, ExitStack() as stack:
        runner = begin(configs[0], run_dir)
        outcome = outcome_of(runner)
        if n_repeats > 1:
            check_repeatable(outcome, config, n_repeats)
        data = load_data(configs[0], runner)
        told = stack.enter_context(fold_log())
        folds = _folds_of(configs, data, run_dir, n_repeats)
        for fold in folds:
            runner.check(fold.data)
        settled: dict[int, dict[str, Any]] = {}
        for fold in folds:  # before the first of trainings that may take days
            fold.data.setup()
            outcome.check(config, fold.data)
            if (size := len(fold.data.rows_of("train"))) not in settled:
                settled[size] = runner.settle(fold.config, fold.data)
        chosen = _batches_of(folds, list(settled.values()))
        after = len(folds) - 1 if n_jobs == 1 else 0
        folds = [
            replace(fold, config={**fold.config, **chosen}, n_after=max(0, after - fold.number))
            for fold in folds
        ]
        write_run_records(config, [fold.data for fold in folds], run_dir)
        done: dict[int, TrainedFold] = {}
        for trained in _all_trained(folds, runner, n_jobs, backend):
            done[trained.number] = trained
            told.first_is_done = True
            fold = folds[trained.number]
            log.info(
                "%s is done (%d of %d): %s.", fold.title.capitalize(), len(done), len(folds),
                _result(outcome, trained.tables, fold),
            )  # fmt: skip
        stack.close()
        tables = join_tables([done[fold.number].tables for fold in folds])
        outcome.write(tables, run_dir)
        trainings = [
            Training(
                fold.data, done[fold.number].facts, fold=fold.data.split.fold, repeat=fold.repeat
            )
            for fold in folds
        ]
        folder.finish(trainings[0].facts)
        make_report(tables, run_dir, config, trainings)
    values = [value_of(outcome, done[fold.number].tables) for fold in folds]
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if len(known) == len(values) else None


def _folds_of(
    configs: Sequence[dict[str, Any]], data: CohortData, run_dir: Path, n_repeats: int
) -> list[Fold]:
    """The folds of all repeats.

    Args:
        configs: of each fold, repeat after repeat.
        data: with the split of the first.
        run_dir: of the run.
        n_repeats: how many there are.

    Raises:
        ConfigError: the folder of the run has folds of another number of folds or repeats.
    """
    folds = []
    for number, own in enumerate(configs):
        repeat, fold = divmod(number, len(configs) // n_repeats)
        known = None if n_repeats == 1 else repeat
        run = {"run_id": run_dir.name} | ({} if known is None else {"repeat": known})
        other = data if number == 0 else _with_split_of(data, own)
        folds.append(
            Fold(number, own, run_dir / fold_folder(fold, known), other, run=run, repeat=known)
        )
    others = {path.name for path in run_dir.glob("fold_*")} - {fold.run_dir.name for fold in folds}
    if others:
        raise ConfigError(
            f"the folder holds folds that are none of this run: {', '.join(sorted(others)[:3])}.",
            where=run_dir,
            fix="go on with the cross_validation.repeats and split.n_folds that it was begun with, "
            "or give another folder: hydra.run.dir=RUN.",
        )
    return folds


def _all_trained(
    folds: Sequence[Fold], runner: Runner, n_jobs: int, backend: str
) -> Iterator[TrainedFold]:
    """Each fold as it is done; small networks are trained as one, repeat by repeat."""
    if n_jobs != 1:
        yield from train_folds(folds, n_jobs=n_jobs, backend=backend)
        return
    for repeat in dict.fromkeys(fold.repeat for fold in folds):
        own = [fold for fold in folds if fold.repeat == repeat]
        yield from train_folds(own, adapt=keeping(train_together(own, runner)))


def _result(outcome: Outcome, tables: Tables, fold: Fold) -> str:
    """The value of a fold in words: on its validation part, or its test part without one."""
    if not fold.data.split.scans("validation") and isinstance(outcome, Tested):
        part, value = "test", outcome.test_value(tables)
    else:
        part, value = "validation", value_of(outcome, tables)
    return f"{part} {outcome.metric} {'undefined' if value is None else f'{value:.3f}'}"


def _batches_of(folds: Sequence[Fold], settled: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The settings by which `data.batch_size=auto` is the same in all folds; empty without it.

    That of the fold that got fewest; in a run that goes on, that of the folds it has.
    """
    config = folds[0].config
    if config["data"].get("batch_size") != AUTO or not settled:
        return {}
    begun = [read_run_config(f.run_dir) for f in folds if (f.run_dir / CONFIG).is_file()]
    sized = [each for each in (*begun, *settled) if isinstance(each["data"].get("batch_size"), int)]
    if not sized:
        return {}
    least = sized[0] if begun else min(sized, key=lambda each: int(each["data"]["batch_size"]))
    accumulated = least["trainer"].get("accumulate_grad_batches", 1)
    trainer = {**config["trainer"], "accumulate_grad_batches": accumulated}
    return {
        "data": {**config["data"], "batch_size": least["data"]["batch_size"]},
        "trainer": trainer,
        "model": {**config["model"], "trainer": trainer},
    }


def train_folds(
    folds: Sequence[Fold],
    *,
    n_jobs: int = 1,
    backend: str = "loky",
    adapt: Callable[[Runner, Fold], None] | None = None,
) -> Iterator[TrainedFold]:
    """Train folds one after the other, or side by side; yields each as it is done.

    Side by side, the first fold is trained alone, to see how much memory one takes: no more are
    started than there is memory for.

    Args:
        folds: their data prepared.
        n_jobs: how many at a time; -1: one per core.
        backend: of joblib: "loky", "dask" or "ray".
        adapt: called with each runner before it is trained, in this process: not with `n_jobs`.
    """
    if n_jobs == 1:
        for fold in folds:
            yield _train_fold(fold, adapt)
        return
    waiting = list(folds)
    (first,) = run_in_parallel(_train_apart, waiting[:1], n_jobs=2, backend=backend)
    peak, trained = first
    yield trained
    n_jobs = _as_memory_allows(n_jobs, peak)
    for _, trained in run_in_parallel(_train_apart, waiting[1:], n_jobs=n_jobs, backend=backend):
        yield trained


def _as_memory_allows(n_jobs: int, peak: int) -> int:
    """As many folds at a time as were asked for, or as many as there is memory for.

    Args:
        n_jobs: that was asked for; -1: one per core.
        peak: bytes that one took.
    """
    wanted = n_jobs if n_jobs > 0 else n_workers(n_jobs)
    available = available_memory()
    if available is None or wanted * peak <= available:
        return wanted
    n_jobs = max(1, available // peak)
    log.warning(
        "A fold takes %.1f GB and %.1f GB are free: %d folds are trained at a time, not %d.",
        peak / 1e9, available / 1e9, n_jobs, wanted,
    )  # fmt: skip
    return n_jobs


def _train_fold(fold: Fold, adapt: Callable[[Runner, Fold], None] | None = None) -> TrainedFold:
    with run_folder(fold.run_dir, fold.config, keep_finished=True) as folder:
        if folder.finished:
            _check_same_rows(fold, folder.facts)
            log.info("%s was finished before; it is taken as it is.", fold.title.capitalize())
            tables = outcome_of(build_runner(fold.config)).read(fold.run_dir)
            return TrainedFold(fold.number, tables, folder.facts)
        config = going_on(fold.config, folder)
        trained = train_one(
            config,
            fold.run_dir,
            fold.data,
            parts=fold.parts,
            adapt=lambda runner: _adapted(runner, fold, adapt),
            **fold.run,
        )
        assert trained is not None  # one process trains a fold
        folder.finish({**trained[1], ROWS: rows_hash(fold.data)})
    return TrainedFold(fold.number, *trained)


def _adapted(runner: Runner, fold: Fold, adapt: Callable[[Runner, Fold], None] | None) -> None:
    if isinstance(runner, LightningRunner):
        runner.n_after = fold.n_after
    if adapt is not None:
        adapt(runner, fold)


def _check_same_rows(fold: Fold, facts: Mapping[str, Any]) -> None:
    """Refuse a finished fold of other rows."""
    if facts.get(ROWS) != rows_hash(fold.data):
        raise ConfigError(
            f"{fold.title} was trained on other rows than those of now.",
            where=fold.run_dir,
            fix="give the data as they were, or another folder: hydra.run.dir=RUN.",
        )


def _train_apart(fold: Fold) -> tuple[int, TrainedFold]:
    """Train a fold in a worker process, without its progress bar, with a log of its own.

    Returns:
        The most bytes that it took, and what came of it.
    """
    fold.run_dir.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(fold.run_dir / "train.log")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    try:
        trained = _train_fold(fold, _without_progress_bar)
        return peak_memory(), trained
    finally:
        root.removeHandler(handler)
        handler.close()


def _with_split_of(data: CohortData, config: dict[str, Any]) -> CohortData:
    return data.with_split(build(config["split"], "splits", trusted=True))


def join_tables(tables: Sequence[Tables]) -> Tables:
    """The tables of several folds, each under the same name."""
    return {
        name: pd.concat([each[name] for each in tables], ignore_index=True) for name in tables[0]
    }


def _without_progress_bar(runner: Runner, fold: Fold) -> None:
    if isinstance(runner, LightningRunner):
        runner.show_progress = False
