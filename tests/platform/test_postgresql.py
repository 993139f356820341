"""The same platform on PostgreSQL: its own tests there, and its backups."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from postgres import Server, server, server_program

from covidlit.errors import CovidlitError
from covidlit.platform.folder import SETTINGS_FILE, VARIABLE, PlatformFolder
from covidlit.platform.operation.backing_up import backup
from covidlit.platform.operation.restoring import restore

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        server_program() is None, reason="PostgreSQL is not installed (apt install postgresql)"
    ),
]

HERE = Path(__file__).parent
FILES = (
    "test_matrix",
    "test_scoped",
    "test_trail",
    "test_storing",
    "test_lost_jobs",
    "test_tidying",
    "test_grading",
    "test_dicomweb",
)


@pytest.fixture(scope="module")
def own() -> Iterator[Server]:
    pytest.importorskip("psycopg", reason="pip install 'covidlit[postgresql]'")
    with server() as found:
        yield found


def test_the_tests_of_the_platform_pass_on_it(own: Server) -> None:
    files = [str(HERE / f"{name}.py") for name in FILES]
    variables = {
        k: v for k, v in os.environ.items() if k not in (VARIABLE, "DJANGO_SETTINGS_MODULE")
    }
    variables["COVIDLIT_TEST_DATABASE"] = own.make_database("tests")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-p", "no:xdist",
         *files],
        env=variables, capture_output=True, text=True, cwd=HERE.parents[1],
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    assert "[100%]" in done.stdout


def _platform(root: Path, address: str) -> PlatformFolder:
    """A platform on this database, with an account."""
    variables = {k: v for k, v in os.environ.items() if not k.startswith("DJANGO")}
    variables["COVIDLIT_PLATFORM_PASSWORD"] = "a long enough phrase"
    command = [sys.executable, "-m", "covidlit", "platform", "init", str(root), "--admin", "boss",
               "--centre", "north", "--database", address]  # fmt: skip
    subprocess.run(command, check=True, env=variables, capture_output=True)
    return PlatformFolder(root)


def test_a_backup_of_it_is_restored_into_another_database(own: Server, tmp_path: Path) -> None:
    folder = _platform(tmp_path / "platform", own.make_database("one"))
    about = backup(folder, tmp_path / "b")
    assert (about.database, about.last_entry) == ("postgresql", 4)
    with pytest.raises(CovidlitError, match="is of a platform on PostgreSQL"):
        restore(tmp_path / "b", tmp_path / "new")
    with pytest.raises(CovidlitError, match="pg_restore failed"):  # it is not empty
        restore(tmp_path / "b", tmp_path / "new", own.address.format(name="one"))
    assert not (tmp_path / "new").exists()
    address = own.make_database("two")
    restore(tmp_path / "b", tmp_path / "new", address)
    assert f'database = "{address}"' in (tmp_path / "new" / SETTINGS_FILE).read_text()
    variables = {k: v for k, v in os.environ.items() if not k.startswith("DJANGO")}
    verify = [sys.executable, "-m", "covidlit", "platform", "verify", str(tmp_path / "new")]
    assert "5 entries" in subprocess.check_output(verify, env=variables, text=True)
