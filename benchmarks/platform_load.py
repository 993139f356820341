"""People who browse and upload at once: times of pages, errors, memory, with many patients.

python benchmarks/platform_load.py
python benchmarks/platform_load.py --minutes 0.3 --patients 100 --scans 500 --more-patients 1000

The pages are asked for as browsers ask, of `covidlit platform serve` as it starts by default, with
sessions that are in the database already: log-ins are throttled. Patients and scans are rows; all
share the files of one small scan, so that the times are those of pages and not of one disk.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.parse
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from record import write_results

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "platform"))
from platform_process import GONE, Person, Platform, begun, pieces_of

PIECE = 1 << 20
THINK_S = (1.0, 5.0)
N_SINGLE = 15


FIND = "/patients/find/?"
"""Before a text that is sent as a form, and in no address."""


class Asked(NamedTuple):
    """A page that was asked for.

    Args:
        page: its kind.
        seconds: until the answer was here.
        error: empty where there was none.
    """

    page: str
    seconds: float
    error: str


def pages(order: random.Random, n_patients: int, n_scans: int) -> list[tuple[str, str]]:
    """What somebody looks at who opens a patient: kind and address of each page."""
    patient, scan = f"P{order.randrange(n_patients):08x}", order.randrange(1, n_scans)
    number = patient.replace("P", "H", 1)  # of the hospital
    return [
        ("patients", f"/?page={order.randint(1, max(1, n_patients // 50))}"),
        ("search", f"/?search={patient[:7]}"),
        ("find by number", f"{FIND}{number}"),
        ("patient", f"/patients/{patient}/"),
        ("scan", f"/scans/{scan}/"),
        *[("slice", f"/scans/{scan}/slices/{n}.png") for n in range(3)],
        ("jobs", "/jobs/"),
    ]


def timed(page: str, do: Any) -> Asked:
    """How long something takes, and whether it works."""
    started = time.perf_counter()
    error = ""
    try:
        do()
    except urllib.error.HTTPError as problem:
        error = f"{problem.code} of {page}"
    except GONE as problem:
        error = f"{type(problem).__name__} of {page}"
    return Asked(page, time.perf_counter() - started, error)


def look(person: Person, address: str) -> None:
    """Ask for a page, or send a form."""
    if address.startswith(FIND):
        person.send(FIND.rstrip("?"), search=address.removeprefix(FIND))
    else:
        person.ask(address)


def browse(
    person: Person, seed: int, sizes: tuple[int, int], until: float, out: list[Asked]
) -> None:
    """Look at one patient after the other."""
    order = random.Random(seed)
    while time.monotonic() < until:
        for page, address in pages(order, *sizes):
            time.sleep(order.uniform(*THINK_S) if page != "slice" else 0.1)
            out.append(timed(page, partial(look, person, address)))
            if time.monotonic() > until:
                return


def send(person: Person, until: float, out: list[Asked]) -> None:
    """Upload pieces, in files of 16 MiB: about 5 MiB a second."""
    content = np.random.default_rng(0).bytes(PIECE)
    address = pieces_of(begun(person, "north", "clinic"))
    number = 0
    while time.monotonic() < until:
        name = urllib.parse.urlencode({"name": f"f{number // 16}", "offset": number % 16 * PIECE})
        out.append(timed("piece", partial(person.put, f"{address}?{name}", content)))
        number += 1
        time.sleep(0.2)  # some minutes of it must not fill the disk


def memory_mib(platform: Platform) -> float:
    """What the processes of the pages hold, shared pages once for each."""
    pages_kib = 0
    for number in platform.processes(b"gunicorn"):
        try:
            status = Path(f"/proc/{number}/status").read_text()
        except OSError:
            continue
        pages_kib += int(status.split("VmRSS:")[1].split()[0])
    return pages_kib / 1024


def under_load(
    platform: Platform, arguments: argparse.Namespace
) -> tuple[list[Asked], list[float]]:
    """What was asked for, and the memory every few seconds."""
    keys = platform.ask("sessions", str(arguments.users + arguments.uploads))
    people = [Person(platform.address, key) for key in keys]
    until = time.monotonic() + 60 * arguments.minutes
    asked: list[Asked] = []
    sizes = (arguments.patients, arguments.scans)
    threads = [
        threading.Thread(target=browse, args=(person, seed, sizes, until, asked))
        for seed, person in enumerate(people[: arguments.users])
    ] + [
        threading.Thread(target=send, args=(person, until, asked))
        for person in people[arguments.users :]
    ]
    for thread in threads:
        thread.start()
    held = []
    while any(thread.is_alive() for thread in threads):
        time.sleep(2)
        held.append(memory_mib(platform))
    return asked, held


def alone(platform: Platform, sizes: tuple[int, int]) -> dict[str, float]:
    """Median seconds of each page for one person."""
    person = Person(platform.address, platform.ask("sessions", "1")[0])
    order, found = random.Random(0), []
    for _ in range(N_SINGLE):
        found += [
            timed(page, partial(look, person, address)) for page, address in pages(order, *sizes)
        ]
    assert not [each.error for each in found if each.error]
    return {
        page: statistics.median(each.seconds for each in found if each.page == page)
        for page in dict.fromkeys(each.page for each in found)
    }


def filled(root: Path, n_patients: int, n_scans: int) -> Platform:
    """A platform that runs, with so many rows."""
    platform = Platform(root, {"max_open": "100"})
    print(platform.ask("fill", str(n_patients), str(n_scans)))
    platform.start()
    return platform


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--patients", type=int, default=1000)
    parser.add_argument("--scans", type=int, default=5000)
    parser.add_argument("--more-patients", type=int, default=10_000)
    parser.add_argument("--users", type=int, default=50)
    parser.add_argument("--uploads", type=int, default=4)
    parser.add_argument("--minutes", type=float, default=5.0)
    arguments = parser.parse_args()
    factor = arguments.more_patients / arguments.patients
    with tempfile.TemporaryDirectory() as folder:
        few = filled(Path(folder) / "few", arguments.patients, arguments.scans)
        many = filled(
            Path(folder) / "many", arguments.more_patients, round(arguments.scans * factor)
        )
        # Page by page in turn, so that other load on the machine meets both alike.
        rounds = [
            (alone(few, (arguments.patients, arguments.scans)),
             alone(many, (arguments.more_patients, round(arguments.scans * factor))))
            for _ in range(3)
        ]  # fmt: skip
        many.end()
        ratios = {
            page: statistics.median(large[page] / small[page] for small, large in rounds)
            for page in rounds[0][0]
        }
        asked, held = under_load(few, arguments)
        few.end()
    report(arguments, asked, held, ratios)


def report(
    arguments: argparse.Namespace, asked: list[Asked], held: list[float], ratios: dict[str, float]
) -> None:
    """Write what was measured."""
    command = " ".join(["python benchmarks/platform_load.py", *sys.argv[1:]])
    seconds = [each.seconds for each in asked if each.page != "piece"]
    errors = Counter(each.error for each in asked if each.error)
    third = max(1, len(held) // 3)
    what = f"{arguments.users} people and {arguments.uploads} uploads, {arguments.minutes:g} min"
    rows: list[tuple[str, float, str, str | None]] = [
        (f"pages: {what}", len(seconds), "count", None),
        ("pieces of 1 MiB that came", sum(each.page == "piece" for each in asked), "count", None),
        ("errors", sum(errors.values()), "count", "== 0"),
        ("median time of a page", statistics.median(seconds), "s", "<= 0.3"),
        ("95th percentile", statistics.quantiles(seconds, n=20)[-1], "s", "<= 1"),
        ("memory of the pages, the most", max(held), "MiB", None),
        ("memory, last third over middle third",
         statistics.median(held[-third:]) / statistics.median(held[third : 2 * third] or held),
         "ratio", "<= 1.1"),
    ]  # fmt: skip
    for page in dict.fromkeys(each.page for each in asked):
        own = [each.seconds for each in asked if each.page == page]
        rows.append((f"median of {page}", statistics.median(own), "s", None))
    rows += [
        (f"{page}: {arguments.more_patients} over {arguments.patients} patients", ratio, "ratio",
         "<= 1.2")
        for page, ratio in ratios.items()
    ]  # fmt: skip
    figures = [
        {"figure": name, "value": round(value, 4), "unit": unit, "target": target, "peer": None,
         "command": command}
        for name, value, unit, target in rows
    ]  # fmt: skip
    for name, value, unit, target in rows:
        print(f"{name}: {value:.4g} {unit} {target or ''}")
    if errors:
        print(errors.most_common(10))
    print(write_results("platform_load", figures))


if __name__ == "__main__":
    main()
