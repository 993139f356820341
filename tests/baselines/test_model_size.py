"""A skops file that would take far more memory than its size is refused before it is unpacked."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from covidlit.baselines import load_model
from covidlit.errors import CheckpointError


def _write(path: Path, schema: object, **files: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("schema.json", json.dumps(schema))
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def test_an_archive_that_expands_beyond_reason(tmp_path: Path) -> None:
    path = _write(tmp_path / "model.skops", {}, array=bytes(300 << 20))
    assert path.stat().st_size < 1 << 20
    with pytest.raises(CheckpointError, match=r"would become 0.29 GiB .*COVIDLIT_MAX_GIB=1 "):
        load_model(path)


def test_one_array_named_many_times(tmp_path: Path) -> None:
    schema = {"content": [{"type": "numpy", "file": "array"} for _ in range(40)]}
    path = _write(tmp_path / "model.skops", schema, array=bytes(100 << 20))
    with pytest.raises(CheckpointError, match=r"its schema claims 3.91 GiB"):
        load_model(path)
