"""Workers of their own, as on other machines: they do the jobs, and one that is lost loses none."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from platform_process import Person, Platform, upload

from covidlit.synthetic import make_cohort

pytestmark = pytest.mark.slow

MOST_SECONDS = 900.0


def test_jobs_wait_for_a_worker_of_another_machine(tmp_path: Path) -> None:
    cohort = make_cohort(
        tmp_path / "cohort", preset="severity", n_scans=2, matrix=64, thickness_mm=10.0, n_jobs=1
    )
    lesions = f'"masks:{cohort.root / "truth"}"'
    platform = Platform(
        tmp_path / "platform", {"lesions": lesions, "lost_seconds": "5.0", "workers": "0"}
    )
    platform.start()
    working: list[subprocess.Popen[str]] = []
    try:
        person = Person(platform.address, platform.ask("sessions", "1")[0])
        files = sorted(path for path in cohort.dicom.rglob("*") if path.is_file())
        upload(person, "north", "clinic", files, cohort.dicom)
        time.sleep(3)
        assert platform.ask("told")["jobs"] == {"waiting": 1}
        working.append(_work(platform.root))
        _until(lambda: "running" in platform.ask("told")["jobs"])
        os.kill(working[0].pid, signal.SIGKILL)
        working[0].wait()
        _until(lambda: not platform.processes(b"db_worker"))
        working.append(_work(platform.root))
        _until(lambda: set(platform.ask("told")["jobs"]) == {"done"})
        working[1].send_signal(signal.SIGTERM)
        assert working[1].wait(120) == 0
        assert "1 worker waits" in str(working[1].communicate()[0])
    finally:
        for each in working:
            each.kill()
        platform.end()
    told = platform.ask("told")
    assert (told["scans"], told["versions"]) == (2, {"1": 2})
    assert (told["missing"], told["orphans"]) == ([], [])


def test_a_platform_that_was_never_served_has_no_jobs(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    code = (
        "from pathlib import Path; from covidlit.platform.folder import make_platform_folder;"
        f"make_platform_folder({str(empty)!r})"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    done = subprocess.run(
        [sys.executable, "-m", "covidlit", "platform", "work", str(empty)],
        capture_output=True, text=True, env=_environment(), check=False,
    )  # fmt: skip
    assert done.returncode != 0
    assert "platform serve" in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


def _work(root: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "covidlit", "platform", "work", str(root)],
        env=_environment(), stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


def _environment() -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if not k.startswith(("DJANGO", "COVIDLIT"))}


def _until(well: object) -> None:
    assert callable(well)
    last = time.monotonic() + MOST_SECONDS
    while not well():
        assert time.monotonic() < last
        time.sleep(0.2)
