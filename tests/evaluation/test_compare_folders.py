"""Comparisons of run folders: what is read of them, and whether their splits are the same."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from covidlit.cohort.split import Split
from covidlit.errors import CovidlitError, PredictionsError
from covidlit.evaluation import write_predictions
from covidlit.evaluation.compare import compare
from covidlit.evaluation.seed_runs import read_labelled


def test_run_folders_are_read_with_labels_and_splits(
    run: Callable[..., pd.DataFrame], tmp_path: Path
) -> None:
    table = run("csacnet", 1)
    parts = dict(zip(table["scan_id"], table["part"], strict=True))
    split = Split(kind="made", parts=parts, manifest_hash="m")
    folder = tmp_path / "model=csacnet"  # a name with "=", as sweeps make them
    write_predictions(table.assign(run_id=None), folder / "predictions.parquet")
    split.save(folder / "split.json")
    write_predictions(table, tmp_path / "other" / "predictions.csv")
    (tmp_path / "other" / "metrics.json").write_text('{"record": {"split_hash": "abc"}}')
    write_predictions(table.assign(run_id=None), tmp_path / "scores.csv")
    plain, labelled, single = read_labelled(
        [folder, f"Other model={tmp_path / 'other' / 'predictions.csv'}", tmp_path / "scores.csv"]
    )
    assert set(plain["model"]) == {"csacnet"}
    assert set(plain["run_id"]) == {"model=csacnet"}
    assert set(plain["split_hash"]) == {split.hash}
    assert set(labelled["model"]) == {"Other model"}
    assert set(labelled["split_hash"]) == {"abc"}
    assert set(single["run_id"]) == {"scores"}
    assert "split_hash" not in single
    (folder / "split.json").write_text((folder / "split.json").read_text().replace("made", "x"))
    with pytest.raises(CovidlitError, match="was edited"):
        read_labelled([folder])


def _run_folder(folder: Path, table: pd.DataFrame, command: str, **arguments: Any) -> Path:
    parts = dict(zip(table["scan_id"], table["part"], strict=True))
    write_predictions(table.assign(run_id=None), folder / "predictions.parquet")
    parts |= arguments.pop("parts", {})
    Split(kind="centre_held_out", seed=1, parts=parts, manifest_hash="m", arguments=arguments).save(
        folder / "split.json"
    )
    (folder / "metrics.json").write_text(json.dumps({"record": {"command": command}}))
    return folder


def test_splits_with_the_same_parts_are_the_same_however_a_setting_was_written(
    run: Callable[..., pd.DataFrame], tmp_path: Path
) -> None:
    a = _run_folder(tmp_path / "a", run("csacnet", 1), "train a", validation_fraction=0)
    b = _run_folder(tmp_path / "b", run("svm", 1, draw=1), "train b", validation_fraction=0.0)
    tables = read_labelled([a, b])
    assert tables[0]["split_hash"].iloc[0] != tables[1]["split_hash"].iloc[0]
    assert "splits" not in {note["code"] for note in compare(tables).results["notes"]}


def test_settings_of_splits_that_differ_are_named_with_both_values(
    run: Callable[..., pd.DataFrame], tmp_path: Path
) -> None:
    tables = [run("csacnet", 1), run("svm", 1, draw=1)]
    known = {"test_centres": ["centre_4"]}
    a = _run_folder(
        tmp_path / "a", tables[0], "covidlit train experiment=small", validation_fraction=0.0,
        parts={"one_more": "train"}, **known,
    )  # fmt: skip
    b = _run_folder(
        tmp_path / "b", tables[1], "covidlit train model=svm", validation_fraction=0.1,
        parts={"one_more": "validation"}, **known,
    )  # fmt: skip
    with pytest.raises(PredictionsError) as caught:
        compare(read_labelled([a, b]))
    assert "The settings that differ: validation_fraction 0.0 against 0.1." in caught.value.what
    assert "test_centres" not in str(caught.value)
    assert caught.value.fix == (
        "train svm, seed 1 (b) (`covidlit train model=svm`) again with "
        "split.validation_fraction=0.0, as csacnet, seed 1 (a) was."
    )
    (tmp_path / "b" / "metrics.json").unlink()
    c = _run_folder(
        tmp_path / "c", tables[1], "x", validation_fraction=0, parts={"one_more": "test"}, **known
    )
    with pytest.raises(PredictionsError, match="their manifests are not"):
        compare(read_labelled([a, c]))
