"""The socket of `covidlit predict --serve`: one server in a place, by a lock that lies beside it.

A socket that a killed server has left cannot be told from one that another server is about to
replace. So the lock comes first: whoever has it may look at the socket, remove it and make its own.
The system frees the lock when its holder ends, however that is.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path

from covidlit.cli.predict_client import SHORT_PATH, unix_socket
from covidlit.errors import ConfigError

try:
    import fcntl
except ImportError:  # Windows, where `unix_socket` says that there are no such sockets
    fcntl = None  # type: ignore[assignment]

WAITING = 64
"""Connections that may wait to be taken."""

PROBE = 2.0
"""Seconds that a listener may take to take a connection."""

_LONGEST = 1 << 16
"""Bytes of a lock's text."""


class OwnSocket:
    """A listening socket in the file system, for its owner alone (mode 0600), and its lock.

    Args:
        path: of the socket; one there that nobody listens on is replaced.
        model: that is served; the next one who asks for the place is told.

    Raises:
        ConfigError: another server has the place, something else lies there, or the path is too
            long for a socket.

    Attributes:
        listener: where connections are taken from.
    """

    def __init__(self, path: Path, model: Path) -> None:
        self.path = path
        self.listener = unix_socket()
        if os.path.lexists(path) and not path.is_socket():
            self.listener.close()
            raise ConfigError(
                "no server can listen there: something that is no socket lies there.",
                where=path,
                fix="choose another path.",
            )
        self._lock_path = path.with_name(f".{path.name}.lock")
        lock = None
        try:
            self._lock = lock = self._locked(model)
            self._bind()
        except (OSError, ConfigError) as error:
            self.listener.close()
            if lock is not None:
                self._unlock()
            if isinstance(error, ConfigError):
                raise
            raise ConfigError(
                f"no server can listen there: {error.strerror or error}.",
                where=path,
                fix=SHORT_PATH,
            ) from error
        self._inode = path.stat().st_ino

    def close(self) -> None:
        """Take no more connections, remove the socket and leave the place; to be called once."""
        self.listener.close()
        with suppress(OSError):
            if self.path.stat().st_ino == self._inode:  # not one that another program made since
                self.path.unlink()
        self._unlock()

    def _bind(self) -> None:
        if self.path.is_socket():
            if _is_served(self.path):
                raise ConfigError(
                    "a program that is no server of this version listens there.", where=self.path,
                    fix="end it, or choose another path.",
                )  # fmt: skip
            self.path.unlink()  # of a server that was killed
        before = os.umask(0o177)  # from the first moment on for the owner alone
        try:
            self.listener.bind(str(self.path))
        finally:
            os.umask(before)
        self.listener.listen(WAITING)

    def _locked(self, model: Path) -> int:
        """A descriptor that holds the lock until it is closed."""
        while True:
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            held = os.open(self._lock_path, flags, 0o600)
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                # A server that ended meanwhile has removed the file that was opened.
                with suppress(FileNotFoundError):
                    if os.path.samestat(os.fstat(held), self._lock_path.lstat()):
                        self._sign(held, model)
                        return held
            except BlockingIOError as error:
                taken = self._taken(os.read(held, _LONGEST))
                os.close(held)
                raise taken from error
            except BaseException:
                os.close(held)
                raise
            os.close(held)

    def _sign(self, held: int, model: Path) -> None:
        """Say in the lock who holds it."""
        if (before := os.read(held, _LONGEST)) and _holder(before) is None:
            raise ConfigError(
                "no server can listen there: this file, which would be its lock, is another's.",
                where=self._lock_path,
                fix="choose another path for the socket.",
            )
        os.ftruncate(held, 0)
        text = json.dumps({"pid": os.getpid(), "model": str(model.resolve())})
        os.pwrite(held, text.encode(), 0)

    def _unlock(self) -> None:
        with suppress(OSError):
            self._lock_path.unlink()
        os.close(self._lock)

    def _taken(self, signed: bytes) -> ConfigError:
        pid, model = _holder(signed) or (None, None)
        if pid is None:  # it has not signed yet
            return ConfigError(
                "another server is being started there.", where=self.path,
                fix="ask that one with --server, or choose another path.",
            )  # fmt: skip
        return ConfigError(
            f"a server of {model} answers there, process {pid}.",
            where=self.path,
            fix=f"ask it with --server {self.path}; or end it, by Ctrl-C in its terminal or "
            f"`kill {pid}`; or choose another path.",
        )


def _holder(signed: bytes) -> tuple[int, str] | None:
    """Process and model in the text of a lock; None where it is none."""
    with suppress(ValueError, LookupError, TypeError):
        content = json.loads(signed)
        return int(content["pid"]), str(content["model"])
    return None


def _is_served(path: Path) -> bool:
    """Whether somebody listens on a socket.

    Raises:
        ConfigError: it is not to be found out, for no connection is taken.
    """
    with unix_socket() as probe:
        probe.settimeout(PROBE)
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except (TimeoutError, BlockingIOError) as error:
            raise ConfigError(
                "a program listens there and takes no connection: it has stopped, or too many wait "
                "for it.",
                where=path,
                fix="end it, or choose another path.",
            ) from error
    return True
