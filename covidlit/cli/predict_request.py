"""A request to `covidlit predict --serve`, from a line of JSON."""

from __future__ import annotations

import json
import os
from dataclasses import fields
from pathlib import Path
from typing import Any

from covidlit.cli.predict_client import MOST_COLUMNS, PATHS
from covidlit.cli.predict_scans import ScanRequest
from covidlit.errors import ConfigError
from covidlit.version import __version__

_TYPES: dict[str, tuple[type, ...]] = {
    "path": (str,), "out": (str,), "heatmaps": (str, type(None)), "override": (list,),
    "image_orientation": (str, type(None)), "batch_size": (int,), "jobs": (int,),
    "backend": (str,), "strict": (bool,), "timings": (bool,),
}  # fmt: skip
_AROUND: dict[str, tuple[type, ...]] = {
    "version": (str,), "model": (str,), "columns": (int,), "colours": (bool,), "asked": (dict,),
    "progress": (bool,),
}  # fmt: skip


def request_of(line: bytes) -> tuple[dict[str, Any], ScanRequest]:
    """What a client sent, and the request in it; see `covidlit.cli.predict_client`.

    Raises:
        ConfigError: it is of another version, or not of that form; names the field.
    """
    try:
        content = json.loads(line)
    except (ValueError, RecursionError) as error:  # also text that is no UTF-8
        raise _wrong("request", "it is no JSON") from error
    if not isinstance(content, dict):
        raise _wrong("request", "it is no JSON object")
    # First: another version has other fields.
    if (sent_by := content.get("version", __version__)) != __version__:
        raise ConfigError(
            f"the server is covidlit {__version__}, the client {sent_by}.",
            where="version",
            fix="start the server again with the client's version.",
        )
    _check(content, _AROUND, required=set(_AROUND) - {"progress"})
    if not 1 <= content["columns"] <= MOST_COLUMNS:
        raise _wrong("columns", f"it must be from 1 to {MOST_COLUMNS}")
    asked = content["asked"]
    _check(asked, _TYPES, required={"path", "out"})
    for name in PATHS:
        if asked.get(name) is not None and not Path(asked[name]).is_absolute():
            raise _wrong(name, f"the path {asked[name]!r} is not absolute")
    if not all(isinstance(one, str) for one in asked.get("override", ())):
        raise _wrong("override", "it must be a list of names")
    for one in asked.get("override", ()):
        _check_text("override", one)
    known = {field.name for field in fields(ScanRequest)}
    values = {name: asked[name] for name in known & set(asked)}
    for name in PATHS:
        if values.get(name) is not None:
            values[name] = Path(values[name])
    if "override" in values:
        values["override"] = tuple(values["override"])
    return content, ScanRequest(**values)


def _check(content: dict[str, Any], types: dict[str, tuple[type, ...]], required: set[str]) -> None:
    for name in required - set(content):
        raise _wrong(name, "it is missing")
    for name, value in content.items():
        if name not in types:
            raise _wrong(name, "there is no such field")
        if not isinstance(value, types[name]) or (
            isinstance(value, bool) and bool not in types[name]
        ):
            raise _wrong(name, f"it must be {' or '.join(t.__name__ for t in types[name])}")
        if isinstance(value, str):
            _check_text(name, value)


def _check_text(name: str, text: str) -> None:
    """Refuse what no path can hold; bytes that are no UTF-8 come as one half of a pair each."""
    if "\0" in text:
        raise _wrong(name, "it holds a zero byte")
    try:
        os.fsencode(text)
    except UnicodeEncodeError as error:
        raise _wrong(name, f"it holds {text[error.start]!r}, which is no character") from error


def _wrong(name: str, what: str) -> ConfigError:
    return ConfigError(
        f"{what}.", where=name, fix="send what `covidlit predict --server` of this version sends."
    )
