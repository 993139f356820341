"""The report: one whole page with its marks, and `metrics.json` beside it."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import typer
from click.testing import Result
from html_page import HtmlPage
from typer.testing import CliRunner

from covidlit.cli.evaluate import evaluate as command
from covidlit.errors import CovidlitError
from covidlit.evaluation import (
    Evaluation,
    ReportContext,
    evaluate,
    write_predictions,
    write_report,
)
from covidlit.evaluation.report_tables import label_cells, table_html

pytestmark = pytest.mark.slow

Predictions = Callable[..., pd.DataFrame]


@pytest.fixture
def context() -> ReportContext:
    return ReportContext(
        title="CSAC-Net & friends",
        command="covidlit train model=csacnet",
        config="model: <script>alert(1)</script>",
        config_hash="c0ffee",
        split_hash="5p117",
        split_summary=pd.DataFrame({"part": ["train", "test"], "scans": [900, 120]}),
        disjointness=["No patient is in two parts."],
        flow=pd.DataFrame({"criterion": ["slices <= 5 mm"], "n_excluded": [3], "n_left": [9]}),
        tables={"Table 1": pd.DataFrame({"Centre 1": [591]}, index=["Patients"])},
        versions={"torch": "2.8.0"},
        training_curve=pd.DataFrame(
            {"epoch": [0, 1], "train_loss": [0.7, 0.4], "val_auc": [0.6, 0.8]}
        ),
        model={"parameters": "27.55 M"},
        training={"batch size": 10},
        selected_on="validation",
        notes=["A note."],
    )


@pytest.fixture(scope="module")
def quick() -> Callable[..., Evaluation]:
    return lambda table: evaluate(table, n_bootstrap=100)


def test_page_is_whole_and_self_contained(
    predictions: Predictions,
    context: ReportContext,
    quick: Callable[..., Evaluation],
    tmp_path: Path,
) -> None:
    table = predictions()
    path = write_report(table, tmp_path, context=context, evaluation=quick(table))
    assert sorted(file.name for file in tmp_path.iterdir()) == ["metrics.json", "report.html"]
    text = path.read_text()
    page = HtmlPage(text)
    assert len(page.ids) == len(set(page.ids))
    assert all(link.startswith("#") and link[1:] in page.ids for link in page.links)
    assert "@import" not in text
    assert 'name="viewport"' in text
    figures = re.findall(r"<svg.*?</svg>", text, re.DOTALL)
    assert len(figures) == 6
    for figure in figures:
        ElementTree.fromstring(figure)
        assert 'role="img" aria-label="' in figure
    assert "<script>" not in text
    for shown in (
        "CSAC-Net &amp; friends",
        "covidlit train model=csacnet",
        "c0ffee",
        "5p117",
        "No patient is in two parts.",
        "slices &lt;= 5 mm",
        "Table 1",
        "27.55 M",
        "2.8.0",
        "A note.",
        "Not for clinical use",
        "class covid",
    ):
        assert shown in text, shown


def test_a_tables_row_names_need_no_heading() -> None:
    rows = pd.DataFrame({"n": [3, 4]}, index=["covid", "np"])
    assert "<th></th><th" in table_html(rows)
    assert "<th>class name</th><th" in table_html(rows.rename_axis("class_name"))
    twice = rows.assign(part="test").reset_index(names="class_name")
    page = table_html(twice.set_index(["part", "class_name"]))
    assert "<th>part</th><th>class name</th><th" in page


def test_numbers_of_the_page_are_those_of_the_metrics(
    predictions: Predictions, quick: Callable[..., Evaluation], tmp_path: Path
) -> None:
    table = predictions()
    text = write_report(table, tmp_path, evaluation=quick(table)).read_text()
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    auc = metrics["parts"]["test"]["auc"]
    assert f"<b>{auc['value']:.3f}</b>" in text
    assert f"95% CI {auc['low']:.3f} to {auc['high']:.3f}" in text
    assert metrics["operating_points"][0]["sentence"].replace("'", "&#39;") in text
    for caution in metrics["cautions"]:
        assert caution["text"] in text


def test_the_first_screen_says_what_a_score_means_and_where_scans_come_from(
    predictions: Predictions, quick: Callable[..., Evaluation], tmp_path: Path
) -> None:
    table = predictions()
    text = write_report(table, tmp_path, evaluation=quick(table)).read_text()
    headline = text.split('<section id="headline">')[1].split("</section>")[0]
    assert "A score near 1 means: covid; near 0: cap or np." in headline
    assert "120 scans of 120 patients from centre 3: 48 positive" in headline


@pytest.mark.parametrize("source", ["table", "context", "neither"])
def test_synthetic_data_is_called_so_at_every_section_and_figure(
    predictions: Predictions, quick: Callable[..., Evaluation], tmp_path: Path, source: str
) -> None:
    table = predictions()
    if source != "table":
        table = table.drop(columns="synthetic")
    context = ReportContext(synthetic=True if source == "context" else None)
    text = write_report(table, tmp_path, context=context, evaluation=quick(table)).read_text()
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    codes = {caution["code"] for caution in metrics["cautions"]}
    if source == "neither":
        assert metrics["synthetic"] is None
        assert "synthetic" not in re.sub(r"<style>.*?</style>", "", text, flags=re.DOTALL).lower()
        return
    assert metrics["synthetic"] is True
    assert "synthetic" in codes
    assert "SYNTHETIC DATA" in text
    sections = re.findall(r"<h2>(.*?)</h2>", text)
    unmarked = [name for name in sections if "synthetic data" not in name]
    assert unmarked == ["Record"]
    for figure in re.findall(r"<svg.*?</svg>", text, re.DOTALL):
        assert "synthetic data" in figure


def test_selection_on_the_test_part_is_denounced(
    predictions: Predictions, quick: Callable[..., Evaluation], tmp_path: Path
) -> None:
    table = predictions()
    context = ReportContext(selected_on="test")
    text = write_report(table, tmp_path, context=context, evaluation=quick(table)).read_text()
    assert "must not be reported as test results" in text
    assert "was not given a proof" in text


def test_edge_cases_give_a_page(
    predictions: Predictions,
    folds: list[pd.DataFrame],
    quick: Callable[..., Evaluation],
    tmp_path: Path,
) -> None:
    table = predictions()
    perfect = table.assign(score=np.where(table["target"] == 1, 0.99, 0.01))
    only_negative = table[(table["part"] == "validation") | (table["target"] == 0)]
    tiny = table[table["part"] == "test"].head(6)
    bare = table[["part", "patient_id", "scan_id", "target", "score"]]
    bare = bare.assign(centre=None, class_name=None)
    cases = {"perfect": perfect, "negative": only_negative, "tiny": tiny, "folds": pd.concat(folds)}
    for name, case in (cases | {"bare": bare}).items():
        HtmlPage(write_report(case, tmp_path / name, evaluation=quick(case)).read_text())
    assert "undefined" in (tmp_path / "negative" / "report.html").read_text()
    assert "Fold 1:" in (tmp_path / "folds" / "report.html").read_text()


def test_same_input_same_page(
    predictions: Predictions, quick: Callable[..., Evaluation], tmp_path: Path
) -> None:
    table = predictions()
    pages = [
        write_report(table, tmp_path / name, evaluation=quick(table)).read_text() for name in "ab"
    ]
    assert pages[0] == pages[1]


def test_a_folder_that_cannot_be_written_is_named(
    predictions: Predictions, quick: Callable[..., Evaluation], tmp_path: Path
) -> None:
    table = predictions()
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(CovidlitError, match="taken"):
        write_report(table, tmp_path / "taken", evaluation=quick(table))


def _run(*arguments: object) -> Result:
    """`covidlit evaluate`."""
    app = typer.Typer()
    app.command()(command)
    return CliRunner().invoke(app, list(map(str, arguments)))


def test_command(predictions: Predictions, tmp_path: Path) -> None:
    path = write_predictions(predictions(), tmp_path / "predictions.parquet")
    out = tmp_path / "out"
    done = _run(path, "--out", out, "--operating-point", "0.5", "--bootstrap", "100")
    assert done.exit_code == 0, done.output
    assert "SYNTHETIC DATA" in done.output
    assert (out / "report.html").is_file()
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["operating_points"][0]["threshold"] == 0.5
    low = metrics["parts"]["test"]["auc"]["low"]
    assert f"({low:.3f} to" in done.output


def test_another_table_into_the_same_folder_is_evaluated_by_itself(
    predictions: Predictions, tmp_path: Path
) -> None:
    table = predictions()
    other = table.assign(score=1 - table["score"])
    for name, one in {"a": table, "b": other}.items():
        path = write_predictions(one, tmp_path / f"{name}.parquet")
        for out in ("used", name):
            done = _run(path, "--out", tmp_path / out, "--operating-point", "0.5",
                        "--bootstrap", "100")  # fmt: skip
            assert done.exit_code == 0, done.output
        made = json.loads((tmp_path / "used" / "metrics.json").read_text())
        alone = json.loads((tmp_path / name / "metrics.json").read_text())
        assert made["parts"] == alone["parts"]
    first = json.loads((tmp_path / "a" / "metrics.json").read_text())
    assert made["parts"]["test"]["auc"]["value"] == pytest.approx(
        1 - first["parts"]["test"]["auc"]["value"]
    )


def test_the_level_of_the_intervals_is_shown_as_it_is(
    predictions: Predictions, tmp_path: Path
) -> None:
    path = write_predictions(predictions(), tmp_path / "predictions.parquet")
    out = tmp_path / "out"
    done = _run(path, "--out", out, "--bootstrap", "100", "--confidence", "0.999")
    assert done.exit_code == 0, done.output
    page = (out / "report.html").read_text()
    assert "99.9% CI" in page
    assert "99.9% band" in page
    assert "<dt>intervals</dt><dd>99.9%" in page
    for wrong in ("100% CI", "100% band", "95%"):
        assert wrong not in re.sub("<style>.*?</style>", "", page, flags=re.DOTALL), wrong
    assert "99.9%" in done.output
    assert "100%" not in done.output


def test_the_recorded_command_makes_the_same_numbers_again(
    predictions: Predictions, tmp_path: Path
) -> None:
    path = write_predictions(predictions(), tmp_path / "predictions.parquet")
    out = tmp_path / "out"
    done = _run(
        path, "--out", out, "--bootstrap", "300", "--confidence", "0.9", "--seed", "5",
        "--subgroup", "sex", "--subgroup", "age", "--operating-point", "specificity>=0.9",
        "--title", "Two words",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    first = json.loads((out / "metrics.json").read_text())
    page = (out / "report.html").read_text()
    program, name, *arguments = shlex.split(first["record"]["command"])
    assert (program, name) == ("covidlit", "evaluate")
    shutil.rmtree(out)
    done = _run(*arguments)
    assert done.exit_code == 0, done.output
    assert json.loads((out / "metrics.json").read_text()) == first
    assert (out / "report.html").read_text() == page


def test_a_place_that_cannot_be_written_is_named_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_runs(paths: object) -> None:
        raise AssertionError("read before the place was looked at")

    monkeypatch.setattr("covidlit.evaluation.read_runs", read_runs)
    (tmp_path / "taken").write_text("a file")
    (tmp_path / "folder" / "metrics.json").mkdir(parents=True)
    for name, reason in {"taken": "Not a directory", "folder": "Is a directory"}.items():
        done = _run(tmp_path / "predictions.parquet", "--out", tmp_path / name)
        assert isinstance(done.exception, CovidlitError)
        assert f"cannot write: {reason}" in str(done.exception)
        assert str(tmp_path / name) in str(done.exception)


def test_the_parts_stand_in_one_order_everywhere(
    predictions: Predictions, quick: Callable[..., Evaluation], tmp_path: Path
) -> None:
    table = predictions().sort_values("part")  # test first
    path = write_predictions(table, tmp_path / "predictions.parquet")
    done = _run(path, "--out", tmp_path / "out", "--bootstrap", "100")
    assert done.output.index("validation (n = 60)") < done.output.index("test (n = 120)")
    text = (tmp_path / "out" / "report.html").read_text()
    tables = re.findall(r"<table.*?</table>", text, re.DOTALL)
    both = [rows for rows in tables if ">validation" in rows and ">test" in rows]
    assert len(both) == 3
    assert all(rows.index(">validation") < rows.index(">test") for rows in both)
    evaluation = quick(table)
    assert list(evaluation.metrics["parts"]) == ["validation", "test"]
    assert evaluation.summary()["part"].unique().tolist() == ["validation", "test"]


def test_a_centre_without_a_score_is_named_on_the_page(
    predictions: Predictions, quick: Callable[..., Evaluation], tmp_path: Path
) -> None:
    table, context = predictions(), ReportContext(centres=["1", "2", "3", "centre <4>"])
    text = write_report(table, tmp_path, context=context, evaluation=quick(table)).read_text()
    reason = "no scan in the validation or test part; training scans are not scored"
    assert f"centre &lt;4&gt; ({reason})" in text
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert metrics["centre_check"]["left_out"] == [{"centre": "centre <4>", "reason": reason}]


def test_every_cell_of_a_wide_table_carries_its_heading(
    predictions: Predictions,
    context: ReportContext,
    quick: Callable[..., Evaluation],
    tmp_path: Path,
) -> None:
    text = write_report(
        predictions(), tmp_path, context=context, evaluation=quick(predictions())
    ).read_text()
    wide = 0
    for table in re.findall(r"<table.*?</table>", text, re.DOTALL):
        head, _, body = table.partition("</thead>")
        headings, confusion = head.count("<th"), "confusion" in head.partition(">")[0]
        headings -= head.count("<thead")
        cells = [cell for cell in re.findall(r"<t[dh]\b[^>]*>", body) if "colspan" not in cell]
        labelled = [cell for cell in cells if "data-label=" in cell]
        if headings < 4 or confusion:
            assert labelled == []
            continue
        wide += 1
        assert 'class="stack' in head
        assert labelled == cells
    assert wide == 6
    assert 'data-label="Prevalence (95% CI)"' in text


def test_labels_are_those_of_the_columns_and_stay_escaped() -> None:
    rows = pd.DataFrame([[1, 2, 3, "<x>"]], columns=["a", "b", 'n "<b>"', "rtpcr_initial"])
    page = label_cells(table_html(rows))
    assert '<td class="n" data-label="a">1</td>' in page
    assert '<td class="n" data-label="n &#34;&lt;b&gt;&#34;">3</td>' in page
    assert '<td data-label="RT-PCR initial">&lt;x&gt;</td>' in page
    assert label_cells(table_html(rows[["a", "b"]])) == table_html(rows[["a", "b"]])
