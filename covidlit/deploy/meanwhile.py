"""Something that is made in a thread while its user does something else."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Made = TypeVar("Made")


def started(make: Callable[[], Made], ahead: bool) -> Callable[[], Made]:
    """Start to make something; what is returned gives it, and raises what went wrong.

    Args:
        make: makes it.
        ahead: in a thread, so that this returns at once; else now, and errors are raised here.
    """
    if not ahead:
        made = make()
        return lambda: made
    pool = ThreadPoolExecutor(1, "covidlit-ahead")
    future = pool.submit(make)
    pool.shutdown(wait=False)  # the thread ends when it is done
    return future.result
