"""OpenVINO as what computes a network that segments slices, in float32 on the CPU."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from covidlit.arguments import n_cores
from covidlit.deploy.engine import on_threads
from covidlit.deploy.exported import SLICE_FILES
from covidlit.deploy.exported_engine import compile_openvino
from covidlit.models.maskrcnn.stages import Dense

_LEVELS = 4
"""Of the pyramid that regions are cut out of; the last, for the proposals alone, stays inside."""


class SliceEngine:
    """The exported graphs of a `MaskRCNN`, as its `Stages`.

    Every thread that calls it has requests of its own, each computed on one core: whoever has
    several cores looks at as many slices at a time.

    Args:
        folder: with the files, which `read_export` has checked.
        threads: how many slices will be looked at at a time; None: one per core.

    Raises:
        ConfigError: OpenVINO is not installed.
        ExportError: it does not take a file.
    """

    def __init__(self, folder: Path, threads: int | None = None) -> None:
        self.threads = threads or n_cores()
        self.name = on_threads("openvino", self.threads)
        paths = [folder / name for name in SLICE_FILES if name.endswith(".xml")]
        self._graphs = {
            path.stem: compile_openvino(path, self.threads, streams=self.threads) for path in paths
        }
        self._own = threading.local()

    @property
    def heads(self) -> SliceEngine:
        """See `covidlit.models.maskrcnn.stages.Stages`."""
        return self

    def dense(self, tensors: Tensor) -> Dense:
        """See `Stages`."""
        found = self._run("dense", tensors)
        n_proposals = (len(found) - _LEVELS - 1) // 2
        return Dense(
            {str(k): level for k, level in enumerate(found[:_LEVELS])},
            found[_LEVELS : _LEVELS + n_proposals],
            found[_LEVELS + n_proposals : -1],
            found[-1],
        )

    def box_outputs(self, regions: Tensor) -> tuple[Tensor, Tensor]:
        """See `covidlit.models.maskrcnn.heads.RegionHeads`."""
        logits, deltas = self._run("box", regions)
        return logits, deltas

    def mask_probabilities(self, regions: Tensor, labels: Tensor) -> Tensor:
        """See `RegionHeads`."""
        return self._run("mask", regions, labels)[0]

    def _run(self, graph: str, *inputs: Tensor) -> list[Tensor]:
        if not len(inputs[0]):  # no region, of which OpenVINO would make none either, or fail
            shapes = [each.get_partial_shape() for each in self._graphs[graph].outputs]
            return [torch.zeros(0, *(int(str(n)) for n in list(shape)[1:])) for shape in shapes]
        requests: dict[str, Any] = self._own.__dict__.setdefault("requests", {})
        if graph not in requests:
            requests[graph] = self._graphs[graph].create_infer_request()
        given = [np.ascontiguousarray(each.numpy()) for each in inputs]
        found = requests[graph].infer(given, share_inputs=True)
        # Copies: the runtime's own memory is written again by the next slice.
        return [torch.from_numpy(np.array(found[k])) for k in range(len(found))]
