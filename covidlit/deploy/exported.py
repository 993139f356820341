"""An exported network: its files, and `model.json`, which says what they are and of what."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

import pydantic
from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, TypeAdapter

from covidlit.checkpoints.of_run import model_of_run
from covidlit.checkpoints.record import RunRecord
from covidlit.deploy.file_hash import file_hash
from covidlit.deploy.parity_record import Count, Number, ScoreParity, Tolerances
from covidlit.deploy.precisions import IN_WORDS, Precision
from covidlit.errors import ExportError

FORMAT = 1
"""Raised when what `model.json` holds changes its meaning."""

SIDECAR = "model.json"
FILES = {"onnx": ("model.onnx",), "openvino": ("model.xml", "model.bin")}
"""The formats, with the files of each; the first is the one that a runtime opens."""

HEAT_FILES = ("heat.xml", "heat.bin")
"""Of a score with its heatmap in one graph, beside the files of OpenVINO."""

SLICE_FILES = ("dense.xml", "dense.bin", "box.xml", "box.bin", "mask.xml", "mask.bin")
"""Of a network that segments slices, which is exported for OpenVINO alone."""

Format = Literal["onnx", "openvino"]
FileName = Literal["model.onnx", "model.xml", "model.bin"]
SliceFileName = Literal["dense.xml", "dense.bin", "box.xml", "box.bin", "mask.xml", "mask.bin"]
HeatFileName = Literal["heat.xml", "heat.bin"]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class _Export(BaseModel):
    """What every `model.json` holds.

    Args:
        format: `FORMAT`.
        record: of the run that wrote the checkpoint, as the checkpoint carries it.
        checkpoint: the file's name.
        checkpoint_sha256: hash of the file.
        scoring_sha256: hash of what scores come from (`covidlit.checkpoints.weights.scoring_hash`);
            another one means that the export is of another state. The file changes too where a
            scale of heatmaps is stored in it, which is no reason to export again.
        tolerance: what the differences had to stay within.
        n_scans: how many real scans were compared.
        precision: of the run.
        versions: of the packages that wrote it.
    """

    model_config = ConfigDict(extra="forbid")

    format: Literal[1] = 1
    record: RunRecord
    checkpoint: str
    checkpoint_sha256: Sha256
    scoring_sha256: Sha256
    tolerance: Number
    n_scans: Annotated[int, Field(ge=1)]
    precision: str
    versions: dict[str, str] = {}


class HeatExport(BaseModel):
    """A graph of the default heatmap; see `covidlit.explain.heat_graph`.

    Args:
        files: hash of each file.
        layer, method: that the heat is made with.
        step, first: where the voxels of the layer lie, see `covidlit.models.voxel_grid`.
        output: index of the score that is explained, where there is one per class.
        difference: from PyTorch's heat, see `covidlit.explain.heat_export.heat_difference`.
        n_scans: how many real scans were compared.
    """

    model_config = ConfigDict(extra="forbid")

    files: dict[HeatFileName, Sha256]
    layer: str
    method: Literal["guided"]
    step: tuple[float, float, float]
    first: tuple[float, float, float]
    output: Annotated[int, Field(ge=0)]
    difference: Number
    n_scans: Annotated[int, Field(ge=1)]


class ExportRecord(_Export):
    """What `model.json` holds of a network that scores scans; see `_Export`.

    Args:
        heat: the graph of its heatmaps; None where there is none.
        files: hash of each exported file.
        differences: by format, the largest difference of a score from PyTorch's in float32.
        spread: how far apart the scans' scores lie; a comparison of equal scores would show
            nothing.
        precision_difference: where the run's precision is not float32, the largest difference
            between the exported scores and PyTorch's in that precision.
        computes_in: the precision of the export.
        parity: by format, all that was measured; empty in exports of before it was kept.
        tolerances: that it had to stay within; None in the same exports.
        n_calibration: scans that int8 was calibrated on, none of which was compared.
        method: how the network became int8.
        processor: that the scores were compared on.
    """

    kind: Literal["classification"] = "classification"
    files: dict[FileName, Sha256]
    differences: dict[Format, Number]
    n_scans: Annotated[int, Field(ge=2)]
    spread: Number
    precision_difference: Number | None = None
    computes_in: Precision = "f32"
    parity: dict[Format, ScoreParity] = {}
    tolerances: Tolerances | None = None
    n_calibration: Count = 0
    method: str = ""
    processor: str = ""
    heat: HeatExport | None = None


class SliceExportRecord(_Export):
    """What `model.json` holds of a network that segments slices; see `_Export`.

    Args:
        hyper_parameters: of the task: the network between its exported parts, and the classes.
        files: hash of each exported file.
        n_slices: how many slices of the scans were compared.
        parity: what was found, by the names of `covidlit.deploy.slice_parity.SliceParity`.
    """

    kind: Literal["segmentation"]
    hyper_parameters: dict[str, Any]
    files: dict[SliceFileName, Sha256]
    n_slices: Annotated[int, Field(ge=1)]
    parity: dict[str, Number]


def _kind_of(content: Any) -> Any:
    return content.get("kind", "classification") if isinstance(content, dict) else None


_ANY: TypeAdapter[ExportRecord | SliceExportRecord] = TypeAdapter(
    Annotated[
        Annotated[ExportRecord, Tag("classification")]
        | Annotated[SliceExportRecord, Tag("segmentation")],
        Discriminator(_kind_of),
    ]
)


def is_export(path: str | Path) -> bool:
    """Whether a path is a folder with an exported network."""
    return (Path(path) / SIDECAR).is_file()


def precision_there(folder: str | Path) -> str:
    """What the export in a folder computes in, in words; empty where there is no export."""
    if not is_export(folder):
        return ""
    try:
        export = read_record(Path(folder))
    except ExportError:
        return "damaged"
    return IN_WORDS[export.computes_in] if isinstance(export, ExportRecord) else "float32"


def network_hash(path: str | Path) -> str:
    """Hash of a checkpoint or baseline, or of the record of an export, which holds its hashes.

    Args:
        path: of it, or the folder of the run whose model it is.
    """
    if is_export(path):
        return file_hash(Path(path) / SIDECAR)
    return file_hash(model_of_run(path) if Path(path).is_dir() else path)


def default_folder(checkpoint: str | Path) -> Path:
    """Where the export of a checkpoint is put and looked for: `exported/<its name>` beside it."""
    checkpoint = Path(checkpoint)
    return checkpoint.parent / "exported" / checkpoint.stem


def read_export(
    folder: str | Path, kind: str, checkpoint: str | Path | None = None
) -> ExportRecord:
    """Read and check `model.json`, and the hashes of the files of one format.

    The hashes tell damage and mixed-up files, not ill will: whoever can change a file can change
    `model.json` too. Neither format can run code on loading.

    Args:
        folder: with `model.json`.
        kind: "onnx" or "openvino".
        checkpoint: that it has to be an export of; None: the one it stands beside, if it is there.

    Raises:
        ExportError: missing, damaged, of another format, without files of that kind; or of another
            state of the checkpoint.
        CheckpointError: the checkpoint is damaged or untrusted.
    """
    export = read_export_record(folder, kind)
    check_export(folder, export, FILES[kind], checkpoint)
    return export


def read_export_record(folder: str | Path, kind: str) -> ExportRecord:
    """As `read_export`, of `model.json` alone: a few milliseconds; see `check_export`."""
    folder = Path(folder)
    export = read_record(folder)
    if not isinstance(export, ExportRecord):
        raise ExportError(
            "it is the export of a network that segments slices, which scores no scans.",
            where=folder,
            fix="give it to `covidlit quantify`.",
        )
    if kind not in export.differences:
        there = ", ".join(export.differences)
        raise _refused(f"it was exported as {there}, not as {kind}", folder, f" --format {kind}")
    return export


def check_export(
    folder: str | Path,
    export: ExportRecord,
    files: Iterable[str],
    checkpoint: str | Path | None = None,
) -> None:
    """Check the hashes of some files of an export, and that its checkpoint is as it was.

    Args:
        folder, checkpoint: see `read_export`.
        export: what `read_export_record` returned.
        files: names in the folder.

    Raises: as `read_export`.
    """
    folder = Path(folder)
    heat = {} if export.heat is None else export.heat.files
    _check_files(folder, {**export.files, **heat}, files)
    _check_state(folder, export, checkpoint)


def read_slice_export(
    folder: str | Path, checkpoint: str | Path | None = None
) -> SliceExportRecord:
    """As `read_export`, of a network that segments slices."""
    folder = Path(folder)
    export = read_record(folder)
    if not isinstance(export, SliceExportRecord):
        raise ExportError(
            "it is the export of a network that scores scans, which labels no slices.",
            where=folder,
            fix="give it to `covidlit predict`, and a run of model=maskrcnn here.",
        )
    _check_files(folder, dict(export.files), SLICE_FILES)
    _check_state(folder, export, checkpoint)
    return export


def read_record(folder: Path) -> ExportRecord | SliceExportRecord:
    """What `model.json` of a folder says.

    Raises:
        ExportError: missing, damaged or of another format.
    """
    try:
        text = (folder / SIDECAR).read_text(encoding="utf-8")
        return _ANY.validate_json(text)
    except pydantic.ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}" for problem in error.errors()
        )
        raise _refused(f"this is no record of an export ({wrong})", folder / SIDECAR) from error
    except UnicodeDecodeError as error:
        raise _refused("this is no record of an export (no text)", folder / SIDECAR) from error
    except OSError as error:
        raise _refused(f"cannot be read: {error.strerror}", folder / SIDECAR) from error


def _check_files(folder: Path, hashes: dict[Any, str], names: Iterable[str]) -> None:
    for name in names:
        if hashes.get(name) != _hash_there(folder / name):
            raise _refused("the file is missing or not the one that was exported", folder / name)


def _check_state(folder: Path, export: _Export, checkpoint: str | Path | None) -> None:
    """Refuse an export of another state of its checkpoint; None: the one it stands beside."""
    if checkpoint is None:
        here = folder.resolve()
        beside = here.parent.parent / f"{here.name}.ckpt"
        known = here == default_folder(beside) and beside.is_file()
        checkpoint = beside if known else None
    if checkpoint is not None and not _same_scores(checkpoint, export):
        raise ExportError(
            f"the checkpoint {checkpoint} is not the one that was exported here: it changed since.",
            where=folder,
            fix=f"export it again: covidlit export {checkpoint} --scans SCANS --out {folder}",
        )


def _same_scores(checkpoint: str | Path, export: _Export) -> bool:
    if file_hash(checkpoint) == export.checkpoint_sha256:
        return True  # without reading it, which takes torch and its time
    from covidlit.checkpoints.file import load_checkpoint
    from covidlit.checkpoints.weights import scoring_hash

    return scoring_hash(load_checkpoint(checkpoint)) == export.scoring_sha256


def _hash_there(path: Path) -> str | None:
    return file_hash(path) if path.is_file() else None


def _refused(what: str, where: Path, options: str = "") -> ExportError:
    return ExportError(
        f"{what}.",
        where=where,
        fix=f"export the network again: covidlit export CHECKPOINT --scans SCANS{options}",
    )
