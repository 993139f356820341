"""One run from configuration to report: what `python train.py` and `covidlit train` do."""

from __future__ import annotations

import logging
import os
import signal
import sys
import traceback
import warnings
from collections.abc import Callable, Sequence
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from covidlit.arguments import require_whole_number
from covidlit.settings.tree import check_keys, config_dir, explain
from covidlit.errors import ConfigError, CovidlitError, disk_full
from covidlit.failure_report import OtherProcessError, end_with_first_process, write_failure
from covidlit.garbage_collection import skip_collection_at_exit
from covidlit.runs.stopped import INTERRUPTED, RunStopped, explained_end
from covidlit.sweep.trial import current_trial
from covidlit.sweep.trial_checks import refuse_several_devices
from covidlit.threads import let_waiting_threads_sleep

if TYPE_CHECKING:
    import pandas as pd
    from omegaconf import DictConfig

    from covidlit.cohort import Split
    from covidlit.datamodules import VolumeDataModule
    from covidlit.runs.lightning_runner import Runner

log = logging.getLogger(__name__)


def main() -> None:
    """Compose the configuration of the command line and run it.

    A user's error exits with 2, a run that was stopped with 128 and the number of the signal.
    """
    import hydra
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    let_waiting_threads_sleep()
    skip_collection_at_exit()
    end_with_first_process()
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")  # errors reach us instead of Hydra's printer
    entry = hydra.main(version_base="1.3", config_path=str(config_dir()), config_name="train")(run)
    try:
        entry()
    except KeyboardInterrupt as stop:
        _end_stopped(stop)
    except CovidlitError as error:
        _stop(error)
    except (HydraException, OmegaConfBaseException) as error:
        _stop(explain(error))
    except OSError as error:
        fix = "free some space, then go on with ckpt_path=.../checkpoints/last.ckpt."
        if (full := disk_full(error, fix)) is None:
            _end_with_traceback()
        _stop(full)
    except OtherProcessError as error:
        sys.stderr.write(error.failure.message)
        sys.exit(error.failure.exit_code)
    except Exception:
        _end_with_traceback()


def _stop(error: CovidlitError) -> None:
    message = f"\nerror: {error}\n"
    if not write_failure(message, 2):
        sys.stderr.write(message)
    sys.exit(2)


def _end_with_traceback() -> NoReturn:
    """End on the error that is being handled, which is no user's."""
    if not write_failure(f"\n{traceback.format_exc()}", 1):
        raise
    sys.exit(1)


def _end_stopped(stop: KeyboardInterrupt) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # pressed again, it would only leave a traceback
    message = str(stop) or "The run was stopped (Ctrl-C) before it began."
    if process_rank() == 0:
        sys.stderr.write(f"\n{message}\n")
    sys.exit(stop.exit_code if isinstance(stop, RunStopped) else INTERRUPTED)


def run(config: DictConfig) -> float | None:
    """Cohort, split, cache, training, predictions, report, in the run folder that Hydra made.

    A trial of a sweep ends before the test part, see `covidlit.sweep.trial_run`.

    Args:
        config: the composed `conf/train.yaml`.

    Returns:
        The AUC on the validation part, or None where it is undefined; sweeps maximise it.
    """
    from hydra.core.hydra_config import HydraConfig
    from omegaconf import OmegaConf

    hydra_config = HydraConfig.get()
    run_dir = Path(hydra_config.runtime.output_dir)
    _check_mode(config, hydra_config)
    resolved = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    assert isinstance(resolved, dict)
    plain = {str(key): value for key, value in resolved.items()}
    trial = current_trial(hydra_config)
    with explained_end(run_dir):
        if trial is None:
            return train_and_evaluate(plain, run_dir)
        from covidlit.sweep.trial_run import run_trial

        return run_trial(plain, run_dir, trial)


def train_and_evaluate(config: dict[str, Any], run_dir: Path) -> float | None:
    """Do one run; see `run`. `config` is the resolved tree of `conf/train.yaml` as plain types."""
    from covidlit.cards import write_cards, write_run_records
    from covidlit.runs.checks import check_evaluation
    from covidlit.runs.outcomes.classification import report

    begin(config, run_dir)
    datamodule = build_datamodule(config)
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
    auc = report(predictions, run_dir, config=config, datamodule=datamodule, runner=runner)
    if config.get("cards"):
        write_cards(run_dir)
    return auc


def begin(config: dict[str, Any], run_dir: Path) -> None:
    """Check the settings that need no scan, and seed every generator."""
    import pytorch_lightning as pl

    from covidlit.runs.checks import check_evaluation_settings
    from covidlit.settings.trainer import check_loggers, check_trainer_settings

    _quieten()
    check_trainer_settings(config["trainer"])
    require_whole_number(config["seed"], "seed", at_least=0)
    pl.seed_everything(config["seed"], workers=True, verbose=False)
    check_evaluation_settings(config["evaluation"])
    check_loggers(config["model"].get("logger"), run_dir / "logs")


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


def _quieten() -> None:
    """Keep Lightning's tips and its own deprecation notes out of the run's output."""
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", message=".*LeafSpec.*")
    warnings.filterwarnings("ignore", message=".*smaller than the logging interval.*")
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")


def process_rank() -> int:
    """0 for the first process of a run, also before Lightning has set up the others."""
    # SLURM_PROCID is also set, to 0, where Lightning itself starts the processes of one SLURM task.
    names = ("RANK", "LOCAL_RANK", "SLURM_PROCID")
    return next((int(os.environ[name]) for name in names if name in os.environ), 0)


def build_datamodule(
    config: dict[str, Any],
    use: Callable[[Split, pd.DataFrame], Split] | None = None,
) -> VolumeDataModule:
    """The cohort's manifest, its split and its cache, prepared and checked for leakage.

    Args:
        config: the resolved configuration.
        use: makes the split in use from the configured one and the manifest; None: that one. Scans
            that it leaves out are not prepared.
    """
    from hydra.utils import instantiate

    from covidlit.datamodules import VolumeDataModule
    from covidlit.dicom import Checks
    from covidlit.runs.checks import check_manifest_columns

    data = dict(config["data"])
    source, min_slices = data.pop("source"), data.pop("min_slices")
    require_whole_number(min_slices, "data.min_slices", at_least=1)
    checks = Checks(min_slices, frozenset(data.pop("override_checks") or ()))
    label_rule = instantiate(config["label_rule"])
    configured = instantiate(config["split"])
    given = {
        "split": configured if use is None else lambda table: use(configured(table), table),
        "label_rule": label_rule,
        "n_classes": label_rule.n_classes,
        "augmentation": config.get("augmentation") or None,
        "checks": checks,
        "seed": config["seed"],
        "strict": config["strict"],
    }
    check_keys("data", data, signature(VolumeDataModule).parameters.keys() - {"manifest", *given})
    manifest = instantiate({**source, "inclusion": config.get("inclusion") or None})
    datamodule = VolumeDataModule(manifest=str(manifest), **given, **data)
    check_manifest_columns(datamodule.manifest, datamodule.manifest_path)
    datamodule.prepare_data()
    datamodule.setup()
    return datamodule


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


def _check_mode(config: DictConfig, hydra_config: Any) -> None:
    """Refuse several devices under -m, and a sweep without it."""
    if str(hydra_config.mode).endswith("MULTIRUN"):
        refuse_several_devices(config.trainer)
    elif (sweep := hydra_config.runtime.choices.get("sweep")) not in (None, "null"):
        raise ConfigError(
            "a sweep needs -m; without it this would be one whole run.",
            where=f"sweep={sweep}",
            fix=f"give `python train.py -m sweep={sweep} ...`, or leave it out.",
        )


if __name__ == "__main__":
    main()  # how Lightning starts the other ranks of `covidlit train`
