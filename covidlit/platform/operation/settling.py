"""A restored database made ready: `python -m covidlit.platform.operation.settling ENTRY CHAIN`."""

from __future__ import annotations

import json
import sys

from covidlit.errors import CovidlitError
from covidlit.platform.folder import current_folder
from covidlit.platform.setup import prepare

HELD = "The platform was restored from a backup: nothing goes to or comes from archives unasked."
"""What a job says that waits for a person."""


def main(last_entry: int, last_chain: str) -> int:
    """Check the audit trail, end sessions, hold jobs of archives, and let others wait again.

    A copy of a platform may run beside it: it does not speak to the archives of its patients
    unless a person has such a job tried again.
    """
    prepare(current_folder(), migrate=True)
    from django.contrib.sessions.models import Session
    from django.db import transaction
    from django.utils import timezone

    from covidlit.platform.audit.models import Entry
    from covidlit.platform.audit.trail import first_broken, record
    from covidlit.platform.dicom_in.fetch import KIND as FETCH
    from covidlit.platform.jobs.lost import let_wait_again
    from covidlit.platform.jobs.models import Job, JobState
    from covidlit.platform.operation.whole import missing_files
    from covidlit.platform.sending.confirm import KIND as SEND

    last = Entry.objects.order_by("-number").first()
    if first_broken() is not None or (last.chain if last else "") != last_chain:
        raise CovidlitError("the audit trail is not the one of the backup")
    with transaction.atomic():
        Session.objects.all().delete()
        n_held = Job.objects.filter(
            kind__in=(SEND, FETCH), state__in=(JobState.WAITING, JobState.RUNNING)
        ).update(state=JobState.CANCELLED, ended_at=timezone.now(), message=HELD)
        told = {"jobs": let_wait_again(), "held": n_held}
        record(None, "restored the platform", "backup", "", {"entry": last_entry, **told})
    sys.stdout.write(json.dumps({**told, "missing": missing_files()}) + "\n")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(int(sys.argv[1]), sys.argv[2]))
    except CovidlitError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(2)
