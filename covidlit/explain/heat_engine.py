"""An exported network that gives scores and heat in one pass."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from covidlit.arguments import n_cores
from covidlit.checkpoints.of_run import model_of_run
from covidlit.deploy.engine import check_volumes, on_threads
from covidlit.deploy.exported import (
    HEAT_FILES,
    SIDECAR,
    ExportRecord,
    check_export,
    default_folder,
    is_export,
    read_export_record,
)
from covidlit.deploy.exported_engine import compile_openvino
from covidlit.deploy.extras import require_extra
from covidlit.deploy.meanwhile import import_meanwhile, started
from covidlit.explain.guided_map import guided_map
from covidlit.explain.heatmap import Heatmap
from covidlit.models.voxel_grid import VoxelGrid
from covidlit.preprocess.geometry import Prepared

ENGINE = "openvino"


class _Pass(NamedTuple):
    """Of one volume (z, y, x) its score, or one per class, and the two parts of its heat."""

    hu: NDArray[np.int16]
    score: Any
    region: NDArray[np.float32]
    effect: NDArray[np.float32]


class HeatEngine:
    """An `Engine` whose passes give the heat too; it keeps that of the volumes it scored last.

    Args:
        folder: of the export.
        export: what `read_export_record` returned, with a graph of heat.
        threads: how many; None: one per core.
        checkpoint: that it has to be an export of; None: the one it stands beside.
        ahead: see `covidlit.deploy.load.load_engine`.

    Raises:
        ConfigError: OpenVINO is not installed.
        ExportError: see `read_export`.
    """

    def __init__(
        self,
        folder: Path,
        export: ExportRecord,
        threads: int | None,
        *,
        checkpoint: str | Path | None = None,
        ahead: bool = False,
    ) -> None:
        assert export.heat is not None
        self.record, self.heat = export.record, export.heat
        threads = threads or n_cores()
        self.name = on_threads(ENGINE, threads)
        require_extra(ENGINE)

        def opened() -> Any:
            check_export(folder, export, HEAT_FILES, checkpoint)
            graph = folder / HEAT_FILES[0]
            return compile_openvino(graph, threads, keep=True).create_infer_request()

        self._request: Callable[[], Any] = started(opened, ahead)
        self._last: list[_Pass] = []

    def scores(self, hu: NDArray[np.int16]) -> list[Any]:
        """See `Engine.scores`."""
        check_volumes(hu, self.record)
        import_meanwhile("matplotlib.figure")  # which draws the heat
        self._last = [self._run(volume) for volume in hu]
        return [one.score for one in self._last]

    def heatmap(self, prepared: Prepared) -> Heatmap:
        """The heatmap of a prepared scan; computed with its score if that was asked for last.

        Raises:
            CovidlitError: it holds values that are not finite.
        """
        hu = prepared.array
        known = (one for one in self._last if np.array_equal(one.hu, hu))
        found = next(known, None) or self._run(hu)
        values = guided_map(
            found.region,
            found.effect,
            VoxelGrid(self.heat.step, self.heat.first),
            self.record.volume_input.geometry.spacing,
        )
        score = found.score if isinstance(found.score, float) else found.score[self.heat.output]
        z, y, x = hu.shape
        return Heatmap(
            values,
            VoxelGrid(),
            (z, y, x),
            prepared.affine,
            self.heat.layer,
            self.heat.method,
            score,
        )

    def _run(self, hu: NDArray[np.int16]) -> _Pass:
        # Copies: the runtime's own memory is written again by the next pass.
        found = self._request().infer([np.ascontiguousarray(hu)[None]]).values()
        score, region, effect = (np.array(one) for one in found)
        return _Pass(hu, score.astype(np.float64)[0].tolist(), region, effect)


def load_heat_engine(
    model: str | Path,
    engine: str = "auto",
    *,
    device: str = "auto",
    threads: int | None = None,
    ahead: bool = False,
) -> HeatEngine | None:
    """The engine that gives scores and heat in one pass; None where that takes PyTorch.

    None as well where something is wrong with the arguments, which
    `covidlit.deploy.load.load_engine` tells.

    Args:
        model: a checkpoint with its export beside it, the folder of a run, or of an export.
        engine: what was asked for to compute scores; "auto" takes the export of a folder alone.
        device, threads, ahead: see `load_engine`.

    Raises:
        ExportError: the export is missing a file, damaged or of another state of the checkpoint.
        CheckpointError: a folder that holds no model.
    """
    exported = is_export(model)
    if engine not in ({ENGINE, "auto"} if exported else {ENGINE}) or device not in ("auto", "cpu"):
        return None
    if threads is not None and threads < 1:
        return None
    if Path(model).is_dir() and not exported:
        model = model_of_run(model)
    folder = Path(model) if exported else default_folder(model)
    if not (folder / SIDECAR).is_file() or not Path(model).exists():
        return None
    export = read_export_record(folder, ENGINE)
    if export.heat is None:
        return None
    return HeatEngine(folder, export, threads, checkpoint=None if exported else model, ahead=ahead)
