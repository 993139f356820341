"""`covidlit predict --all-folds`: the models of a cross-validation as one, and what that is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import table_models
from typer.testing import CliRunner

from covidlit.cli.app import app
from covidlit.cohort.split import Split
from covidlit.deploy.tables.all_folds import load_all_folds
from covidlit.deploy.tables.model import load_table_model
from covidlit.errors import CheckpointError

NAMES = table_models.LABS


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Two folds of networks on other features: P0 was tested in the first, P1 in the second."""
    folder = tmp_path / "run"
    table = pd.DataFrame({"scan_id": ["P0", "P1"], "patient_id": ["P0", "P1"], "target": [0, 1]})
    values = table_models.training_rows(NAMES)
    for number, own in enumerate((NAMES, NAMES[:3])):
        parts: Any = {f"P{k}": "test" if k == number else "train" for k in range(2)}
        split = Split.of(table, kind="k_fold", parts=parts, fold=number)
        fold = folder / f"fold_{number}"
        table_models.severity_model(
            fold / "checkpoints", "clinical", own, seed=number, split_hash=split.hash,
            values=values[own] + 5 * number, units={}, index="auto",
        )  # fmt: skip
        split.save(fold / "split.json")
    return folder


def rows(path: Path) -> Path:
    table = table_models.training_rows(NAMES).head(3).round(2)
    table.assign(patient_id=["P0", "P1", "new"]).to_csv(path, index=False)
    return path


def predicted(*arguments: Path | str) -> Any:
    return CliRunner().invoke(app, ["predict", *map(str, arguments), "--all-folds", "--explain"])


def test_the_score_is_the_mean_and_the_range_that_of_all_members(run: Path, tmp_path: Path) -> None:
    file, out = rows(tmp_path / "rows.csv"), tmp_path / "out.csv"
    said = predicted(run, file, "--out", out)
    assert said.exit_code == 0, said.output
    assert said.output.count("Of every row: mean of the models of all folds") == 1
    found, values = pd.read_csv(out), pd.read_csv(file)
    models = [load_table_model(run / f"fold_{k}") for k in range(2)]
    scores = np.array([model.scores(values) for model in models])
    np.testing.assert_allclose(found["score"], scores.mean(axis=0), rtol=1e-6)
    members = np.concatenate([model.member_scores(values) for model in models])  # type: ignore[arg-type]
    np.testing.assert_allclose(found["score_low"], members.min(axis=0), rtol=1e-6)
    np.testing.assert_allclose(found["score_high"], members.max(axis=0), rtol=1e-6)
    parts = pd.read_csv(out.with_suffix(".contributions.csv"))
    assert set(parts["feature"]) == set(NAMES)
    odds = np.log(parts["score"] / (1 - parts["score"]))
    reference = np.log(parts["reference_score"] / (1 - parts["reference_score"]))
    sums = parts.groupby("row")["contribution"].sum()
    np.testing.assert_allclose(sums, (odds - reference).groupby(parts["row"]).first(), atol=1e-4)


def test_nothing_is_called_and_who_was_learnt_from_is_said(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    predicted(run, rows(tmp_path / "rows.csv"), "--out", out)
    found = pd.read_csv(out)
    assert found["operating_point"].isna().all()
    assert found["predicted_class"].isna().all()
    assert found["notes"].str.contains("not exactly those of the mean").all()
    learnt = found["notes"].str.contains("1 of the 2 folds' models have learnt from it")
    assert learnt.tolist() == [True, True, False]


def test_the_range_of_the_training_is_that_of_all_folds(run: Path) -> None:
    models = [load_table_model(run / f"fold_{k}") for k in range(2)]
    together = load_all_folds(run)
    name = NAMES[0]
    spreads = [m.record.preprocess.model_dump()["training"][name]["quantiles"] for m in models]
    own = together.record.preprocess.model_dump()["training"][name]["quantiles"]
    assert own[0] == spreads[0][0]
    assert own[-1] == spreads[1][-1]
    assert own[50] == pytest.approx((spreads[0][50] + spreads[1][50]) / 2)


def test_what_is_no_cross_validation_is_refused_and_a_cross_validation_says_how(
    run: Path, tmp_path: Path
) -> None:
    with pytest.raises(CheckpointError, match="not the folder of a cross-validation"):
        load_all_folds(run / "fold_0")
    with pytest.raises(CheckpointError) as refused:
        load_table_model(run)
    assert "--all-folds" in str(refused.value.fix)
    (run / "fold_1" / "checkpoints" / "last.ckpt").unlink()
    with pytest.raises(CheckpointError, match="holds no checkpoint"):
        load_all_folds(run)


def test_a_model_beside_another_split_is_refused(run: Path) -> None:
    other = (run / "fold_0" / "split.json").read_text()
    (run / "fold_1" / "split.json").write_text(other)
    with pytest.raises(CheckpointError, match="another split"):
        load_all_folds(run)
