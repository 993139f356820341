"""Pictures of a run's test scans with their heatmaps, one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from covidlit.datamodules.volume_dataset import apply_window
from covidlit.errors import CovidlitError
from covidlit.explain.explain import explain_image
from covidlit.explain.heat_files import picture_title
from covidlit.explain.lung_heat import heat_in_lung
from covidlit.explain.overlay import hottest_slices, overlay_png
from covidlit.explain.run_sources import positive_target, scans_of
from covidlit.preprocess import prepare_scan

if TYPE_CHECKING:
    from covidlit.datamodules import VolumeDataModule
    from covidlit.tasks import VolumeClassification


class CasePictures:
    """Reads a test scan of a run, explains it, and draws the hottest slice.

    Args:
        task: the trained classification.
        datamodule: of the run.
        layer: of the network's `explainable_layers()`.
        method: one of `covidlit.explain.METHODS`.
        scale: heat of the colour bar's upper end.
    """

    def __init__(
        self,
        task: VolumeClassification,
        datamodule: VolumeDataModule,
        layer: str,
        method: str,
        scale: float,
    ) -> None:
        self.task, self.datamodule = task, datamodule
        self.layer, self.method, self.scale = layer, method, scale
        part = scans_of(datamodule, "test", positive_target(task))
        self._sources = {source.scan_id: source for source in part.sources}

    def has(self, scan_id: str) -> bool:
        """Whether it is a test scan of the run."""
        return scan_id in self._sources

    def picture(
        self, scan_id: str, score: float, threshold: float | None = None
    ) -> tuple[bytes, float, float | None]:
        """The picture (PNG) of a test scan, its largest heat, and the share inside the lungs.

        Args:
            scan_id: of the scan.
            score: to be printed.
            threshold: from which a scan is called positive, to be printed; None: it is not.

        Raises:
            CovidlitError: the run has no such test scan, or it cannot be read any more.
        """
        source = self._sources.get(scan_id)
        if source is None or source.read is None:
            raise CovidlitError(f"the run has no test scan {scan_id!r} that can be read.")
        scan = source.read()
        prepared = prepare_scan(scan, self.datamodule.geometry)
        image = torch.from_numpy(prepared.array.astype(np.float32))[None, None]
        image = apply_window(image, self.datamodule.window).to(self.task.device)
        heatmap = explain_image(self.task, image, self.layer, self.method, prepared.affine)
        z, y, x = scan.hu.shape
        heat = heatmap.on((z, y, x), scan.affine)
        largest, mean = heat.max(axis=(1, 2)), heat.mean(axis=(1, 2))
        slices = hottest_slices(largest, mean, scan.spacing[0], 1)
        title = picture_title(scan_id, score, threshold)
        png = overlay_png(scan, heat, self.scale, slices=slices, title=title)
        return png, heatmap.maximum, heat_in_lung(heatmap, prepared)
