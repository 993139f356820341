"""What a machine lacks becomes a sentence, however a library wraps it; other faults do not."""

from __future__ import annotations

import errno
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from covidlit.errors import CovidlitError, machine_trouble
from covidlit.files import write_text


def _wrapped(cause: BaseException) -> BaseException:
    try:
        try:
            raise cause
        except type(cause) as error:
            raise ValueError("unable to configure") from error
    except ValueError as error:
        return error


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.ENOSPC, "x", "/a/b"), "/a/b: the disk is full."),
        (OSError(errno.EMFILE, "x", "/a/b"), "ulimit -n"),
        (OSError(errno.ENOMEM, "x"), "not enough memory"),
        (BlockingIOError(errno.EAGAIN, "x"), "no further process"),
        (MemoryError(), "not enough memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), "enough memory"),
        (RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"), "enough memory"),
        (RuntimeError("can't start new thread"), "no further process"),
        (
            RuntimeError("DataLoader worker (pid 3) is killed by signal: Bus error."),
            "data.num_workers=0",
        ),
        (ImportError("libx.so: failed to map segment from shared object"), "enough memory"),
        (_wrapped(OSError(errno.EROFS, "x", "/ro/train.log")), "/ro/train.log: Read-only file"),
        (PermissionError(errno.EACCES, "x", "/a"), "/a: Permission denied."),
        (OSError(errno.ENAMETOOLONG, "x", "/a"), "/a: File name too long. Fix: choose a shorter"),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_what_the_machine_lacks_is_a_sentence(error: BaseException, said: str) -> None:
    found = machine_trouble(error)
    assert said in str(found)
    assert "Then run the same command again." in str(found)


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.EIO, "Input/output error", "/a"),
        RuntimeError("shape mismatch"),
        ValueError("out of memory of what was said"),
        ImportError("no module named x"),
        CovidlitError("wrong column"),
    ],
    ids=repr,
)
def test_other_faults_are_not_hidden(error: BaseException) -> None:
    assert machine_trouble(error) is None


def test_a_full_disk_is_named_by_the_folder_written_to() -> None:
    error = RuntimeError("write failed: No space left on device")
    assert str(machine_trouble(error, writing=Path("/x/run"))).startswith("/x/run: the disk is")


def test_too_many_open_files_are_not_called_permissions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(os, "open", fail)
    with pytest.raises(CovidlitError, match=r"too many files are open.*ulimit -n 1024"):
        write_text(tmp_path / "a", "b")


def _limited(megabytes: int, *arguments: str) -> subprocess.CompletedProcess[str]:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (megabytes << 20, megabytes << 20))

    return subprocess.run(
        [sys.executable, "-c", "from covidlit.cli.app import app; app()", *arguments],
        capture_output=True, text=True, preexec_fn=limit,
    )  # fmt: skip


@pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_AS binds on Linux")
@pytest.mark.parametrize("command", [("inspect", "."), ("train",)], ids=lambda c: c[0])
def test_too_few_addresses_are_said_before_anything_is_loaded(command: tuple[str, ...]) -> None:
    done = _limited(400, *command)
    assert done.returncode == 2
    assert done.stderr.strip().startswith("error: ulimit -v: a process may take 419 MB here")
    assert "Traceback" not in done.stderr
