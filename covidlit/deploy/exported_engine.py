"""ONNX Runtime and OpenVINO as engines for an exported network, on the CPU."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from covidlit.arguments import n_cores
from covidlit.deploy.compiled import compile_kept
from covidlit.deploy.engine import check_volumes, on_threads
from covidlit.deploy.exported import FILES, ExportRecord
from covidlit.deploy.extras import require_extra
from covidlit.deploy.meanwhile import started
from covidlit.deploy.openvino_core import openvino_core
from covidlit.deploy.precisions import IN_WORDS, Precision, compile_options, require_bfloat16
from covidlit.errors import ExportError

Run = Callable[[NDArray[np.int16]], NDArray[np.float32]]


class ExportedEngine:
    """An exported network in one of the runtimes.

    Args:
        folder: with its files.
        export: what `read_export_record` returned.
        engine: "onnxruntime" or "openvino".
        threads: how many; None: one per core.
        check: called before the files are opened; raises what is wrong with them.
        keep: what OpenVINO compiles, for the next process.
        ahead: open them in a thread, while the caller goes on: what is wrong is then raised by the
            first scores.

    Attributes:
        precision: that it computes in.

    Raises:
        ConfigError: the runtime is not installed, or the processor has no bfloat16 for an export
            in it.
        ExportError: it does not take the file.
    """

    def __init__(
        self,
        folder: Path,
        export: ExportRecord,
        engine: str,
        threads: int | None,
        *,
        check: Callable[[], object] = lambda: None,
        keep: bool = False,
        ahead: bool = False,
    ) -> None:
        self.record = export.record
        threads = threads or n_cores()
        self.precision = export.computes_in
        reduced = "" if self.precision == "f32" else f" in {IN_WORDS[self.precision]}"
        self.name = on_threads(engine + reduced, threads)
        open_file: Callable[[Path, int], Run] = open_onnxruntime
        if engine == "openvino":
            open_file = partial(open_openvino, precision=self.precision, keep=keep)
        path = folder / FILES["openvino" if engine == "openvino" else "onnx"][0]
        require_extra(engine)

        def opened() -> Run:
            check()
            return open_file(path, threads)

        self._run = started(opened, ahead)

    def scores(self, hu: NDArray[np.int16]) -> list[Any]:
        """See `Engine.scores`."""
        check_volumes(hu, self.record)
        return self._run()(np.ascontiguousarray(hu)).astype(np.float64).tolist()


def open_openvino(
    path: Path, threads: int, *, precision: Precision = "f32", keep: bool = False
) -> Run:
    """The network of `model.xml`: (B, z, y, x) int16 HU to (B,) or (B, classes) float32.

    Args: see `compile_openvino`.
    """
    compiled = compile_openvino(path, threads, precision=precision, keep=keep)
    request = compiled.create_infer_request()

    def run(hu: NDArray[np.int16]) -> NDArray[np.float32]:
        # A copy: the runtime's own memory is written again by the next batch.
        return np.array(request.infer([hu])[0])

    return run


def compile_openvino(
    path: Path,
    threads: int,
    *,
    streams: int = 1,
    precision: Precision = "f32",
    keep: bool = False,
) -> Any:
    """A graph of OpenVINO's, compiled for the CPU.

    Args:
        path: the `.xml`.
        threads: of all streams together.
        streams: requests that are computed at a time, each on its share of the threads.
        precision: that the graph was exported for.
        keep: the compiled graph for the next process; see `covidlit.deploy.compiled`.

    Raises:
        ConfigError: OpenVINO is not installed, or the processor has no bfloat16.
        ExportError: it does not take the file.
    """
    core = openvino_core()
    if precision == "bf16":
        require_bfloat16(path)
    options = {
        **compile_options(precision),
        "INFERENCE_NUM_THREADS": threads,
        "ENABLE_CPU_PINNING": False,  # the cores are shared with the preparation of scans
        # By default all threads on one batch.
        **({"NUM_STREAMS": streams} if streams > 1 else {"PERFORMANCE_HINT": "LATENCY"}),
    }
    try:
        if keep:
            return compile_kept(core, path, options)
        return core.compile_model(core.read_model(path), "CPU", options)
    except RuntimeError as error:
        raise _not_taken(path, "OpenVINO", error) from error


def open_onnxruntime(path: Path, threads: int) -> Run:
    """The network of `model.onnx`: (B, z, y, x) int16 HU to (B,) or (B, classes) float32."""
    onnxruntime = require_extra("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    try:
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its errors have no base class of their own
        raise _not_taken(path, "ONNX Runtime", error) from error
    (name,) = (one.name for one in session.get_inputs())

    def run(hu: NDArray[np.int16]) -> NDArray[np.float32]:
        return session.run(None, {name: hu})[0]

    return run


def _not_taken(path: Path, runtime: str, error: Exception) -> ExportError:
    return ExportError(
        f"{runtime} does not take the file: {str(error).strip().splitlines()[-1]}",
        where=path,
        fix="export the network again with the version of the runtime that is installed here.",
    )
