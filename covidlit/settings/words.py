"""Settings as a person writes them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

Node = dict[str, Any]
"""A mapping of a configuration, often with `_target_`."""


def settings_text(settings: Mapping[str, Any] | str) -> str:
    """Settings as a person writes them, such as `torch.optim.Adam (lr 0.001)`; "none" if empty."""
    if isinstance(settings, str):
        return settings
    values = ", ".join(f"{name} {value}" for name, value in settings.items() if name != "_target_")
    target = settings.get("_target_", "")
    return (f"{target} ({values})" if target and values else target or values) or "none"


_PLAIN = re.compile(r"[\w./:@%+-]*(/|\.[a-z]{2,})[\w./:@%+-]*", re.ASCII)
"""Paths that Hydra takes as they are, and for nothing else than text."""


def typed_setting(key: str, path: Path | str) -> str:
    """`KEY=PATH` as it is typed in a shell; the path may hold anything, such as "runs[old]"."""
    value = str(path)
    if not _PLAIN.fullmatch(value):
        value = '"' + value.replace('"', r"\"") + '"'
    return shlex.quote(f"{key}={value}")


AUTO = "auto"
"""Of `data.batch_size`: as many rows as the memory holds."""

CONFIG = "config.yaml"
"""The resolved configuration, in the folder of a run."""
