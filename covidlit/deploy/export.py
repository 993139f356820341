"""Export the network of a checkpoint to ONNX and OpenVINO, proved against PyTorch on real scans.

`covidlit.deploy.graph` says what the exported graph takes and gives, `covidlit.deploy.parity` what
is compared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from covidlit.checkpoints.file import load_checkpoint, read_record
from covidlit.checkpoints.of_run import model_of_run
from covidlit.checkpoints.record import RunRecord
from covidlit.checkpoints.weights import scoring_hash
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
from covidlit.deploy.int8 import METHOD, write_int8
from covidlit.deploy.parity import (
    SPREAD,
    check_parity,
    largest_difference,
    score_parity,
    spread_of,
)
from covidlit.deploy.parity_record import Tolerances
from covidlit.deploy.parity_scans import LEAST_CALIBRATION, ParityScans, Volumes, parity_scans
from covidlit.deploy.precisions import (
    N_SCANS,
    TOLERANCE,
    WITH_TORCH,
    Precision,
    known_precision,
    processor,
    require_precision,
)
from covidlit.deploy.torch_engine import AUTOCAST, TorchEngine
from covidlit.deploy.winograd import use_fewer_products
from covidlit.errors import ConfigError, ExportError
from covidlit.files import check_writable, keep_permissions, require_path, write_json
from covidlit.models.layers import check_choice
from covidlit.progress import progress_bar
from covidlit.tasks.classifier import ClassifierMixin
from covidlit.tasks.load import load_segmenter
from covidlit.version import __version__

WriteHeat = Callable[[Any, RunRecord, Volumes, Path], HeatExport | None]
"""Writes the graph of heatmaps of a task into a folder, compared on volumes (n, z, y, x)."""

_ENGINES = {"onnx": "onnxruntime", "openvino": "openvino"}
_PACKAGES = {"onnx": ("onnx", "onnxscript", "onnxruntime"), "openvino": ("openvino",)}


def export(
    checkpoint: str | Path,
    scans: str | Path,
    out: str | Path | None = None,
    *,
    formats: Sequence[str] | None = None,
    precision: str = "f32",
    tolerance: float | None = None,
    auc_tolerance: float = 0.002,
    changed_calls: float = 1 / 300,
    n_scans: int | None = None,
    n_calibration: int = 32,
    override: Iterable[str] = (),
    progress: bool = False,
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
        formats: "onnx", "openvino" or both; None: all that there are of such a network, in such a
            precision.
        precision: "f32"; "bf16", where the processor has it; or "int8", by NNCF (an extra). The
            last two are of a network that scores scans, for OpenVINO alone.
        tolerance: the largest difference of a score that is allowed; None: see `TOLERANCE`; of what
            is found in slices, see `covidlit.deploy.slice_parity.LIMITS`.
        auc_tolerance: the largest difference of the AUC that is allowed, where the scans' classes
            are known (a manifest, and a label rule in the checkpoint).
        changed_calls: the largest share of scans that may be called otherwise.
        n_scans: how many of the scans are compared, evenly spaced among those found; at least 2;
            None: see `N_SCANS`.
        n_calibration: of how many other scans int8 takes the ranges of activations; half of those
            found at most.
        override: names of DICOM checks to switch off.
        progress: show bars.
        heat: writes the graph of heatmaps as well, for OpenVINO in float32, whose scores are those
            of the graph: `covidlit.explain.heat_export.export_heat`.

    Returns:
        What `model.json` says.

    Raises:
        CheckpointError: the checkpoint is missing, damaged, untrusted or of another model.
        ExportError: a difference above the tolerance; scores too much alike to show one; fewer than
            two scans that can be scored; a network that cannot be exported; `out` holds something
            else. Nothing is written then.
        ConfigError: an argument out of its range; or a package is not installed.
    """
    _check(formats, n_scans, n_calibration)
    precision = known_precision(precision)
    allowed = _tolerances(
        TOLERANCE[precision] if tolerance is None else tolerance, auc_tolerance, changed_calls
    )
    require_path(scans)
    checkpoint = network_to_export(checkpoint)
    content = load_checkpoint(checkpoint)  # before its hash: says what is wrong with it
    of_slices = read_record(content, checkpoint).preprocess.kind == "slices"
    formats = _formats(formats, of_slices, precision)
    n_scans = N_SCANS[precision] if n_scans is None else n_scans
    folder = default_folder(checkpoint) if out is None else Path(out)
    _check_folder(folder)
    known: dict[str, Any] = {
        "checkpoint": checkpoint.name,
        "checkpoint_sha256": file_hash(checkpoint),
        "scoring_sha256": scoring_hash(content),
        "versions": _versions(formats, of_slices, precision),
        "tolerance": allowed.score,
    }
    del content
    if of_slices:
        return _export_slices(checkpoint, scans, folder, n_scans, override, known)
    torch_engine = TorchEngine(checkpoint, device="cpu", float32=True)
    known |= {"precision": torch_engine.precision, "computes_in": precision}
    found = parity_scans(
        scans, torch_engine.record, n_scans, override,
        n_calibration=n_calibration if precision == "int8" else 0, progress=progress,
    )  # fmt: skip
    with folder_beside(folder) as name:
        temporary = Path(name, "export")
        temporary.mkdir()
        if heat is not None and "openvino" in formats and precision == "f32":
            # Before the network is changed for the other graphs.
            known["heat"] = heat(torch_engine.task, torch_engine.record, found.volumes, temporary)
        result = _export_volumes(
            torch_engine, checkpoint, found, formats, temporary, allowed, scans, known, progress
        )
        _put_in_place(result, temporary, folder)
    return result


def _export_volumes(
    torch_engine: TorchEngine,
    checkpoint: Path,
    found: ParityScans,
    formats: Sequence[str],
    folder: Path,
    allowed: Tolerances,
    scans: str | Path,
    known: dict[str, Any],
    progress: bool,
) -> ExportRecord:
    record, precision = torch_engine.record, known["computes_in"]
    reference = _scores(torch_engine, found.volumes, 1, "PyTorch" if progress else "")
    if not np.isfinite(reference).all():
        raise ExportError(
            "PyTorch's own scores of these scans are not finite.",
            where=checkpoint,
            fix="export another checkpoint of the run: the weights of this one have run away.",
        )
    spread = spread_of(reference)
    if not spread > SPREAD[precision] * allowed.score:
        raise ExportError(
            f"PyTorch's scores of the {len(reference)} scans lie within {spread:.1e} of each other:"
            f" too much alike to show a difference of {allowed.score:.0e}.",
            where=scans,
            fix="give scans of different classes, or train the network until its scores spread.",
        )
    files = _write(torch_engine, formats, precision, found.calibration, folder)
    result = ExportRecord(
        record=record,
        files=files,  # type: ignore[arg-type]
        differences={},
        n_scans=len(reference),
        spread=spread,
        tolerances=allowed,
        n_calibration=len(found.calibration),
        method=METHOD if precision == "int8" else "",
        **known,
    )
    exported: dict[str, list[Any]] = {}
    for kind in formats:
        engine = ExportedEngine(folder, result, _ENGINES[kind], None)
        # In pairs: a graph that took the batch for one scan would show it.
        exported[kind] = _scores(engine, found.volumes, 2, kind if progress else "")
    parity = {
        kind: score_parity(reference, scores, record, found.labels)
        for kind, scores in exported.items()
    }
    check_parity(parity, allowed, checkpoint, precision)
    return ExportRecord.model_validate(
        result.model_dump()
        | {
            "differences": {kind: one.largest for kind, one in parity.items()},
            "parity": {kind: one.model_dump() for kind, one in parity.items()},
            "processor": processor() if "openvino" in formats else "",
            "precision_difference": _of_the_runs_precision(
                checkpoint, torch_engine.precision, found.volumes, exported
            ),
        }
    )


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


def _write(
    engine: TorchEngine,
    formats: Sequence[str],
    precision: Precision,
    calibration: Volumes,
    folder: Path,
) -> dict[str, str]:
    """Write the files of all formats; returns the hash of each. Changes the engine's network."""
    task, wanted = engine.task, engine.record.volume_input
    if not isinstance(task, ClassifierMixin):
        raise ExportError(
            f"a {type(task).__name__} cannot be exported, only a classification.",
            fix=f"{WITH_TORCH}.",
        )
    onnx_path = folder / FILES["onnx"][0]
    if precision != "int8":  # the sums that save products would each be rounded to 8 bits
        use_fewer_products(task.net)
    scorer = VolumeScorer(task.net, task.scores, wanted.window)
    write_onnx(scorer, wanted.geometry.size, onnx_path)
    if "openvino" in formats:
        path = folder / FILES["openvino"][0]
        write_openvino(onnx_path, path)
        if precision == "int8":
            write_int8(path, calibration)
    if "onnx" not in formats:
        onnx_path.unlink()
    return {name: file_hash(folder / name) for kind in formats for name in FILES[kind]}


def _scores(engine: Engine, volumes: Volumes, batch_size: int, shown: str = "") -> list[Any]:
    """Scores of all volumes, with a bar where its name is given."""
    found: list[Any] = []
    with progress_bar(f"Scoring, {shown}", len(volumes), show=bool(shown)) as bar:
        for start in range(0, len(volumes), batch_size):
            found += engine.scores(np.array(volumes[start : start + batch_size]))
            for _ in volumes[start : start + batch_size]:
                bar.advance()
    return found


def _of_the_runs_precision(
    checkpoint: str | Path,
    precision: str,
    volumes: Volumes,
    exported: dict[str, list[Any]],
) -> float | None:
    if precision not in AUTOCAST:
        return None
    mixed = _scores(TorchEngine(checkpoint, device="cpu"), volumes, batch_size=1)
    return max(largest_difference(mixed, scores) for scores in exported.values())


def _check(formats: Sequence[str] | None, n_scans: int | None, n_calibration: int) -> None:
    if formats is not None and not formats:
        raise ConfigError("at least one format is needed.", where="formats", fix="use openvino.")
    for kind in formats or ():
        check_choice(kind, tuple(FILES), "formats")
    for name, value, least, usual in (
        ("n_scans", 2 if n_scans is None else n_scans, 2, 8),
        ("n_calibration", n_calibration, LEAST_CALIBRATION, 32),
    ):
        if value < least:
            raise ConfigError(
                f"must be at least {least}, got {value}.", where=name, fix=f"use {usual}."
            )


def _tolerances(score: float, auc: float, changed_calls: float) -> Tolerances:
    if not 0 < score < 1:
        raise ConfigError(
            f"must lie between 0 and 1, got {score}.", where="tolerance",
            fix="use 1e-4.",
        )  # fmt: skip
    for name, value in (("auc_tolerance", auc), ("changed_calls", changed_calls)):
        if not 0 <= value <= 1:
            raise ConfigError(
                f"must lie in [0, 1], got {value}.", where=name, fix="use for example 0.002."
            )
    return Tolerances(score=score, auc=auc, changed_calls=changed_calls)


def _formats(
    formats: Sequence[str] | None, of_slices: bool, precision: Precision
) -> tuple[str, ...]:
    """Those that are written, whose packages are here."""
    openvino_alone = of_slices or precision != "f32"
    chosen = tuple(formats or (("openvino",) if openvino_alone else tuple(FILES)))
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
    require_precision(precision, of_slices, chosen)
    return chosen


def _check_folder(folder: Path) -> None:
    if folder.exists() and not is_export(folder) and (not folder.is_dir() or any(folder.iterdir())):
        raise ExportError(
            "there is something else than an export.", where=folder, fix="choose a new folder."
        )
    check_writable(folder / SIDECAR)


def _versions(formats: Sequence[str], of_slices: bool, precision: Precision) -> dict[str, str]:
    way: tuple[str, ...] = ("torchvision",) if of_slices else ("onnx", "onnxscript")
    way += ("nncf",) if precision == "int8" else ()
    packages = ["torch", *way, *(_ENGINES[kind] for kind in formats)]
    return {"covidlit": __version__} | {name: version(name) for name in packages}
