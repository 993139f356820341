"""Packages of the extras `deploy` and `quantize`."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any, Literal

from covidlit.errors import ConfigError

Extra = Literal["deploy", "quantize"]

_TELEMETRY = "openvino_telemetry"

_INSTALL: dict[Extra, str] = {
    "deploy": "pip install 'covidlit[deploy]'",
    "quantize": "export in an environment of its own, without the platform, whose django-ninja "
    "NNCF's requirements replace: python -m venv quantize; quantize/bin/pip install "
    "'covidlit[quantize]'; quantize/bin/covidlit export ... --precision int8. What it writes runs "
    "wherever OpenVINO is.",
}


def require_extra(package: str, extra: Extra = "deploy") -> Any:
    """Import a package of an extra.

    OpenVINO and NNCF tell Google Analytics, unasked, that they are imported and what they do
    (openvino-telemetry 2025.2). Nothing is sent from here: they are made to find that package
    missing, which they allow.

    Raises:
        ConfigError: it is not installed.
    """
    sys.modules.setdefault(_TELEMETRY, None)  # type: ignore[arg-type]
    try:
        return import_module(package)
    except ImportError as error:
        raise ConfigError(
            f"{package} cannot be imported ({error}).",
            where="engine" if extra == "deploy" else "precision",
            fix=_INSTALL[extra],
        ) from error
