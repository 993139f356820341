"""The files that a run leaves: page, table and card, and what stops their writing."""

from __future__ import annotations

import csv
import html
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from markdown_it import MarkdownIt
from typer.testing import CliRunner

from covidlit.cards import RunArtefacts, claim_sheet, model_card, read_run
from covidlit.cards.claim_files import claim_csv, claim_html
from covidlit.cards.markdown import bullets, escape, table
from covidlit.cards.model_card import SECTIONS
from covidlit.cli.app import app
from covidlit.errors import CovidlitError

NASTY = [
    "<script>alert(1)</script>", "a|b", "*bold* _it_ `code`", "[x](http://a)", "# head", "- item",
    "--- ---", "1. one", "0.5", "&amp; &lt;", "~~out~~", "back\\slash", "two\nlines", "![i](j)",
    "$x$", "=",
]  # fmt: skip


@pytest.fixture
def copy(csacnet_run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(csacnet_run, tmp_path / "run"))


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_run_writes_its_own_cards(csacnet_run: Path) -> None:
    rows = rows_of(csacnet_run / "claim.csv")
    assert [int(row["item"]) for row in rows] == list(range(1, 43))
    assert {row["data"] for row in rows} == {"SYNTHETIC DATA"}
    page = (csacnet_run / "claim.html").read_text(encoding="utf-8")
    assert [int(n) for n in re.findall(r'<article id="item(\d+)">', page)] == list(range(1, 43))
    assert "SYNTHETIC DATA" in page
    assert ".stack" in page  # the report's style
    assert not re.findall(r'(?:src|href)="(?!#)', page)


def test_the_command_counts_what_it_wrote(csacnet_run: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["cards", str(csacnet_run), "--out", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    status = [row["status"] for row in rows_of(tmp_path / "out" / "claim.csv")]
    for name in ("automatic", "needs a person", "missing"):
        assert f"{status.count(name)} {name}" in done.output
    assert "missing 31" in done.output
    card = (tmp_path / "out" / "model_card.md").read_bytes()
    assert card == (csacnet_run / "model_card.md").read_bytes()


def test_the_card_has_its_sections_and_the_runs_numbers(csacnet_run: Path) -> None:
    card = (csacnet_run / "model_card.md").read_text(encoding="utf-8")
    _, header, body = card.split("---\n", 2)
    assert "synthetic-data" in yaml.safe_load(header)["tags"]
    found = re.findall(r"^## (.*)$", body, re.MULTILINE)
    assert found == [f"{name} (SYNTHETIC DATA)" for name in SECTIONS]
    assert "**Not for clinical use**" in body
    ethics = body.partition("## Ethical considerations")[2].partition("\n## ")[0]
    assert ethics.strip().splitlines()[-1].startswith("*Needs a person:*")
    page = MarkdownIt("commonmark").enable("table").render(body)
    test = json.loads((csacnet_run / "metrics.json").read_text())["parts"]["test"]
    auc, confusion = test["auc"], test["confusion"]
    value = f"{auc['value']:.3f} ({auc['low']:.3f} to {auc['high']:.3f})"
    assert f"<td>{value}</td>" in page
    cells = "</td>\n<td>".join(["positive", str(confusion["tp"]), str(confusion["fn"]), "0"])
    assert cells in page


def test_real_images_are_not_called_synthetic(csacnet_run: Path) -> None:
    run = read_run(csacnet_run)
    files = dict(run.files)
    files["metrics.json"] = files["metrics.json"] | {"synthetic": False, "cautions": []}
    files["cohort.json"] = files["cohort.json"] | {"n_synthetic": 0}
    files["checkpoint"] = files["checkpoint"] | {"synthetic": False}
    real = RunArtefacts(run.folder, files)
    assert real.synthetic is False
    card = model_card(real).replace("No scan is marked synthetic", "")
    page = claim_html(claim_sheet(real), "run", real.synthetic)
    page = page.replace("No scan is marked synthetic", "").replace("n_synthetic", "")
    assert "synthetic" not in card.lower()
    assert "synthetic" not in page.lower()
    files = {name: files[name] for name in ("config.yaml", "split.json")}
    assert "does not say whether" in model_card(RunArtefacts(run.folder, files))


@pytest.mark.parametrize("text", NASTY)
def test_text_of_the_user_is_only_text(text: str) -> None:
    markdown = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    shown = html.escape(" ".join(text.split()))
    assert markdown.render(bullets([text])) == f"<ul>\n<li>{shown}</li>\n</ul>\n"
    assert f"<td>{shown}</td>\n<td>next</td>" in markdown.render(
        table(["a", "b"], [[text, "next"]])
    )
    assert markdown.render(f"# {escape(text)}") == f"<h1>{shown}</h1>\n"


def test_the_page_and_the_table_escape_what_a_manifest_holds(csacnet_run: Path) -> None:
    items = claim_sheet(read_run(csacnet_run))
    evil = "<img src=x onerror=alert(1)>"
    items[6] = replace(items[6], answer=(evil,))
    items[7] = replace(items[7], answer=('=HYPERLINK("http://a")', "b"))
    page = claim_html(items, evil, True)
    assert evil not in page
    assert html.escape(evil) in page
    rows = list(csv.DictReader(claim_csv(items, True).splitlines(keepends=True)))
    assert rows[6]["answer"] == evil
    assert rows[7]["answer"] == '\'=HYPERLINK("http://a")\nb'


def test_the_runs_of_a_sweep_are_counted(csacnet_run: Path, tmp_path: Path) -> None:
    for name in ("0_csacnet", "1_csacnet"):
        (tmp_path / "sweep" / name).mkdir(parents=True)
        shutil.copy(csacnet_run / "config.yaml", tmp_path / "sweep" / name)
    overrides = {"task": ["seed=1,2", "strict=true", "data.window=[-1,1]"]}
    text = yaml.safe_dump({"hydra": {"overrides": overrides}})
    (tmp_path / "sweep" / "multirun.yaml").write_text(text)
    for name in ("cohort.json", "hardware.json", "metrics.json"):
        shutil.copy(csacnet_run / name, tmp_path / "sweep" / "0_csacnet")
    said = claim_sheet(read_run(tmp_path / "sweep" / "0_csacnet"))[24].answer[-1]
    assert "when this was written: 2, over" in said
    assert "[seed=1,2]" in said


def test_a_report_made_again_keeps_what_the_cards_say(copy: Path) -> None:
    before = claim_sheet(read_run(copy))
    pictures = (copy / "report.html").read_text().count("data:image/png;base64,")
    done = CliRunner().invoke(app, ["evaluate", str(copy), "--out", str(copy)])
    assert done.exit_code == 0, done.output
    assert claim_sheet(read_run(copy)) == before
    assert (copy / "report.html").read_text().count("data:image/png;base64,") == pictures
    for name in ("metrics.json", "report.html"):
        (copy / name).unlink()
    done = CliRunner().invoke(app, ["evaluate", str(copy), "--out", str(copy)])
    assert done.exit_code == 0, done.output
    again = claim_sheet(read_run(copy))
    for number in (28, 29, 30, 35, 36, 37):
        assert again[number - 1].answer == before[number - 1].answer


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:200])


def _of_another_split(run: Path) -> None:
    metrics = json.loads((run / "metrics.json").read_text())
    metrics["record"]["split_hash"] = "f" * 64
    (run / "metrics.json").write_text(json.dumps(metrics))


def _of_other_predictions(run: Path) -> None:
    metrics = json.loads((run / "metrics.json").read_text())
    metrics["parts"]["test"]["n_scans"] += 1
    (run / "metrics.json").write_text(json.dumps(metrics))


def _edit_split(run: Path) -> None:
    path = run / "split.json"
    path.write_text(path.read_text().replace('"seed": 0', '"seed": 1'))


@pytest.mark.parametrize(
    ("damage", "text"),
    [
        (lambda run: shutil.rmtree(run), "there is no such folder"),
        (lambda run: (run / "config.yaml").unlink(), "holds no config.yaml"),
        (lambda run: (run / "config.yaml").write_text("[1, 2]"), "instead of a mapping"),
        (lambda run: (run / "config.yaml").write_text("a: [1"), "cannot be read"),
        (lambda run: _cut(run / "metrics.json"), "metrics.json: it cannot be read"),
        (lambda run: _cut(run / "checkpoints" / "best.ckpt"), "truncated"),
        (_edit_split, "does not match the content"),
        (_of_another_split, "files are of different runs"),
        (_of_other_predictions, "it has 10 test scans, metrics.json 11"),
    ],
)
def test_a_damaged_run_is_refused(damage: Callable[[Path], None], text: str, copy: Path) -> None:
    before = (copy / "claim.csv").read_bytes()
    damage(copy)
    with pytest.raises(CovidlitError, match=re.escape(text)) as caught:
        read_run(copy)
    assert caught.value.fix
    if copy.is_dir():
        done = CliRunner().invoke(app, ["cards", str(copy)])
        assert done.exit_code == 2
        assert "Traceback" not in done.output
        assert (copy / "claim.csv").read_bytes() == before
