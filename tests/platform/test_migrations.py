"""Databases of other versions: a newer one is refused, an older one migrated after a backup."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from ports import free_port
from schema_dump import OWN, SCHEMAS, changed, django, dump, load, sums, tables

from covidlit.platform.folder import make_platform_folder
from covidlit.platform.operation.restoring import check_backup

pytestmark = pytest.mark.slow

LAST = ("audit", "0001_initial")
"""Without the migrations of this app behind this one a database is an older one."""


def _covidlit(*arguments: str) -> subprocess.CompletedProcess[str]:
    variables = {k: v for k, v in os.environ.items() if not k.startswith(("DJANGO", "COVIDLIT"))}
    command = [sys.executable, "-m", "covidlit", "platform", *arguments]
    return subprocess.run(command, env=variables, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("fresh") / "platform"
    make_platform_folder(root)
    django(root, ("migrate",))
    return root


@pytest.fixture(scope="module")
def older(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A platform whose audit trail could still be changed."""
    root = tmp_path_factory.mktemp("older") / "platform"
    make_platform_folder(root)
    apps = sorted(path.parent.name for path in OWN.glob("*/migrations"))
    others = [("migrate", app) for app in apps if app != LAST[0]]
    django(root, ("migrate", *LAST), *others, ("migrate", "sessions"))
    return root


def test_an_older_database_is_not_served_and_migrated_after_a_backup(
    older: Path, fresh: Path, tmp_path: Path
) -> None:
    root, out = tmp_path / "platform", tmp_path / "before"
    shutil.copytree(older, root)
    before = (root / "db.sqlite3").read_bytes()
    refused = _covidlit("serve", str(root), "--port", str(free_port()))
    assert refused.returncode == 2
    assert "older covidlit" in refused.stderr
    assert f"covidlit platform migrate {root}" in refused.stderr
    assert (root / "db.sqlite3").read_bytes() == before
    done = _covidlit("migrate", str(root), "--out", str(out))
    assert done.returncode == 0, done.stderr
    assert check_backup(out).migrations["audit"] == ["0001_initial"]
    assert tables(root / "db.sqlite3").keys() >= tables(fresh / "db.sqlite3").keys()
    assert "already" in _covidlit("migrate", str(root)).stdout
    assert "1 entries" in _covidlit("verify", str(root)).stdout


def test_a_newer_database_is_refused(fresh: Path, tmp_path: Path) -> None:
    root = tmp_path / "platform"
    shutil.copytree(fresh, root)
    with closing(sqlite3.connect(root / "db.sqlite3")) as connection:
        connection.execute(
            "INSERT INTO django_migrations (app, name, applied) VALUES ('jobs', '9999_later', 0)"
        )
        connection.commit()
    for command in (("serve", "--port", str(free_port())), ("migrate",)):
        refused = _covidlit(*command, str(root))
        assert refused.returncode == 2
        assert "newer" in refused.stderr


def test_every_released_schema_becomes_the_newest(older: Path, fresh: Path, tmp_path: Path) -> None:
    dumps = {"older": dump(older / "db.sqlite3")}
    dumps |= {path.stem: path.read_text() for path in SCHEMAS.glob("*.sql")}
    newest = tables(fresh / "db.sqlite3")
    for name, sql in dumps.items():
        load(sql, tmp_path / name)
        assert tables(tmp_path / name / "db.sqlite3") != newest or name != "older"
        django(tmp_path / name, ("migrate",))
        assert tables(tmp_path / name / "db.sqlite3") == newest, name


def test_no_released_migration_was_changed(tmp_path: Path) -> None:
    for path in SCHEMAS.glob("*.json"):
        assert changed(json.loads(path.read_text())) == [], path.name
    # The same of one that is changed here.
    released = sums()
    for place in released:
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(OWN / place, tmp_path / place)
    assert changed(released, tmp_path) == []
    first = next(iter(released))
    (tmp_path / first).write_text("# changed\n" + (OWN / first).read_text())
    assert changed(released, tmp_path) == [first]


def test_the_models_are_those_of_the_migrations(fresh: Path) -> None:
    django(fresh, ("makemigrations", "--check", "--dry-run"))
