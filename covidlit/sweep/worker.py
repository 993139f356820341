"""What a worker process of a sweep does: one job after the other, until it is killed."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import traceback
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import cloudpickle

from covidlit.sweep.job import run_application, set_hydra_state
from covidlit.sweep.outcome import failed


def serve(connection: Connection, application: bytes, log_file: str) -> None:
    """Run the jobs that come in over the connection; the entry of the process.

    Messages in: `(number, overrides)`. Messages out: `("started", folder)` and `("ended", outcome)`
    for each, or `("broken", reason)` once.

    Args:
        connection: to the sweeper.
        application: a pickled pair of `Application` and Hydra's state.
        log_file: what the jobs print goes there.
    """
    # In a group of its own, so that Ctrl-C is the sweeper's to answer, and so that what a job
    # starts (workers of data loaders) ends with it.
    os.setsid()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    threading.Thread(target=_end_with_sweeper, daemon=True).start()
    _print_to(log_file)
    try:
        running = _load(application)
    except Exception as error:  # the sweeper says it, and this process is of no use
        traceback.print_exc()
        connection.send(("broken", f"{type(error).__name__}: {error}"))
        return
    with contextlib.suppress(EOFError):  # the sweeper is gone
        while True:
            number, overrides = connection.recv()
            connection.send(("ended", _run(running, number, overrides, connection)))
            sys.stdout.flush()


def _load(application: bytes) -> Any:
    running, state = cloudpickle.loads(application)
    set_hydra_state(state)
    return running


def _run(application: Any, number: int, overrides: list[str], connection: Connection) -> Any:
    def started(folder: str) -> None:
        connection.send(("started", folder))

    print(f"--- trial {number}: {' '.join(overrides)}", flush=True)  # noqa: T201
    try:
        outcome = run_application(application, number, overrides, started)
    except BaseException as stop:  # SystemExit, SIGTERM: not the sweep's end, but the trial's
        traceback.print_exc()
        return failed(f"it was stopped: {type(stop).__name__} {stop}".strip())
    if outcome.reason is not None:
        print(f"--- trial {number} {outcome.state}: {outcome.reason}", flush=True)  # noqa: T201
    return outcome


def _end_with_sweeper() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os.killpg(0, signal.SIGKILL)


def _print_to(log_file: str) -> None:
    path = Path(log_file)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
