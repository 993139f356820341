"""A platform that runs: the server of its pages and its workers, watched and started again."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from types import FrameType

from covidlit.platform.folder import PlatformFolder
from covidlit.platform.setup import prepare

log = logging.getLogger(__name__)

_LOOK_SECONDS = 1.0
_LOST_SECONDS = 15.0
_GRACE_SECONDS = 30.0


def serve(folder: PlatformFolder, host: str, port: int, on_ready: Callable[[], None]) -> None:
    """Serve pages and do jobs until the process is asked to end.

    Args:
        folder: of the platform; its database is brought to this version of covidlit first.
        host, port: to listen on.
        on_ready: called when everything was started.
    """
    prepare(folder)
    from covidlit.platform.jobs.lost import look_for_lost

    running: dict[str, subprocess.Popen[bytes]] = {}
    asked = _asked_to_end()
    commands = {"pages": _pages(host, port)}
    commands |= {f"worker {n + 1}": _worker() for n in range(folder.settings.jobs.workers)}
    looked = 0.0
    try:
        for name, command in commands.items():
            running[name] = subprocess.Popen(command, start_new_session=True)
        on_ready()
        while not asked:
            time.sleep(_LOOK_SECONDS)
            for name, own in running.items():
                if own.poll() is not None and not asked:
                    log.error("%s ended with %s; it is started again.", name, own.returncode)
                    running[name] = subprocess.Popen(commands[name], start_new_session=True)
            if time.monotonic() - looked > _LOST_SECONDS:
                looked = time.monotonic()
                look_for_lost()
    finally:
        _end(running)


def _pages(host: str, port: int) -> list[str]:
    return [
        sys.executable, "-m", "gunicorn", "covidlit.platform.wsgi", "--bind", f"{host}:{port}",
        "--workers", str(max(2, os.cpu_count() or 2)), "--threads", "4", "--timeout", "120",
        "--worker-tmp-dir", "/dev/shm" if os.path.isdir("/dev/shm") else "/tmp",  # noqa: PTH112
        "--log-level", "warning",
    ]  # fmt: skip


def _worker() -> list[str]:
    return [sys.executable, "-m", "django", "db_worker", "--interval", "0.5"]


def _asked_to_end() -> list[int]:
    """Gets the number of a signal that asks the process to end."""
    asked: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        asked.append(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, note)
    return asked


def _end(running: dict[str, subprocess.Popen[bytes]]) -> None:
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
