"""A platform that is served to a client, with a worker and an archive."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sending_world import WebArchive, free_port, web_archive

HERE = Path(__file__).parent


class Served:
    """A platform that runs, by its port and tokens."""

    def __init__(self, port: int, root: Path, archive: WebArchive) -> None:
        self.port, self.root, self.archive = port, root, archive
        self.tokens: dict[str, str] = json.loads((root / "tokens.json").read_text())

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def served_at(root: Path) -> Iterator[Served]:
    """A platform in a new folder, while it is served."""
    with web_archive() as archive:
        yield from _served(root, archive)


def _served(root: Path, archive: WebArchive) -> Iterator[Served]:
    port = free_port()
    variables = {k: v for k, v in os.environ.items() if not k.startswith(("DJANGO", "COVIDLIT"))}
    variables["PYTHONPATH"] = os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")])
    script = [
        sys.executable,
        str(HERE / "platform_served.py"),
        str(root),
        str(port),
        archive.address,
    ]
    server = subprocess.Popen(script, env=variables)
    worker = None
    try:
        last = time.monotonic() + 240
        while not _listens(port):
            assert server.poll() is None
            assert time.monotonic() < last, "waited too long for the server"
            time.sleep(0.3)
        variables |= {
            "COVIDLIT_PLATFORM": str(root), "DJANGO_SETTINGS_MODULE": "covidlit.platform.settings",
        }  # fmt: skip
        command = [sys.executable, "-m", "django", "db_worker", "--interval", "0.3"]
        worker = subprocess.Popen(command, env=variables)
        yield Served(port, root, archive)
    finally:
        for process in (worker, server):
            if process is not None:
                process.terminate()
                process.wait(60)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
