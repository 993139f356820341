"""Ask a server of `covidlit predict --serve` for scores; imports nothing that takes time.

One connection is one request. The client sends one line of JSON and gets one back:

    {"version": "0.1.0", "model": "/abs/RUN", "columns": 80, "colours": false,
     "asked": {"path": "/abs/SCANS", "out": "/abs/scores.csv", "heatmaps": null, ...}}
    {"code": 0, "out": "what is printed", "err": ""}

`asked` holds the fields of `covidlit.cli.predict_scans.ScanRequest`; paths are absolute, since the
server has a working directory of its own. `code` is the exit code of the command.
"""

from __future__ import annotations

import json
import shutil
import socket
import sys
from dataclasses import asdict
from pathlib import Path

from covidlit.cli.predict_scans import ScanRequest
from covidlit.errors import ConfigError, CovidlitError
from covidlit.version import __version__

MOST_BYTES = 1 << 20
"""Of a request; no path is as long."""


def ask_server(server: Path, model: Path, asked: ScanRequest) -> int:
    """Have a server score scans, and print what it says; returns the exit code.

    Args:
        server: the socket that it listens on.
        model: that it has to serve.
        asked: which scans, and where to write.

    Raises:
        ConfigError: nobody listens there.
        CovidlitError: the server ended before it answered.
    """
    line = json.dumps(
        {
            "version": __version__,
            "model": str(model.absolute()),
            "columns": shutil.get_terminal_size().columns,
            "colours": sys.stdout.isatty(),
            "asked": {
                name: str(value.absolute()) if isinstance(value, Path) else value
                for name, value in asdict(asked).items()
            },
        }
    )
    answer = _exchange(server, model, line.encode() + b"\n")
    try:
        said = json.loads(answer)
        code = int(said["code"])
        texts = str(said["out"]), str(said["err"])
    except (ValueError, LookupError, TypeError) as error:
        raise CovidlitError(
            "the server ended before it answered." if not answer else "this is no answer of ours.",
            where=server,
            fix=f"start it again: covidlit predict {model} --serve {server}",
        ) from error
    for stream, text in zip((sys.stdout, sys.stderr), texts, strict=True):
        stream.write(text)
        stream.flush()
    return code


def _exchange(server: Path, model: Path, line: bytes) -> bytes:
    answer = bytearray()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        try:
            connection.connect(str(server))
            connection.sendall(line)
        except (FileNotFoundError, ConnectionError, PermissionError) as error:
            raise ConfigError(
                f"no server listens there: {error.strerror or error}.",
                where=server,
                fix=f"start it, in another terminal: covidlit predict {model} --serve {server}; or "
                "leave --server out.",
            ) from error
        except OSError as error:  # such as a path that is too long for a socket
            raise ConfigError(f"this is no socket: {error}.", where=server) from error
        try:
            while some := connection.recv(1 << 16):
                answer += some
        except ConnectionError:
            pass  # told by what is missing of the answer
    return bytes(answer)
