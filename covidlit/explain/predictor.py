"""`covidlit.Predictor`: a trained network as one object that scores and explains scans."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from covidlit.checkpoints.given import Given
from covidlit.cohort.scan_sources import find_scans, refusal_reason
from covidlit.deploy import load_engine
from covidlit.deploy.predict import predict_with
from covidlit.deploy.run_facts import facts_of_run
from covidlit.deploy.torch_engine import find_device
from covidlit.dicom import Checks
from covidlit.errors import ConfigError
from covidlit.explain.heat_engine import HeatEngine, load_heat_engine
from covidlit.explain.heat_files import TABLE
from covidlit.explain.predicted import heatmaps_of_scored, network_of
from covidlit.explain.write import HeatmapWriter
from covidlit.preprocess import prepare_scan
from covidlit.tables import read_table
from covidlit.tasks.threads import torch_threads

if TYPE_CHECKING:
    from covidlit.checkpoints.record import RunRecord
    from covidlit.preprocess import Geometry


@dataclass(frozen=True)
class ScanHeat:
    """The heat of one scan, on the scan's own grid.

    Args:
        scan_id, path: as in the table of scores.
        score: of the class of interest, from the same pass through the network.
        heat: float32 (z, y, x), not negative, on one absolute scale for all scans of the network.
        affine: (4, 4), index (z, y, x, 1) of `heat` to LPS millimetres (x, y, z, 1).
        hu: int16 (z, y, x), the scan itself on the same grid.
        reason: why there is no heat (`score`, `heat`, `affine` and `hu` are None then); else empty.
    """

    scan_id: str
    path: str
    score: float | None = None
    heat: NDArray[np.float32] | None = None
    affine: NDArray[np.float64] | None = None
    hu: NDArray[np.int16] | None = None
    reason: str = ""


class Predictor:
    """A trained network, loaded once; call it with a path as often as needed.

    ```python
    predictor = covidlit.Predictor("runs/csacnet/DATE")
    table = predictor("NEW_DICOM_DIR", heatmaps="heat")
    ```

    Args:
        model: the folder of a run; a checkpoint of `covidlit train`, or one that a Trainer of your
            own wrote of a task of covidlit; a folder of `covidlit export`; a `model.skops`.
        engine, device, threads: see `covidlit.deploy.load_engine`.
        geometry, window, min_slices, override_checks, operating_point, classes, image_orientation:
            what the checkpoint's record lacks; see `covidlit.checkpoints.given.Given`. A Trainer
            whose datamodule is covidlit's leaves there how scans are prepared, your own loaders
            leave nothing.

    Attributes:
        engine: runs the network.
        run: what the folder of its run says of its test and of the scans that it has seen, or None.

    Raises:
        CheckpointError: the checkpoint is missing, damaged, untrusted, of another model, or says
            too little: the message names the arguments that are to be given.
        ExportError: the export is missing, damaged or of another state of the checkpoint.
        ConfigError: an argument out of its range, or one that contradicts the checkpoint.
    """

    def __init__(
        self,
        model: str | Path,
        *,
        engine: str = "auto",
        device: str = "auto",
        threads: int | None = None,
        geometry: Geometry | Mapping[str, Any] | None = None,
        window: Sequence[float] | None = None,
        min_slices: int | None = None,
        override_checks: Sequence[str] | None = None,
        operating_point: float | None = None,
        classes: Sequence[str] | None = None,
        image_orientation: str | None = None,
    ) -> None:
        self.model = Path(model)
        self.device, self.threads, self._engine = device, threads, engine
        self._given = Given(
            geometry, window, min_slices, override_checks, operating_point, classes,
            image_orientation,
        )  # fmt: skip
        self.engine = load_engine(model, engine, device=device, threads=threads, given=self._given)

        self.run = facts_of_run(self.model, self.record)

    @property
    def record(self) -> RunRecord:
        """What is known of the network's training; with what was given."""
        return self.engine.record

    @cached_property
    def _with_heat(self) -> HeatEngine | None:
        return load_heat_engine(self.model, self._engine, device=self.device, threads=self.threads)

    def __repr__(self) -> str:
        return f"Predictor({str(self.model)!r}, {self.engine.name})"

    def __call__(
        self,
        path: str | Path,
        *,
        heatmaps: str | Path | None = None,
        layer: str | None = None,
        method: str | None = None,
        heat_scale: float | None = None,
        **arguments: Any,
    ) -> pd.DataFrame:
        """Score every scan at a path, exactly as `covidlit predict` does.

        Args:
            path: a folder with DICOM series (or images), one image or DICOM file, or a manifest.
            heatmaps: folder for a heatmap of each scan, as NIfTI and PNG, and `heatmaps.csv`.
            layer, method: of the heatmaps; see `covidlit.explain.HeatmapWriter`.
            heat_scale: heat of the colour bar's upper end; None: the one that the checkpoint
                carries.
            **arguments: of `covidlit.deploy.predict.predict_with`: batch_size, n_jobs, backend,
                override, image_orientation, strict, progress.

        Returns:
            The table of `predict_with`; with `heatmaps` also the columns `heatmap` and `picture`,
            the paths of what was written for each scan, null where there is none.

        Raises:
            CovidlitError: no such path, no scan there, (strict) a scan was refused, or heatmaps
                of an exported network or a classical baseline.
        """
        path = path_of(path)
        engine, on_scored = self.engine, None
        with ExitStack() as stack:
            if heatmaps is not None:
                chosen: dict[str, Any] = {"scale": heat_scale}
                with_heat = self._with_heat if layer is None and method is None else None
                if with_heat is None:
                    chosen |= {
                        "layer": layer, "method": method, "device": find_device(self.device),
                        "given": self._given,
                    }  # fmt: skip
                engine = with_heat or engine
                on_scored = stack.enter_context(
                    heatmaps_of_scored(
                        self.model, heatmaps, threads=self.threads, engine=with_heat, **chosen
                    )
                )
            table = predict_with(engine, path, on_scored=on_scored, run=self.run, **arguments)
        return table if heatmaps is None else _with_files(table, Path(heatmaps))

    def heatmaps(
        self,
        path: str | Path,
        *,
        layer: str | None = None,
        method: str | None = None,
        override: Iterable[str] = (),
    ) -> Iterator[ScanHeat]:
        """Yield the heat of every scan at a path as arrays, one scan in memory at a time.

        Args:
            path, override: see `__call__`.
            layer, method: see `covidlit.explain.HeatmapWriter`.

        Raises:
            CovidlitError: see `__call__`.
        """
        # Nothing is drawn or written, so that the scale of the colours does not matter.
        writer = HeatmapWriter(
            network_of(self.model), Path(), layer=layer, method=method, scale=1.0,
            device=find_device(self.device), given=self._given,
        )  # fmt: skip
        wanted = self.record.volume_input
        checks = Checks(
            wanted.min_slices,
            frozenset(wanted.override_checks) | frozenset(override),
            wanted.image_orientation,
        )
        return self._heats(writer, path, checks)

    def _heats(self, writer: HeatmapWriter, path: str | Path, checks: Checks) -> Iterator[ScanHeat]:
        for source in find_scans(path_of(path), checks):
            if source.read is None:
                yield ScanHeat(source.scan_id, source.path, reason=source.reason)
                continue
            try:
                scan = source.read()
                with torch_threads(self.threads):
                    found = writer.explain(prepare_scan(scan, writer.geometry))
                z, y, x = scan.hu.shape
                heat = found.on((z, y, x), scan.affine)
            except Exception as error:  # one odd file must not cost all others
                yield ScanHeat(source.scan_id, source.path, reason=refusal_reason(error))
            else:
                yield ScanHeat(source.scan_id, source.path, found.score, heat, scan.affine, scan.hu)


def path_of(path: object) -> Path:
    """The path of scans that were asked for.

    Raises:
        ConfigError: it is no path; several go into a manifest, or into a folder of their own.
    """
    if isinstance(path, str | os.PathLike):
        return Path(path)
    raise ConfigError(
        f"it must be one path, not {type(path).__name__}.",
        where="path",
        fix="give a folder, a file or a manifest; call it once for each of several.",
    )


def _with_files(table: pd.DataFrame, folder: Path) -> pd.DataFrame:
    """The table of scores with the files of each scan's heatmap."""
    made = read_table(folder / TABLE)
    keys = [
        pd.MultiIndex.from_frame(some[["scan_id", "path"]].astype("string").fillna(""))
        for some in (made, table)
    ]
    for column, file in (("heatmap", "nifti"), ("picture", "png")):
        paths = dict(zip(keys[0], (str(folder / str(name)) for name in made[file]), strict=True))
        table[column] = pd.array([paths.get(key) for key in keys[1]], dtype="string")
    return table
