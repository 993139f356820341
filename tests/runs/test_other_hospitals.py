"""One definition of a model, trained on a hospital and tested on others by configuration alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import clinical_tables as hospital
import numpy as np
import pandas as pd
import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from sklearn.metrics import roc_auc_score
from typer.testing import CliRunner

from covidlit.cli.app import app
from covidlit.cli.train import whole_run
from covidlit.cohort.clinical import write_clinical
from covidlit.datamodules.tables.clinical_source import clinical_file
from covidlit.settings.tree import config_dir


@pytest.fixture(scope="module")
def thirds(tmp_path_factory: pytest.TempPathFactory) -> list[pd.DataFrame]:
    """A synthetic cohort as the patients of three hospitals."""
    folder = tmp_path_factory.mktemp("labs")
    table = pd.read_csv(clinical_file(folder=str(folder), n_scans=400))
    number = table["patient_id"].map({p: k for k, p in enumerate(table["patient_id"].unique())})
    return [table[number % 3 == k] for k in range(3)]


def scores_of(
    folder: Path, model: str, first: Path, hospitals: dict[str, Any], name: str
) -> pd.DataFrame:
    """The scores of the hospitals that the model was not trained on."""
    listed = ",".join(
        f"{key}:{{{','.join(f'{k}:{v}' for k, v in node.items())}}}"
        for key, node in hospitals.items()
    )
    given = [
        "data=clinical", f"model={model}", f"data.source.path={first}", "data.centre=first",
        f"data.hospitals={{{listed}}}", "split=centre_held_out",
        f"split.test_centres=[{','.join(hospitals)}]", "split.validation_fraction=0.2",
        f"data_dir={folder}", "evaluation.n_bootstrap=100", "name=test", "importance=0",
        "data.n_jobs=1",
    ]  # fmt: skip
    if model == "fusion_ann":
        given += ["trainer.max_epochs=15", "trainer.accelerator=cpu"]
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        config = compose("train", given)
    plain: Any = OmegaConf.to_container(config, resolve=True)
    whole_run(plain, folder / name)
    table = pd.read_parquet(folder / name / "predictions.parquet")
    return table[table["part"] == "test"].set_index("patient_id")


@pytest.mark.parametrize("model", ["logistic_regression", "fusion_ann"])
def test_columns_that_are_missing_and_other_units(
    tmp_path: Path, thirds: list[pd.DataFrame], model: str
) -> None:
    first = write_clinical(thirds[0].drop(columns="centre"), tmp_path / "first.csv")
    others = hospital.others(tmp_path, thirds[1], thirds[2])
    tested = scores_of(tmp_path, model, first, others, "run")
    assert set(tested["centre"]) == {"second", "third"}
    assert len(tested) == sum(table["patient_id"].nunique() for table in thirds[1:])
    for _, rows in tested.groupby("centre"):
        assert np.isfinite(rows["score"]).all()
        assert roc_auc_score(rows["target"].astype(int), rows["score"]) > 0.7
    # The third in the units of the first has the same scores.
    arguments = ["predict", str(tmp_path / "run"), str(tmp_path / "third.csv")]
    found = CliRunner().invoke(app, [*arguments, "--out", str(tmp_path / "scores.csv")])
    assert found.exit_code == 0, found.output
    again = pd.read_csv(tmp_path / "scores.csv").set_index("patient_id")["score"]
    third = tested.loc[tested["centre"] == "third", "score"]
    np.testing.assert_allclose(again[third.index], third, atol=1e-5)
