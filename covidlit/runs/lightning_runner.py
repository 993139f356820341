"""The runner (contract 5) of networks: a LightningModule and a Trainer, both from YAML."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from copy import copy
from inspect import signature
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from hydra.utils import get_class, instantiate

from covidlit.datamodules.cohort_data import Planned
from covidlit.errors import ConfigError
from covidlit.runs import training
from covidlit.runs.outcomes import outcome_of
from covidlit.settings.targets import allow_target, build_fitted
from covidlit.settings.trainer import cut_short
from covidlit.settings.words import Node, settings_text

if TYPE_CHECKING:
    import pandas as pd
    import pytorch_lightning as pl

    from covidlit.datamodules.cohort_data import CohortData
    from covidlit.tasks import BaseTask

log = logging.getLogger(__name__)


class LightningRunner:
    """Trains a LightningModule with a Trainer, both given as configuration.

    Args:
        name: of the model, as it stands in the predictions table.
        task: a node with the `_target_` of a task of `covidlit.tasks` and its plain arguments.
        trainer: a node for `pytorch_lightning.Trainer`.
        callbacks: named nodes; `monitor: task` becomes the task's own monitor and mode.
        logger: named nodes.
        weights: `best` for the checkpoint with the best monitored value where the callbacks keep
            one, `last` for the last epoch's.
        ckpt_path: a checkpoint to resume from.
        classes: names of the classes in the order of the targets, for a task with more than two.
        record: what the checkpoint says about the run; `covidlit.checkpoints.record.RunRecord`.

    Attributes:
        judged: after `fit`, the checkpoint whose weights `predict` uses, if one was kept.
        selected: after `fit`, whether validation scores chose these weights.
        further_callbacks: ready callbacks, beside the configured ones.
        show_progress: show a bar on the terminal.
        n_after: trainings that follow in the same run, for the time that is left.
        adopted: whether `fit` has nothing to train, see `adopt`.
        belongs_to: how Weights & Biases files the run, such as its `group`; see `RunLogger`.
    """

    def __init__(
        self,
        name: str,
        task: Node,
        trainer: Node,
        callbacks: Mapping[str, Node] | None = None,
        logger: Mapping[str, Node] | None = None,
        weights: str = "best",
        ckpt_path: str | None = None,
        classes: Sequence[str] | None = None,
        record: Node | None = None,
    ) -> None:
        if weights not in ("best", "last"):
            raise ConfigError(f"weights must be best or last, not {weights!r}.", where="weights")
        self.name = name
        self.weights = weights
        self.ckpt_path = ckpt_path
        self.record: Node = dict(record or {})
        self.classes = list(classes or ())

        self._trainer_node = trainer
        self._task_node = dict(task)
        self._task_class: type[BaseTask] = get_class(str(task["_target_"]))
        # The command line names it, so its own checkpoints may be read back in this process.
        allow_target(f"{self._task_class.__module__}.{self._task_class.__qualname__}", "tasks")
        if "n_classes" in signature(self._task_class).parameters:
            self._task_node["n_classes"] = len(self.classes) or 2
        self._callback_nodes = dict(callbacks or {})
        self._logger_nodes = dict(logger or {})
        self._task: BaseTask | None = None
        self.judged: Path | None = None
        self.selected = False
        self.show_progress = True
        self.n_after, self.adopted = 0, False
        self.further_callbacks: list[pl.callbacks.Callback] = []
        self.belongs_to: dict[str, str] = {}
        self._resumed_from = ""
        self._trained: BaseTask | None = None

    def adopt(self, task: BaseTask) -> None:
        """Let `fit` keep the weights of a task that was trained already, beside those of others."""
        self._trained, self.adopted = task, True

    @property
    def task(self) -> BaseTask:
        """The LightningModule, built at first use."""
        self._task = self._task or build_fitted(self._task_node)
        return self._task

    @property
    def outcome(self) -> str:
        """The one that the task names."""
        return self._task_class.outcome

    @property
    def selected_on(self) -> str:
        """What chose the weights that `predict` uses."""
        return "validation" if self.selected else "last epoch"

    @property
    def cut_short(self) -> str:
        """What a debugging setting of the Trainer left of the training; empty: all of it."""
        return cut_short(self._trainer_node)

    def check(self, data: CohortData) -> None:
        """Make sure that the task takes such data, and that what follows scores will have some.

        Raises:
            ConfigError: see `fit`; or data of another kind.
        """
        self._task_class.check_input(data.input_record())
        planned: Any = Planned(data)
        for name, node in self._callback_nodes.items():
            if not training.is_idle(node, self.weights, planned):
                self._check_monitor(name, node, planned)
        self._check_scheduler(planned)

    def settle(self, config: dict[str, Any], data: CohortData) -> dict[str, Any]:
        """The configuration with the size of the batches, which the memory must hold.

        Raises:
            ConfigError: a step takes more memory than there is, or a batch is one that the network
                cannot learn from.
        """
        from covidlit.runs.batch_size import settle_batches
        from covidlit.runs.smallest_batch import check_size, check_smallest_batch

        config = self._fit_task(config, data)
        if config["data"].get("batch_size") is None:
            return config
        check_size(self.task, data.input_record())
        batches = settle_batches(config, self.task, data.input_record())
        if batches is None:
            return config
        check_smallest_batch(self.task, data, batches.rows, config["trainer"])
        data.batch_size = batches.rows  # type: ignore[attr-defined]  # of data that have batches
        accumulated = {"accumulate_grad_batches": batches.accumulated}
        self._trainer_node = {**self._trainer_node, **accumulated}
        trainer = {**config["trainer"], **accumulated}
        return {
            **config,
            "data": {**config["data"], "batch_size": batches.rows},
            "trainer": trainer,
            "model": {**config["model"], "trainer": trainer},
        }

    def _fit_task(self, config: dict[str, Any], data: CohortData) -> dict[str, Any]:
        """The configuration with the task's arguments that the training part decides."""
        node = {name: value for name, value in self._task_node.items() if name != "_target_"}
        fitted = self._task_class.fitted_to(node, data)
        if fitted == node:
            return config
        self._task_node, self._task = {"_target_": self._task_node["_target_"], **fitted}, None
        task = {**config["model"]["task"], **fitted}
        return {**config, "model": {**config["model"], "task": task}}

    def fit(self, data: CohortData, run_dir: Path) -> None:
        """Train; leaves `checkpoints/`, and `logs/` of the loggers, in `run_dir`.

        Raises:
            ConfigError: a callback or the scheduler follows validation scores, and there is no
                validation part or one without some class.
            CheckpointError: `ckpt_path` is damaged, untrusted or of another run's model or split.
            TrainingError: the loss is not finite any more; checkpoints of earlier epochs stay.
            ProcessError: one of the processes of several devices failed.
        """
        from covidlit.runs.several_devices import needs_processes

        self.task.record = self.record
        if self.ckpt_path is not None:
            self._check_resumable(run_dir)
        self._trainer_node = training.without_unusable_sync(self._trainer_node)
        trainer = self._build_trainer(data, run_dir)
        self._check_scheduler(data)
        if trainer.is_global_zero:
            training.log_start(self.describe(), trainer)
        if self._trained is not None:
            self.judged = training.keep_trained(self.task, self._trained, trainer, run_dir)
        elif needs_processes(trainer, self._trainer_node.get("strategy")):
            self._fit_in_processes(trainer, data, run_dir)
        else:
            self._fit(trainer, data)

    def _fit(self, trainer: pl.Trainer, data: CohortData) -> None:
        try:
            trainer.fit(
                self.task,
                datamodule=data,  # type: ignore[arg-type]  # only some are LightningDataModules
                ckpt_path=self.ckpt_path,
                weights_only=True,
            )
        finally:
            training.finish_wandb(trainer)
        if not self._trainer_node.get("fast_dev_run"):
            self._take_weights(trainer)

    def _fit_in_processes(self, trainer: pl.Trainer, data: CohortData, run_dir: Path) -> None:
        import torch

        from covidlit.runs.several_devices import in_processes
        from covidlit.tasks.rng import rng_state

        other = copy(self)
        other._task = None  # the weights go by file: in memory the processes would share them
        with TemporaryDirectory(prefix=".weights-", dir=run_dir) as folder:
            weights = Path(folder, "weights.pt")
            torch.save(self.task.state_dict(), weights)
            self.judged, self.selected = in_processes(
                trainer, other._fit_as_one_of_several, data, run_dir, weights, rng_state()
            )
            self.task.load_state_dict(torch.load(weights, weights_only=True))

    def _fit_as_one_of_several(
        self, data: CohortData, run_dir: Path, weights: Path, rng: dict[str, Any]
    ) -> tuple[Path | None, bool]:
        """Go on from the first process's weights and generators; leaves the trained ones there."""
        import torch

        from covidlit.runs.log import quieten_lightning
        from covidlit.tasks.rng import set_rng_state

        quieten_lightning()
        self.task.record = self.record
        self.task.load_state_dict(torch.load(weights, weights_only=True))
        trainer = self._build_trainer(data, run_dir)
        set_rng_state(rng)
        self._fit(trainer, data)
        if trainer.local_rank == 0:
            torch.save(self.task.state_dict(), weights)
        return self.judged, self.selected

    def _build_trainer(self, data: CohortData, run_dir: Path) -> pl.Trainer:
        from covidlit.checkpoints.io import RunCheckpointIO
        from covidlit.runs.several_devices import EndOnSigterm
        from covidlit.runs.time_left import TimeLeft

        callbacks = self._build_callbacks(run_dir, data)
        kept_in = [getattr(callback, "dirpath", None) for callback in callbacks]
        own = [run_dir / "checkpoints", run_dir / "logs"]
        given = self._trainer_node.get("plugins") or []
        given = given if isinstance(given, list) else [given]
        plugins = [instantiate(each) if isinstance(each, Mapping) else each for each in given]
        folders = [*own, *(folder for folder in kept_in if folder)]
        trainer: pl.Trainer = instantiate(
            {name: value for name, value in self._trainer_node.items() if name != "plugins"},
            callbacks=[*callbacks, *self.further_callbacks, TimeLeft(self.n_after), EndOnSigterm()],
            logger=self._build_loggers(run_dir),
            default_root_dir=str(run_dir),
            use_distributed_sampler=False,
            enable_model_summary=False,
            enable_progress_bar=self.show_progress,
            plugins=[*plugins, RunCheckpointIO(folders)],
        )
        return trainer

    def predict(self, data: CohortData, part: str) -> pd.DataFrame:
        """Score the rows of one part in the table's order, on one device, without augmentation.

        Raises:
            TrainingError: the network gives no finite score.
        """
        loader = data.dataloader_of(part)
        if self.judged is not None and len(loader):
            log.info("The scores of the part %r are those of %s.", part, self.judged)
        node = {k: self._trainer_node[k] for k in ("_target_", "accelerator", "precision")}
        trainer = instantiate(
            node,
            devices=1,
            logger=False,
            enable_checkpointing=False,
            enable_model_summary=False,
            enable_progress_bar=self.show_progress,
        )
        batches: Any = trainer.predict(self.task, loader) if len(loader) else []
        return self.task.table_of(batches, self.classes)

    def describe(self) -> dict[str, Any]:
        """Name, class of the network, number of trainable parameters; where it went on from."""
        parameters = sum(p.numel() for p in self.task.parameters() if p.requires_grad)
        network = str(self._task_node.get("net", {}).get("_target_", ""))
        return {
            "model": self.name,
            "network": network.rpartition(".")[2],
            "trainable parameters": parameters,
            **({"went on from": self._resumed_from} if self._resumed_from else {}),
        }

    def training_facts(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """Length, batches, precision but float32, loss, optimizer, window and augmentation."""
        data, trainer, task = config["data"], config["trainer"], config["model"].get("task") or {}
        chosen = [name for name in ("loss", "optimizer", "scheduler") if name in task]
        return {
            "epochs": 1 if trainer.get("fast_dev_run") else trainer.get("max_epochs"),
            **({"batch size": data["batch_size"]} if "batch_size" in data else {}),
            **{k: trainer[k] for k in ["precision"] if trainer.get(k) not in (None, 32, "32-true")},
            "draws balanced by": data.get("balanced") or "nothing: every row once",
            **{name: settings_text(task[name] or {}) for name in chosen},
            **self.task.facts(),
            "augmentation": settings_text(config.get("augmentation") or {}),
        }

    def keep(self, **fields: Any) -> None:
        """Write fields of the record into the checkpoint whose weights `predict` uses.

        The run's other checkpoints hold other weights, which they say nothing about.
        """
        from covidlit.checkpoints.file import update_record

        if self.judged is not None:
            update_record(self.judged, **fields)

    def _check_resumable(self, run_dir: Path) -> None:
        from covidlit.checkpoints.same_run import check_same_run

        assert self.ckpt_path is not None
        path, own, task = Path(self.ckpt_path).resolve(), run_dir.resolve(), self.task
        progress = check_same_run(self.ckpt_path, task.hparams, task.state_dict(), self.record)
        # Reports name no folder of a machine.
        shown = path.relative_to(own) if path.is_relative_to(own) else self.ckpt_path
        self._resumed_from = f"{shown} {progress}".strip()

    def _build_callbacks(self, run_dir: Path, data: CohortData) -> list[pl.callbacks.Callback]:
        callbacks = []
        for name, node in self._callback_nodes.items():
            arguments = dict(node)
            hidden = str(node["_target_"]).endswith("ProgressBar") and not self.show_progress
            if hidden or training.is_idle(node, self.weights, data):
                continue
            if self._check_monitor(name, node, data):
                arguments.update(monitor=self.task.monitor, mode=self.task.mode)
            if str(arguments["_target_"]).endswith("Checkpoint"):
                arguments.setdefault("dirpath", str(run_dir / "checkpoints"))
            callbacks.append(instantiate(arguments))
        return callbacks

    def _check_monitor(self, name: str, node: Node, data: CohortData) -> bool:
        """Whether a callback follows the task's monitor, which must then be defined."""
        if node.get("monitor") != "task":
            return False
        where, instead = f"callbacks.{name}", training.instead_of(name)
        outcome_of(self).check_selection(data, self._task_class.monitor, where, instead)
        return True

    def _check_scheduler(self, data: CohortData) -> None:
        scheduler, monitor = self._task_node.get("scheduler") or {}, self._task_class.monitor
        if not str(scheduler.get("_target_")).endswith("ReduceLROnPlateau"):
            return
        where, instead = "model.task.scheduler", "model.task.scheduler=null"
        if self._trainer_node.get("limit_val_batches") == 0:
            what = f"ReduceLROnPlateau follows {monitor}, which is never measured."
            fix = f"set trainer.limit_val_batches=null, or {instead}."
            raise ConfigError(what, where=where, fix=fix)
        outcome_of(self).check_selection(data, monitor, where, instead)

    def _build_loggers(self, run_dir: Path) -> list[pl.loggers.Logger]:
        from covidlit.runs.weights_and_biases import RunLogger

        folder = str(run_dir / "logs")
        loggers = [instantiate(node, save_dir=folder) for node in self._logger_nodes.values()]
        for logger in loggers:
            if isinstance(logger, RunLogger) and self.record.get("config"):
                logger.describe_run(self.record["config"], self.belongs_to)
        return loggers

    def _take_weights(self, trainer: pl.Trainer) -> None:
        """Load the weights that the run is judged by."""
        from pytorch_lightning.callbacks import ModelCheckpoint

        from covidlit.checkpoints.file import load_checkpoint

        kept = [
            callback
            for callback in trainer.checkpoint_callbacks
            if isinstance(callback, ModelCheckpoint) and callback.best_model_path
        ]
        monitored = [callback for callback in kept if callback.monitor is not None]
        if self.weights == "best" and monitored:
            self.judged, self.selected = Path(monitored[0].best_model_path), True
            self.task.load_state_dict(load_checkpoint(self.judged)["state_dict"])
            return
        last = [callback for callback in kept if callback.monitor is None]
        if last:
            self.judged = Path(last[0].best_model_path)
