"""Find and load what labels the slices of scans: a trained network, and what computes it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from covidlit.arguments import n_cores, require_whole_number
from covidlit.checkpoints.of_run import model_of_run
from covidlit.checkpoints.record import RunRecord, validated_record
from covidlit.deploy.engine import on_threads
from covidlit.deploy.exported import (
    SliceExportRecord,
    default_folder,
    is_export,
    network_hash,
    read_slice_export,
)
from covidlit.deploy.slice_engine import SliceEngine
from covidlit.deploy.torch_engine import find_device
from covidlit.errors import CheckpointError, ConfigError, CovidlitError, did_you_mean
from covidlit.models.maskrcnn.stages import Stages
from covidlit.tasks.load import load_segmenter
from covidlit.tasks.segmenter import Segmenter

SLICE_ENGINES = ("auto", "torch", "openvino")


@dataclass(frozen=True)
class SliceNetwork:
    """A trained network that segments slices, and what computes it.

    Args:
        task: in evaluation mode, on its device.
        record: of its run.
        sha256: of the checkpoint, or of the record of the export.
        engine: "torch", "torch on cuda:0" or "openvino": what labels may hang on.
        name: the same with the number of threads, for people.
        workers: batches that are best looked at at a time.
        stages: what computes; None: the network itself.
        note: why an export that is there was not taken; empty where none is, or it was.
    """

    task: Segmenter
    record: RunRecord
    sha256: str
    engine: str
    name: str
    workers: int
    stages: Stages | None = None
    note: str = ""


def load_slice_network(
    path: str | Path, engine: str = "auto", *, device: str = "auto", threads: int | None = None
) -> SliceNetwork:
    """Load a network that segments slices into the engine that is to run it.

    Args:
        path: a checkpoint of `python train.py model=maskrcnn`, the folder of its run, or a folder
            of `covidlit export`.
        engine: "torch", "openvino", or "auto": on the CPU OpenVINO, where the export beside the
            checkpoint is of its present state, else torch.
        device: of torch: "auto" (a GPU if there is one), "cpu", "cuda", "cuda:1", "mps".
        threads: on the CPU; None: one per core.

    Raises:
        CheckpointError: the checkpoint is missing, damaged, untrusted, or of a model that labels
            no slices.
        ExportError: the export that was asked for is missing, damaged or of another state.
        ConfigError: no such engine, device or number of threads; or a package is not installed.
    """
    if engine not in SLICE_ENGINES:
        raise ConfigError(
            f"slices are not labelled by {engine!r}, but by {', '.join(SLICE_ENGINES[1:])}.",
            where="engine",
            fix=did_you_mean(engine, SLICE_ENGINES) or "choose one of them, or auto.",
        )
    if threads is not None:
        require_whole_number(threads, "threads", at_least=1)
    path = Path(path)
    if is_export(path):
        return _exported(path, engine, device, threads)
    if path.is_dir():
        path = model_of_run(path)
    task = load_segmenter(path)
    record = validated_record(task.record, path)
    folder, note = default_folder(path), ""
    if engine == "openvino":
        _check_cpu(device)
        if not is_export(folder):
            raise ConfigError(
                "this checkpoint has not been exported for openvino yet.",
                where=folder,
                fix=f"covidlit export {path} --scans FOLDER_OR_MANIFEST (a few real scans to "
                "compare on), then run the same command again.",
            )
        read_slice_export(folder, path)
        return _with_openvino(task, record, network_hash(path), folder, threads)
    place = find_device(device)
    if engine == "auto" and place.type == "cpu" and is_export(folder):
        try:
            read_slice_export(folder, path)
            return _with_openvino(task, record, network_hash(path), folder, threads)
        except CovidlitError as problem:
            note = f"the export in {folder} was not taken: {problem}"
    on_cpu = place.type == "cpu"
    workers = (threads or n_cores()) if on_cpu else 1
    name = on_threads("torch", workers) if on_cpu else f"torch on {place}"
    return SliceNetwork(
        task.to(place).eval(), record, network_hash(path), "torch" if on_cpu else name, name,
        workers, note=note,
    )  # fmt: skip


def _exported(path: Path, engine: str, device: str, threads: int | None) -> SliceNetwork:
    if engine == "torch":
        raise ConfigError(
            "an exported network cannot be run by torch.",
            where=path,
            fix="give the checkpoint, or another engine.",
        )
    _check_cpu(device)
    export = read_slice_export(path)
    return _with_openvino(_task_of(export, path), export.record, network_hash(path), path, threads)


def _task_of(export: SliceExportRecord, where: Path) -> Segmenter:
    """The task between the exported parts; its own weights are random and never used."""
    try:
        return Segmenter(export.hyper_parameters)
    except (CovidlitError, LookupError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"its hyper-parameters do not describe a network: {error}",
            where=where,
            fix="export the network again: covidlit export CHECKPOINT --scans SCANS",
        ) from error


def _with_openvino(
    task: Segmenter, record: RunRecord, sha256: str, folder: Path, threads: int | None
) -> SliceNetwork:
    stages = SliceEngine(folder, threads)
    return SliceNetwork(
        task.eval(), record, sha256, "openvino", stages.name, stages.threads, stages
    )


def _check_cpu(device: str) -> None:
    if device not in ("auto", "cpu"):
        raise ConfigError(
            f"openvino runs on the CPU only, not on {device!r}.",
            where="device",
            fix='use --engine torch (in Python engine="torch") on a GPU.',
        )
