"""Somebody brings several tables in at once: `python table_rush.py FOLDER` prints what came of it.

A process of its own, since threads of a test do not see its transaction.
"""

from __future__ import annotations

import json
import sys
import threading
from contextlib import suppress
from pathlib import Path

from covidlit.platform.setup import make_platform

N_TABLES, MOST = 4, 2

if __name__ == "__main__":
    make_platform(Path(sys.argv[1]))
    from django.conf import settings
    from django.core.files.uploadedfile import SimpleUploadedFile
    from django.db import connection

    from covidlit.platform.accounts.models import Centre, StudyGroup
    from covidlit.platform.accounts.people import give_role, make_user
    from covidlit.platform.accounts.rights import Role
    from covidlit.platform.clinical import bringing
    from covidlit.platform.clinical.models import ClinicalTable
    from covidlit.platform.intake.receiving import UploadRefused

    uploads = settings.FOLDER.settings.uploads.model_copy(update={"max_open": MOST})
    settings.FOLDER.settings = settings.FOLDER.settings.model_copy(update={"uploads": uploads})
    Centre.objects.create(name="north")
    StudyGroup.objects.create(name="clinic")
    user = make_user("physician", "a long enough phrase")
    give_role(user, Role.PHYSICIAN)
    came: list[str] = []
    looked, check = threading.Barrier(N_TABLES), bringing._check_open

    def slow(user: object) -> None:
        check(user)
        with suppress(threading.BrokenBarrierError):
            looked.wait(2)  # for others that look at the same time

    bringing._check_open = slow

    def rush() -> None:
        try:
            table = SimpleUploadedFile("labs.csv", b"patient_id,date\n")
            bringing.bring_table(user, "north", "clinic", "", table)
            came.append("taken")
        except UploadRefused:
            came.append("refused")
        except Exception as error:
            came.append(repr(error))
        connection.close()

    threads = [threading.Thread(target=rush) for _ in range(N_TABLES)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = {"came": sorted(came), "tables": ClinicalTable.objects.count()}
    sys.stdout.write(json.dumps(found))
