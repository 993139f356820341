"""Ask a server of `covidlit predict --serve` for scores; imports next to nothing.

One connection is one request. The client sends one line of JSON and gets one back, before which,
with `progress`, lines come that say how far the scoring is:

    {"version": "0.1.0", "model": "/abs/RUN", "columns": 80, "colours": false,
     "progress": true,
     "asked": {"path": "/abs/SCANS", "out": "/abs/scores.csv", "heatmaps": null, ...}}
    {"done": 3, "of": 40}
    {"code": 0, "out": "what is printed", "err": ""}

`asked` holds the fields of `covidlit.cli.predict_scans.ScanRequest`; paths are absolute, since the
server has a working directory of its own. `code` is the exit code of the command.
"""

from __future__ import annotations

import json
import os
import socket
import sys

from covidlit.version import __version__

TYPE_CHECKING = False  # typing is not imported for it
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

MOST_BYTES = 1 << 20
"""Of a request; no path is as long."""

MOST_COLUMNS = 10_000
"""Characters in a line that a request may ask for."""

PATHS = ("path", "out", "heatmaps")
"""Fields of a request that are paths."""

_OPTIONS = {
    "--out": "out", "--heatmaps": "heatmaps", "--override": "override", "--server": "server",
    "--image-orientation": "image_orientation", "--batch-size": "batch_size", "--jobs": "jobs",
    "--backend": "backend",
}  # fmt: skip
SHORT_PATH = (
    "choose another path, in a folder of your own and short: systems take about 100 bytes "
    "(a path may be relative, such as --server S after cd); the same for --serve and --server."
)
"""How to mend the path of a socket."""

_SWITCHES = {"--strict": "strict", "--timings": "timings"}
_NUMBERS = ("batch_size", "jobs")


def served(words: Sequence[str]) -> int | None:
    """Answer `covidlit predict WORDS` by its server; the exit code.

    None where no server is asked for, none can be asked, or anything in the words is unusual: the
    command itself then does it, and says what is wrong.
    """
    if (asked := plain_request(words)) is None:
        return None
    model, server = asked.pop("model"), asked.pop("server")
    try:
        connection = _connected(server)
    except Exception:
        return None
    for stream in (sys.stdout, sys.stderr):  # as the command does: any name can be shown
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        return _answered(connection, server, model, asked)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # nobody reads what is printed
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        from covidlit.errors import CovidlitError

        if not isinstance(error, CovidlitError):
            raise
        sys.stderr.write(f"error: {error}\n")
        return 2


def plain_request(words: Sequence[str]) -> dict[str, Any] | None:
    """What the words after `covidlit predict` ask a server for, where they are written plainly.

    Returns:
        The fields of a request that were given, "model" and "server"; None where no server is
        meant, or where a word is not the plain form of an option that goes with one.
    """
    asked: dict[str, Any] = {}
    places: list[str] = []
    rest = list(words)
    while rest:
        name, given, value = rest.pop(0).partition("=")
        if name in _SWITCHES and not given:
            asked[_SWITCHES[name]] = True
        elif name in _OPTIONS:
            if not given and (not rest or rest[0].startswith("-")):
                return None
            value = value if given else rest.pop(0)
            field = _OPTIONS[name]
            if field == "override":
                asked.setdefault(field, []).append(value)
            elif field in _NUMBERS and not value.isdecimal():
                return None
            else:
                asked[field] = int(value) if field in _NUMBERS else value
        elif name.startswith("-"):
            return None
        else:
            places.append(name + given + value)
    if "server" not in asked or len(places) != 2 or not all([*places, *asked.values()]):
        return None
    return {"model": places[0], "path": places[1], **asked}


def ask_server(server: str, model: str, asked: Mapping[str, Any]) -> int:
    """Have a server score scans, and print what it says; returns the exit code.

    Args:
        server: the socket that it listens on.
        model: that it has to serve.
        asked: fields of a request; paths may be relative.

    Raises:
        ConfigError: nobody listens there.
        CovidlitError: the server ended before it answered.
    """
    try:
        connection = _connected(server)
    except (FileNotFoundError, ConnectionError, PermissionError) as error:
        from covidlit.errors import ConfigError

        raise ConfigError(
            f"no server listens there: {error.strerror or error}.",
            where=server,
            fix=f"start it, in another terminal: covidlit predict {model} --serve {server}; or "
            "leave --server out.",
        ) from error
    except OSError as error:  # such as a path that is too long for a socket
        from covidlit.errors import ConfigError

        raise ConfigError(f"this is no socket: {error}.", where=server, fix=SHORT_PATH) from error
    return _answered(connection, server, model, asked)


def unix_socket() -> socket.socket:
    """A socket for a place in the file system.

    Raises:
        ConfigError: this system has none.
    """
    if not hasattr(socket, "AF_UNIX"):
        from covidlit.errors import ConfigError

        raise ConfigError("this system has no sockets in files.", where="--server and --serve")
    return socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)


def _connected(server: str) -> socket.socket:
    connection = unix_socket()
    try:
        connection.connect(server)
    except OSError:
        connection.close()
        raise
    return connection


def _answered(connection: socket.socket, server: str, model: str, asked: Mapping[str, Any]) -> int:
    request = {
        "version": __version__,
        "model": _absolute(model),
        "columns": _columns(),
        "colours": sys.stdout.isatty(),
        "progress": sys.stdout.isatty(),
        "asked": {
            name: _absolute(value) if name in PATHS and value is not None else value
            for name, value in {"out": "scores.csv", **asked}.items()
        },
    }
    with connection:
        answer = _answer(connection, json.dumps(request).encode() + b"\n")
    try:
        said = json.loads(answer)
        code = int(said["code"])
        texts = str(said["out"]), str(said["err"])
    except (ValueError, LookupError, TypeError) as error:
        from covidlit.errors import CovidlitError

        raise CovidlitError(
            "this is no answer of ours." if answer else "the server ended before it answered.",
            where=server,
            fix=f"start it again: covidlit predict {model} --serve {server}",
        ) from error
    for stream, text in zip((sys.stdout, sys.stderr), texts, strict=True):
        stream.write(text)
        stream.flush()
    return code


def _answer(connection: socket.socket, request: bytes) -> bytes:
    """The last line of what a server says; what comes before it moves a bar on the terminal."""
    line, shown, advanced = b"", None, 0
    try:
        connection.sendall(request)
        for line in connection.makefile("rb"):
            if not (line.startswith(b'{"done"') and line.endswith(b"}\n")):
                continue  # the answer, or what is left of a line when the server was killed
            told, line = json.loads(line), b""
            if shown is None:
                from contextlib import ExitStack

                from covidlit.progress import progress_bar

                shown = ExitStack()
                bar = shown.enter_context(progress_bar("Scoring scans", told["of"]))
            for _ in range(told["done"] - advanced):
                bar.advance()
            advanced = told["done"]
    except ConnectionError:
        pass  # told by what is missing of the answer
    finally:
        if shown is not None:
            shown.close()
    return line


def _absolute(path: str) -> str:
    # `..` stays: behind a link it is another folder.
    return os.path.join(os.getcwd(), path)  # noqa: PTH109, PTH118 (pathlib takes its time)


def _columns() -> int:
    """Characters in a line of the terminal, as `shutil.get_terminal_size` finds them."""
    for find in (
        lambda: int(os.environ["COLUMNS"]),
        lambda: os.get_terminal_size(sys.__stdout__.fileno()).columns,  # type: ignore[union-attr]
    ):
        try:
            if (found := find()) > 0:
                return min(found, MOST_COLUMNS)
        except (KeyError, ValueError, OSError, AttributeError):
            continue
    return 80
