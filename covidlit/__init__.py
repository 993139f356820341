"""covidlit: COVID-19 and pneumonia on chest CT with PyTorch Lightning and Hydra."""

from __future__ import annotations

from importlib import import_module

from covidlit.version import __version__

TYPE_CHECKING = False  # typing is not imported for it: `covidlit.cli.predict_client` starts at once
if TYPE_CHECKING:
    from typing import Any

    from covidlit.explain.predictor import Predictor

__all__ = ["Predictor", "__version__"]

_MODULES = {"Predictor": "explain.predictor"}


def __getattr__(name: str) -> Any:
    # What scores scans loads PyTorch, for which `covidlit --help` and reading DICOM need not wait.
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES})
