"""`covidlit predict --serve`: a process that keeps a network loaded and answers over a socket.

The socket lies in the file system, for its owner alone (mode 0600): whoever can open it can read
and write whatever the owner can. The protocol is that of `covidlit.cli.predict_client`. Requests
are computed one after the other, in the order of their coming, on all threads of the engine.
"""

from __future__ import annotations

import json
import selectors
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from io import StringIO
from pathlib import Path
from typing import Any

from covidlit.cli.predict_client import MOST_BYTES
from covidlit.cli.predict_request import request_of
from covidlit.cli.predict_scans import ScanModel, ScanRequest, load_parts, score_scans
from covidlit.cli.predict_socket import OwnSocket
from covidlit.errors import ConfigError, CovidlitError, fault_reason, machine_trouble

PATIENCE = 10.0
"""Seconds that a client may take to send more of its request, or to take its answer."""

BREATH = 0.05
"""Seconds until a client is taken where one could not be."""

LAST_WORDS = 2.0
"""Seconds that the answers may take to be sent, once all are computed and the server ends."""


class PredictServer:
    """Answers requests for scores with one network.

    Args:
        model: scores; it is loaded again where its files have changed.
        socket_path: where to listen; a socket there that nobody listens on is replaced.

    Raises:
        ConfigError: the place is taken or cannot be; see `OwnSocket`.
    """

    def __init__(self, model: ScanModel, socket_path: Path) -> None:
        self.model, self.path = model, socket_path
        self._socket = OwnSocket(socket_path, model.path)
        self._computing = ThreadPoolExecutor(1, "covidlit-predict")
        self._ending = threading.Event()
        self._answering: set[threading.Thread] = set()

    def load(self) -> str:
        """Load the network, so that the first request does not wait; the engine's name.

        Raises:
            CovidlitError: see `load_engine`.
        """
        return self._computing.submit(self._engine_name).result()

    def _engine_name(self) -> str:
        load_parts()
        return self.model.engines(heat=False)[0].name

    def serve(self, ready: Callable[[], object] = lambda: None) -> None:
        """Answer until SIGTERM or SIGINT; what is being computed then is still answered.

        Args:
            ready: called once requests are taken and the signals are heard.
        """
        with _woken_by(signal.SIGTERM, signal.SIGINT) as woken, selectors.DefaultSelector() as wait:
            wait.register(self._socket.listener, selectors.EVENT_READ)
            wait.register(woken, selectors.EVENT_READ)
            ready()
            while True:
                if woken in {key.fileobj for key, _ in wait.select()}:
                    break
                self._take()
        self.close()

    def _take(self) -> None:
        """Answer the client that waits, in a thread."""
        try:
            connection = self._socket.listener.accept()[0]
        except OSError:  # it has gone again; or too many files are open, till others are answered
            time.sleep(BREATH)
            return
        thread = threading.Thread(target=self._answer, args=(connection,), daemon=True)
        try:
            thread.start()
        except RuntimeError:  # the system has no thread left
            connection.close()
            return
        self._answering = {one for one in self._answering if one.is_alive()} | {thread}

    def close(self) -> None:
        """Take no more requests, finish the one that is computed, and remove the socket; once."""
        if self._ending.is_set():
            return  # another server may listen in the same place since
        self._ending.set()
        self._socket.close()
        self._computing.shutdown(wait=True)
        deadline = time.monotonic() + LAST_WORDS
        for thread in self._answering:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _answer(self, connection: socket.socket) -> None:
        with connection:
            connection.settimeout(PATIENCE)
            try:
                said = self._said(_line(connection), connection)
            except CovidlitError as error:
                said = _refusal(error)
            except OSError:
                return  # the client has gone, or sends nothing
            except Exception as error:
                said = _fault(error, "answering")
            connection.settimeout(PATIENCE)
            with suppress(OSError):
                connection.sendall(json.dumps(said).encode() + b"\n")

    def _said(self, line: bytes, connection: socket.socket) -> dict[str, Any]:
        content, asked = request_of(line)
        served = self.model.path.resolve()
        if Path(content["model"]).resolve() != served:
            raise ConfigError(
                f"this server serves {served}, not {content['model']}.",
                where="CHECKPOINT",
                fix="give that, or start a server of the other model on another socket.",
            )
        try:
            future: Future[dict[str, Any]] = self._computing.submit(
                self._computed, asked, content["columns"], content["colours"], connection,
                _told(connection) if content.get("progress") else None,
            )  # fmt: skip
        except RuntimeError as error:  # it is shut down
            raise ConfigError("the server is ending.", where=self.path) from error
        return future.result()

    def _computed(
        self,
        asked: ScanRequest,
        columns: int,
        colours: bool,
        connection: socket.socket,
        on_progress: Callable[[int, int], object] | None,
    ) -> dict[str, Any]:
        from covidlit.terminal import plain_console

        if self._ending.is_set():
            return _refusal(ConfigError("the server is ending.", where=self.path))
        if _has_gone(connection):
            return {}  # nobody waits for it
        out = StringIO()
        console = plain_console(file=out, width=max(40, columns), force_terminal=colours)
        try:
            self.model.reload_if_changed()
            code = score_scans(self.model, asked, console, False, on_progress)
        except CovidlitError as error:
            return {**_refusal(error), "out": out.getvalue()}
        except Exception as error:  # one request must not end the server
            return {**_fault(error, "scoring"), "out": out.getvalue()}
        return {"code": code, "out": out.getvalue(), "err": ""}


def _told(connection: socket.socket) -> Callable[[int, int], None]:
    """What tells a client how far its request is, a hundred times at most.

    So many lines fit into what the system keeps for a client that has been halted.
    """
    last = -1

    def tell(done: int, total: int) -> None:
        nonlocal last
        if (now := 100 * done // max(total, 1)) > last:
            last = now
            with suppress(OSError):  # it has gone; what it asked for is computed all the same
                connection.sendall(json.dumps({"done": done, "of": total}).encode() + b"\n")

    return tell


def _refusal(error: CovidlitError) -> dict[str, Any]:
    return {"code": 2, "out": "", "err": f"error: {error}\n"}


def _fault(error: Exception, doing: str) -> dict[str, Any]:
    trouble = machine_trouble(error)
    text = fault_reason(error, doing) if trouble is None else str(trouble)
    return {"code": 2, "out": "", "err": f"error: {text}\n"}


def _line(connection: socket.socket) -> bytes:
    """The client's request.

    Raises:
        ConfigError: it is too long, or its end is missing.
        OSError: it takes too long, or the client has gone.
    """
    line, n_bytes, fix = bytearray(), 0, "send a line of JSON."
    while not line.endswith(b"\n"):
        some = connection.recv(1 << 16)
        if not some:
            raise ConfigError("the request has no end.", where="request", fix=fix)
        n_bytes += len(some)
        # To its end all the same, where that comes soon: only then does a client see the answer.
        line = line + some if n_bytes <= MOST_BYTES else bytearray(some)
        if n_bytes > 16 * MOST_BYTES:
            break
    if n_bytes > MOST_BYTES:
        raise ConfigError("the request is longer than 1 MB.", where="request", fix=fix)
    return bytes(line)


def _has_gone(connection: socket.socket) -> bool:
    """Whether a client that has sent its request has closed its end since."""
    connection.setblocking(False)
    try:
        return connection.recv(1, socket.MSG_PEEK) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


@contextmanager
def _woken_by(*signals: signal.Signals) -> Iterator[socket.socket]:
    """A socket that can be read once one of the signals has come."""
    awake, woken = socket.socketpair()
    awake.setblocking(False)
    fd = signal.set_wakeup_fd(awake.fileno())  # first: a signal between the two would be lost
    before = {one: signal.signal(one, lambda *_: None) for one in signals}
    try:
        yield woken
    finally:
        signal.set_wakeup_fd(fd)
        for one, handler in before.items():
            signal.signal(one, handler)
        awake.close()
        woken.close()
