"""Workbooks and Parquet files that are damaged: told with their place and what to do."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from covidlit.errors import CovidlitError, ManifestError
from covidlit.tables import read_table
from covidlit.tables.grid import read_grid

READERS = [read_table, read_grid]
TABLE = pd.DataFrame({"patient_id": ["007", "008"] * 20, "n": range(40)})


def written(path: Path) -> bytes:
    if path.suffix == ".xlsx":
        TABLE.to_excel(path, index=False)
    else:
        TABLE.to_parquet(path)
    return path.read_bytes()


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize(
    "content", [b"", b"a,b\n1,2\n", b"PK\x03\x04", b"PAR1", b"\xd0\xcf\x11\xe0"]
)
@pytest.mark.parametrize("ending", ["xlsx", "parquet"])
def test_what_is_something_else_says_where_and_what_to_do(
    ending: str, content: bytes, read: Callable[..., Any], tmp_path: Path
) -> None:
    path = tmp_path / f"labs.{ending}"
    path.write_bytes(content)
    kind = "an Excel workbook" if ending == "xlsx" else "a Parquet file"
    with pytest.raises(ManifestError, match=f"cannot be read: it is not {kind}, or is") as caught:
        read(path, ManifestError)
    assert caught.value.where == str(path)
    assert "CSV" in str(caught.value.fix)


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("ending", ["xlsx", "parquet"])
def test_damage_anywhere_is_told_alike(
    ending: str, read: Callable[..., Any], tmp_path: Path
) -> None:
    path = tmp_path / f"labs.{ending}"
    whole = written(path)
    read(path, ManifestError)
    rng = np.random.default_rng(0)
    refused: list[CovidlitError] = []
    for _ in range(60):
        content = bytearray(whole)
        if rng.random() < 0.5:
            del content[int(rng.integers(len(content))) :]
        for place in rng.integers(0, max(len(content), 1), 8):
            if content:
                content[place] = int(rng.integers(256))
        path.write_bytes(content)
        try:
            read(path, ManifestError)
        except CovidlitError as error:
            refused.append(error)
    assert len(refused) > 20
    assert {(type(each), each.where) for each in refused} == {(ManifestError, str(path))}
    assert all(each.fix for each in refused)


def test_what_the_disk_says_is_no_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise OSError(5, "Input/output error")

    path = tmp_path / "labs.parquet"
    written(path)
    monkeypatch.setattr(pd, "read_parquet", broken)
    with pytest.raises(ManifestError, match="Input/output error") as caught:
        read_table(path, ManifestError)
    assert "damaged" not in str(caught.value)
