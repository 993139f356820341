"""`covidlit predict` of models of times to an event: risks, groups, what is missing, refusals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from typer.testing import CliRunner

from covidlit.cli.app import app
from covidlit.cli.train import whole_run
from covidlit.deploy.tables.kind import is_table_model
from covidlit.deploy.tables.model import load_table_model
from covidlit.errors import CheckpointError
from covidlit.evaluation.survival.tables import read_survival
from covidlit.settings.tree import config_dir

FILES = {"cox": "cox.json", "lightgbm": "boosted_hazards.json"}
RISKS = ["risk_score", "risk_group", "risk_5_days", "risk_10_days"]


def hospital(n: int = 90) -> pd.DataFrame:
    rng = np.random.default_rng(3)
    percent, age = rng.uniform(3, 40, n), rng.integers(30, 90, n)
    latent = rng.exponential(15 * np.exp((percent - 20) / 6 - (age - 60) / 30))
    home = rng.exponential(25, n)
    return pd.DataFrame(
        {
            "patient_id": [f"P{k:03d}" for k in range(n)],
            "date": "2020-02-01",
            "age": age,
            "lymphocyte_percent": percent.round(1),
            "platelets_1e9_per_l": rng.uniform(100, 300, n).round(),
            "outcome": np.where(latent <= home, "died", "survived"),
            "event_time_days": np.minimum(latent, home).round(2),
        }
    )


@pytest.fixture(scope="module", params=["cox", "lightgbm"])
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run, beside the table that it was trained on."""
    folder = tmp_path_factory.mktemp(request.param)
    hospital().to_csv(folder / "clinical.csv", index=False)
    given = [
        "data=clinical", f"model={request.param}", "label_rule=endpoint", f"data_dir={folder}",
        f"data.source.path={folder / 'clinical.csv'}", "evaluation.n_bootstrap=100", "name=test",
        "model.horizons=[5,10]",
    ]  # fmt: skip
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        plain: Any = OmegaConf.to_container(compose("train", given), resolve=True)
    whole_run(plain, folder / "run")
    return folder / "run"


def predict(run: Path, table: pd.DataFrame | Path, out: Path, *more: str) -> tuple[Any, Path]:
    """What the command says of a table, and where its own went."""
    path = out / "rows.csv"
    if isinstance(table, Path):
        path = table
    else:
        table.to_csv(path, index=False)
    called = ["predict", str(run), str(path), "--out", str(out / "scores.csv"), *more]
    return CliRunner().invoke(app, called), out / "scores.csv"


def test_risks_are_those_of_the_run(trained: Path, tmp_path: Path) -> None:
    said, out = predict(trained, trained.parent / "clinical.csv", tmp_path)
    assert said.exit_code == 0, said.output
    found = pd.read_csv(out).set_index("patient_id")
    table = read_survival(trained)
    own = table[table["part"] == "test"].set_index("patient_id")
    np.testing.assert_allclose(found.loc[own.index, RISKS], own[RISKS].astype(float), atol=1e-6)
    groups = found["risk_group_name"].map({"low risk": 0, "medium risk": 1, "high risk": 2})
    assert (groups == found["risk_group"]).all()
    assert (found["risk_5_days"] <= found["risk_10_days"]).all()
    noted = found["notes"].fillna("").str.contains("in the training part of this model's run")
    parts = json.loads((trained / "split.json").read_text())["parts"]
    # Whoever had the event within the window of the values is in no part.
    assert noted.to_dict() == {name: parts.get(name) == "train" for name in found.index}
    for text in ("Risk of the event", "5 days", "90 rows scored, 0 refused", "For research"):
        assert text in said.output


def test_what_is_missing_or_odd_is_told_and_nothing_known_is_refused(
    trained: Path, tmp_path: Path
) -> None:
    rows = pd.DataFrame(
        {
            "patient_id": ["whole", "part", "none", "old"],
            "age": [60, None, None, 110],
            "lymphocyte_percent": [20.0, 10.0, None, 20.0],
            "platelets_1e9_per_l": [200, None, None, 200],
        }
    )
    said, out = predict(trained, rows, tmp_path)
    assert said.exit_code == 0, said.output
    found = pd.read_csv(out).set_index("patient_id")
    assert found["n_missing"].tolist() == [0, 2, 3, 0]
    assert found["status"].tolist() == ["ok", "ok", "refused", "ok"]
    assert "none of the features" in found.loc["none", "reason"]
    assert found.loc["none", RISKS].isna().all()
    assert "age" in found.loc["old", "outside"]
    assert found.loc["part", "risk_10_days"] > found.loc["whole", "risk_10_days"]
    assert predict(trained, rows, tmp_path, "--strict")[0].exit_code == 1


def test_contributions_sum_to_the_log_hazard(trained: Path, tmp_path: Path) -> None:
    raw = hospital().drop(columns=["date", "outcome", "event_time_days"]).head(4)
    said, out = predict(trained, raw, tmp_path, "--explain")
    assert said.exit_code == 0, said.output
    assert "hazard)" in said.output  # the heading of the column breaks on a narrow terminal
    found = pd.read_csv(out.with_suffix(".contributions.csv"))
    scores = pd.read_csv(out)["risk_score"].to_numpy()
    reference = found["reference_score"].iloc[0]
    sums = found.groupby("row")["contribution"].sum().to_numpy()
    np.testing.assert_allclose(sums, scores - reference, atol=1e-8)
    kept = json.loads((trained / "checkpoints" / FILES[model_of(trained)]).read_text())
    if kept["kind"] == "cox":  # linear: each contribution is known
        place = kept["names"].index("age")
        slope = kept["fit"]["coefficients"][place] / kept["preparation"]["reference"][place][1]
        median = kept["record"]["preprocess"]["training"]["age"]["quantiles"]
        own = found[found["feature"] == "age"]["contribution"]
        expected = slope * (raw["age"] - median[len(median) // 2])
        np.testing.assert_allclose(own, expected, atol=1e-4)


def model_of(run: Path) -> str:
    return next(name for name, file in FILES.items() if (run / "checkpoints" / file).is_file())


def test_units_that_cannot_be_right_are_refused(trained: Path, tmp_path: Path) -> None:
    rows = hospital().head(3)[["patient_id", "age", "lymphocyte_percent", "platelets_1e9_per_l"]]
    said, _ = predict(trained, rows.assign(lymphocyte_percent=[0.2, 140.0, 20.0]), tmp_path)
    assert said.exit_code != 0
    text = f"{said.output} {said.exception}"
    assert "column 'lymphocyte_percent'" in text
    assert "140" in text


def test_the_file_alone_is_enough_and_damage_is_named(trained: Path, tmp_path: Path) -> None:
    file = trained / "checkpoints" / FILES[model_of(trained)]
    rows = hospital().head(2)[["patient_id", "age", "lymphocyte_percent", "platelets_1e9_per_l"]]
    alone = tmp_path / "given.json"
    alone.write_text(file.read_text())
    said, out = predict(alone, rows, tmp_path)
    assert said.exit_code == 0, said.output
    assert pd.read_csv(out)["notes"].isna().all()  # nothing tells who was trained on
    assert is_table_model(file)
    with pytest.raises(CheckpointError, match="times to an event"):
        load_table_model(file)
    broken = tmp_path / file.name
    broken.write_text(file.read_text()[:500])
    said, _ = predict(broken, rows, tmp_path)
    assert said.exit_code != 0
    assert "no model of times to an event" in f"{said.output} {said.exception}"
    moved = json.loads(file.read_text())
    moved["record"]["preprocess"]["kind"] = "slices"
    broken.write_text(json.dumps(moved))
    said, _ = predict(broken, rows, tmp_path)
    assert said.exit_code != 0


def test_a_table_without_most_features_is_refused(trained: Path, tmp_path: Path) -> None:
    said, _ = predict(trained, hospital().head(2)[["patient_id", "age"]], tmp_path)
    assert said.exit_code != 0
    assert "has no column of 2 of the 3 features" in f"{said.output} {said.exception}"
