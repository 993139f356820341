"""Several people grade the same scans at once: `python grading_rush.py FOLDER` prints what came.

A process of its own, since threads of a test do not see its transaction.
"""

from __future__ import annotations

import json
import sys
import threading
from pathlib import Path

from covidlit.platform.folder import PlatformFolder
from covidlit.platform.setup import make_platform, use_platform

N_SCANS, N_GRADERS = 5, 4

if __name__ == "__main__":
    root = Path(sys.argv[1])
    use_platform(PlatformFolder(root)) if root.exists() else make_platform(root)
    from django.db import connection
    from platform_world import hospital, scan_of

    from covidlit.platform.accounts.models import User
    from covidlit.platform.audit.trail import first_broken
    from covidlit.platform.grading.giving import Judgement, Overtaken, Seen, claim, give
    from covidlit.platform.grading.models import Claim, Grade, Level

    own = hospital("north")
    scans = [scan_of(own.patient, day) for day in range(2, 2 + N_SCANS)]
    graders = {
        level: [User.objects.create(username=f"{level.label}{n}") for n in range(N_GRADERS)]
        for level in Level
    }
    barrier = threading.Barrier(N_GRADERS)
    came: list[str] = []

    def rush(number: int) -> None:
        for level in Level:
            for scan in scans:
                user = graders[level][number]
                barrier.wait(120)
                claim(scan, "covid-19", user, level)
                barrier.wait(120)
                try:
                    said = Judgement(quality_grade="good", comment=str(number))
                    give(scan, "covid-19", user, level, Seen(level - 1, 1), said)
                    came.append("given")
                except Overtaken:
                    came.append("overtaken")
                except Exception as error:
                    came.append(repr(error))
        connection.close()

    threads = [threading.Thread(target=rush, args=(number,)) for number in range(N_GRADERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    grades = sorted(Grade.objects.values_list("scan_id", "number", "level"))
    result = {
        "came": came, "grades": grades, "scans": [s.pk for s in scans],
        "claims": Claim.objects.count(), "broken": first_broken(),
    }  # fmt: skip
    sys.stdout.write(json.dumps(result))
