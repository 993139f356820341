"""The process of a job: `python -m covidlit.platform.jobs.process NUMBER DESCRIPTOR`."""

from __future__ import annotations

import ctypes
import faulthandler
import os
import signal
import sys
from collections.abc import Callable
from typing import Protocol

from covidlit.errors import CovidlitError, machine_trouble
from covidlit.platform.logs import fault_of

REFUSED = 3
"""Exit code of a job that ended with a message for people."""

FAULT = 4
"""Exit code of a job that ended with an exception: its type and place, for the log."""

_PR_SET_PDEATHSIG = 1


class Say(Protocol):
    """Tells people how far a job is."""

    def __call__(self, progress: str, share_done: float) -> None: ...


def end_with_parent() -> None:
    """Let the system end this process as soon as its worker is gone (Linux).

    Else it would go on beside the worker that gets the job next.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def main(number: int, said: int) -> int:
    """Do a job.

    Args:
        number: of the job.
        said: descriptor of an open file that gets its message for people, or the fault. What its
            libraries write to their logs names files and patients, and goes nowhere.
    """
    end_with_parent()
    faulthandler.enable(said)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "covidlit.platform.settings")
    import django

    django.setup()
    from django.conf import settings
    from django.utils.module_loading import import_string

    from covidlit.platform.jobs.models import Job
    from covidlit.platform.trouble import of_the_machine

    job = Job.objects.get(pk=number)

    def say(progress: str, share_done: float) -> None:
        Job.objects.filter(pk=number).update(progress=progress[:200], share_done=share_done)

    do: Callable[[Job, Say], None] = import_string(settings.JOB_KINDS[job.kind])
    try:
        do(job, say)
    except CovidlitError as error:
        os.write(said, str(error).encode())
        return REFUSED
    except Exception as error:
        trouble = machine_trouble(of_the_machine(error), then="Then start it again.")
        os.write(said, (fault_of(error) if trouble is None else str(trouble)).encode())
        return FAULT if trouble is None else REFUSED
    return 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2])))
