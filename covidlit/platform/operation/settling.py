"""A restored database made ready: `python -m covidlit.platform.operation.settling ENTRY CHAIN`."""

from __future__ import annotations

import json
import sys

from covidlit.errors import CovidlitError
from covidlit.platform.folder import current_folder
from covidlit.platform.setup import prepare


def main(last_entry: int, last_chain: str) -> int:
    """Check the audit trail, end sessions, and let jobs that ran wait again."""
    prepare(current_folder(), migrate=True)
    from django.contrib.sessions.models import Session
    from django.db import transaction

    from covidlit.platform.audit.models import Entry
    from covidlit.platform.audit.trail import first_broken, record
    from covidlit.platform.jobs.lost import let_wait_again
    from covidlit.platform.operation.whole import missing_files

    last = Entry.objects.order_by("-number").first()
    if first_broken() is not None or (last.chain if last else "") != last_chain:
        raise CovidlitError("the audit trail is not the one of the backup")
    with transaction.atomic():
        Session.objects.all().delete()
        n_jobs = let_wait_again()
        record(None, "restored the platform", "backup", "", {"entry": last_entry, "jobs": n_jobs})
    sys.stdout.write(json.dumps({"jobs": n_jobs, "missing": missing_files()}) + "\n")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(int(sys.argv[1]), sys.argv[2]))
    except CovidlitError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(2)
