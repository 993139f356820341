"""Find and load the engine that is to score scans."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from covidlit.arguments import require_whole_number
from covidlit.checkpoints.of_run import model_of_run
from covidlit.deploy.engine import Engine
from covidlit.deploy.exported import (
    FILES,
    ExportRecord,
    check_export,
    default_folder,
    is_export,
    read_export_record,
    read_record,
)
from covidlit.deploy.exported_engine import ExportedEngine
from covidlit.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from covidlit.checkpoints.given import Given

ENGINES = ("auto", "torch", "onnxruntime", "openvino")
FORMATS = {"onnxruntime": "onnx", "openvino": "openvino"}
"""The exported format that each engine reads."""


def load_engine(
    path: str | Path,
    engine: str = "auto",
    *,
    device: str = "auto",
    threads: int | None = None,
    given: Given | None = None,
    ahead: bool = False,
) -> Engine:
    """Load a trained network into the engine that is to run it.

    Args:
        path: a checkpoint of `covidlit train`, the folder of a run, a folder of `covidlit export`,
            or the `model.skops` of a classical baseline. For an engine other than torch, a
            checkpoint's export is looked for in `exported/<its name>` beside it.
        engine: "torch", "onnxruntime" or "openvino"; "auto" is torch for a checkpoint, and for an
            export OpenVINO, or ONNX Runtime where it was not exported for that. A baseline is run
            by scikit-learn, whose own is "auto" alone.
        device: of torch: "auto" (a GPU if there is one), "cpu", "cuda", "cuda:1", "mps". The others
            run on the CPU.
        threads: how many on the CPU; None: torch's own number, or one per core.
        given: what a checkpoint's record lacks; torch alone takes it.
        ahead: return as soon as the record is read, while a thread checks and opens an exported
            network; what is wrong with its files is then raised by the first scores.

    Raises:
        CheckpointError: the checkpoint is missing, damaged, untrusted or of another model.
        ExportError: the export is missing, damaged or of another state of the checkpoint.
        ConfigError: no such engine, device or number of threads; or a package is not installed.
    """
    if engine not in ENGINES:
        raise ConfigError(
            f"there is no engine {engine!r}; there are {', '.join(ENGINES)}.",
            where="engine",
            fix=did_you_mean(engine, ENGINES) or "choose one of them.",
        )
    if threads is not None:
        require_whole_number(threads, "threads", at_least=1)
    exported = is_export(path)
    if given and (exported or Path(path).suffix == ".skops" or engine not in ("auto", "torch")):
        raise ConfigError(
            f"{', '.join(given.names)} can be given for the checkpoint of a network alone, run by "
            "torch.",
            where=path,
            fix="leave them out: exports and classical baselines know their own.",
        )
    if Path(path).is_dir() and not exported:
        path = model_of_run(path)
    if Path(path).suffix == ".skops":
        return _classical(path, engine, device)
    if engine == "auto":
        engine = _fastest(Path(path)) if exported else "torch"
    if engine == "torch":
        if exported:
            raise ConfigError(
                "an exported network cannot be run by torch.",
                where=path,
                fix="give the checkpoint, or another engine.",
            )
        from covidlit.deploy.torch_engine import TorchEngine

        return TorchEngine(path, device=device, threads=threads, given=given)
    if device not in ("auto", "cpu"):
        raise ConfigError(
            f"{engine} runs on the CPU only, not on {device!r}.",
            where="device",
            fix='use --engine torch (in Python engine="torch") on a GPU.',
        )

    if exported:
        return _exported(Path(path), None, engine, threads, ahead)
    folder = default_folder(path)
    if not Path(path).is_file():
        from covidlit.checkpoints.file import load_checkpoint

        load_checkpoint(path)  # says what is wrong with the path
    if not is_export(folder):
        raise ConfigError(
            f"this checkpoint has not been exported for {engine} yet.",
            where=folder,
            fix=f"covidlit export {path} --scans FOLDER_OR_MANIFEST (a few real scans to compare "
            "the scores on), then run the same command again.",
        )
    return _exported(folder, path, engine, threads, ahead)


def _exported(
    folder: Path, checkpoint: str | Path | None, engine: str, threads: int | None, ahead: bool
) -> Engine:
    kind = FORMATS[engine]
    export = read_export_record(folder, kind)
    return ExportedEngine(
        folder,
        export,
        engine,
        threads,
        check=lambda: check_export(folder, export, FILES[kind], checkpoint),
        keep=True,
        ahead=ahead,
    )


def _classical(path: str | Path, engine: str, device: str) -> Engine:
    from covidlit.baselines import load_model

    for where, asked, known in (
        ("engine", engine, ("auto",)),
        ("device", device, ("auto", "cpu")),
    ):
        if asked not in known:
            raise ConfigError(
                f"a classical baseline is run by scikit-learn on the CPU, not by {asked!r}.",
                where=where,
                fix=f"leave {where} out.",
            )
    return load_model(path)


def _fastest(folder: Path) -> str:
    """As its record says; files that are missing are refused when they are opened."""
    record = read_record(folder)
    if isinstance(record, ExportRecord) and "openvino" not in record.differences:
        return "onnxruntime"
    return "openvino"
