"""Heatmaps of scans as files: NIfTI in the source's geometry, a PNG, and a row of the table."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from covidlit.checkpoints.given import Given, complete_record
from covidlit.checkpoints.weights import weights_hash
from covidlit.datamodules.volume_dataset import apply_window
from covidlit.deploy.score_text import score_texts
from covidlit.errors import ConfigError
from covidlit.explain.explain import (
    METHODS,
    check_method,
    default_layer,
    explain_image,
    lung_value,
    map_of,
    output_of,
)
from covidlit.explain.heatmap import Heatmap
from covidlit.explain.layers import ExplainError, layer_of
from covidlit.explain.nifti import packed_heat
from covidlit.explain.overlay import hottest_slices, overlay_png, slice_inches
from covidlit.explain.scale import require_scale
from covidlit.files import check_replaceable, write_bytes, write_json
from covidlit.names import check_name
from covidlit.preprocess import Geometry, Prepared, prepare_scan
from covidlit.preprocess.body import body_mask
from covidlit.scans.scan import Scan
from covidlit.tasks.classifier import Classifier
from covidlit.tasks.load import load_for_prediction, load_task

if TYPE_CHECKING:
    from covidlit.lesions import LesionLabels
    from covidlit.tasks import VolumeClassification

COLUMNS = (
    "scan_id", "path", "score", "layer", "method", "scale", "max", "mean_in_body", "peak_x_mm",
    "peak_y_mm", "peak_z_mm", "input_x_mm", "input_y_mm", "input_z_mm", "nifti", "png", "status",
    "reason",
)  # fmt: skip
"""Of `heatmaps.csv`; the peak, and the first voxel of the network's input, are in LPS, the patient
space of DICOM."""


@dataclass(frozen=True)
class WrittenHeatmap:
    """What was written for one scan.

    Args:
        heatmap: the heat itself.
        row: of `heatmaps.csv`, `COLUMNS` by name.
        png: the picture, as it was written.
    """

    heatmap: Heatmap
    row: dict[str, Any]
    png: bytes


def heatmap_files(folder: Path, name: str) -> tuple[Path, Path]:
    """The NIfTI and the picture of a scan.

    Raises:
        ExplainError: `name` is no name of a file (contract 12).
    """
    check_name(name, "name of a heatmap", ExplainError)
    return folder / f"{name}.heat.nii.gz", folder / f"{name}.png"


class HeatmapWriter:
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
    ) -> None:
        if n_slices < 1:
            raise ConfigError(f"n_slices must be at least 1, got {n_slices}.", where="n_slices")
        if scale is not None and not scale > 0:
            raise ConfigError(f"scale must be greater than 0, got {scale}.", where="scale")
        self.task: Classifier | VolumeClassification = _classifier(checkpoint).to(device)
        # The task carries it: reading the checkpoint a second time would cost seconds.
        self.record = complete_record(self.task.record, given, checkpoint)
        self.layer = layer or default_layer(self.task.net)
        self.method = check_method(method or METHODS[0])
        layer_of(self.task.net, self.layer)
        self.scale = scale or require_scale(self.record, self.layer, self.method, checkpoint)
        self.out_dir = Path(out_dir)
        self.n_slices = n_slices
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
        nifti, picture = heatmap_files(self.out_dir, name)
        # Nobody else ends a name in .heat.nii.gz or .heat.json: beside one the picture is ours too.
        own = (nifti, self._finished(name))
        check_replaceable(picture, lambda _: any(file.exists() for file in own), "covidlit")
        prepared = prepared or prepare_scan(scan, self.geometry)
        heatmap = self.explain(prepared)
        score = heatmap.score if score is None else score
        z, y, x = scan.hu.shape
        heat = heatmap.on((z, y, x), scan.affine)
        slices = hottest_slices(heat, scan.spacing[0], self.n_slices)
        with ThreadPoolExecutor(1) as pool:  # packing the heat does without Python's lock
            packing = pool.submit(packed_heat, heat, scan.affine)
            png = overlay_png(
                scan, heat, self.scale, slices=slices,
                title=f"{name[:16]}   score {self.text_of(score)}",
                inches=slice_inches(self.n_slices),
                lesion=None if labels is None else labels.classes > 1,
            )  # fmt: skip
        self._finished(name).unlink(missing_ok=True)  # what it says is true of the old files only
        write_bytes(nifti, packing.result())
        write_bytes(picture, png)
        peak, first = heatmap.peak_mm, prepared.affine[:3, 3].tolist()
        row = {
            "scan_id": name, "score": score, "layer": self.layer, "method": self.method,
            "scale": self.scale, "max": heatmap.maximum,
            "mean_in_body": mean_in_body(heatmap, prepared), "peak_x_mm": peak[0],
            "peak_y_mm": peak[1], "peak_z_mm": peak[2],
            "input_x_mm": first[0], "input_y_mm": first[1], "input_z_mm": first[2],
            "nifti": nifti.name, "png": picture.name, "status": "ok", "reason": None,
        }  # fmt: skip
        return WrittenHeatmap(heatmap, row, png)

    def text_of(self, score: float | None) -> str:
        """A score, where there is one, with as many digits as tell it from the operating point."""
        return score_texts([score], self.record.operating_point)[0]

    def finish(self, name: str, made_from: str, row: dict[str, Any]) -> None:
        """Keep the row of a written scan, and a hash of what it was made from, beside its files."""
        write_json(self._finished(name), {"made_from": made_from, "row": row})

    def _finished(self, name: str) -> Path:
        return self.out_dir / f"{name}.heat.json"


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


def mean_in_body(heatmap: Heatmap, prepared: Prepared) -> float | None:
    """Mean heat where the network saw the patient, air in the lungs included; None without one."""
    body = body_mask(prepared.array)
    return float(heatmap.on_input()[body].mean()) if body.any() else None
