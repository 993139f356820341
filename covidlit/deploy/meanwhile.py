"""Something that is made, or imported, in a thread while its user does something else."""

from __future__ import annotations

import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
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


def import_meanwhile(name: str) -> None:
    """Import a module in a thread, at a time when others do without Python's lock.

    What goes wrong is raised where the module is needed.
    """
    if name not in sys.modules:
        started(lambda: import_module(name), ahead=True)
