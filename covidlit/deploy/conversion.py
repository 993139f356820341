"""Networks as graphs of OpenVINO."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from covidlit.deploy.extras import require_extra


class ConversionError(Exception):
    """OpenVINO has no rule for something in a network."""


def convert_model(model: Any, **options: Any) -> Any:
    """`openvino.convert_model`, with one kind of failure, and after it the log as it was.

    Args:
        model: a `torch.nn.Module` or an exported program of PyTorch.
        **options: of `openvino.convert_model`, such as `example_input`.

    Returns:
        The `openvino.Model`.

    Raises:
        ConfigError: OpenVINO is not installed.
        ConversionError: the network cannot be converted; it says why in one line.
    """
    openvino = require_extra("openvino")
    frontend = openvino.frontend
    failures = (
        RuntimeError, NotImplementedError, frontend.GeneralFailure, frontend.NotImplementedFailure,
        frontend.OpConversionFailure, frontend.OpValidationFailure,
    )  # fmt: skip
    with _root_logger_kept():
        try:
            return openvino.convert_model(model, **options)
        except failures as error:
            lines = str(error).strip().splitlines() or [type(error).__name__]
            reason = next((line for line in lines if "No conversion rule" in line), lines[-1])
            raise ConversionError(reason.strip()) from error


@contextmanager
def _root_logger_kept() -> Iterator[None]:
    """OpenVINO 2026.4 leaves errors alone in the log of a process where a conversion fails."""
    root = logging.getLogger()
    level, filters, handlers = root.level, root.filters[:], root.handlers[:]
    try:
        yield
    finally:
        root.setLevel(level)
        root.filters, root.handlers = filters, handlers
