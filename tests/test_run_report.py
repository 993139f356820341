"""The report of a run says only what belongs to its manifest."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from covidlit.cohort import Split, read_manifest
from covidlit.cohort.sources import flow_path
from covidlit.configuration import config_dir
from covidlit.experiment import train_and_evaluate
from covidlit.run_report import split_summary


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
    tiny_overrides: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    overrides = ["name=test", "model.task.net.width=4", "trainer.fast_dev_run=true"]
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        config = compose("train", [*tiny_overrides, *overrides, "evaluation.confidence=0.9"])
    train_and_evaluate(OmegaConf.to_container(config, resolve=True), tmp_path)
    assert "(90% CI " in capsys.readouterr().out


def test_the_report_counts_the_criteria_of_the_run(
    tiny_data: Path, tiny_overrides: list[str], tmp_path: Path
) -> None:
    overrides = [
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
    (flow,) = (tiny_data / "manifests").glob("manifest-*.flow.csv")
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
