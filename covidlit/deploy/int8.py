"""An exported graph in int8, by NNCF: calibrated on real scans, without training."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import rich
from numpy.typing import NDArray

from covidlit.deploy.extras import require_extra
from covidlit.deploy.openvino_core import openvino_core
from covidlit.errors import ExportError

METHOD = "NNCF after training; activations asymmetric, over the whole range that calibration saw"
"""What `write_int8` does, for the record of the export.

The whole range, from the lowest to the highest value of all scans: NNCF's own choice, the mean of
the scans' ranges, cuts off what is rare, and lesions are. On a network of 750 steps it moved scores
by up to 0.13 instead of 0.04.
"""


def write_int8(path: Path, volumes: NDArray[np.int16]) -> None:
    """Quantise a graph of OpenVINO's, in its place.

    Args:
        path: of the `.xml` of the graph in float32, with convolutions as they are: the sums of
            `covidlit.deploy.winograd` would each be rounded to 8 bits.
        volumes: that the ranges of activations are taken from, int16 HU (n, z, y, x).

    Raises:
        ConfigError: NNCF is not installed.
        ExportError: NNCF does not take the network.
    """
    openvino = require_extra("openvino")
    nncf = require_extra("nncf", "quantize")
    ranges = require_extra("nncf.quantization.range_estimator", "quantize")
    whole_range = ranges.RangeEstimatorParametersSet.MINMAX
    nncf.set_log_level(logging.ERROR)  # it has notes on layers
    model = openvino_core().read_model(path)
    dataset = nncf.Dataset(list(volumes), lambda volume: np.array(volume[None]))
    try:
        with _without_bars():
            quantised = nncf.quantize(
                model,
                dataset,
                preset=nncf.QuantizationPreset.MIXED,
                target_device=nncf.TargetDevice.CPU,
                subset_size=len(volumes),
                advanced_parameters=nncf.AdvancedQuantizationParameters(
                    activations_range_estimator_params=whole_range
                ),
            )
    except (nncf.NNCFError, RuntimeError) as error:
        raise ExportError(
            f"NNCF cannot bring this network to int8: {str(error).strip().splitlines()[0]}",
            fix="use --precision bf16 or f32.",
        ) from error
    written = path.with_name("int8.xml")  # the weights that were read may still be mapped
    openvino.save_model(quantised, written, compress_to_fp16=False)
    for suffix in (".xml", ".bin"):
        written.with_suffix(suffix).replace(path.with_suffix(suffix))


@contextmanager
def _without_bars() -> Iterator[None]:
    """Let rich's own console print nothing: NNCF has no other way to be without its bars."""
    console = rich.get_console()
    before, console.quiet = console.quiet, True
    try:
        yield
    finally:
        console.quiet = before
