"""Decode compressed pixels in a process of their own, which may die of them.

The processes are kept: a slice costs what its decoding costs. They need no `multiprocessing`, so
that they can be started from workers of it as well (DataLoader, joblib, Dask).
"""

from __future__ import annotations

import atexit
import os
import select
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from covidlit.dicom.codestream import Codestream, check_code
from covidlit.dicom.decoder_worker import DONE, REPLY, Request
from covidlit.dicom.series import ImageFile
from covidlit.dicom.transfer_syntax import decoder_name
from covidlit.process import GIB, SECONDS_VARIABLE, decode_seconds

WORKER = Path(__file__).with_name("decoder_worker.py")
MEMORY_BYTES = GIB * 3 // 4
"""What a decoder may take for one slice (a 512 x 512 slice takes some MB)."""

_IMPORT_SECONDS = 60.0
_PIPE_BYTES = 1 << 20
_F_SETPIPE_SZ = 1031


class DecodeError(ValueError):
    """The compressed pixels of a slice cannot be decoded; the message says why."""


class DecodeTimeoutError(DecodeError):
    """The decoder took too long over a slice, and was ended."""


class DecoderStartError(OSError):
    """No process for the decoder can be started: a trouble of the machine, not of a file."""


def decode(code: bytes, image: ImageFile) -> tuple[NDArray[Any], int]:
    """Stored values of one slice.

    Args:
        code: its compressed code, as one piece.
        image: the file's header.

    Returns:
        Integers (row, column) of 8, 16 or 32 bits, signed as the header says, and the precision of
        the code in bits.

    Raises:
        ValueError: (before decoding) the code is of another size or precision than the header says.
        DecodeError: it is damaged: the decoder says so, or has crashed.
        DecodeTimeoutError: it took longer than `covidlit.process.decode_seconds`.
        DecoderStartError: a process could not be started.
    """
    said = check_code(code, image)
    request = Request(
        decoder_name(image.transfer_syntax),
        image.photometric,
        image.transfer_syntax,
        image.rows,
        image.columns,
        image.bits_allocated,
        image.bits_stored,
        int(image.signed),
        decode_seconds(image.rows * image.columns),
        len(code),
    )
    try:
        content = _pool.run(request, code)
    except _WorkerDiedError:
        # An earlier slice may have left the process damaged: the second one is fresh.
        try:
            content = _pool.run(request, code, fresh=True)
        except _WorkerDiedError as error:
            raise DecodeError(f"its decoder has crashed over it ({error})") from None
    return _values(content, image, said), image.bits_stored if said is None else said.precision


def process_ids() -> list[int]:
    """The decoder processes of this process."""
    return _pool.process_ids()


def _values(content: bytearray, image: ImageFile, said: Codestream | None) -> NDArray[Any]:
    size, left = divmod(len(content), image.rows * image.columns)
    if left or size not in (1, 2, 4):
        raise DecodeError(
            f"decoded to {len(content)} bytes instead of {image.rows} x {image.columns} values"
        )
    kind = "i" if image.signed else "u"
    values = np.frombuffer(content, f"<{kind}{size}").reshape(image.rows, image.columns)
    # JPEG-LS has no signed values, and JPEG 2000 may call signed ones unsigned and the reverse:
    # what the bits above the precision hold then is not the header's sign.
    if said is not None and said.signed != image.signed and said.precision < 8 * size:
        shift = 8 * size - said.precision
        np.left_shift(values, shift, out=values)
        np.right_shift(values, shift, out=values)
    return values


class _WorkerDiedError(Exception):
    """The process ended over a slice; the message says how."""


class _Worker:
    """One decoder process."""

    def __init__(self) -> None:
        command = [sys.executable, "-P", str(WORKER), str(MEMORY_BYTES)]
        threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                bufsize=0,
                env=os.environ | threads,
            )
        except OSError as error:
            raise DecoderStartError(
                error.errno, f"no process for the decoder can be started: {error.strerror}"
            ) from error
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._input, self._output = self._process.stdin, self._process.stdout
        _widen(self._input)
        _widen(self._output)

    def run(self, request: Request, code: bytes) -> bytearray:
        started = time.monotonic()
        try:
            _write(self._input, request.pack())
            _write(self._input, code)
            if not _is_ready(self._output, request.seconds + _IMPORT_SECONDS):
                self.kill()
            header = _read(self._output, REPLY.size)
            status, length = REPLY.unpack(header)
            content = _read(self._output, length)
        except (EOFError, BrokenPipeError):
            code_of_exit = self._process.wait()
            if time.monotonic() - started >= request.seconds and code_of_exit in (1, -9):
                raise DecodeTimeoutError(
                    f"decoding it took more than {request.seconds:g} s and was stopped "
                    f"({SECONDS_VARIABLE} allows more)"
                ) from None
            raise _WorkerDiedError(_how(code_of_exit)) from None
        if status != DONE:
            raise DecodeError(bytes(content).decode("utf-8", "replace"))
        return content

    @property
    def id(self) -> int:
        return self._process.pid

    def is_alive(self) -> bool:
        return self._process.poll() is None

    def close(self) -> None:
        """Close this process's ends of the pipes; the worker ends with its input."""
        for pipe in (self._input, self._output):
            with suppress(OSError):
                pipe.close()

    def kill(self) -> None:
        with suppress(OSError):
            self._process.kill()
        self._process.wait()

    def end(self) -> None:
        self.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(1)
            return
        self.kill()


class _Pool:
    """Idle decoder processes: as many as threads were decoding at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: list[_Worker] = []
        self._all: set[_Worker] = set()

    def run(self, request: Request, code: bytes, *, fresh: bool = False) -> bytearray:
        worker = self._take(fresh)
        try:
            content = worker.run(request, code)
        except BaseException:
            # After an error, or a Ctrl-C within a reply, its memory and its pipe are in doubt.
            self._drop(worker)
            raise
        with self._lock:
            self._idle.append(worker)
        return content

    def _take(self, fresh: bool) -> _Worker:
        with self._lock:
            while self._idle and not fresh:
                worker = self._idle.pop()
                if worker.is_alive():
                    return worker
                self._all.discard(worker)
        worker = _Worker()
        with self._lock:
            self._all.add(worker)
        return worker

    def _drop(self, worker: _Worker) -> None:
        with self._lock:
            self._all.discard(worker)
        worker.kill()
        worker.close()

    def process_ids(self) -> list[int]:
        with self._lock:
            return [worker.id for worker in self._all]

    def close_all(self) -> None:
        with self._lock:
            workers, self._idle, self._all = list(self._all), [], set()
        for worker in workers:
            worker.end()

    def forget_all(self) -> None:
        """In the child of a fork: the processes are the parent's."""
        self._lock = threading.Lock()
        workers, self._idle, self._all = list(self._all), [], set()
        for worker in workers:
            worker.close()
            worker._process.returncode = 0  # not this process's child: nothing to wait for


_pool = _Pool()
atexit.register(_pool.close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.forget_all)


def _how(code: int) -> str:
    if code >= 0:
        return f"exit status {code}"
    with suppress(ValueError):
        return signal.Signals(-code).name
    return f"signal {-code}"


def _widen(pipe: IO[bytes]) -> None:
    """Let a whole slice into the pipe at once, where the system allows it (Linux)."""
    try:
        import fcntl

        fcntl.fcntl(pipe.fileno(), _F_SETPIPE_SZ, _PIPE_BYTES)
    except (ImportError, OSError):
        return


def _is_ready(pipe: IO[bytes], seconds: float) -> bool:
    """Whether something can be read within some seconds; the worker watches the time itself."""
    if not hasattr(select, "poll"):  # not on Windows
        return True
    poll = select.poll()
    poll.register(pipe.fileno(), select.POLLIN)
    return bool(poll.poll(seconds * 1000))


def _write(pipe: IO[bytes], content: bytes) -> None:
    view = memoryview(content)
    while len(view):
        view = view[pipe.write(view) :]


def _read(pipe: IO[bytes], length: int) -> bytearray:
    content = bytearray(length)
    view = memoryview(content)
    while len(view):
        count = pipe.readinto(view)  # type: ignore[attr-defined]
        if not count:
            raise EOFError
        view = view[count:]
    return content
