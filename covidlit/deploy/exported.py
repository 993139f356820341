"""An exported network: its files, and `model.json`, which says what they are and of what."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated, Literal

import pydantic
from pydantic import BaseModel, ConfigDict, Field

from covidlit.checkpoints.of_run import model_of_run
from covidlit.checkpoints.record import RunRecord
from covidlit.errors import ExportError

FORMAT = 1
"""Raised when what `model.json` holds changes its meaning."""

SIDECAR = "model.json"
FILES = {"onnx": ("model.onnx",), "openvino": ("model.xml", "model.bin")}
"""The formats, with the files of each; the first is the one that a runtime opens."""

Format = Literal["onnx", "openvino"]
FileName = Literal["model.onnx", "model.xml", "model.bin"]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Number = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class ExportRecord(BaseModel):
    """What `model.json` holds.

    Args:
        format: `FORMAT`.
        record: of the run that wrote the checkpoint, as the checkpoint carries it.
        checkpoint: the file's name.
        checkpoint_sha256: hash of the file.
        scoring_sha256: hash of what scores come from (`covidlit.checkpoints.weights.scoring_hash`);
            another one means that the export is of another state. The file changes too where a
            scale of heatmaps is stored in it, which is no reason to export again.
        files: hash of each exported file.
        tolerance: what the differences had to stay within.
        differences: by format, the largest difference of a score from PyTorch's in float32.
        n_scans: how many real scans were compared.
        spread: how far apart their scores lie; a comparison of equal scores would show nothing.
        precision: of the run.
        precision_difference: where that is not float32, the largest difference between the
            exported scores and PyTorch's in that precision.
        versions: of the packages that wrote it.
    """

    model_config = ConfigDict(extra="forbid")

    format: Literal[1] = 1
    record: RunRecord
    checkpoint: str
    checkpoint_sha256: Sha256
    scoring_sha256: Sha256
    files: dict[FileName, Sha256]
    tolerance: Number
    differences: dict[Format, Number]
    n_scans: Annotated[int, Field(ge=2)]
    spread: Number
    precision: str
    precision_difference: Number | None = None
    versions: dict[str, str] = {}


def is_export(path: str | Path) -> bool:
    """Whether a path is a folder with an exported network."""
    return (Path(path) / SIDECAR).is_file()


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
    folder = Path(folder)
    try:
        text = (folder / SIDECAR).read_text(encoding="utf-8")
        export = ExportRecord.model_validate_json(text)
    except pydantic.ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}" for problem in error.errors()
        )
        raise _refused(f"this is no record of an export ({wrong})", folder / SIDECAR) from error
    except UnicodeDecodeError as error:
        raise _refused("this is no record of an export (no text)", folder / SIDECAR) from error
    except OSError as error:
        raise _refused(f"cannot be read: {error.strerror}", folder / SIDECAR) from error
    if kind not in export.differences:
        there = ", ".join(export.differences)
        raise _refused(f"it was exported as {there}, not as {kind}", folder, f" --format {kind}")
    for name in FILES[kind]:
        if export.files.get(name) != _hash_there(folder / name):  # type: ignore[call-overload]
            raise _refused("the file is missing or not the one that was exported", folder / name)
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
    return export


def file_hash(path: str | Path) -> str:
    """SHA-256 (hex) of a file."""
    with Path(path).open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def _same_scores(checkpoint: str | Path, export: ExportRecord) -> bool:
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
