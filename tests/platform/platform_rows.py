"""What tests and benchmarks of a running platform do in its database: `platform_rows.py WHAT ...`.

sessions N          N people who may upload everywhere; prints a session's key for each
fill PATIENTS N     patients with N scans in all, as rows; all share the files of one
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
from covidlit.platform.jobs.models import Job  # noqa: E402
from covidlit.platform.operation.whole import missing_files, orphans  # noqa: E402
from covidlit.platform.registry.models import Labelling, Patient, Scan  # noqa: E402

BATCH = 500


def sessions(n: str) -> list[str]:
    """People with sessions, who need not log in: log-ins are throttled."""
    store = import_module(settings.SESSION_ENGINE).SessionStore
    keys = []
    for number in range(int(n)):
        user, _ = User.objects.get_or_create(username=f"person-{number}", password="!")
        give_role(user, Role.PHYSICIAN)
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
    return {"patients": Patient.objects.count(), "scans": Scan.objects.count()}


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


found: Any = {"sessions": sessions, "fill": fill, "told": told}[sys.argv[1]](*sys.argv[2:])
sys.stdout.write(json.dumps(found))
