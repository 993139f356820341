"""Kill a platform's processes at random while scans come in, and stop and start its database.

python benchmarks/platform_faults.py
python benchmarks/platform_faults.py --postgresql     on PostgreSQL, which is stopped on the way too
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from record import write_results

from covidlit.synthetic import make_cohort

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "platform"))
from platform_process import Person, Platform, upload
from postgres import Server, server

SEED, N_SCANS, N_PEOPLE = 0, 12, 2
PAUSE_S = (1.0, 12.0)
DATABASE_GONE_S = 5.0
MOST_BY_HAND = 30
PARTS = (b"gunicorn", b"db_worker", b"covidlit.platform.jobs.process", b"serve")
"""What is killed, by a part of its command; with `serve` all that it has started ends."""


def kill(platform: Platform, part: bytes) -> int:
    """Kill the processes of a kind; how many."""
    if part == b"serve":
        platform.kill()
        platform.start()
        return 1
    found = platform.processes(part)
    for number in found:
        try:
            os.kill(number, signal.SIGKILL)
        except ProcessLookupError:
            continue
    return len(found)


def send_all(platform: Platform, dicom: Path, keys: list[str], stop: threading.Event) -> None:
    """Upload the same patients again and again, a patient to an upload."""
    patients = sorted(path for path in dicom.iterdir() if path.is_dir())

    def work(key: str) -> None:
        person = Person(platform.address, key)
        while not stop.is_set():
            for patient in patients:
                files = sorted(path for path in patient.rglob("*") if path.is_file())
                upload(person, "north", "clinic", files, dicom)
                if stop.is_set():
                    return

    threads = [threading.Thread(target=work, args=(key,)) for key in keys]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def until_over(platform: Platform, key: str) -> tuple[dict[str, Any], int]:
    """What there is when all jobs are over, and how many had to be tried again by hand.

    A job is given up that was hit three times: somebody presses the button then.
    """
    by_hand = 0
    while True:
        told: dict[str, Any] = platform.ask("told")
        if not set(told["jobs"]) - {"done"} or by_hand > MOST_BY_HAND:
            return told, by_hand
        for number in told["failed"]:
            Person(platform.address, key).send(f"/jobs/{number}/again/")
            by_hand += 1
        print(told["jobs"])
        time.sleep(5)


def faults(
    platform: Platform, n_kills: int, database: Server | None, order: random.Random
) -> dict[str, int]:
    """Kill at random moments; how often each kind of process was hit."""
    hit = dict.fromkeys((part.decode() for part in PARTS), 0)
    acts: list[Callable[[], None]] = []
    for part in (order.choice(PARTS) for _ in range(n_kills)):

        def act(part: bytes = part) -> None:
            hit[part.decode()] += kill(platform, part)

        acts.append(act)
    if database is not None:

        def gone() -> None:
            database.stop()
            time.sleep(DATABASE_GONE_S)
            database.start()
            hit["database stopped"] = hit.get("database stopped", 0) + 1

        acts[n_kills // 3 : n_kills // 3] = [gone]
        acts.append(gone)
    for act in acts:
        time.sleep(order.uniform(*PAUSE_S))
        act()
        print(hit)
    return hit


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--scans", type=int, default=N_SCANS)
    parser.add_argument("--postgresql", action="store_true")
    arguments = parser.parse_args()
    order = random.Random(SEED)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        database = stack.enter_context(server()) if arguments.postgresql else None
        cohort = make_cohort(
            folder / "cohort", preset="severity", n_scans=arguments.scans, matrix=64,
            thickness_mm=5.0, n_jobs=2,
        )  # fmt: skip
        platform = Platform(
            folder / "platform",
            {"lesions": f'"masks:{cohort.root / "truth"}"', "lost_seconds": "5.0",
             "max_open": "1000"},
            database.make_database("platform") if database is not None else "",
        )  # fmt: skip
        platform.start()
        keys = platform.ask("sessions", str(N_PEOPLE))
        stop = threading.Event()
        sending = threading.Thread(target=send_all, args=(platform, cohort.dicom, keys, stop))
        sending.start()
        hit = faults(platform, arguments.kills, database, order)
        stop.set()
        sending.join()
        told, by_hand = until_over(platform, keys[0])
        code = platform.end()
        left = len(platform.processes(b"covidlit"))
    scans = arguments.scans
    doubled = sum(count for n, count in told["versions"].items() if int(n) > 1)
    name = "platform_faults_postgresql" if arguments.postgresql else "platform_faults"
    figures = [
        *[figure(f"killed: {part}", n, None, name) for part, n in hit.items()],
        figure("scans lost", scans - told["scans"], "== 0", name),
        figure("scans without their lesions", told["versions"].get("0", 0), "== 0", name),
        figure("scans measured twice", doubled, "== 0", name),
        figure("jobs that were hit three times, and tried again by hand", by_hand, None, name),
        figure("jobs that failed", told["jobs"].get("failed", 0), "== 0", name),
        figure("files that rows name and that are not there", len(told["missing"]), "== 0", name),
        figure("files that no row names", len(told["orphans"]), "== 0", name),
        figure("broken entries of the audit trail", int(told["broken"] is not None), "== 0", name),
        figure("processes left at the end", left, "== 0", name),
        figure("exit code of the server", code, "== 0", name),
    ]
    if told["messages"]:
        print(told["messages"])
    print(write_results(name, figures))


def figure(words: str, value: int, target: str | None, name: str) -> dict[str, Any]:
    """One line of the results."""
    print(f"{words}: {value} {target or ''}")
    option = " --postgresql" if name.endswith("postgresql") else ""
    return {
        "figure": words, "value": value, "unit": "count", "target": target, "peer": None,
        "command": f"python benchmarks/platform_faults.py{option}",
    }  # fmt: skip


if __name__ == "__main__":
    main()
