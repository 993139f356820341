"""Export the network of a checkpoint to ONNX and OpenVINO, proved against PyTorch on real scans.

`covidlit.deploy.graph` says what the exported graph takes and gives.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from covidlit.checkpoints.file import load_checkpoint, read_record
from covidlit.checkpoints.of_run import model_of_run
from covidlit.checkpoints.record import RunRecord
from covidlit.checkpoints.weights import scoring_hash
from covidlit.cohort.scan_sources import find_scans
from covidlit.deploy.engine import Engine
from covidlit.deploy.exported import (
    FILES,
    SIDECAR,
    ExportRecord,
    HeatExport,
    SliceExportRecord,
    default_folder,
    is_export,
)
from covidlit.deploy.exported_engine import ExportedEngine
from covidlit.deploy.extras import require_extra
from covidlit.deploy.file_hash import file_hash
from covidlit.deploy.folders import folder_beside, swap_folder
from covidlit.deploy.graph import VolumeScorer, write_onnx, write_openvino
from covidlit.deploy.parity import SPREAD, largest_difference, spread_of
from covidlit.deploy.preparation import prepare_ahead
from covidlit.deploy.torch_engine import AUTOCAST, TorchEngine
from covidlit.deploy.winograd import use_fewer_products
from covidlit.dicom import Checks
from covidlit.errors import ConfigError, ExportError
from covidlit.files import check_writable, keep_permissions, write_json
from covidlit.models.layers import check_choice
from covidlit.preprocess import Geometry
from covidlit.tasks.classifier import ClassifierMixin
from covidlit.tasks.load import load_segmenter
from covidlit.version import __version__

WriteHeat = Callable[[Any, RunRecord, NDArray[np.int16], Path], HeatExport | None]
"""Writes the graph of heatmaps of a task into a folder, compared on volumes (n, z, y, x)."""

_ENGINES = {"onnx": "onnxruntime", "openvino": "openvino"}
_PACKAGES = {"onnx": ("onnx", "onnxscript", "onnxruntime"), "openvino": ("openvino",)}


def export(
    checkpoint: str | Path,
    scans: str | Path,
    out: str | Path | None = None,
    *,
    formats: Sequence[str] | None = None,
    tolerance: float = 1e-4,
    n_scans: int = 8,
    override: Iterable[str] = (),
    heat: WriteHeat | None = None,
) -> ExportRecord | SliceExportRecord:
    """Write `model.onnx`, `model.xml` with `model.bin`, and `model.json`, all of them or none.

    Each format is run by its engine on real scans and compared with PyTorch in float32. A network
    that segments slices is written as three graphs of OpenVINO (`covidlit.deploy.slice_graphs`).

    Args:
        checkpoint: of `covidlit train`, or the folder of its run.
        scans: a folder with DICOM series or images, or a manifest: what scores are compared on.
        out: the folder; an export that is there is replaced. None: `exported/<name>` beside the
            checkpoint, where `covidlit predict --engine` looks.
        formats: "onnx", "openvino" or both; None: all that there are of such a network.
        tolerance: the largest difference of a score that is allowed; of what is found in slices,
            see `covidlit.deploy.slice_parity.LIMITS`.
        n_scans: how many of the scans are compared, evenly spaced among those found; at least 2.
        override: names of DICOM checks to switch off.
        heat: writes the graph of heatmaps as well, for OpenVINO:
            `covidlit.explain.heat_export.export_heat`.

    Returns:
        What `model.json` says.

    Raises:
        CheckpointError: the checkpoint is missing, damaged, untrusted or of another model.
        ExportError: a difference above the tolerance; scores too much alike to show one; fewer than
            two scans that can be scored; a network that cannot be exported; `out` holds something
            else. Nothing is written then.
        ConfigError: an argument out of its range; or a package is not installed.
    """
    _check(formats, tolerance, n_scans)
    checkpoint = network_to_export(checkpoint)
    content = load_checkpoint(checkpoint)  # before its hash: says what is wrong with it
    of_slices = read_record(content, checkpoint).preprocess.kind == "slices"
    formats = _formats(formats, of_slices)
    folder = default_folder(checkpoint) if out is None else Path(out)
    _check_folder(folder)
    known: dict[str, Any] = {
        "checkpoint": checkpoint.name,
        "checkpoint_sha256": file_hash(checkpoint),
        "scoring_sha256": scoring_hash(content),
        "versions": _versions(formats, of_slices),
        "tolerance": tolerance,
    }
    del content
    if of_slices:
        return _export_slices(checkpoint, scans, folder, n_scans, override, known)
    torch_engine = TorchEngine(checkpoint, device="cpu", float32=True)
    known["precision"] = torch_engine.precision
    record = torch_engine.record
    volumes = parity_volumes(scans, record, n_scans, override)
    reference = _scores(torch_engine, volumes, batch_size=1)
    spread = spread_of(reference)
    if not spread > SPREAD * tolerance:
        raise ExportError(
            f"PyTorch's scores of the {len(volumes)} scans lie within {spread:.1e} of each other: "
            f"too much alike to show a difference of {tolerance:.0e}.",
            where=scans,
            fix="give scans of different classes, or train the network until its scores spread.",
        )
    exported: dict[str, list[Any]] = {}
    with folder_beside(folder) as name:
        temporary = Path(name, "export")
        temporary.mkdir()
        # Before the network is changed for the other graphs.
        wanted = heat if "openvino" in formats else None
        of_heat = None if wanted is None else wanted(torch_engine.task, record, volumes, temporary)
        files = _write(torch_engine, formats, temporary)
        result = ExportRecord(
            record=record,
            files=files,  # type: ignore[arg-type]
            differences={},
            n_scans=len(volumes),
            spread=spread,
            heat=of_heat,
            **known,
        )
        for kind in formats:
            engine = ExportedEngine(temporary, result, _ENGINES[kind], None)
            # In pairs: a graph that took the batch for one scan would show it.
            exported[kind] = _scores(engine, volumes, batch_size=2)
        differences = {
            kind: largest_difference(reference, scores) for kind, scores in exported.items()
        }
        check_differences(differences, tolerance, checkpoint)
        result = ExportRecord.model_validate(
            result.model_dump()
            | {
                "differences": differences,
                "precision_difference": _of_the_runs_precision(
                    checkpoint, torch_engine.precision, volumes, exported
                ),
            }
        )
        _put_in_place(result, temporary, folder)
    return result


def _export_slices(
    checkpoint: Path,
    scans: str | Path,
    folder: Path,
    n_scans: int,
    override: Iterable[str],
    known: dict[str, Any],
) -> SliceExportRecord:
    from covidlit.deploy.slice_export import export_slices

    with folder_beside(folder) as name:
        temporary = Path(name, "export")
        temporary.mkdir()
        result = export_slices(
            load_segmenter(checkpoint), scans, temporary, n_scans=n_scans, override=override,
            **known,
        )  # fmt: skip
        _put_in_place(result, temporary, folder)
    return result


def _put_in_place(result: ExportRecord | SliceExportRecord, temporary: Path, folder: Path) -> None:
    """Write the record beside the exported files, and put them where they belong."""
    write_json(temporary / SIDECAR, result.model_dump(mode="json"))
    if folder.exists():
        keep_permissions(temporary, folder)
    swap_folder(temporary, folder)


def network_to_export(model: str | Path) -> Path:
    """The checkpoint of a model: of a run's folder the one that the run was judged by.

    Raises:
        ExportError: it is an export already, or a classical baseline.
        CheckpointError: a folder that holds no model.
    """
    path = Path(model)
    if path.is_dir() and not is_export(path):
        path = model_of_run(path)
    if path.is_dir() or path.suffix == ".skops":
        what = "an export" if path.is_dir() else "a classical baseline"
        raise ExportError(
            f"this is {what}: networks of checkpoints are exported.",
            where=model,
            fix="give the folder of a network's run, or a checkpoint in it.",
        )
    return path


def check_differences(differences: dict[str, float], tolerance: float, where: object) -> None:
    """Raise an ExportError that names the formats whose difference is above the tolerance."""
    over = {kind: value for kind, value in differences.items() if not value <= tolerance}
    if over:
        named = ", ".join(f"{kind} {value:.2e}" for kind, value in over.items())
        raise ExportError(
            f"the exported scores differ from PyTorch's by more than {tolerance:.0e}: {named}. "
            "Nothing was written.",
            where=where,
            fix="use engine=torch for this network, or allow more with a larger tolerance.",
        )


def parity_volumes(
    path: str | Path, record: RunRecord, n_scans: int, override: Iterable[str] = ()
) -> NDArray[np.int16]:
    """Prepare some of the scans at a path: int16 HU (n, z, y, x), evenly spaced among those found.

    Raises:
        ExportError: fewer than two could be read.
    """
    wanted = record.volume_input
    overridden = frozenset(wanted.override_checks) | frozenset(override)
    checks = Checks(wanted.min_slices, overridden, wanted.image_orientation)
    found = find_scans(path, checks)
    readable = [source for source in found if source.read is not None]
    places = np.linspace(0, len(readable) - 1, min(n_scans, len(readable))).round().astype(int)
    geometry = Geometry(wanted.geometry.spacing, wanted.geometry.size)
    done = [one for _, one in prepare_ahead([readable[k] for k in places], geometry)]
    volumes = [one.prepared.array for one in done if one.prepared is not None]
    if len(volumes) < 2:
        reasons = {one.reason for one in done} | {source.reason for source in found} - {""}
        why = f" ({'; '.join(sorted(reasons - {''})[:3])})" if reasons - {""} else ""
        raise ExportError(
            f"{len(volumes)} of {len(found)} scans could be read, at least 2 are needed{why}.",
            where=path,
            fix="give a folder or manifest with several usable scans.",
        )
    return np.stack(volumes)


def _write(engine: TorchEngine, formats: Sequence[str], folder: Path) -> dict[str, str]:
    """Write the files of all formats; returns the hash of each. Changes the engine's network."""
    task, wanted = engine.task, engine.record.volume_input
    if not isinstance(task, ClassifierMixin):
        raise ExportError(
            f"a {type(task).__name__} cannot be exported, only a classification.",
            fix="use engine=torch.",
        )
    onnx_path = folder / FILES["onnx"][0]
    use_fewer_products(task.net)
    scorer = VolumeScorer(task.net, task.scores, wanted.window)
    write_onnx(scorer, wanted.geometry.size, onnx_path)
    if "openvino" in formats:
        write_openvino(onnx_path, folder / FILES["openvino"][0])
    if "onnx" not in formats:
        onnx_path.unlink()
    return {name: file_hash(folder / name) for kind in formats for name in FILES[kind]}


def _scores(engine: Engine, volumes: NDArray[np.int16], batch_size: int) -> list[Any]:
    starts = range(0, len(volumes), batch_size)
    return [one for k in starts for one in engine.scores(volumes[k : k + batch_size])]


def _of_the_runs_precision(
    checkpoint: str | Path,
    precision: str,
    volumes: NDArray[np.int16],
    exported: dict[str, list[Any]],
) -> float | None:
    if precision not in AUTOCAST:
        return None
    mixed = _scores(TorchEngine(checkpoint, device="cpu"), volumes, batch_size=1)
    return max(largest_difference(mixed, scores) for scores in exported.values())


def _check(formats: Sequence[str] | None, tolerance: float, n_scans: int) -> None:
    if formats is not None and not formats:
        raise ConfigError("at least one format is needed.", where="formats", fix="use openvino.")
    for kind in formats or ():
        check_choice(kind, tuple(FILES), "formats")
    if not 0 < tolerance < 1:
        raise ConfigError(
            f"the tolerance must lie between 0 and 1, got {tolerance}.", where="tolerance",
            fix="use 1e-4.",
        )  # fmt: skip
    if n_scans < 2:
        raise ConfigError(f"must be at least 2, got {n_scans}.", where="n_scans", fix="use 8.")


def _formats(formats: Sequence[str] | None, of_slices: bool) -> tuple[str, ...]:
    """Those that are written, whose packages are here."""
    chosen = tuple(formats or (("openvino",) if of_slices else tuple(FILES)))
    if of_slices and "onnx" in chosen:
        raise ExportError(
            "a network that segments slices is exported for OpenVINO alone: torch.onnx takes "
            "minutes over slices of any size.",
            where="formats",
            fix="use --format openvino, or leave it out.",
        )
    # ONNX is the way to OpenVINO as well.
    way = () if of_slices else _PACKAGES["onnx"][:2]
    for package in {*way, *(one for kind in chosen for one in _PACKAGES[kind])}:
        require_extra(package)
    return chosen


def _check_folder(folder: Path) -> None:
    if folder.exists() and not is_export(folder) and (not folder.is_dir() or any(folder.iterdir())):
        raise ExportError(
            "there is something else than an export.", where=folder, fix="choose a new folder."
        )
    check_writable(folder / SIDECAR)


def _versions(formats: Sequence[str], of_slices: bool) -> dict[str, str]:
    way = ("torchvision",) if of_slices else ("onnx", "onnxscript")
    packages = ["torch", *way, *(_ENGINES[kind] for kind in formats)]
    return {"covidlit": __version__} | {name: version(name) for name in packages}
