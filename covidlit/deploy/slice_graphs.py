"""The graphs that are exported of a network that segments slices, for OpenVINO.

Three, of the stages of `covidlit.models.maskrcnn.stages`: `dense` takes standardised slices,
float32 (B, channels, rows, columns) of any size that is a multiple of 32, and gives the levels of
the pyramid, objectness and deltas of each level, and the class of each pixel (uint8); `box` takes
regions (n, channels, 7, 7) and gives logits and deltas; `mask` takes regions (n, channels, 14, 14)
and the label of each (n,) and gives probabilities. Weights stay float32.

They are converted from PyTorch without ONNX: torch.onnx takes minutes over slices of
any size, and of PyTorch's older exporter OpenVINO cannot read what it writes.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from covidlit.deploy.conversion import ConversionError, convert_model
from covidlit.deploy.exported import SLICE_FILES
from covidlit.deploy.extras import require_extra
from covidlit.deploy.precisions import WITH_TORCH
from covidlit.errors import ExportError
from covidlit.models.maskrcnn.network import MaskRCNN

_SIZE = (64, 96)  # of the slices that are traced: any will do, rows and columns apart


class DenseGraph(nn.Module):
    """`MaskRCNN.dense` with its outputs in a row: levels, objectness, deltas, classes."""

    def __init__(self, net: MaskRCNN) -> None:
        super().__init__()
        self.net = net

    def forward(self, tensors: Tensor) -> tuple[Tensor, ...]:
        """Of slices (B, channels, rows, columns)."""
        dense = self.net.dense(tensors)
        levels = [dense.levels[str(k)] for k in range(len(dense.levels) - 1)]
        return (*levels, *dense.objectness, *dense.deltas, dense.classes)


class BoxGraph(nn.Module):
    """`LesionHeads.box_outputs`."""

    def __init__(self, net: MaskRCNN) -> None:
        super().__init__()
        self.heads = net.heads

    def forward(self, regions: Tensor) -> tuple[Tensor, Tensor]:
        """Of regions (n, channels, rows, columns)."""
        return self.heads.box_outputs(regions)


class MaskGraph(nn.Module):
    """`LesionHeads.mask_probabilities`."""

    def __init__(self, net: MaskRCNN) -> None:
        super().__init__()
        self.heads = net.heads

    def forward(self, regions: Tensor, labels: Tensor) -> Tensor:
        """Of regions (n, channels, rows, columns) and labels (n,)."""
        return self.heads.mask_probabilities(regions, labels)


def write_slice_graphs(net: MaskRCNN, folder: Path) -> None:
    """Write the graphs as OpenVINO's `.xml`, each with its weights in a `.bin` beside it.

    Args:
        net: in evaluation mode, on the CPU.
        folder: gets the files `SLICE_FILES`.

    Raises:
        ExportError: OpenVINO cannot convert the network.
        ConfigError: it is not installed.
    """
    openvino = require_extra("openvino")
    planes, channels = net.input_mean.shape[1], net.backbone.out_channels
    (box, _), (mask, _) = (
        pool.output_size for pool in (net.heads.box_roi_pool, net.heads.mask_roi_pool)
    )
    examples: list[tuple[nn.Module, Any, Any]] = [
        (DenseGraph(net), torch.zeros(2, planes, *_SIZE), [-1, planes, -1, -1]),
        (BoxGraph(net), torch.zeros(3, channels, box, box), [-1, channels, box, box]),
        (
            MaskGraph(net),
            (torch.zeros(3, channels, mask, mask), torch.ones(3, dtype=torch.int64)),
            [[-1, channels, mask, mask], [-1]],
        ),
    ]
    paths = [folder / name for name in SLICE_FILES if name.endswith(".xml")]
    for (module, example, shape), path in zip(examples, paths, strict=True):
        try:
            with warnings.catch_warnings(), torch.inference_mode():
                warnings.simplefilter("ignore")  # of tracing, about sizes that stay as they are
                model = convert_model(module.eval(), example_input=example, input=shape)
            openvino.save_model(model, path, compress_to_fp16=False)
        except ConversionError as error:
            raise ExportError(
                f"OpenVINO cannot convert this network: {error}",
                fix=f"{WITH_TORCH}.",
            ) from error
