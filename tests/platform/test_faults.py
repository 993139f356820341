"""Server, workers and jobs killed while scans come in: nothing lost, nothing doubled, none left."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from pathlib import Path

import pytest
from platform_process import Person, Platform, upload

from covidlit.synthetic import make_cohort

pytestmark = pytest.mark.slow

N_SCANS = 3
KILLS = (b"covidlit.platform.jobs.process", b"gunicorn", b"serve")
"""What is killed, one after the other, by a part of its command; a job is hit twice at most."""


def test_nothing_is_lost_or_doubled_whatever_is_killed(tmp_path: Path) -> None:
    cohort = make_cohort(
        tmp_path / "cohort", preset="severity", n_scans=N_SCANS, matrix=64, thickness_mm=10.0,
        n_jobs=1,
    )  # fmt: skip
    lesions = f'"masks:{cohort.root / "truth"}"'
    platform = Platform(
        tmp_path / "platform", {"lesions": lesions, "lost_seconds": "5.0", "max_open": "100"}
    )
    platform.start()
    try:
        keys = platform.ask("sessions", "1")
        files = sorted(path for path in cohort.dicom.rglob("*") if path.is_file())
        person = Person(platform.address, keys[0])
        # The same files twice: each scan is there once all the same.
        sending = threading.Thread(
            target=lambda: [
                upload(person, "north", "clinic", files, cohort.dicom) for _ in range(2)
            ]
        )
        sending.start()
        order = random.Random(0)
        for part in KILLS:
            time.sleep(order.uniform(1.0, 3.0))
            last = time.monotonic() + 60
            while not (found := platform.processes(part)) and time.monotonic() < last:
                time.sleep(0.05)
            for number in found:
                try:
                    os.kill(number, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            if part == KILLS[-1]:
                platform.kill()
                platform.start()
        sending.join(900)  # on a busy machine
        assert not sending.is_alive()
        last = time.monotonic() + 900  # on a busy machine
        while set((told := platform.ask("told"))["jobs"]) - {"done", "failed"}:
            assert time.monotonic() < last, told
            time.sleep(2)
    finally:
        if platform.is_running:
            platform.end()
    told = platform.ask("told")
    assert set(told["jobs"]) == {"done"}, told["messages"]
    assert (told["scans"], told["versions"]) == (N_SCANS, {"1": N_SCANS})
    assert (told["missing"], told["orphans"], told["broken"]) == ([], [], None)
    assert platform.processes(b"covidlit") == []
