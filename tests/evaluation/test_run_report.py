"""The report of a run, made again from its folder; metrics first, whatever fails after them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from typer.testing import CliRunner

from covidlit.cli.app import app
from covidlit.cohort.split import Split
from covidlit.errors import CovidlitError, PredictionsError
from covidlit.evaluation import (
    ReportContext,
    evaluate,
    read_metrics,
    run_context,
    run_settings,
    write_metrics,
    write_predictions,
    write_report,
)

Predictions = Callable[..., pd.DataFrame]

PNG = b"\x89PNG\r\n\x1a\nheat"
CONFIG = {
    "name": "study <one>",
    "seed": 7,
    "evaluation": {
        "operating_point": "sensitivity>=0.9",
        "n_bootstrap": 150,
        "confidence": 0.9,
        "subgroups": ["sex"],
    },
}
COHORT = {
    "format": 1,
    "n_synthetic": 180,
    "parts": [{"part": "test", "scans": 120}],
    "centres": [{"centre": "3", "test": 120}, {"centre": "far away", "train": 9}],
    "in_two_parts": {
        "patients": {"compared": 180, "shared": 0},
        "series": None,
        "images": {"compared": 180, "shared": 2},
    },
    "table1": [{"characteristic": "age in table 1", "test": "50"}],
    "table2": [{"class_name": "covid in table 2", "test": 48}],
    "flow": [{"criterion": "slices of 5 mm", "n_excluded": 3, "n_left": 180}],
    "flow_note": "A note on the flow.",
}


@pytest.fixture
def run(predictions: Predictions, tmp_path: Path) -> Path:
    """A run's folder as training leaves it just before its report is made."""
    table, folder = predictions(), tmp_path / "run"
    write_predictions(table, folder / "predictions.parquet")
    (folder / "config.yaml").write_text(yaml.safe_dump(CONFIG))
    (folder / "cohort.json").write_text(json.dumps(COHORT))
    (folder / "hardware.json").write_text('{"machine": "x86_64", "device_names": ["A", "B"]}')
    parts = dict(zip(table["scan_id"], table["part"], strict=True))
    Split(kind="made", parts=parts, manifest_hash="m").save(folder / "split.json")
    (folder / "logs").mkdir()
    (folder / "logs" / "metrics.csv").write_text(
        "epoch,step,train_loss,val_auc\n0,3,0.7,\n0,3,,0.6\n1,6,0.4,\n1,6,,0.8\n"
    )
    return folder


def call(*arguments: object) -> str:
    """Output of `covidlit evaluate`, which must succeed."""
    done = CliRunner().invoke(app, ["evaluate", *map(str, arguments)])
    assert done.exit_code == 0, done.output
    return " ".join(done.output.split())


def test_a_run_without_a_report_gets_one_with_its_own_settings(run: Path) -> None:
    call(run, "--out", run)
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["settings"] == {**CONFIG["evaluation"], "seed": 7}  # type: ignore[dict-item]
    assert metrics["record"]["split_hash"] == Split.load(run / "split.json").hash
    page = (run / "report.html").read_text()
    for shown in (
        "<h1>study &lt;one&gt;", "run run", "seed 7", "age in table 1", "covid in table 2",
        "slices of 5 mm", "A note on the flow.", "None stands in two parts of 180 patients",
        "2 of 180 images stand in two parts", "far away (no scan in the validation or test part",
        'id="model"', "x86_64", "A, B", "90% CI", "sensitivity&gt;=0.9",
    ):  # fmt: skip
        assert shown in page, shown
    assert "validation AUC" in page  # of the training curve
    assert "covidlit evaluate" in metrics["record"]["command"]


def test_what_training_recorded_survives_and_a_second_call_changes_nothing(run: Path) -> None:
    table = pd.read_parquet(run / "predictions.parquet")
    context = ReportContext(
        title="study <one>",
        run_id="run",
        command="covidlit train model=csacnet",
        config_hash="c0ffee",
        model={"parameters": "27.55 M"},
        training={"epochs": 75},
        versions={"torch": "2.8.0"},
        selected_on="last epoch",
        cut_short="Only 2 batches were trained on.",
        gallery=[('scan "1" <a>', PNG), ("scan 2", PNG + b"2")],
        gallery_note="One scale <for> all.",
    )
    evaluation = evaluate(table, seed=7, **CONFIG["evaluation"])  # type: ignore[arg-type]
    write_report(table, run, context=context, evaluation=evaluation)
    first = json.loads((run / "metrics.json").read_text())
    restored = run_context(run)
    for name in ("command", "config_hash", "model", "training", "versions", "selected_on",
                 "cut_short", "gallery_note", "run_id", "title"):  # fmt: skip
        assert getattr(restored, name) == getattr(context, name), name
    assert list(restored.gallery) == list(context.gallery)
    call(run, "--out", run)
    again = json.loads((run / "metrics.json").read_text())
    assert again["parts"] == first["parts"]
    assert {c["code"] for c in again["cautions"]} == {c["code"] for c in first["cautions"]}
    assert again["record"].pop("evaluated_by").startswith("covidlit evaluate ")
    assert first["record"].pop("evaluated_by") is None
    assert again["record"].pop("split_hash") == Split.load(run / "split.json").hash
    del first["record"]["split_hash"]
    assert again["record"] == first["record"]
    pages = [(run / "report.html").read_text()]
    assert pages[0].count("data:image/png;base64,") == 2
    assert "covidlit train model=csacnet" in pages[0]
    call(run, "--out", run)
    assert (run / "report.html").read_text() == pages[0]


def test_options_outrank_the_runs_settings(run: Path, tmp_path: Path) -> None:
    call(run, "--out", tmp_path / "out", "--confidence", "0.8", "--operating-point", "0.5",
         "--title", "Mine", "--subgroup", "age", "--seed", "3", "--bootstrap", "100")  # fmt: skip
    used = json.loads((tmp_path / "out" / "metrics.json").read_text())["settings"]
    assert used == {
        "operating_point": "0.5", "subgroups": ["age"], "n_bootstrap": 100, "seed": 3,
        "confidence": 0.8,
    }  # fmt: skip
    assert "<h1>Mine" in (tmp_path / "out" / "report.html").read_text()
    assert not (run / "report.html").exists()
    call(run / "predictions.parquet", "--out", tmp_path / "plain", "--bootstrap", "100")
    plain = json.loads((tmp_path / "plain" / "metrics.json").read_text())
    assert plain["settings"]["confidence"] == 0.95
    assert plain["record"]["split_hash"] is None


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("config.yaml", "a: [", "cannot be read"),
        ("cohort.json", "{", "cannot be read"),
        ("metrics.json", "{", "cannot be read"),
        ("metrics.json", "[]", "list instead of a mapping"),
        ("metrics.json", '{"format": 99}', "its format is 99"),
        ("split.json", "{}", "split.json"),
    ],
)
def test_a_damaged_file_is_named(run: Path, name: str, content: str, message: str) -> None:
    (run / name).write_text(content)
    with pytest.raises(CovidlitError, match=message) as found:
        run_context(run)
    assert name in str(found.value)


@pytest.mark.parametrize("name", ["cohort.json", "hardware.json", "split.json", "logs"])
def test_a_missing_file_is_done_without(run: Path, name: str, tmp_path: Path) -> None:
    target = run / name
    if target.is_dir():
        shutil.rmtree(target)
    else:
        target.unlink()
    call(run, "--out", tmp_path / "out")


def test_hostile_settings_of_a_folder_are_refused_or_left_aside(run: Path) -> None:
    for evaluation in ({"n_bootstrap": "many"}, {"confidence": 95}, {"operating_point": ["x"]}):
        (run / "config.yaml").write_text(yaml.safe_dump(CONFIG | {"evaluation": evaluation}))
        with pytest.raises(PredictionsError):
            evaluate(pd.read_parquet(run / "predictions.parquet"), **run_settings(run))
    (run / "config.yaml").write_text(yaml.safe_dump({"evaluation": 3, "seed": "x"}))
    assert run_settings(run) == {}
    (run / "config.yaml").write_text("!!python/object/apply:os.system ['touch hacked']")
    with pytest.raises(PredictionsError, match="cannot be read"):
        run_settings(run)


def test_metrics_are_there_whatever_fails_in_a_figure(
    predictions: Predictions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ValueError("matplotlib does not like it")

    monkeypatch.setattr("covidlit.evaluation.figures.svg_text", broken)
    table = predictions()
    evaluation = evaluate(table, n_bootstrap=100)
    with pytest.raises(ValueError, match="matplotlib"):
        write_report(table, tmp_path, evaluation=evaluation)
    assert [path.name for path in tmp_path.iterdir()] == ["metrics.json"]
    written = read_metrics(tmp_path / "metrics.json")
    assert written["parts"] == json.loads(json.dumps(evaluation.metrics["parts"]))
    alone = write_metrics(evaluation, tmp_path / "alone", ReportContext(split_hash="5p117"))
    assert read_metrics(alone)["record"]["split_hash"] == "5p117"


def test_metrics_of_an_earlier_version_do_not_pass_their_pooled_auc_for_the_mean(
    folds: list[pd.DataFrame], predictions: Predictions, tmp_path: Path
) -> None:
    pooled = evaluate(pd.concat(folds), n_bootstrap=100)
    metrics: dict[str, Any] = json.loads(json.dumps(pooled.metrics)) | {"format": 1}
    for part in metrics["parts"].values():
        part["auc"] = part.pop("auc_pooled")
    (tmp_path / "metrics.json").write_text(json.dumps(metrics))
    part = read_metrics(tmp_path / "metrics.json")["parts"]["test"]
    assert part["auc_pooled"] == metrics["parts"]["test"]["auc"]
    assert part["auc"]["value"] is None
    assert "covidlit evaluate makes it anew" in part["auc"]["reason"]
    single = json.loads(json.dumps(evaluate(predictions(), n_bootstrap=100).metrics))
    (tmp_path / "metrics.json").write_text(json.dumps(single | {"format": 1}))
    assert read_metrics(tmp_path / "metrics.json")["parts"] == single["parts"]


def test_names_in_cautions_and_captions_are_no_markup_of_the_terminal(
    folds: list[pd.DataFrame], predictions: Predictions, tmp_path: Path
) -> None:
    table = predictions()
    table["centre"] = ["[/red] [bold" if index % 2 else None for index in range(len(table))]
    write_predictions(table, tmp_path / "predictions.csv")
    output = call(tmp_path / "predictions.csv", "--out", tmp_path / "out", "--bootstrap", "100")
    assert "come from one ([/red] [bold)" in output
    named = [one.assign(run_id=f"[/b]{number}") for number, one in enumerate(folds)]
    write_predictions(pd.concat(named), tmp_path / "folds.csv")
    output = call(tmp_path / "folds.csv", "--out", tmp_path / "folds", "--bootstrap", "100")
    assert "[/b]0" in output


def test_the_terminal_shows_the_mean_of_the_folds_and_the_pooled_auc_beside_it(
    folds: list[pd.DataFrame], tmp_path: Path
) -> None:
    write_predictions(pd.concat(folds).assign(run_id="cv"), tmp_path / "predictions.csv")
    out = tmp_path / "out"
    output = call(tmp_path / "predictions.csv", "--out", out, "--bootstrap", "100")
    part = json.loads((out / "metrics.json").read_text())["parts"]["test"]
    for label, name in (("AUC, mean of folds", "auc"), ("AUC, folds pooled", "auc_pooled")):
        assert label in output
        assert f"{part[name]['value']:.3f} ({part[name]['low']:.3f} to" in output
    page = (out / "report.html").read_text()
    assert "AUC, mean of the folds</span>" in page
    assert f"<b>{part['auc']['value']:.3f}</b>" in page
    assert "mean of 3 folds, influence curve" in page
    assert f"it would be {part['auc_pooled']['value']:.3f}" in page
