"""Contract 12: the one rule for names that become file names, such as scan_id, classes and runs."""

from __future__ import annotations

import re

from covidlit.errors import CovidlitError

MAX_LENGTH = 128
"""Characters; file systems hold 255 bytes, of which endings and temporary names need some."""

NAME_RULE = (
    f"must be 1 to {MAX_LENGTH} of the letters A-Z and a-z, digits, '.', '_' and '-', begin with a "
    "letter or a digit, and be no device of Windows (CON, NUL, ...), since files are named by it"
)
"""The rule in words, to complete "the value ..."."""

_NAME = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._-]{{0,{MAX_LENGTH - 1}}}")
# Windows opens the device instead of a file, whatever the ending: results lie on shared folders.
_DEVICE = re.compile(r"(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\..*)?", re.IGNORECASE)


def is_name(text: object) -> bool:
    """Whether `text` is a name that may become a file's or folder's on any system."""
    return (
        isinstance(text, str)
        and _NAME.fullmatch(text) is not None
        and _DEVICE.fullmatch(text) is None
    )


def check_name(text: str, where: object, error: type[CovidlitError] = CovidlitError) -> str:
    """The name, if it may become a file's or folder's.

    Args:
        text: the name.
        where: what it is the name of, for the message, such as "scan_id" or "name".

    Raises:
        CovidlitError: (of the type `error`) it breaks `NAME_RULE`.
    """
    if is_name(text):
        return text
    shown = repr(text) if len(str(text)) <= MAX_LENGTH else f"{text[:32]!r}... ({len(text)} long)"
    raise error(
        f"the name {shown} {NAME_RULE}.", where=where, fix=f"write it as {tidy_name(text)!r}, say."
    )


def tidy_name(text: str) -> str:
    """A name much like `text` that follows the rule; different texts may give the same one."""
    if is_name(text):
        return text
    tidy = re.sub(r"[^A-Za-z0-9._-]+", "_", text).lstrip("._-")[:MAX_LENGTH].rstrip("_")
    return tidy if is_name(tidy) else f"x{tidy}"[:MAX_LENGTH]
