"""A disk that gets full: said, nothing half-stored, and gone on with once there is room."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from django.db import OperationalError
from django.test import RequestFactory

from covidlit.platform.trouble import trouble_of
from covidlit.platform.trouble_page import say_trouble

HERE = Path(__file__).parent
SIZE = "24m"


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs private mounts (Linux)")
def test_a_full_disk_is_said_and_gone_on_with(tmp_path: Path) -> None:
    mount = f'mount -t tmpfs -o size={SIZE} tmpfs "{tmp_path}"'
    if subprocess.run(["unshare", "-rm", "sh", "-c", mount], capture_output=True).returncode:
        pytest.skip("no private mounts here")
    call = f'{mount} && exec "{sys.executable}" "{HERE / "full_disk.py"}" "{tmp_path}"'
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("DJANGO", "COVIDLIT"))}
    paths = os.pathsep.join([str(HERE), str(HERE.parents[1]), kept.get("PYTHONPATH", "")])
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", call], capture_output=True, text=True,
        env={**kept, "PYTHONPATH": paths}, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["begun"] == 201
    # Of the health page: there is less room than it wants from the beginning.
    assert told["before"][:-1] == [200, 200, 200]
    *came, last = told["pieces"]
    assert set(came) == {200}
    assert last == 507
    assert told["while_full"]["again"] == 507
    assert set(told["while_full"]["pages"]) <= {200, 507, 503}
    assert told["after"] == 200
    assert told["pages_after"][:-1] == [200, 200, 200]
    assert told["counted"] == told["lies"]
    assert (told["missing"], told["orphans"]) == ([], [])


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (OperationalError("database or disk is full"), 507, "the disk is full"),
        (OperationalError("server closed the connection"), 503, "the database does not answer"),
        (MemoryError(), 503, "not enough memory"),
        (KeyError("secret-name"), 500, "stumbled"),
    ],
)
def test_what_failed_is_said_to_people_and_programs(
    error: Exception, status: int, said: str
) -> None:
    assert trouble_of(error)[0] == status
    for path, kind in (("/", "text/html"), ("/api/v1/me", "application/problem+json")):
        try:
            raise error
        except type(error):
            answer = say_trouble(RequestFactory().get(path))
        assert answer.status_code == status
        assert answer["Content-Type"].startswith(kind)
        content = answer.content.decode()
        assert said in content.lower()
        assert "secret-name" not in content
