"""Worker processes that end with the process that started them, however it ended."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import TypeVar

Task = TypeVar("Task")
Result = TypeVar("Result")

CHECK_SECONDS = 0.5
_watching: set[int] = set()


def end_with(parent: int) -> None:
    """Let this process end within a second of the end of its parent; does nothing in the parent.

    A thread asks for the parent. Linux can send a signal instead, but sends it at the end of the
    thread that started the worker.

    Args:
        parent: process id of the parent.
    """
    own = os.getpid()
    if own == parent or own in _watching or os.name != "posix":
        return
    _watching.add(own)
    threading.Thread(target=_watch, args=(parent,), name="covidlit-parent", daemon=True).start()


def run_in_worker(function: Callable[[Task], Result], parent: int, task: Task) -> Result:
    """Call the function in a worker of `parent`, which is watched from now on."""
    end_with(parent)
    return function(task)


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(CHECK_SECONDS)
    os._exit(1)
