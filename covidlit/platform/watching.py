"""Processes that are started, watched, started again, and ended with the one that started them."""

from __future__ import annotations

import logging
import os
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from covidlit.errors import CovidlitError
from covidlit.platform.jobs.process import end_with_parent
from covidlit.process import asked_to_end

log = logging.getLogger(__name__)

_LOOK_SECONDS = 1.0
_GRACE_SECONDS = 30.0
MOST_FAILURES = 20
"""So often a process that does not last is started again before it is given up."""

_LASTS_SECONDS = 600.0
"""A process that ran so long has done its work: what ends it then is counted anew."""


def watch(
    commands: Mapping[str, list[str]],
    folder: Path,
    look: Callable[[], None],
    on_ready: Callable[[], None],
    variables: Mapping[str, Mapping[str, str]],
) -> None:
    """Keep processes running until this one is asked to end.

    Args:
        commands: by what each process is called.
        folder: of the platform, for messages.
        look: called about every second.
        on_ready: called when everything was started.
        variables: further ones of the environment of some processes.

    Raises:
        CovidlitError: a process ends again and again.
    """
    asked = asked_to_end()
    running: dict[str, subprocess.Popen[bytes]] = {}
    failures: dict[str, int] = {}
    since: dict[str, float] = {}
    try:
        for name, command in commands.items():
            running[name] = _started(command, variables.get(name, {}))
            since[name] = time.monotonic()
        on_ready()
        while not asked:
            look()
            time.sleep(_LOOK_SECONDS)
            for name, own in running.items():
                if own.poll() is not None and not asked:
                    log.error("%s ended with %s; it is started again.", name, own.returncode)
                    lasted = time.monotonic() - since[name] > _LASTS_SECONDS
                    failures[name] = 1 if lasted else failures.get(name, 0) + 1
                    if failures[name] > MOST_FAILURES:
                        raise CovidlitError(
                            f"{name} ended {failures[name]} times.", where=folder,
                            fix="look for the reason in what it wrote above, then start again.",
                        )  # fmt: skip
                    running[name] = _started(commands[name], variables.get(name, {}))
                    since[name] = time.monotonic()
    finally:
        _end(running)


def _started(command: list[str], variables: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """A process that ends with this one, however that ends."""
    return subprocess.Popen(
        command, start_new_session=True, preexec_fn=end_with_parent,
        env={**os.environ, **variables},
    )  # fmt: skip


def _end(running: Mapping[str, subprocess.Popen[bytes]]) -> None:
    """Ask the processes to end, and end those that do not."""
    for own in running.values():
        own.terminate()
    last = time.monotonic() + _GRACE_SECONDS
    for own in running.values():
        try:
            own.wait(max(0.1, last - time.monotonic()))
        except subprocess.TimeoutExpired:
            own.kill()
            own.wait()
