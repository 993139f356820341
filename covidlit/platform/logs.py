"""Logs without identities: a line for each entry, plain or JSON.

What other packages say is kept as far as it is the same for everybody: their texts without what
they fill in (an address, a file's name, an exception's words may name a patient), and exceptions
as their types and places.
"""

from __future__ import annotations

import json
import logging
import time
import traceback
from contextvars import ContextVar
from pathlib import Path
from types import TracebackType
from typing import Any

OWN = "covidlit.platform"
"""Loggers whose words are chosen with care; those of jobs' libraries name files."""

FIELDS = ("request", "user", "method", "route", "status", "seconds")
"""What an entry may say of a request."""

request_id: ContextVar[str] = ContextVar("request_id", default="")


class Clean(logging.Formatter):
    """Entries as lines of text.

    Args:
        as_json: each as an object of JSON.
    """

    def __init__(self, as_json: bool = False) -> None:
        super().__init__()
        self._as_json = as_json

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        entry: dict[str, Any] = {
            "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.created)),
            "level": record.levelname,
            "logger": record.name,
            "message": _words(record),
        }
        if current := request_id.get():
            entry["request"] = current
        entry |= {name: getattr(record, name) for name in FIELDS if _told(record, name)}
        if record.exc_info and record.exc_info[1] is not None:
            entry["exception"] = fault_of(record.exc_info[1])
        if self._as_json:
            return json.dumps(entry)
        further = " ".join(f"{name}={entry[name]}" for name in (*FIELDS, "exception")
                           if name in entry)  # fmt: skip
        line = f"{entry['at']} {entry['level']} {entry['logger']}: {entry['message']} {further}"
        return line.replace("\n", " ").strip()


class NoTasks(logging.Filter):
    """Leaves out what workers say of each task that goes well: a job has its row, with its state.

    A worker of django-tasks-db sets the levels of its loggers itself, over those of the settings.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the entry is kept."""
        return record.levelno >= logging.WARNING or not record.name.startswith("django_tasks")


def _told(record: logging.LogRecord, name: str) -> bool:
    return isinstance(getattr(record, name, None), str | int | float)  # Django's is an object


def _words(record: logging.LogRecord) -> str:
    if record.name == OWN or record.name.startswith(f"{OWN}."):
        return record.getMessage()
    if not isinstance(record.msg, str) or not record.args or isinstance(record.args, dict):
        return f"said at {Path(record.pathname).name}:{record.lineno}"
    kept = tuple(each if isinstance(each, int | float) else "-" for each in record.args)
    try:
        return record.msg % kept
    except (TypeError, ValueError):
        return f"said at {Path(record.pathname).name}:{record.lineno}"


def fault_of(error: BaseException) -> str:
    """An exception and what led to it: types and places, without their words."""
    told = []
    seen: set[int] = set()
    found: BaseException | None = error
    while found is not None and id(found) not in seen:
        seen.add(id(found))
        told.append(f"{type(found).__name__} at {_places(found.__traceback__)}")
        found = found.__cause__ or (None if found.__suppress_context__ else found.__context__)
    return " after ".join(told)


def _places(trace: TracebackType | None) -> str:
    frames = traceback.extract_tb(trace)[-8:]
    return " > ".join(f"{Path(each.filename).name}:{each.lineno}" for each in frames) or "?"


def logging_settings(kind: str) -> dict[str, Any]:
    """Python's settings of logging, for Django and gunicorn.

    Args:
        kind: `plain`, `json`, or `quiet`: problems alone, as plain lines.
    """
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"clean": {"()": f"{__name__}.Clean", "as_json": kind == "json"}},
        "filters": {"no_tasks": {"()": f"{__name__}.NoTasks"}},
        "handlers": {
            "stderr": {
                "class": "logging.StreamHandler",
                "formatter": "clean",
                "filters": ["no_tasks"],
            },
        },
        "root": {"handlers": ["stderr"], "level": "WARNING" if kind == "quiet" else "INFO"},
        "loggers": {
            # Each request has a line of its own, with its status.
            "django": {"handlers": ["stderr"], "level": "ERROR", "propagate": False},
            "gunicorn.error": {"handlers": ["stderr"], "level": "ERROR", "propagate": False},
            "pynetdicom": {"level": "WARNING"},  # below it tells of each object
            "gunicorn.access": {"handlers": [], "level": "ERROR", "propagate": False},
        },
    }
