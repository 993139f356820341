"""A platform in a folder of its own, whose parts run as processes."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from sending_world import free_port, wait_for

PASSWORD = "a long enough phrase"
ROW = tuple[Any, ...]


class Platform:
    """A platform in a folder of its own, whose receiver comes and goes."""

    def __init__(self, root: Path) -> None:
        self.root, self.port = root, free_port()
        self.plain = ""
        self.environment = {
            name: value for name, value in os.environ.items()
            if not name.startswith(("DJANGO", "COVIDLIT"))
        }  # fmt: skip
        self._covidlit("init", "--admin", "boss", "--centre", "north",
                       COVIDLIT_PLATFORM_PASSWORD=PASSWORD)  # fmt: skip

    def _covidlit(self, command: str, *arguments: str, **variables: str) -> None:
        subprocess.run(
            [sys.executable, "-m", "covidlit", "platform", command, str(self.root), *arguments],
            check=True, capture_output=True, env=self.environment | variables,
        )  # fmt: skip

    def set(self, text: str = "", **limits: str) -> None:
        """Write the section of the receiver, and other limits of uploads."""
        settings = (self.root / "platform.toml").read_text().partition("\n[receiver]")[0]
        for name, value in limits.items():
            lines = [
                f"{name} = {value}" if line.startswith(f"{name} =") else line
                for line in settings.splitlines()
            ]
            settings = "\n".join(lines)
        settings += (
            f'\n[receiver]\ncentre = "north"\nstudy_group = "clinic"\nport = {self.port}\n'
            'ae_title = "PLATFORM"\nsettle_seconds = 0.5\n'
            'callers = [{ ae_title = "CT1", address = "127.0.0.1" }, '
            '{ ae_title = "CT2", address = "192.0.2.1" }]\n' + text
        )
        (self.root / "platform.toml").write_text(settings)

    @contextmanager
    def receiver(self) -> Iterator[subprocess.Popen[bytes]]:
        own = subprocess.Popen(
            [sys.executable, "-m", "covidlit", "platform", "receive", str(self.root)],
            env=self.environment, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            wait_for(self.port)
            yield own
        finally:
            own.terminate()
            own.wait(30)

    def rows(self, query: str) -> list[ROW]:
        with closing(sqlite3.connect(self.root / "db.sqlite3", timeout=30)) as database:
            return database.execute(query).fetchall()

    def uploads(self) -> list[ROW]:
        return self.rows(
            "SELECT u.id, u.n_files, j.kind FROM intake_upload u LEFT JOIN jobs_job j "
            "ON u.job_id = j.id ORDER BY u.id"
        )

    def files(self, upload: int) -> list[Path]:
        return sorted((self.root / "uploads" / str(upload) / "files").iterdir())

    def job(self, kind: str) -> subprocess.Popen[bytes]:
        """Begin the newest job of a kind, as a worker would."""
        ((number,),) = self.rows(f"SELECT max(id) FROM jobs_job WHERE kind = '{kind}'")
        return subprocess.Popen(
            [sys.executable, "-m", "covidlit.platform.jobs.process", str(number), "2"],
            env=self._django(),
        )

    def run_job(self, kind: str) -> int:
        """Do the newest job of a kind."""
        return self.job(kind).wait(300)

    def script(self, code: str) -> None:
        """Run lines of Python in the platform."""
        subprocess.run(
            [sys.executable, "-c", f"import django; django.setup()\n{code}"], check=True,
            env=self._django(),
        )  # fmt: skip

    def _django(self) -> dict[str, str]:
        return self.environment | {
            "COVIDLIT_PLATFORM": str(self.root),
            "DJANGO_SETTINGS_MODULE": "covidlit.platform.settings",
        }

    def left(self) -> list[Path]:
        """What lies in the receiver's folder."""
        return [path for path in (self.root / "received").rglob("*") if path.is_file()]


def until(well: Callable[[], bool], seconds: float = 60.0) -> None:
    last = time.monotonic() + seconds
    while not well():
        assert time.monotonic() < last, "waited too long"
        time.sleep(0.1)
