"""A PostgreSQL server for tests, of the programs on this machine; None of it is left."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

USER = "postgres"
"""Whom the server runs as where the tests run as root, which it refuses."""


def server_program() -> str | None:
    """Where `initdb` is, with the other programs beside it; None where it is not installed."""
    places = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return str(places[-1]) if places else shutil.which("initdb")


class Server:
    """A server in a folder of its own.

    Attributes:
        address: of the database `name` there: `address.format(name=...)`.
    """

    def __init__(self, root: Path, bin_: Path) -> None:
        self._root, self._bin = root, bin_
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.address = f"postgresql://{USER}@127.0.0.1:{self.port}/{{name}}"
        if os.geteuid() == 0:
            shutil.chown(root, USER)
        self._run("initdb", "--auth=trust", f"--username={USER}", "--no-sync", str(root / "data"))

    def start(self) -> None:
        """Start it, and wait until it answers."""
        options = f"-p {self.port} -k {self._root} -c listen_addresses=127.0.0.1 -c fsync=off"
        self._run("pg_ctl", "-w", "-D", str(self._root / "data"), "-o", options,
                  "-l", str(self._root / "log"), "start")  # fmt: skip

    def stop(self) -> None:
        """Stop it at once, whoever is connected."""
        self._run("pg_ctl", "-w", "-D", str(self._root / "data"), "-m", "immediate", "stop")

    def make_database(self, name: str) -> str:
        """A new database; its address."""
        self._run("createdb", "-h", "127.0.0.1", "-p", str(self.port), "-U", USER, name)
        return self.address.format(name=name)

    def _run(self, name: str, *arguments: str) -> None:
        as_user = ["runuser", "-u", USER, "--"] if os.geteuid() == 0 else []
        subprocess.run(
            [*as_user, str(self._bin / name), *arguments], check=True, cwd=self._root,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip


@contextmanager
def server() -> Iterator[Server]:
    """A server that runs.

    Raises:
        FileNotFoundError: PostgreSQL is not installed.
    """
    found = server_program()
    if found is None:
        raise FileNotFoundError("initdb")
    root = Path(tempfile.mkdtemp(prefix="covidlit_postgresql_"))
    try:
        own = Server(root, Path(found).resolve().parent)
        own.start()
        try:
            yield own
        finally:
            own.stop()
    finally:
        shutil.rmtree(root, ignore_errors=True)
