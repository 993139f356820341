"""A platform that runs: the server of its pages and its workers, watched and started again."""

from __future__ import annotations

import logging
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from covidlit.errors import ConfigError, CovidlitError
from covidlit.platform.counted import VARIABLE
from covidlit.platform.folder import PlatformFolder
from covidlit.platform.jobs.process import end_with_parent
from covidlit.platform.setup import prepare
from covidlit.process import asked_to_end

log = logging.getLogger(__name__)

_LOOK_SECONDS = 1.0
_LOST_SECONDS = 15.0
_TIDY_SECONDS = 3600.0
_GRACE_SECONDS = 30.0
MOST_FAILURES = 20
"""So often a process is started again before the platform gives up."""


def serve(folder: PlatformFolder, host: str, port: int, on_ready: Callable[[], None]) -> None:
    """Serve pages and do jobs until the process is asked to end.

    Args:
        folder: of the platform, whose database is of this version of covidlit.
        host, port: to listen on.
        on_ready: called when everything was started.
    """
    with alone(folder), _free(host, port):
        prepare(folder)
    with alone(folder):
        _serve(folder, host, port, on_ready)


def _serve(folder: PlatformFolder, host: str, port: int, on_ready: Callable[[], None]) -> None:
    from covidlit.platform.dicom_in.hand_over import receiver_account
    from covidlit.platform.jobs.lost import look_for_lost
    from covidlit.platform.operation.alive import say_alive
    from covidlit.platform.operation.tidying import tidy

    running: dict[str, subprocess.Popen[bytes]] = {}
    asked = asked_to_end()
    variables = {"pages": {VARIABLE: str(_emptied(folder.root / ".counted"))}}
    commands = {"pages": _pages(host, port)}
    commands |= {f"worker {n + 1}": _worker() for n in range(folder.settings.jobs.workers)}
    if folder.settings.receiver is not None:
        receiver_account(folder.settings.receiver.centre, folder.settings.receiver.study_group)
        commands["receiver"] = _receiver(folder)
    looked = tidied = 0.0
    failures: dict[str, int] = {}
    try:
        for name, command in commands.items():
            running[name] = _started(command, variables.get(name, {}))
        on_ready()
        while not asked:
            say_alive()
            time.sleep(_LOOK_SECONDS)
            for name, own in running.items():
                if own.poll() is not None and not asked:
                    log.error("%s ended with %s; it is started again.", name, own.returncode)
                    failures[name] = failures.get(name, 0) + 1
                    if failures[name] > MOST_FAILURES:
                        raise CovidlitError(
                            f"{name} ended {failures[name]} times.", where=folder.root,
                            fix="look for the reason in what it wrote above, then start again.",
                        )  # fmt: skip
                    running[name] = _started(commands[name], variables.get(name, {}))
            if time.monotonic() - looked > _LOST_SECONDS:
                looked = time.monotonic()
                look_for_lost()
            if time.monotonic() - tidied > _TIDY_SECONDS:
                tidied = time.monotonic()
                # Beside the loop, which says that the platform is alive.
                threading.Thread(target=tidy, name="tidying", daemon=True).start()
    finally:
        _end(running)


def _emptied(folder: Path) -> Path:
    """A folder for what is counted from now on."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    return folder


def _started(command: list[str], variables: dict[str, str]) -> subprocess.Popen[bytes]:
    """A process that ends with this one, however that ends."""
    return subprocess.Popen(
        command, start_new_session=True, preexec_fn=end_with_parent, env=os.environ | variables
    )


@contextmanager
def alone(folder: PlatformFolder) -> Iterator[None]:
    """Keep a second server from the folder.

    Raises:
        ConfigError: it is being served.
    """
    try:
        with FileLock(folder.root / ".serving", timeout=0):
            yield
    except Timeout as error:
        raise ConfigError(
            "it is being served by another process.", where=folder.root, fix="end that one first."
        ) from error


@contextmanager
def _free(host: str, port: int) -> Iterator[None]:
    """Make sure that the address can be listened on.

    Raises:
        ConfigError: it cannot.
    """
    try:
        with socket.create_server((host, port)):
            yield
    except OSError as error:
        raise ConfigError(
            f"cannot be listened on: {error.strerror or error}.", where=f"{host}:{port}",
            fix="choose another port (--port), or end what listens there.",
        ) from error  # fmt: skip


def _pages(host: str, port: int) -> list[str]:
    return [
        sys.executable, "-m", "gunicorn", "covidlit.platform.wsgi", "--bind", f"{host}:{port}",
        "--workers", str(max(2, os.cpu_count() or 2)), "--threads", "4", "--timeout", "120",
        "--worker-tmp-dir", "/dev/shm" if os.path.isdir("/dev/shm") else "/tmp",  # noqa: PTH112
        "--config", "python:covidlit.platform.operation.gunicorn_settings",
    ]  # fmt: skip


def _worker() -> list[str]:
    return [sys.executable, "-m", "django", "db_worker", "--interval", "0.5"]


def _receiver(folder: PlatformFolder) -> list[str]:
    return [sys.executable, "-m", "covidlit", "platform", "receive", str(folder.root)]


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
