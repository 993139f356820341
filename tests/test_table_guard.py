"""No cell of a CSV table is taken for a formula, and what is read back is what was written."""

from __future__ import annotations

import ast
import csv
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import covidlit
from covidlit.tables import cell_text, read_table, without_guard, write_table

PACKAGE = Path(covidlit.__file__).parent
FORMULAS = ["=1+1", "+1", "-x", "@SUM(A1)", "\tx", "\rx", "'=1+1", "''@", "-12"]
PLAIN = ["a=b", "'tis", "a-b", " =1", "1e5"]


def test_every_table_goes_through_one_writer() -> None:
    """Any other way to CSV would be without the guard."""
    found = []
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            name = node.attr if isinstance(node, ast.Attribute) else ""
            of_csv = (
                name in ("writer", "DictWriter")
                and isinstance(node.value, ast.Name)
                and node.value.id == "csv"
            )
            if name in ("to_csv", "to_excel", "savetxt") or of_csv:
                found.append(path.relative_to(PACKAGE).as_posix())
    assert found == ["tables/writing.py"]


@pytest.mark.parametrize("column", ["reason", "patient_id", "=cmd"])
def test_formulas_are_guarded_and_read_back(column: str, tmp_path: Path) -> None:
    texts = [*FORMULAS, *PLAIN]
    table = pd.DataFrame({"number": [-1.5] * len(texts), column: texts})
    write_table(table, tmp_path / "scores.csv")
    with (tmp_path / "scores.csv").open(newline="") as file:
        header, *rows = list(csv.reader(file))
    assert [row[0] for row in rows] == ["-1.5"] * len(texts)  # a number is no text
    assert not any(cell.startswith(tuple("=+-@\t\r")) for cell in (*header, *(r[1] for r in rows)))
    assert [row[1] for row in rows[len(FORMULAS) :]] == PLAIN
    read = read_table(tmp_path / "scores.csv")
    assert list(read.columns) == ["number", column]
    assert read[column].tolist() == texts
    assert table[column].tolist() == texts


@pytest.mark.parametrize("kind", ["string", "category", "object"])
def test_every_kind_of_text_column_is_guarded(kind: str, tmp_path: Path) -> None:
    table = pd.DataFrame({"reason": pd.Series(["=1", None, "b"], dtype=kind)})
    write_table(table, tmp_path / "cases.csv")
    assert (tmp_path / "cases.csv").read_text().split("\n")[1] == "'=1"


@given(st.text(alphabet="'=+-@\t\rab ", max_size=6))
def test_the_guard_is_taken_back(text: str) -> None:
    guarded = cell_text(text)
    assert without_guard(guarded) == text
    assert not guarded.startswith(tuple("=+-@\t\r"))
