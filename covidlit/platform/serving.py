"""A platform that runs: the server of its pages and its workers, watched and started again."""

from __future__ import annotations

import os
import shutil
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from covidlit.errors import ConfigError
from covidlit.platform.counted import VARIABLE
from covidlit.platform.folder import PlatformFolder
from covidlit.platform.setup import prepare, use_served
from covidlit.platform.watching import watch

_LOST_SECONDS = 15.0
_TIDY_SECONDS = 3600.0


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

    commands = {"pages": _pages(host, port), **_workers(folder.settings.jobs.workers)}
    if folder.settings.receiver is not None:
        receiver_account(folder.settings.receiver.centre, folder.settings.receiver.study_group)
        commands["receiver"] = _receiver(folder)
    last = {"looked": 0.0, "tidied": 0.0}

    def look() -> None:
        say_alive()
        if time.monotonic() - last["looked"] > _LOST_SECONDS:
            last["looked"] = time.monotonic()
            look_for_lost()
        if time.monotonic() - last["tidied"] > _TIDY_SECONDS:
            last["tidied"] = time.monotonic()
            # Beside the loop, which says that the platform is alive.
            threading.Thread(target=tidy, name="tidying", daemon=True).start()

    variables = {"pages": {VARIABLE: str(_emptied(folder.root / ".counted"))}}
    watch(commands, folder.root, look, on_ready, variables)


def work(folder: PlatformFolder, n_workers: int, on_ready: Callable[[], None]) -> None:
    """Do jobs of a platform that is served elsewhere, until the process is asked to end.

    On another machine, which sees the same folder and the same PostgreSQL database, or beside
    `serve` on this one. Jobs of a worker that is lost with its machine are given to another one by
    `serve`.

    Args:
        folder: of the platform.
        n_workers: processes that do jobs.
        on_ready: called when everything was started.

    Raises:
        ConfigError: see `use_served`.
    """
    use_served(folder)
    watch(_workers(n_workers), folder.root, lambda: None, on_ready, {})


def _emptied(folder: Path) -> Path:
    """A folder for what is counted from now on."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    return folder


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


def _workers(n: int) -> dict[str, list[str]]:
    command = [sys.executable, "-m", "django", "db_worker", "--interval", "0.5"]
    return {f"worker {number + 1}": command for number in range(n)}


def _receiver(folder: PlatformFolder) -> list[str]:
    return [sys.executable, "-m", "covidlit", "platform", "receive", str(folder.root)]
