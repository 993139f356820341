"""The wheel works where there is no checkout."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from importlib.metadata import distribution, packages_distributions, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from covidlit.runs.outcomes.classification_report import PACKAGES

ROOT = Path(__file__).parents[1]


def test_no_part_of_the_configuration_is_ignored_by_git() -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    files = [str(path.relative_to(ROOT)) for path in (ROOT / "conf").rglob("*.yaml")]
    command = ["git", "check-ignore", "--no-index", *files]
    ignored = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert ignored.returncode == 1, ignored.stdout + ignored.stderr  # 1: none is ignored
    assert len(files) > 20


PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def _brought_along() -> set[str]:
    """The names, normalised, of everything that `pip install covidlit` installs."""
    waiting, found = list(map(Requirement, PROJECT["dependencies"])), {("covidlit", "")}
    while waiting:
        needed = waiting.pop()
        for extra in {"", *needed.extras}:
            if (key := (canonicalize_name(needed.name), extra)) in found:
                continue
            found.add(key)
            for text in requires(needed.name) or ():
                inner = Requirement(text)
                if inner.marker is None or inner.marker.evaluate({"extra": extra}):
                    waiting.append(inner)
    return {name for name, _ in found}


def test_nothing_is_imported_or_named_that_only_a_developer_has() -> None:
    installed, distributions = _brought_along(), packages_distributions()
    # Imported where their extra is asked for.
    extras = {"dask", "distributed", "ray", "tabm"}
    # By the platform:
    extras |= {"django", "allauth", "django_tasks", "django_tasks_db", "ninja", "pynetdicom"}
    extras |= {"prometheus_client", "psycopg", "ldap", "django_auth_ldap"}
    imported: set[str] = set()
    for path in (ROOT / "covidlit").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                imported.add(node.module.split(".")[0])
    for name in imported - set(sys.stdlib_module_names) - extras - {"covidlit"}:
        assert {canonicalize_name(found) for found in distributions[name]} & installed, name
    assert {canonicalize_name(name) for name in PACKAGES} <= installed
    assert "pytest" not in installed


def test_the_wheel_trains_from_an_empty_folder(tmp_path: Path, tiny_overrides: list[str]) -> None:
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "-o", str(tmp_path), "."]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    # A new environment with the wheel and what it brings along: what else is here, for developers
    # or an extra, is not there.
    home = tmp_path / "venv"
    venv.create(home, with_pip=False)
    (packages,) = home.glob("lib/python*/site-packages")
    for name in _brought_along() - {"covidlit"}:
        for top in {file.parts[0] for file in distribution(name).files or ()} - {".."}:
            if not (packages / top).exists():
                (packages / top).symlink_to(str(distribution(name).locate_file(top)))
    assert not (packages / "hypothesis").exists()
    python = home / "bin" / "python"
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "--no-deps"]
    subprocess.run([*install, "--quiet", "--ignore-installed", str(wheel)], check=True)

    empty = tmp_path / "empty"
    empty.mkdir()
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    where = subprocess.run(
        [python, "-c", "import covidlit; print(covidlit.__file__)"],
        cwd=empty, env=environment, check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert str(packages) in where.stdout
    sweeper = packages / "hydra_plugins" / "covidlit_sweeper"
    assert (sweeper / "conf" / "hydra" / "sweeper" / "covidlit.yaml").is_file()
    assert (sweeper / "sweeper.py").is_file()
    done = subprocess.run(
        [home / "bin" / "covidlit", "train", *tiny_overrides, "model=csacnet",
         "model.task.net.width=4", "trainer.fast_dev_run=true"],
        cwd=empty, env=environment, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert list(empty.glob("runs/csacnet/*/report.html"))


BUNDLE = "covidlit/platform/static/vendor/niivue.js"
needs_npm = pytest.mark.skipif(
    shutil.which("npm") is None and not os.environ.get("CI"), reason="there is no npm here"
)


def _build(source: Path, out: Path, kind: str, path: str) -> tuple[Path, str]:
    """A wheel or source archive of a folder, with these programs to be found; and what was said."""
    command = [sys.executable, "-m", "build", f"--{kind}", "--no-isolation", "-o", str(out), "."]
    environment = {**os.environ, "PATH": path}
    done = subprocess.run(command, cwd=source, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = (each for each in out.iterdir() if each.suffix in (".whl", ".gz"))
    return built, done.stdout + done.stderr


def _source(tmp_path: Path) -> Path:
    """What a build needs of the checkout, without a bundle."""
    source = tmp_path / "source"
    ignored = shutil.ignore_patterns("vendor", "__pycache__", "node_modules")
    for name in ("covidlit", "hydra_plugins", "conf", "frontend"):
        shutil.copytree(ROOT / name, source / name, ignore=ignored)
    for name in ("pyproject.toml", "hatch_build.py", "README.md", "LICENSE", ".gitignore"):
        shutil.copy(ROOT / name, source)
    return source


@needs_npm
def test_what_pages_bring_from_npm_goes_into_the_source_archive_and_from_there_on(
    tmp_path: Path,
) -> None:
    source = _source(tmp_path)
    archive, _ = _build(source, tmp_path / "sdist", "sdist", os.environ["PATH"])
    assert not list(source.glob("frontend/node_modules"))
    with tarfile.open(archive) as packed:
        packed.extractall(tmp_path / "unpacked", filter="data")
    (unpacked,) = (tmp_path / "unpacked").iterdir()
    # Whoever installs from it needs no npm.
    wheel, said = _build(unpacked, tmp_path / "wheel", "wheel", str(Path(sys.executable).parent))
    assert "volume view" not in said
    with zipfile.ZipFile(wheel) as packed_wheel:
        script = packed_wheel.read(BUNDLE).decode()
        licences = packed_wheel.read(BUNDLE.replace(".js", ".licences.txt")).decode()
    assert not re.search(
        r"new Function|[^\w.]eval\(|new Worker|WebAssembly|sourceMappingURL", script
    )
    assert "@niivue/niivue 0.69.0 (BSD-2-Clause)" in licences
    assert licences.count("Redistribution and use") + licences.count("Permission ") >= 7


def test_without_npm_a_wheel_is_built_with_a_warning(tmp_path: Path) -> None:
    wheel, said = _build(
        _source(tmp_path), tmp_path / "wheel", "wheel", str(Path(sys.executable).parent)
    )
    assert "built without the volume view: npm, which brings NiiVue, is not installed." in said
    with zipfile.ZipFile(wheel) as packed:
        assert not [name for name in packed.namelist() if "vendor" in name]
        assert "covidlit/platform/static/volume.js" in packed.namelist()


def test_the_lock_file_names_hashes_and_no_registry() -> None:
    packages = json.loads((ROOT / "frontend" / "package-lock.json").read_text())["packages"]
    assert all(about.get("integrity") for name, about in packages.items() if name)
    assert not [name for name, about in packages.items() if "resolved" in about]
