"""The report of a run says only what belongs to its manifest."""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path

import pandas as pd
import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from typer.testing import CliRunner

from covidlit.cli.app import app
from covidlit.cohort import Split, read_manifest
from covidlit.cohort.sources import flow_path
from covidlit.cohort.summary import split_summary
from covidlit.runs.steps import train_and_evaluate
from covidlit.settings.tree import config_dir


@pytest.mark.parametrize("own", [True, False])
def test_only_the_manifest_s_own_flow_is_shown(
    own: bool, tiny_data: Path, tiny_overrides: list[str], tmp_path: Path
) -> None:
    original = Path((tiny_data / "manifest_path").read_text())
    manifest = original.with_name(f"own-{own}.csv")
    manifest.write_bytes(original.read_bytes())
    flow = pd.read_csv(flow_path(original))
    flow.assign(n_left=flow["n_left"] + (not own)).to_csv(flow_path(manifest), index=False)
    overrides = [
        *(o for o in tiny_overrides if not o.startswith("data.source.path=")),
        f"data.source.path={manifest}",
        *("name=test", "model=csacnet", "model.task.net.width=4", "split.test_centres=[centre_4]"),
        "trainer.fast_dev_run=true",
    ]
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        config = compose("train", overrides)
    train_and_evaluate(OmegaConf.to_container(config, resolve=True), tmp_path)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert ("<h3>Inclusion</h3>" in page) is own
    assert (f"own-{own}.flow.csv is not shown" in page) is not own


def test_the_level_of_the_interval_is_the_one_asked_for(
    tiny_overrides: list[str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    overrides = ["name=test", "model.task.net.width=4", "trainer.fast_dev_run=true"]
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        config = compose("train", [*tiny_overrides, *overrides, "evaluation.confidence=0.9"])
    with caplog.at_level(logging.INFO):
        train_and_evaluate(OmegaConf.to_container(config, resolve=True), tmp_path)
    assert "(90% CI " in caplog.text
    _check_log(caplog.messages, tmp_path)
    _check_cut_short(tmp_path)


def test_a_report_that_fails_costs_no_number_and_can_be_made_again(
    tiny_overrides: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ValueError("matplotlib does not like it")

    overrides = ["name=test", "model.task.net.width=4", "trainer.max_epochs=1"]
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        config = compose("train", [*tiny_overrides, *overrides, "evaluation.confidence=0.9"])
    with monkeypatch.context() as patched:
        patched.setattr("covidlit.evaluation.figures.svg_text", broken)
        with pytest.raises(ValueError, match="matplotlib"):
            train_and_evaluate(OmegaConf.to_container(config, resolve=True), tmp_path)
    assert not (tmp_path / "report.html").exists()
    before = json.loads((tmp_path / "metrics.json").read_text())
    assert before["record"]["model"]
    done = CliRunner().invoke(app, ["evaluate", str(tmp_path), "--out", str(tmp_path)])
    assert done.exit_code == 0, done.output
    after = json.loads((tmp_path / "metrics.json").read_text())
    for key in ("parts", "operating_points", "settings", "cautions"):
        assert after[key] == before[key], key
    del before["record"]["evaluated_by"], after["record"]["evaluated_by"]
    assert after["record"] == before["record"]
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    for shown in ("trainable parameters", "Table 1. The cohort by part", "Training and validation"):
        assert shown in page, shown


def _check_log(lines: list[str], run_dir: Path) -> None:
    """The sizes of the parts are those of the split, the parameters those of the network."""
    split = Split.load(run_dir / "split.json")
    for part in ("train", "validation", "test"):
        (line,) = [line for line in lines if line.strip().startswith(f"{part}: ")]
        assert f" {len(split.scans(part))} scans (" in line
    report = (run_dir / "report.html").read_text(encoding="utf-8")
    (number,) = re.findall(r"<dt>trainable parameters</dt><dd>(\d+)</dd>", report)
    assert any(f"trainable parameters: {int(number):,}." in line for line in lines)
    assert any("40 synthetic scans of 40 patients" in line for line in lines)
    assert lines[-1] == f"Report: {run_dir / 'report.html'}"


def _check_cut_short(run_dir: Path) -> None:
    cautions = json.loads((run_dir / "metrics.json").read_text())["cautions"]
    assert cautions[0]["code"] == "cut_short"
    assert "1 batch (trainer.fast_dev_run)" in cautions[0]["text"]
    assert cautions[0]["text"] in (run_dir / "report.html").read_text(encoding="utf-8")


def test_the_report_counts_the_criteria_of_the_run(
    tiny_overrides: list[str], tmp_path: Path
) -> None:
    overrides = [
        f"data.source.folder={tmp_path / 'manifests'}",
        *(*tiny_overrides, "inclusion=paper", "inclusion.spo2_classes=[cap]"),
        "inclusion.min_spo2_percent=96",
        *("name=test", "model=csacnet", "model.task.net.width=4", "split.test_centres=[centre_4]"),
        "trainer.fast_dev_run=true",
    ]
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        config = compose("train", overrides)
    train_and_evaluate(OmegaConf.to_container(config, resolve=True), tmp_path)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "scans in manifest.csv" in page
    assert "SpO2 of at least 96 % (cap)" in page
    (flow,) = (tmp_path / "manifests").glob("manifest-*.flow.csv")
    left = read_manifest(flow.with_name(flow.name.replace(".flow", "")))
    assert 0 < len(left) < 40
    assert set(Split.load(tmp_path / "split.json").parts) == set(left["scan_id"])


def test_the_split_is_told_in_the_order_of_the_parts() -> None:
    parts = ["test", "validation", None, "train", "test"]
    table = pd.DataFrame(
        {
            "part": parts,
            "patient_id": list("abcde"),
            "class_name": ["covid", "np", "np", "np", "np"],
            "centre": ["4", "2", "1", "1", "4"],
            "status": ["ok", "ok", "ok", "ok", "refused"],
        }
    )
    summary = split_summary(table).set_index("part")
    assert summary.index.tolist() == ["train", "validation", "test"]
    assert summary["scans"].tolist() == [1, 1, 2]
    assert summary["refused"].tolist() == [0, 0, 1]
