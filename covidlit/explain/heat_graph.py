"""The graph that is exported of a score and its heatmap: HU in, one pass forward and one back.

It takes int16 HU of one prepared volume (1, z, y, x) and gives "score", float32 (1,) or
(1, classes), and the two parts of the default heatmap, `covidlit.explain.guided_map`: "region",
(z', y', x'), and "effect", (z, y, x). The gradient stands in the graph as operations like all
others: it is traced as PyTorch computes it, through convolutions that go back as convolutions
(`covidlit.deploy.reversed_convolutions`) and maxima that share (`covidlit.models.fair_maxima`).
Batch norms are taken into the convolutions before them, which changes nothing but rounding.
"""

from __future__ import annotations

import copy
import warnings
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.fx import GraphModule
from torch.fx.experimental.proxy_tensor import make_fx

from covidlit.datamodules.volume_dataset import apply_window
from covidlit.deploy.extras import require_extra
from covidlit.deploy.reversed_convolutions import reverse_convolutions
from covidlit.deploy.winograd import fold_norms
from covidlit.explain.explain import lung_value, output_of
from covidlit.explain.explain_error import ExplainError
from covidlit.explain.guided import region_and_effect
from covidlit.explain.layers import frozen, layer_of
from covidlit.tasks.classifier import Classifier


def write_heat_graph(
    task: Classifier,
    layer: str,
    window: tuple[float, float],
    size: tuple[int, int, int],
    path: Path,
) -> None:
    """Write the graph as OpenVINO's `.xml`, with its weights in a `.bin` beside it.

    Args:
        task: a trained classification; it stays as it is.
        layer: of the network's `explainable_layers()`.
        window: lowest and highest HU, mapped to 0 and 1.
        size: of the volumes, (z, y, x).
        path: of the `.xml`.

    Raises:
        ExplainError: the gradient of this network cannot be written as a graph.
    """
    openvino = require_extra("openvino")
    example = torch.zeros((1, *size), dtype=torch.int16)
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")  # of the exporter, about itself
            program = torch.export.export(_traced(task, layer, window, example), (example,))
            program = program.run_decompositions()
            model = openvino.convert_model(program, example_input=(example,))
    except _failures() as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        reason = next((line for line in lines if "No conversion rule" in line), lines[0])
        raise ExplainError(
            f"the gradient of this network cannot be written as a graph: {reason}",
            fix='make heatmaps with PyTorch: --engine torch, or engine="torch" in Python.',
        ) from error
    openvino.save_model(model, path, compress_to_fp16=False)


def _failures() -> tuple[type[Exception], ...]:
    """What the exporter and OpenVINO raise where there is no rule for an operation."""
    frontend = require_extra("openvino").frontend

    return (
        RuntimeError, NotImplementedError, AssertionError, frontend.GeneralFailure,
        frontend.NotImplementedFailure, frontend.OpConversionFailure, frontend.OpValidationFailure,
    )  # fmt: skip


def _traced(
    task: Classifier, layer: str, window: tuple[float, float], example: Tensor
) -> GraphModule:
    net: nn.Module = copy.deepcopy(task.net).cpu()
    fold_norms(net)
    shown = layer_of(net, layer)  # before its parts are others
    reverse_convolutions(net)
    output, lung = output_of(task), lung_value(task)

    def score_and_heat(hu: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        logits: list[Tensor] = []
        hook = net.register_forward_hook(lambda module, args, out: logits.append(out))
        try:
            with torch.enable_grad():
                image = apply_window(hu[:, None], window)
                region, effect = region_and_effect(net, image, shown, output, lung)
        finally:
            hook.remove()
        return task.scores(logits[0].detach()), region, effect

    with frozen(net):
        traced = make_fx(score_and_heat, tracing_mode="fake", _allow_non_fake_inputs=True)(example)
    traced.graph.eliminate_dead_code()
    traced.recompile()
    return traced.eval()
