"""A cohort whose centre nobody knows, from the manifest to the report."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from covidlit.cohort.manifest import read_manifest, resolve_path
from covidlit.evaluation.predictions import read_predictions

Run = Callable[..., Path]


@pytest.fixture(scope="module")
def manifest(tiny_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    table = read_manifest((tiny_data / "manifest_path").read_text())
    table["path"] = [str(resolve_path(table, path)) for path in table["path"]]
    path = tmp_path_factory.mktemp("without") / "manifest.csv"
    table.drop(columns="centre").to_csv(path, index=False)
    return path


@pytest.mark.parametrize("model", ["random_forest", "csacnet"])
def test_k_fold_trains_and_reports(manifest: Path, train: Run, model: str) -> None:
    small = ["model.task.net.width=4"] if model == "csacnet" else []
    source = f"data.source.path={manifest}"
    run_dir = train(
        source, "split=k_fold", "cards=true", f"model={model}", "data.drop_last=true", *small
    )
    table = read_predictions(run_dir / "predictions.parquet")
    assert table["centre"].isna().all()
    metrics = json.loads((run_dir / "metrics.json").read_text())
    assert metrics["parts"]["test"]["auc"]["value"] is not None
    assert metrics["centre_check"]["strata"][0]["reason"]
    record = json.loads((run_dir / "cohort.json").read_text())
    assert {row["centres"] for row in record["parts"]} == {"not known"}
    for name in ("report.html", "claim.csv", "model_card.md"):
        words = set(re.split(r"[\s<>,;:]+", (run_dir / name).read_text()))
        assert not words & {"nan", "<NA>"}, name
    report = (run_dir / "report.html").read_text()
    assert "from unknown centres" in report
    assert "not known" in report
