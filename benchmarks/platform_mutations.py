"""Damaged uploads sent to a platform: errors of the platform, hangs, and what is left of them.

python benchmarks/platform_mutations.py
python benchmarks/platform_mutations.py --n 2000 --seed 7

Bodies of STOW-RS and of a page's form, each damaged in one or two of the ways in
tests/platform/body_mutations.py, are sent to a platform of its own in this process; what is
accepted is given to the job that takes it in. tests/platform/test_mutated_uploads.py sends the
same in the tests.
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
import time
import warnings
from pathlib import Path

from record import write_results

from covidlit.platform.setup import make_platform

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "platform"))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--n", type=int, default=500)
    parser.add_argument("--seed", type=int, default=16)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        make_platform(Path(folder) / "platform")  # whose settings Django reads from here on
        logging.disable(logging.CRITICAL)
        from django.conf import settings
        from mutated_uploads import send_mutations
        from platform_world import hospital

        from covidlit.platform.accounts.rights import Role

        settings.ALLOWED_HOSTS = ["testserver"]
        client = hospital("north").client(Role.PHYSICIAN)
        started = time.perf_counter()
        done = send_mutations(client, range(arguments.n), arguments.seed)
        seconds = time.perf_counter() - started
    command = " ".join(["python benchmarks/platform_mutations.py", *sys.argv[1:]])
    of_platform = sum(n for status, n in done.statuses.items() if status >= 500)
    rows = [
        ("damaged uploads sent", sum(done.statuses.values()), "requests", ">= 500"),
        ("answered by an error of the platform (5xx)", of_platform, "requests", "0"),
        ("errors, hangs beyond 10 s, half-stored or left behind", len(done.faults), "cases", "0"),
        ("accepted, whole, and taken in by the job", done.taken_in, "requests", None),
        ("slowest request", round(done.slowest, 2), "s", "<= 10"),
        ("all of it", round(seconds, 1), "s", None),
    ]
    path = write_results(
        "platform_mutations",
        [
            {"figure": figure, "value": value, "unit": unit, "target": target, "peer": None,
             "command": command}
            for figure, value, unit, target in rows
        ],
    )  # fmt: skip
    for row in rows:
        print(*row)
    print(dict(sorted(done.statuses.items())))
    print("\n".join(done.faults), path, sep="\n")


if __name__ == "__main__":
    main()
