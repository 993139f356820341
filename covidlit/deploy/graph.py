"""The graph that is exported: HU in, probabilities out.

It takes int16 HU of prepared volumes (B, z, y, x), "hu", and gives "score", float32 (B,) or
(B, classes): the HU window and the sigmoid or softmax are inside, and the batch is as large as one
likes. OpenVINO's files are converted from the ONNX one, so that both come from one graph. Weights
stay float32; those of 3x3x3 convolutions are combined as in `covidlit.deploy.winograd`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from covidlit.datamodules.volume_dataset import apply_window
from covidlit.deploy.extras import require_extra
from covidlit.deploy.openvino_core import openvino_core
from covidlit.deploy.precisions import WITH_TORCH
from covidlit.errors import ExportError


class VolumeScorer(nn.Module):
    """A network with what stands before and after it.

    Args:
        net: images (B, 1, z, y, x) to logits (B, n).
        scores: logits to probabilities.
        window: lowest and highest HU, mapped to 0 and 1.
    """

    def __init__(
        self, net: nn.Module, scores: Callable[[Tensor], Tensor], window: tuple[float, float]
    ) -> None:
        super().__init__()
        self.net, self.scores, self.window = net, scores, window

    def forward(self, hu: Tensor) -> Tensor:
        """Probabilities of int16 volumes (B, z, y, x)."""
        return self.scores(self.net(apply_window(hu[:, None], self.window)))


def write_onnx(scorer: VolumeScorer, size: tuple[int, int, int], path: Path) -> None:
    """Write the graph as ONNX, for volumes of that size, (z, y, x), and any batch.

    Raises:
        ExportError: PyTorch cannot export the network.
    """
    example = torch.zeros((2, *size), dtype=torch.int16)
    try:
        with warnings.catch_warnings(), torch.inference_mode():
            warnings.simplefilter("ignore")  # of the exporter, about itself
            program = torch.onnx.export(
                scorer.eval(),
                (example,),
                dynamo=True,
                input_names=["hu"],
                output_names=["score"],
                dynamic_shapes={"hu": {0: torch.export.Dim("batch")}},
                verbose=False,
            )
        assert program is not None  # as always with dynamo
        program.save(path)
    except RuntimeError as error:  # of which torch.onnx's and onnxscript's errors are kinds
        first: BaseException = error
        while first.__cause__ is not None:
            first = first.__cause__
        raise ExportError(
            f"PyTorch cannot export this network: {str(first).strip().splitlines()[0]}",
            fix=f"{WITH_TORCH}.",
        ) from error


def write_openvino(onnx_path: Path, path: Path) -> None:
    """Convert `model.onnx` to OpenVINO's `.xml`, with the weights in a `.bin` beside it."""
    openvino = require_extra("openvino")
    model = openvino_core().read_model(onnx_path)
    openvino.save_model(model, path, compress_to_fp16=False)
