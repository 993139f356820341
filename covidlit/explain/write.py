"""Heatmaps of scans from the network of a checkpoint, with PyTorch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from covidlit.checkpoints.given import Given, complete_record
from covidlit.checkpoints.weights import weights_hash
from covidlit.datamodules.volume_dataset import apply_window
from covidlit.errors import ConfigError
from covidlit.explain.explain import default_layer, explain_image, lung_value, map_of, output_of
from covidlit.explain.explain_error import ExplainError
from covidlit.explain.heat_files import HeatFiles, WrittenHeatmap, heatmap_files
from covidlit.explain.heatmap import Heatmap
from covidlit.explain.layers import layer_of
from covidlit.explain.methods import METHODS, check_method
from covidlit.explain.overlay import slice_inches
from covidlit.explain.scale import require_scale
from covidlit.preprocess.geometry import Geometry, Prepared, prepare_scan
from covidlit.scans.scan import Scan
from covidlit.tasks.classifier import Classifier
from covidlit.tasks.load import load_for_prediction, load_task

if TYPE_CHECKING:
    from covidlit.lesions import LesionLabels
    from covidlit.tasks import VolumeClassification


class HeatmapWriter(HeatFiles):
    """Makes and writes heatmaps with the network of a checkpoint, all on its one scale.

    Args:
        checkpoint: of `covidlit train`.
        out_dir: folder for `<scan_id>.heat.nii.gz` and `<scan_id>.png`.
        layer: of the network's `explainable_layers()`; None: the first.
        method: one of `covidlit.explain.METHODS`; None: the first.
        scale: heat of the colour bar's upper end; None: the one that the checkpoint carries.
        n_slices: slices in each picture, at least 1.
        device: "cpu", "cuda", ...
        given: what the checkpoint's record lacks.
        task: what `load_for_prediction` made of the checkpoint, where it is loaded already.

    Raises:
        CheckpointError: the checkpoint is missing, damaged, untrusted or of another model.
        ExplainError: an unknown layer or method, or no scale.
        ConfigError: an argument out of its range.
    """

    def __init__(
        self,
        checkpoint: str | Path,
        out_dir: str | Path,
        *,
        layer: str | None = None,
        method: str | None = None,
        scale: float | None = None,
        n_slices: int = 3,
        device: str | torch.device = "cpu",
        given: Given | None = None,
        task: Classifier | None = None,
    ) -> None:
        if scale is not None and not scale > 0:
            raise ConfigError(f"scale must be greater than 0, got {scale}.", where="scale")
        self.task: Classifier | VolumeClassification = (task or _classifier(checkpoint)).to(device)
        # The task carries it: reading the checkpoint a second time would cost seconds.
        record = complete_record(self.task.record, given, checkpoint)
        layer = layer or default_layer(self.task.net)
        method = check_method(method or METHODS[0])
        layer_of(self.task.net, layer)
        scale = scale or require_scale(record, layer, method, checkpoint)
        super().__init__(
            record, out_dir, layer=layer, method=method, scale=scale, n_slices=n_slices
        )
        wanted = self.record.volume_input.geometry
        self.geometry = Geometry(wanted.spacing, wanted.size)

    def settings(self) -> dict[str, Any]:
        """All that the files of a scan depend on beside the scan and its labels; JSON types."""
        return {
            "weights": weights_hash(self.task.state_dict()),
            "preparation": self.record.preprocess.model_dump(mode="json"),
            "output": output_of(self.task), "layer": self.layer, "method": self.method,
            "scale": self.scale, "n_slices": self.n_slices,
            "inches": slice_inches(self.n_slices),
        }  # fmt: skip

    def input_of(self, prepared: Prepared) -> torch.Tensor:
        """The network's input (1, 1, z, y, x) for a prepared scan."""
        image = torch.from_numpy(prepared.array.astype(np.float32))[None, None]
        return apply_window(image, self.record.volume_input.window).to(self.task.device)

    def explain(self, prepared: Prepared) -> Heatmap:
        """The heatmap of a prepared scan, with its score."""
        image = self.input_of(prepared)
        return explain_image(self.task, image, self.layer, self.method, prepared.affine)

    def map_of(self, net: nn.Module, image: torch.Tensor) -> NDArray[np.float32]:
        """The map of a copy of the network, for the model-randomisation check."""
        return map_of(
            net, image, layer_of(net, self.layer), self.method, output_of(self.task),
            lung=lung_value(self.task), spacing=self.geometry.spacing,
        )[0]  # fmt: skip

    def write(
        self,
        scan: Scan,
        prepared: Prepared | None = None,
        score: float | None = None,
        *,
        name: str,
        labels: LesionLabels | None = None,
    ) -> WrittenHeatmap:
        """Explain a scan and write its files, each whole or not at all.

        Args:
            scan: the source.
            prepared: of the scan, for the network; None: it is prepared here.
            score: to be printed and kept; None: that of the heatmap's own pass.
            name: of the files; a pseudonym such as the scan_id, never a patient's name.
            labels: lesions, to be outlined in the picture.

        Raises:
            ExplainError: `name` is no name of a file (contract 12).
            CovidlitError: another file lies at the picture's place.
        """
        heatmap_files(self.out_dir, name)  # refuses the name before any work
        done = prepared or prepare_scan(scan, self.geometry)
        return self.write_heat(
            scan, done, lambda: self.explain(done), score, name=name, labels=labels
        )


def _classifier(checkpoint: str | Path) -> Classifier | VolumeClassification:
    task = load_for_prediction(checkpoint)
    return task if isinstance(task, Classifier) else _classification(task, checkpoint)


def load_classification(checkpoint: str | Path) -> VolumeClassification:
    """The trained classification of a checkpoint.

    Raises:
        CheckpointError: see `load_task`.
        ExplainError: it is of another task.
    """
    return _classification(load_task(checkpoint), checkpoint)


def _classification(task: object, checkpoint: str | Path) -> VolumeClassification:
    from covidlit.tasks import VolumeClassification

    if not isinstance(task, VolumeClassification):
        raise ExplainError(
            f"heatmaps show classifications, this is a {type(task).__name__}.", where=checkpoint
        )
    return task
