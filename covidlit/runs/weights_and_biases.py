"""The logger of Weights & Biases: the whole configuration, and no waiting for a network."""

from __future__ import annotations

import logging
import os
import ssl
import threading
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any

import wandb
from pytorch_lightning.loggers import WandbLogger

from covidlit.errors import ConfigError

log = logging.getLogger(__name__)

_CHECK_S = 3.0
"""How long the server may take to answer at all before a run is written offline."""

_WAITS = {"init_timeout": 30.0, "finish_timeout": 60.0}
"""Seconds that W&B may take to begin a run, and to send what is left at its end. What was not sent
then lies in the run's folder."""


class RunLogger(WandbLogger):
    """Lightning's logger with the run's whole configuration, ended with the run.

    Args:
        offline: True: nothing leaves the machine. False: sent, if the server answers within
            seconds; else the run is written offline, and a warning says how to send it later.
        arguments: of `pytorch_lightning.loggers.WandbLogger` and `wandb.init`.
    """

    def __init__(self, offline: bool = True, **arguments: Any) -> None:
        # Lightning's own `offline` sets WANDB_MODE for all later runs of the process as well.
        super().__init__(offline=False, **arguments)
        self._send = not offline

    def describe_run(self, config: Mapping[str, Any], place: Mapping[str, str]) -> None:
        """Say what the run is, before it begins.

        Args:
            config: the resolved configuration (`conf/train.yaml`).
            place: further arguments of `wandb.init`, such as its `group`.
        """
        self._wandb_init.update(config=dict(config), **place)

    @property
    def experiment(self) -> Any:
        """The run of W&B, begun at first use.

        Raises:
            ConfigError: it cannot begin: W&B wants a key, for example.
        """
        if self._experiment is None and os.environ.get("WANDB_MODE") != "disabled":
            self._wandb_init["settings"] = dict(_WAITS)
            self._wandb_init["mode"] = "online" if self._may_send() else "offline"
            try:
                return super().experiment
            except (wandb.errors.UsageError, wandb.errors.AuthenticationError) as error:
                raise ConfigError(
                    f"Weights & Biases: {' '.join(str(error).split())}",
                    where="logger.wandb",
                    fix="run `wandb login`, or set logger.wandb.offline=true.",
                ) from error
        return super().experiment

    def log_hyperparams(self, params: Any) -> None:
        """Nothing where the whole configuration is there: it holds the task's arguments."""
        if "config" not in self._wandb_init:
            super().log_hyperparams(params)

    def mark_pruned(self, reason: str) -> None:
        """Tag the run, so that it is not taken for one that went through all its epochs."""
        run = self.experiment
        run.tags = (*(run.tags or ()), "pruned")
        run.summary["pruned"] = reason

    def finish(self, *, failed: bool) -> None:
        """End the run, or the next one of this process would write into it."""
        if self._experiment is not None and wandb.run is not None:
            wandb.finish(exit_code=int(failed))
            if failed:  # what follows may end this process at once: wait for what W&B still writes
                wandb.teardown(exit_code=1)

    def _may_send(self) -> bool:
        if not self._send or os.environ.get("WANDB_MODE") in ("offline", "dryrun"):
            return False

        server = str(wandb.setup().settings.base_url)
        if answers(server):
            return True
        log.warning(
            "Weights & Biases: %s does not answer, so this run is written offline. Send it later "
            "with: wandb sync %s/wandb/offline-run-*", server, self.save_dir,
        )  # fmt: skip
        return False


def answers(url: str, seconds: float = _CHECK_S) -> bool:
    """Whether a server answers at all, whatever it says, within some seconds.

    In a thread, because the look-up of a name keeps to no time limit.
    """
    answered = threading.Event()

    def ask() -> None:
        try:
            urllib.request.urlopen(url, timeout=seconds).close()
        except urllib.error.HTTPError:
            pass  # an answer
        except urllib.error.URLError as error:
            if not isinstance(error.reason, ssl.SSLError):
                return
        except OSError:
            return
        answered.set()

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(seconds)
    return answered.is_set()
