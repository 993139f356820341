"""What is removed from time to time: uploads that were given up, exports, ended sessions."""

from __future__ import annotations

import logging

from django.contrib.sessions.backends.db import SessionStore
from django.core.management import call_command
from django.db import DatabaseError, close_old_connections

from covidlit.platform.clinical.tidying import remove_unread
from covidlit.platform.exporting.kept import remove_old
from covidlit.platform.intake.tidying import remove_given_up

log = logging.getLogger(__name__)

KEEP_TASKS_DAYS = 14


def tidy() -> None:
    """Remove what is over, for a process that has to go on whatever the database does."""
    try:
        for number in remove_given_up():
            log.info("Upload %s was given up, and its files are removed.", number)
        remove_unread()
        remove_old()
        SessionStore.clear_expired()
        call_command("prune_db_task_results", min_age_days=KEEP_TASKS_DAYS, verbosity=0)
    except (DatabaseError, OSError) as error:
        log.error("Not everything that is over was removed: %s", type(error).__name__)
    finally:
        close_old_connections()
