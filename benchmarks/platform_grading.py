"""Pages of graders where very many scans are graded, beside a platform where few are.

python benchmarks/platform_grading.py
python benchmarks/platform_grading.py --scans 100 --more-scans 1000

The pages are asked for as browsers ask, of `covidlit platform serve`, one at a time. Scans are
rows, graded on both levels but for a hundred that wait; all share the files of one.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

from record import write_results

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "platform"))
from platform_process import Person, Platform

N_ASKED, N_ROUNDS = 7, 3
PAGES = {
    "grading": ("GRADER_SECOND", "/grading/"),
    "first queue": ("GRADER_FIRST", "/grading/first/"),
    "second queue": ("GRADER_SECOND", "/grading/second/"),
    "next scan": ("GRADER_FIRST", "/grading/first/next/"),
    "patients": ("GRADER_FIRST", "/"),
}
"""By their name: who asks, and for what."""


def graded(root: Path, n_scans: int) -> tuple[Platform, dict[str, Person]]:
    """A platform that runs with so many graded scans, and its graders."""
    platform = Platform(root, {})
    print(platform.ask("fill", str(max(1, n_scans // 5)), str(n_scans)), platform.ask("grade"))
    platform.start()
    keys = {role: platform.ask("sessions", "1", role)[0] for role, _ in PAGES.values()}
    return platform, {role: Person(platform.address, key) for role, key in keys.items()}


def medians(people: dict[str, Person]) -> dict[str, float]:
    """Median seconds of each page."""
    found = {}
    for page, (role, address) in PAGES.items():
        seconds = []
        for _ in range(N_ASKED):
            started = time.perf_counter()
            people[role].ask(address)
            seconds.append(time.perf_counter() - started)
        found[page] = statistics.median(seconds)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scans", type=int, default=1000)
    parser.add_argument("--more-scans", type=int, default=50_000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        few, few_people = graded(Path(folder) / "few", arguments.scans)
        many, many_people = graded(Path(folder) / "many", arguments.more_scans)
        # In turn, so that other load on the machine meets both alike.
        rounds = [(medians(few_people), medians(many_people)) for _ in range(N_ROUNDS)]
        few.end()
        many.end()
    command = " ".join(["python benchmarks/platform_grading.py", *sys.argv[1:]])
    figures = []
    for page in PAGES:
        seconds = statistics.median(large[page] for _, large in rounds)
        ratio = statistics.median(large[page] / small[page] for small, large in rounds)
        many_words = f"{page}: {arguments.more_scans} graded scans"
        for words, value, unit, target in (
            (many_words, seconds, "s", "<= 0.3"),
            (f"{many_words} over {arguments.scans}", ratio, "ratio", "<= 1.2"),
        ):
            print(f"{words}: {value:.4g} {unit} {target}")
            figures.append(
                {"figure": words, "value": round(value, 4), "unit": unit, "target": target,
                 "peer": None, "command": command}
            )  # fmt: skip
    print(write_results("platform_grading", figures))


if __name__ == "__main__":
    main()
