"""What tests and benchmarks of a running platform do in its database: `platform_rows.py WHAT ...`.

sessions N [ROLES]  N people of a role, or of some (A,B), everywhere, else physicians; prints a
                    session's key for each
fill PATIENTS N     patients with N scans in all, as rows; all share the files of one
grade               grades of both levels for all scans, of which every tenth is corrected
told                what the platform holds, and whether all of it is there, as JSON
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from datetime import date, timedelta
from importlib import import_module
from typing import Any

from covidlit.platform.folder import current_folder
from covidlit.platform.setup import use_platform

use_platform(current_folder())

from django.conf import settings  # noqa: E402
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY  # noqa: E402
from django.db.models import Count  # noqa: E402
from platform_world import scan_of  # noqa: E402

from covidlit.platform.accounts.models import Centre, StudyGroup, User  # noqa: E402
from covidlit.platform.accounts.people import give_role  # noqa: E402
from covidlit.platform.accounts.rights import Role  # noqa: E402
from covidlit.platform.audit.trail import first_broken  # noqa: E402
from covidlit.platform.grading.models import Grade  # noqa: E402
from covidlit.platform.grading.turns import settle  # noqa: E402
from covidlit.platform.jobs.models import Job  # noqa: E402
from covidlit.platform.operation.whole import missing_files, orphans  # noqa: E402
from covidlit.platform.registry.models import Identity, Labelling, Patient, Scan  # noqa: E402

BATCH = 500
N_WAITING = 100


def sessions(n: str, role: str = Role.PHYSICIAN.name) -> list[str]:
    """People with sessions, who need not log in: log-ins are throttled."""
    store = import_module(settings.SESSION_ENGINE).SessionStore
    keys = []
    for number in range(int(n)):
        roles = [Role[each] for each in role.split(",")]
        name = f"{roles[0].value.replace(' ', '-')}-{number}"
        user, _ = User.objects.get_or_create(username=name, password="!")
        for each in roles:
            give_role(user, each)
        own = store()
        own[SESSION_KEY] = str(user.pk)
        own[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
        own[HASH_SESSION_KEY] = user.get_session_auth_hash()
        own.create()
        keys.append(str(own.session_key))
    return keys


def fill(n_patients: str, n_scans: str) -> dict[str, int]:
    """Rows of patients and scans with a labelling each, spread over the patients."""
    centre = Centre.objects.get_or_create(name="filled")[0]
    group = StudyGroup.objects.get_or_create(name="filled")[0]
    Patient.objects.bulk_create(
        [Patient(pseudonym=f"P{n:08x}", centre=centre) for n in range(int(n_patients))], BATCH
    )
    patients = list(Patient.objects.order_by("pk"))
    Identity.objects.bulk_create(
        [
            Identity(patient=each, hospital_id=f"H{n:08x}", name=f"Name{n:08x}^Given")
            for n, each in enumerate(patients)
        ],
        BATCH,
    )
    through = Patient.study_groups.through
    through.objects.bulk_create(
        [through(patient_id=each.pk, studygroup_id=group.pk) for each in patients], BATCH
    )
    first = scan_of(patients[0], 1)
    model = first.labellings.get()
    Scan.objects.bulk_create(
        [
            Scan(
                patient=patients[n % len(patients)], scan_id=f"S{n}", n_slices=first.n_slices,
                acquired_on=date(2020, 1, 1) + timedelta(days=n % 300), spacing_mm=[5, 1, 1],
                folder=first.folder,
            )
            for n in range(1, int(n_scans))
        ],
        BATCH,
    )  # fmt: skip
    Labelling.objects.bulk_create(
        [
            Labelling(scan=each, version=1, labelled_by="masks", folder=model.folder,
                      factors=model.factors)
            for each in Scan.objects.exclude(pk=first.pk)
        ],
        BATCH,
    )  # fmt: skip
    scans = list(Scan.objects.order_by("pk"))
    for start in range(0, len(scans), BATCH):
        settle(scans[start : start + BATCH])  # which follows rows that are made one by one
    return {"patients": Patient.objects.count(), "scans": Scan.objects.count()}


def grade() -> dict[str, int]:
    """Grades of both levels for all scans but a few, the second correcting every tenth."""
    levels = [(n, User.objects.create(username=f"grader-{n}")) for n in (1, 2)]
    scans = list(Scan.objects.filter(grades=None).order_by("pk"))
    labellings = dict(Labelling.objects.values_list("scan", "pk"))
    through = scans[: len(scans) - N_WAITING]
    for level, grader in levels:
        Grade.objects.bulk_create(
            [
                Grade(
                    scan=scan, number=level, level=level, grader=grader,
                    labelling_id=labellings[scan.pk],
                    quality_grade="fair" if level == 2 and n % 10 == 0 else "good",
                    class_name=("covid", "cap", "np")[n % 3],
                )
                for n, scan in enumerate(through)
            ],
            BATCH,
        )  # fmt: skip
    for start in range(0, len(scans), BATCH):
        settle(scans[start : start + BATCH])
    return {"graded": len(through), "waiting": N_WAITING}


def told() -> dict[str, Any]:
    """What there is after all of it."""
    versions = Counter(Scan.objects.annotate(n=Count("labellings")).values_list("n", flat=True))
    return {
        "patients": Patient.objects.count(),
        "scans": Scan.objects.count(),
        "versions": {str(n): count for n, count in versions.items()},
        "jobs": dict(Counter(Job.objects.values_list("state", flat=True))),
        "messages": sorted(set(Job.objects.exclude(message="").values_list("message", flat=True))),
        "failed": list(Job.objects.filter(state="failed").values_list("pk", flat=True)),
        "missing": missing_files(),
        "orphans": orphans(),
        "broken": first_broken(),
    }


ASKED = {"sessions": sessions, "fill": fill, "grade": grade, "told": told}
found: Any = ASKED[sys.argv[1]](*sys.argv[2:])
sys.stdout.write(json.dumps(found))
