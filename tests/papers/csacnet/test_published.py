"""The published numbers are those of the paper, each word for word."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from statsmodels.stats.proportion import proportion_confint

from covidlit.papers.csacnet import published


@pytest.fixture
def text(shared_data: Path) -> str:
    """The paper's text without blanks and marks of its typesetting."""
    path = shared_data.parent / "papers" / "csacnet_mild_covid.txt"
    if not path.is_file():
        pytest.skip(f"{path} is not there (papers are not shipped)")
    return _bare(path.read_text(encoding="utf-8"))


def _bare(text: str) -> str:
    return re.sub(r"[\s$\\|]|\{|\}|\^", "", text).replace("⁻⁴", "-4")


def test_figure_2_stands_in_the_text(text: str) -> None:
    record = published()
    rows = (*record.figure2_left.rows, *record.figure2_right.rows)
    assert len(rows) == 5
    for row in rows:
        for value in (row.auc, row.sensitivity, row.specificity):
            assert _bare(value) in text, value
    difference = record.figure2_right.difference
    assert f"equalsto{_bare(difference.p_value)}whichis{_bare(difference.reading)}" in text
    for method in record.figure2_right.methods:
        low, high = re.findall(r"0\.\d+", method.auc)
        assert f"between{low}and{high}" in text


@pytest.mark.parametrize(
    ("name", "measures"),
    [
        ("S1 vs S2 + S3", "Thesensitivitywas{},theoverallspecificitywas{}andtheAUCvaluewas{}"),
        ("S1 vs S2", "Thesensitivitywas{},thespecificitywas{}andthecorrespondingAUCvaluewas{}"),
        ("S1 vs S3", "Thesensitivitywas{},thespecificitywas{}andtheAUCvaluewas{}"),
    ],
)
def test_each_contrast_has_its_own_numbers(text: str, name: str, measures: str) -> None:
    row = next(row for row in published().figure2_left.rows if row.name == name)
    assert measures.format(*map(_bare, (row.sensitivity, row.specificity, row.auc))) in text


def test_each_group_of_cases_has_its_own_numbers(text: str) -> None:
    first, second = published().figure2_right.rows
    assert (
        "fortheinitialRT-PCRpositiveCOVID-19caseswere"
        f"{_bare(first.sensitivity)}and{_bare(first.specificity)},respectively,"
        f"andtheAUCvaluewas{first.auc}."
    ) in text
    assert (
        "FortheinitialRT-PCRnegativeCOVID-19cases,thesensitivityandspecificitywere"
        f"{_bare(second.sensitivity)}and{_bare(second.specificity)},respectively,"
        f"andtheAUCvaluewas{second.auc}."
    ) in text


def test_every_row_of_table_3_is_the_papers(text: str) -> None:
    table = published().table3
    assert len(table.thresholds) == 9
    assert len(table.readers) == 4
    for row in (*table.readers, *table.thresholds):
        values = (row.name, row.tpr, row.tpr_initially_negative, row.tnr)
        counts = (row.tp, row.tp_initially_negative, row.tn)
        assert "".join(values + counts) in text
    assert f"average{_bare(table.reader_seconds)}formanualidentification" in text
    assert f"inthetestsetwas{_bare(table.model_seconds)}" in text


def test_tables_1_and_2_are_the_papers(text: str) -> None:
    for row in published().table1.rows:
        assert _bare(row.name + "".join(row.values)) in text
    training, testing = text.split("Trainingset(total1538)")[1].split("Testingset(total549)")
    for row in published().table2.rows:
        for part, value in zip((training, testing), row.values, strict=True):
            label = "" if row.name.startswith("RT-PCR") else row.name.removesuffix(" lung")
            label = "" if label == "Healthy" else label
            assert _bare(f"{label}{value}") in part, (row.name, value)


def test_table_3s_percentages_are_those_of_its_counts() -> None:
    """A slip in typing a percentage or a count would part them."""
    table = published().table3
    for row in (*table.readers, *table.thresholds):
        for share, count, n in (
            (row.tpr, row.tp, 213),
            (row.tpr_initially_negative, row.tp_initially_negative, 81),
            (row.tnr, row.tn, 336),
        ):
            assert float(share.rstrip("%")) == pytest.approx(100 * int(count) / n, abs=0.051)


def test_the_remark_on_its_intervals_holds() -> None:
    """Wald with positive and negative patients together gives what was printed, Wilson does not."""
    assert published().figure2_left.rows[0].sensitivity.endswith("95% CI: 89.2–93.9%)")
    together = proportion_confint(549 * 195 / 213, 549, method="normal")
    assert [round(100 * end, 1) for end in together] == [89.2, 93.9]
    alone = proportion_confint(195, 213, method="wilson")
    assert f"{100 * alone[0]:.1f}% to {100 * alone[1]:.1f}%" in published().remarks[0]
