"""What the machine lacked when something failed that nobody caught, for programs and pages."""

from __future__ import annotations

import errno
import os

from django.db import InterfaceError, OperationalError

from covidlit.errors import CovidlitError, machine_trouble

FAULT = CovidlitError(
    "the platform stumbled over this.", where="the platform",
    fix="tell an administrator the time: its log says more.",
)  # fmt: skip

_GONE = CovidlitError(
    "the database does not answer.", where="the platform",
    fix="try again in some seconds; if that does not help, tell an administrator.",
)  # fmt: skip
_DISK_TEXTS = ("disk is full", "no space left on device", "disk quota exceeded")


def trouble_of(error: BaseException | None) -> tuple[int, CovidlitError]:
    """The status of HTTP, and the words, for an error that nobody caught.

    507 where the disk is full, 503 where something else is lacking that may come back, such as
    memory or the database, 500 for a fault. Where it lies on the server is not the caller's matter.
    """
    if error is None:
        return 500, FAULT
    error = of_the_machine(error)
    if (trouble := machine_trouble(error, then="Then try it again.")) is not None:
        full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
        said = CovidlitError(trouble.what, where="the platform", fix=trouble.fix)
        return 507 if full else 503, said
    if isinstance(error, OperationalError | InterfaceError):
        return 503, _GONE
    return 500, FAULT


def of_the_machine(error: BaseException) -> BaseException:
    """A full disk as the system says it, where a database says so in words of its own."""
    if isinstance(error, OperationalError) and any(t in str(error).lower() for t in _DISK_TEXTS):
        return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    return error
