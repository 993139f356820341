"""Training on several devices of one machine: a process for each, all of which end together.

Lightning alone would run the whole command once more for each device. If one of those fails, it
kills the first without a word; if the first fails, it leaves the others waiting. Torch's elastic
agent (torchrun) orders failures by whole seconds, so that a lost connection passes for the cause;
leaves its signal handlers behind; and waits for ever for a function that was stopped by SIGTERM.
"""

from __future__ import annotations

import os
import pickle
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from multiprocessing.connection import wait
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType
from typing import Any, NoReturn

import pytorch_lightning as pl
import torch.multiprocessing
from pytorch_lightning.strategies import ParallelStrategy
from pytorch_lightning.utilities.exceptions import SIGTERMException

from covidlit.errors import CovidlitError
from covidlit.runs.processes import ProcessError

_GRACE_S = 3.0
"""For a process to end by itself once another has failed: over gloo it soon notices."""
_STOPS: dict[int, type[BaseException]] = {
    signal.SIGINT: KeyboardInterrupt,
    signal.SIGTERM: SIGTERMException,
}
_OWN_MULTIPROCESSING = ("_spawn", "_fork", "_notebook")
"""Ends of the names of Lightning's strategies that start no commands but functions themselves."""


def needs_processes(trainer: pl.Trainer, strategy: object) -> bool:
    """Whether a training needs processes that nobody, such as SLURM or torchrun, has started.

    Args:
        trainer: of the training.
        strategy: as it was asked for, by name.
    """
    return (
        isinstance(trainer.strategy, ParallelStrategy)
        and trainer.num_devices > 1
        and trainer.strategy.cluster_environment is not None
        and not trainer.strategy.cluster_environment.creates_processes_externally
        and not str(strategy).endswith(_OWN_MULTIPROCESSING)
    )


def in_processes(trainer: pl.Trainer, function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function in one process for each device, where it may train together with the others.

    Args:
        trainer: says how many devices and machines there are, and by which address they meet.
        function: it and its arguments are pickled.

    Returns:
        What it returned in the first process of this machine.

    Raises:
        BaseException: what it raised in the process that failed first, if that is a CovidlitError,
            an OSError, or a KeyboardInterrupt or SIGTERMException because that process was stopped.
        ProcessError: it raised anything else.
        CovidlitError: a process was killed.
    """
    environment = trainer.strategy.cluster_environment  # type: ignore[attr-defined]
    variables = {
        "MASTER_ADDR": environment.main_address,
        "MASTER_PORT": str(environment.main_port),
        "NODE_RANK": str(environment.node_rank()),
    }
    with TemporaryDirectory(prefix="covidlit-") as name, _stoppable():
        folder = Path(name)
        processes = torch.multiprocessing.spawn(
            _call, (folder, variables, function, arguments), trainer.num_devices, join=False
        ).processes
        try:
            while (alive := _alive(processes)) and not any(each.exitcode for each in processes):
                wait([each.sentinel for each in alive])
            _wait(processes)
            _raise_first_failure(folder, processes)
        finally:
            for end in ("terminate", "kill"):
                for each in _alive(processes):
                    getattr(each, end)()
                _wait(processes)
        return pickle.loads((folder / "result").read_bytes())


class EndOnSigterm(pl.Callback):
    """Ends a process on SIGTERM, where it is one of several.

    Lightning answers it with a broadcast from within the signal's handler: where a process waits in
    another collective just then, both wait for ever.
    """

    def on_sanity_check_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.on_train_start(trainer, pl_module)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.world_size > 1 and threading.current_thread() is threading.main_thread():
            _raise_once(signal.SIGTERM)


def _call(
    rank: int,
    folder: Path,
    variables: Mapping[str, str],
    function: Callable[..., Any],
    arguments: Sequence[Any],
) -> None:
    """What each process does."""
    os.environ.update(variables, LOCAL_RANK=str(rank))
    for number in _STOPS:
        _raise_once(number)
    try:
        result = function(*arguments)
        if rank == 0:
            (folder / "result").write_bytes(pickle.dumps(result))
    except BaseException as error:
        failure = error
        if isinstance(error.__context__, KeyboardInterrupt):
            failure = KeyboardInterrupt()  # which Lightning turns into SystemExit
        elif not isinstance(error, CovidlitError | OSError | KeyboardInterrupt | SIGTERMException):
            failure = ProcessError(traceback.format_exc())
        cause = error.__cause__ if isinstance(error.__cause__, OSError) else None
        (folder / f"{rank}.failed").write_bytes(pickle.dumps((time.monotonic(), failure, cause)))
        sys.exit(1)


def _raise_first_failure(folder: Path, processes: Sequence[Any]) -> None:
    failed = {
        rank: pickle.loads(path.read_bytes())
        for rank in range(len(processes))
        if (path := folder / f"{rank}.failed").is_file()
    }
    silent = [
        (each.exitcode, rank)
        for rank, each in enumerate(processes)
        if each.exitcode and rank not in failed
    ]
    # SIGKILL is never the consequence of another failure; an abort (of NCCL, say) may be.
    killed = [found for found in silent if found[0] == -signal.SIGKILL]
    if killed or (silent and not failed):
        raise _silent_failure(*min(killed or silent))
    if failed:
        _, failure, cause = min(failed.values(), key=lambda found: found[0])
        raise failure from cause


def _silent_failure(code: int, rank: int) -> CovidlitError:
    how = f"was killed ({signal.Signals(-code).name})" if code < 0 else f"ended with {code}"
    memory = "where the system killed it for want of memory, lower data.batch_size or data."
    return CovidlitError(
        f"the process of rank {rank} {how} and left no message.",
        fix=f"{memory}num_workers." if code < 0 else "see whether it printed one above.",
    )


def _raise_once(number: int) -> Any:
    """Let a signal raise what it stands for, the first time; returns the handler until then.

    Both the terminal and the first process send it.
    """

    def stop(number: int, frame: FrameType | None) -> NoReturn:
        signal.signal(number, signal.SIG_IGN)
        raise _STOPS[number]

    return signal.signal(number, stop)


@contextmanager
def _stoppable() -> Iterator[None]:
    """In the block Ctrl-C and SIGTERM raise an exception, once: the way out goes undisturbed."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: _raise_once(number) for number in _STOPS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _alive(processes: Sequence[Any]) -> list[Any]:
    return [each for each in processes if each.is_alive()]


def _wait(processes: Sequence[Any]) -> None:
    """Give them some seconds to end."""
    deadline = time.monotonic() + _GRACE_S
    for each in processes:
        each.join(max(0.0, deadline - time.monotonic()))
