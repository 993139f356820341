"""OpenVINO's core, one for each process, kept to its end."""

from __future__ import annotations

import os
from functools import cache
from types import ModuleType
from typing import Any

from covidlit.deploy.extras import require_extra


def openvino_core() -> Any:
    """The `openvino.Core` of this process; a forked process gets one of its own.

    The plugin for CPUs gives the thread that first uses it a stack for signal handlers, and frees
    it together with the last core and graph. Where another thread drops these, the first thread is
    left without, and the next signal that it handles (such as that of a child process that ends)
    ends the process without a word (OpenVINO 2026.4.1).

    Raises:
        ConfigError: OpenVINO is not installed.
    """
    return _core_of(require_extra("openvino"), os.getpid())


@cache
def _core_of(openvino: ModuleType, process: int) -> Any:
    return openvino.Core()
