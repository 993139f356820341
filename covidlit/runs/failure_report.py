"""How a further process of a training tells the first one why it failed.

The first process alone prints, so that a message stands there once, however many processes fail of
the same cause or of each other.
"""

from __future__ import annotations

import json
import os
import shutil
import threading
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from covidlit.files import write_text

FOLDER = "COVIDLIT_FAILURES"
"""Environment variable: where the further processes of a training leave their failures."""
FIRST = "COVIDLIT_FIRST_PROCESS"
"""Environment variable: the process id of the first one."""
_POLL_S = 0.5


@dataclass(frozen=True)
class Failure:
    """Why a process failed.

    Args:
        message: what is printed of it.
        exit_code: of the run.
        time: when, by `time.monotonic`, which all processes of a machine share.
    """

    message: str
    exit_code: int
    time: float


class OtherProcessError(Exception):
    """Another process of the training failed.

    Args:
        failure: what that process said of it.
    """

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


def write_failure(message: str, exit_code: int) -> bool:
    """Leave a message for the first process; False where this one has to print it itself.

    Called again, it changes the message, not the time of the failure.
    """
    path = _path()
    if path is None or not path.parent.is_dir():
        return False
    failure = Failure(message, exit_code, time.monotonic())
    if path.is_file():
        earlier = Failure(**json.loads(path.read_text(encoding="utf-8")))
        failure = replace(failure, time=earlier.time)
    write_text(path, json.dumps(asdict(failure)))
    return True


def end_with_first_process() -> None:
    """End this process, if it is a further one of a training, as soon as the first is gone.

    It would wait for that one's answer otherwise, with NCCL for half an hour.
    """
    report = _path()
    if report is None:
        return
    first = int(os.environ[FIRST])

    def watch() -> None:
        while os.getppid() == first:
            time.sleep(_POLL_S)
        shutil.rmtree(report.parent, ignore_errors=True)
        os._exit(1)

    threading.Thread(target=watch, name="first-process", daemon=True).start()


def _path() -> Path | None:
    """Where this process leaves its failure; None in a first or only one."""
    rank = os.environ.get("LOCAL_RANK", "0")
    if FOLDER not in os.environ or rank == "0":
        return None
    return Path(os.environ[FOLDER]) / f"{rank}.json"
