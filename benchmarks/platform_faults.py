"""Kill a platform's processes while people bring scans in, correct and send them.

python benchmarks/platform_faults.py
python benchmarks/platform_faults.py --postgresql     on PostgreSQL, which is stopped on the way too

`faults_people` is what people do, `faults_kills` what is taken away, `faults_archive` where results
are sent to, `faults_rows` what is counted in the database at the end.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from faults_archive import AE_TITLE, Archive
from faults_kills import JOBS, REQUESTS, Kills
from faults_people import Notes, Watched, bring_in, try_again, work
from record import write_results

from covidlit.synthetic import make_cohort

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "platform"))
from platform_process import Platform
from ports import free_port
from postgres import server

SEED, N_SCANS, N_DESKS = 0, 6, 2
MOST_BY_HAND = 30
DESTINATION = """
[[destinations]]
name = "pacs"
kind = "dimse"
host = "127.0.0.1"
port = {port}
ae_title = "{title}"
tries = 3
pause_seconds = 1.0
timeout_seconds = 20.0
"""


def until_over(platform: Platform, notes: Notes) -> dict[str, Any]:
    """What there is when all jobs are over; somebody presses the button of those given up."""
    while True:
        told: dict[str, Any] = platform.ask("told")
        if not set(told["jobs"]) - {"done"} or notes.by_hand > MOST_BY_HAND:
            return told
        print(told["jobs"], flush=True)
        time.sleep(3)


@contextmanager
def at_work(platform: Platform, notes: Notes, keys: list[str], dicom: Path) -> Iterator[None]:
    """People who work meanwhile; at the end of it they finish what they have begun."""

    def person(place: int, of: str) -> Watched:
        return Watched(platform.address, keys[place], notes, of)

    n_patients = sum(path.is_dir() for path in dicom.iterdir())
    with ThreadPoolExecutor() as pool:
        done = [
            pool.submit(bring_in, person(place, "upload"), dicom,
                        range(place, n_patients, N_DESKS))
            for place in range(N_DESKS)
        ]  # fmt: skip
        done += [
            pool.submit(work, person(place, "correction"), person(place, "sending"),
                        platform.root / "results")
            for place in range(N_DESKS)
        ]  # fmt: skip
        for each in done:
            each.add_done_callback(lambda _: notes.stop.set())  # early only where it failed
        try:
            yield
        finally:
            notes.stop.set()
        for each in done:
            each.result()


def faults(folder: Path, arguments: argparse.Namespace, stack: ExitStack) -> list[tuple[Any, ...]]:
    """All of it; what is counted: in words, the value, the target."""
    order = random.Random(SEED)
    database = stack.enter_context(server()) if arguments.postgresql else None
    cohort = make_cohort(
        folder / "cohort", preset="severity", n_scans=arguments.scans, matrix=64,
        thickness_mm=5.0, n_jobs=2,
    )  # fmt: skip
    platform = Platform(
        folder / "platform",
        {"lesions": f'"masks:{cohort.root / "truth"}"', "lost_seconds": "5.0",
         "max_open": "1000", "workers": "2"},
        database.make_database("platform") if database is not None else "",
    )  # fmt: skip
    archive = Archive(free_port())
    text = platform.root / "platform.toml"
    text.write_text(text.read_text() + DESTINATION.format(port=archive.port, title=AE_TITLE))
    archive.start()
    stack.callback(archive.stop)
    stack.callback(ended, platform)
    platform.start()
    keys = platform.ask("sessions", str(N_DESKS), "PHYSICIAN,ANNOTATOR")
    notes, over = Notes(), threading.Event()
    kills = Kills(platform, notes, archive, keys[0], order)
    by_hand = threading.Thread(
        target=try_again, args=(Watched(platform.address, keys[0], notes, "button"), over)
    )
    by_hand.start()
    stack.callback(over.set)
    with at_work(platform, notes, keys, cohort.dicom):
        kills.go(arguments.kills, database)
    told = until_over(platform, notes)
    over.set()
    by_hand.join()
    code = platform.end()
    left = len(platform.processes(b"covidlit"))
    path = folder / "notes.json"
    path.write_text(json.dumps({"drawn": [asdict(each) for each in notes.drawn],
                                "asked": [asdict(each) for each in notes.asked]}))  # fmt: skip
    rows = platform.ask(str(path), script=Path(__file__).with_name("faults_rows.py"))
    if told["messages"]:
        print(told["messages"])
    checked, said = platform.check()
    print(said)
    return [
        *[(f"killed: {part}", n, None) for part, n in kills.killed.items()],
        *[(f"jobs hit: {kind}", kills.jobs[kind], ">= 1") for kind in JOBS],
        *[(f"requests whose answer was lost: {of}", notes.lost[of], ">= 1") for of in REQUESTS],
        ("uploads", notes.n_uploads, None),
        ("scans lost", arguments.scans - told["scans"], "== 0"),
        ("scans without their lesions", told["versions"].get("0", 0), "== 0"),
        ("scans measured twice", rows["measured_twice"], "== 0"),
        *of_corrections(notes, rows),
        *of_sendings(notes, rows, archive),
        ("jobs that were given up, and tried again by hand", notes.by_hand, None),
        ("jobs that failed", told["jobs"].get("failed", 0), "== 0"),
        ("files that rows name and that are not there", len(told["missing"]), "== 0"),
        ("files that no row names", len(told["orphans"]), "== 0"),
        ("broken entries of the audit trail", int(told["broken"] is not None), "== 0"),
        ("exit code of covidlit platform check", checked, "== 0"),
        ("processes left at the end", left, "== 0"),
        ("exit code of the server", code, "== 0"),
    ]


def ended(platform: Platform) -> None:
    """Leave no process of it, whatever broke the benchmark off."""
    if platform.is_running:
        platform.kill()


def of_corrections(notes: Notes, rows: dict[str, int]) -> list[tuple[Any, ...]]:
    """What is counted of corrections."""
    return [
        ("corrections handed in", len(notes.drawn), ">= 1"),
        ("corrections that did not become a version", rows["lost"], "== 0"),
        ("corrections doubled, or that nobody handed in", rows["doubled"], "== 0"),
        ("corrections that are not the next version with what was drawn", rows["otherwise"],
         "== 0"),
        ("drafts left of corrections that were handed in", rows["drafts"], "== 0"),
        ("corrections that the audit trail has not, or twice", rows["corrections_noted"], "== 0"),
        ("versions of which something is missing", rows["half"], "== 0"),
        ("scans whose versions are not numbered 1, 2, ...", rows["gaps"], "== 0"),
    ]  # fmt: skip


def of_sendings(notes: Notes, rows: dict[str, int], archive: Archive) -> list[tuple[Any, ...]]:
    """What is counted of sendings."""
    wanted: dict[str, str] = {}
    for each in notes.asked:
        wanted |= each.objects
    other = sum(archive.kept[uid] != {own} for uid, own in wanted.items() if uid in archive.kept)
    return [
        ("sendings asked for", len(notes.asked), ">= 1"),
        ("sendings lost", rows["sendings_lost"], "== 0"),
        ("sendings doubled, or that nobody asked for", rows["sendings_doubled"], "== 0"),
        ("sendings and objects of them that are not done", rows["not_sent"], "== 0"),
        ("objects sent that the audit trail has not, or twice", rows["sent_noted"], "== 0"),
        ("objects at the archive", len(archive.kept), f"== {len(wanted)}"),
        ("objects that the archive has not", len(set(wanted) - set(archive.kept)), "== 0"),
        ("objects that are otherwise there than in the platform", other, "== 0"),
        ("objects that came again, the same, after a job was hit",
         sum(n - 1 for n in archive.times.values()), None),
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--scans", type=int, default=N_SCANS)
    parser.add_argument("--postgresql", action="store_true")
    arguments = parser.parse_args()
    name = "platform_faults_postgresql" if arguments.postgresql else "platform_faults"
    option = " --postgresql" if arguments.postgresql else ""
    started = time.monotonic()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        counted = faults(folder, arguments, stack)
    print(f"{(time.monotonic() - started) / 60:.1f} min")
    figures = []
    for words, value, target in counted:
        print(f"{words}: {value} {target or ''}")
        figures.append({
            "figure": words, "value": value, "unit": "count", "target": target, "peer": None,
            "command": f"python benchmarks/platform_faults.py{option}",
        })  # fmt: skip
    print(write_results(name, figures))
    missed = [words for words, value, target in counted if not is_met(value, target)]
    if missed:
        raise SystemExit(f"Missed: {'; '.join(missed)}")


def is_met(value: int, target: str | None) -> bool:
    """Whether a target such as `== 0` is met."""
    if target is None:
        return True
    how, number = target.split()
    return value == int(number) if how == "==" else value >= int(number)


if __name__ == "__main__":
    main()
