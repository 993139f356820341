"""Python's garbage collector, kept away from the many objects that imports make and that stay."""

from __future__ import annotations

import atexit
import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def no_collection() -> Iterator[None]:
    """Collect no garbage in the block, and never look again at the objects that it leaves.

    For a process that imports and loads in the block what it keeps to its end: cyclic garbage that
    is there when the block ends stays too. Otherwise the collector runs whenever the number of
    objects has grown, and a whole run walks through all of them: about a sixth of the time that
    torch takes to be imported.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if enabled:
            gc.enable()


def skip_collection_at_exit() -> None:
    """Let the process end without walking through its objects again; memory goes back as ever.

    What is to be closed at the end of a process is closed by `atexit` or `with`, as everywhere in
    covidlit, not by the collector.
    """
    atexit.unregister(gc.freeze)
    atexit.register(gc.freeze)
