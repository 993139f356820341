"""Which options of `covidlit coco` say something, by what is read and what is written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SOURCES = {
    "file": "a COCO file",
    "labels": "a folder of label volumes",
    "masks": "a folder of mask pictures",
}

_READ = {
    "manifest": ("labels",),
    "name": ("labels",),
    "value": ("labels",),
    "mask": ("masks",),
    "images": ("file", "masks"),
    "table": ("file", "masks"),
    "patient": ("file",),
    "category": ("file",),
    "class": ("file", "masks"),
}
"""Option -> the sources of which it says something."""

_WRITTEN = {
    "images": ("coco", "masks"),
    "patient": ("coco", "masks"),
    "override": ("labels",),
    "image-orientation": ("labels",),
    "polygons": ("coco", "labels"),
}
"""Option -> the results of which it says something; of any where it does not stand here."""

_INSTEAD = {
    "patient": "the table of the pictures says whose they are, in its column patient_id",
    "category": "--mask names the class of each folder, --value that of each value",
    "class": "--value gives the values of label volumes our names",
    "manifest": "of mask pictures and COCO files --table says whose they are",
    "table": "of label volumes --manifest says whose they are",
}


def check_options(given: Mapping[str, Any], source: str, to: str) -> None:
    """Refuse options that change nothing for what is read and what is written.

    Args:
        given: option without its hyphens -> its value; None, False or empty: not given.
        source: a key of `SOURCES`.
        to: coco, labels or masks.

    Raises:
        ConfigError: names all of them, and what to give instead.
    """
    from covidlit.errors import ConfigError

    said = [name for name, value in given.items() if value not in (None, False, [])]
    unread = [name for name in said if source not in _READ.get(name, SOURCES)]
    unwritten = [
        name for name in said if name not in unread and to not in _WRITTEN.get(name, (to,))
    ]
    idle = unread + unwritten
    if idle:
        reasons = [f"where {SOURCES[source]} is read"] if unread else []
        reasons += [f"with --to {to}"] if unwritten else []
        instead = [_INSTEAD[name] for name in unread if name in _INSTEAD]
        raise ConfigError(
            f"{'does' if len(idle) == 1 else 'do'} nothing {', or '.join(reasons)}.",
            where=" ".join(f"--{name}" for name in idle),
            fix="; ".join([f"leave {'it' if len(idle) == 1 else 'them'} out", *instead]) + ".",
        )
    if given.get("table") is not None and given.get("patient") is not None:
        raise ConfigError(
            "both say whose the images are.", where="--table --patient", fix="give one of them."
        )
