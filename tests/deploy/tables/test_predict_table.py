"""`covidlit predict` of models of tables: scores, what is missing or odd, and what is refused."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import clinical_tables as hospital
import numpy as np
import pandas as pd
import pytest
import yaml
from typer.testing import CliRunner

from covidlit.checkpoints.record import run_record
from covidlit.cli.app import app
from covidlit.datamodules.tables.training_values import outside_text, place_of, spread_of
from covidlit.deploy.tables.kind import is_table_model
from covidlit.deploy.tables.model import load_table_model
from covidlit.deploy.tables.predict_rows import predict_rows
from covidlit.errors import ManifestError
from covidlit.models.fusion_ann.fit import fit_preparation
from covidlit.tasks.fusion import Fusion

NAMES = ["haemoglobin_g_per_l", "leukocytes_1e9_per_l", "neutrophil_percent", "age", "male",
         "crp_mg_per_l"]  # fmt: skip
UNITS = ["g/L", "10^9/L", "percent of leukocytes", "years", "", "mg/L"]
N = 200


def training() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "haemoglobin_g_per_l": rng.uniform(100, 160, N),
            "leukocytes_1e9_per_l": rng.uniform(3, 15, N),
            "neutrophil_percent": rng.uniform(40, 90, N),
            "age": rng.uniform(30, 80, N),
            "male": rng.integers(0, 2, N).astype(float),
            "crp_mg_per_l": np.where(rng.random(N) < 0.2, np.nan, rng.uniform(1, 200, N)),
        }
    )


def checkpoint(folder: Path, kind: str = "clinical", point: float | None = 0.5) -> Path:
    """An untrained network, which is enough to see what its input becomes."""
    import torch

    values = training()
    target = (values["haemoglobin_g_per_l"] < 125).to_numpy(dtype=int)
    preparation = fit_preparation(
        values.to_numpy(), target, list(range(len(NAMES))), NAMES, transform="quantile"
    )
    net = {"_target_": "covidlit.models.FusionANN", "members": 3, "hidden": [4], "seed": 1}
    hparams = {
        "net": net, "preparation": preparation, "columns": NAMES, "calibration_folds": 2,
        "calibration_members": 1,
    }  # fmt: skip
    task = Fusion(hparams)
    task.calibration.copy_(torch.tensor([1.5, 0.2]))
    record = run_record(
        {"model": {"name": "fusion_ann"}, "trainer": {}},
        "0" * 64,
        {
            "kind": kind, "columns": NAMES, "training": spread_of(values),
            "units": dict(zip(NAMES, UNITS, strict=True)), "index": "auto", "rule": "first",
            "before_days": None, "after_days": 1.0,
        },
    )  # fmt: skip
    path = folder / "last.ckpt"
    content = {
        "state_dict": task.state_dict(),
        "hyper_parameters": hparams,
        "covidlit": {
            "format": 1, "task": "covidlit.tasks.severity.SeverityPrediction",
            "record": {**record, "operating_point": point}, "versions": {}, "rng": {},
        },
    }  # fmt: skip
    torch.save(content, path)
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return checkpoint(tmp_path)


def scored(path: Path, table: pd.DataFrame, name: str = "rows.csv") -> pd.DataFrame:
    file = path.parent / name
    if file.suffix == ".parquet":
        table.to_parquet(file)
    elif file.suffix == ".xlsx":
        table.to_excel(file, index=False)
    else:
        table.to_csv(file, index=False)
    return predict_rows(load_table_model(path), file).table


def rows(n: int = 3) -> pd.DataFrame:
    table = training().head(n).assign(patient_id=[f"P{k}" for k in range(n)])
    return table.round(3)


def test_columns_are_found_by_name_in_any_order_and_format(path: Path) -> None:
    table = rows()
    first = scored(path, table)
    assert first["patient_id"].tolist() == ["P0", "P1", "P2"]
    assert first["score"].between(first["score_low"], first["score_high"]).all()
    assert (first["score_high"] > first["score_low"]).all()
    turned = table[[*reversed(table.columns)]].assign(remark="none")
    for name in ("turned.csv", "turned.xlsx", "turned.parquet"):
        np.testing.assert_allclose(scored(path, turned, name)["score"], first["score"], rtol=1e-6)
    sexes = table.assign(sex=table["male"].map({1.0: "M", 0.0: "f"})).drop(columns="male")
    np.testing.assert_allclose(scored(path, sexes)["score"], first["score"], rtol=1e-6)


def test_the_score_is_the_ensembles_and_the_call_is_of_the_operating_point(path: Path) -> None:
    import torch

    from covidlit.tasks.load import load_fusion

    table = rows()
    found = scored(path, table)
    task = load_fusion(path)
    with torch.inference_mode():
        logits = task(torch.tensor(table[NAMES].to_numpy(dtype=np.float32)))
    expected = torch.sigmoid(logits[:3].mean(0) * 1.5 + 0.2)
    np.testing.assert_allclose(found["score"], expected.numpy(), rtol=1e-5)
    called = np.where(found["score"] >= 0.5, "positive", "negative")
    assert found["predicted_class"].tolist() == called.tolist()


def test_without_an_operating_point_nothing_is_called(tmp_path: Path) -> None:
    found = scored(checkpoint(tmp_path, point=None), rows())
    assert found["predicted_class"].isna().all()
    assert found["notes"].str.contains("no operating point").all()


def test_what_is_missing_and_outside_the_training_range_is_said(path: Path) -> None:
    table = rows()
    table.loc[0, "crp_mg_per_l"] = np.nan
    table.loc[1, "leukocytes_1e9_per_l"] = 80.0
    table.loc[2, NAMES] = np.nan
    found = scored(path, table)
    assert found["missing"].iloc[0] == "crp_mg_per_l"
    assert found["n_missing"].tolist()[0::2] == [1, 6]
    assert found["outside"].iloc[1].startswith("leukocytes_1e9_per_l 80 is above the training")
    assert found["n_outside"].tolist() == [0, 1, 0]
    assert found["status"].tolist() == ["ok", "ok", "refused"]
    assert "none of the features" in found["reason"].iloc[2]
    assert np.isnan(found["score"].iloc[2])


def test_an_absent_column_counts_as_missing_and_too_many_are_refused(path: Path) -> None:
    table = rows()
    whole = scored(path, table.assign(crp_mg_per_l=np.nan))
    without = scored(path, table.drop(columns="crp_mg_per_l"))
    np.testing.assert_allclose(without["score"], whole["score"])
    assert without["missing"].tolist() == ["crp_mg_per_l"] * 3
    misspelt = table.rename(columns={name: name.replace("_", "") for name in NAMES})
    with pytest.raises(ManifestError, match="4 of the 6 features") as refused:
        scored(path, misspelt)
    assert "call 'haemoglobingperl' haemoglobin_g_per_l" in str(refused.value.fix)


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("haemoglobin_g_per_l", 1200, "value 1200 must be 20 to 260 g/L"),
        ("haemoglobin_g_per_l", 13.5, "13.5 g/dL would be 135 g/L"),
        ("neutrophil_percent", 140, "value 140 must be 0 to 100"),
        ("neutrophil_percent", 0.72, "looks like a fraction"),
        ("age", -3, "must be 0 to 120 years"),
        ("male", 2, "0: no, 1: yes"),
        ("leukocytes_1e9_per_l", 5600, "must be 0.01 to 500"),
        ("age", "old", "'old' is no number"),
    ],
)
def test_what_no_patient_can_have_is_refused_with_row_column_value_and_mend(
    path: Path, column: str, value: Any, said: str
) -> None:
    table = rows().astype({column: object})
    table.loc[1, column] = value
    with pytest.raises(ManifestError) as refused:
        scored(path, table)
    text = str(refused.value)
    assert "row 2 (line 3 of the file)" in text
    assert f"column '{column}'" in text
    assert said in text
    assert refused.value.fix


def test_a_hospitals_own_table_is_read_by_its_mapping(path: Path) -> None:
    file, mapping = path.parent / "labs.csv", path.parent / "own.yaml"
    hospital.frame().to_csv(file, index=False)
    mapping.write_text(yaml.safe_dump(hospital.MAPPING, allow_unicode=True))
    found = predict_rows(load_table_model(path), file, str(mapping))
    first = found.rows.values.iloc[0]
    assert found.table["patient_id"].tolist() == ["A", "B", "C"]
    # The first values of A, not those of two days later.
    assert first[["haemoglobin_g_per_l", "leukocytes_1e9_per_l", "crp_mg_per_l"]].tolist() == [
        135.0, 5.0, 10.0,
    ]  # fmt: skip
    assert found.rows.absent == ("neutrophil_percent",)
    other = {**hospital.MAPPING["further"]["crp_mg_per_l"], "held_in": "mg/dL"}
    mapping.write_text(yaml.safe_dump(hospital.changed(further={"crp_mg_per_l": other})))
    with pytest.raises(ManifestError, match="held in mg/dL here, and was held in mg/L"):
        predict_rows(load_table_model(path), file, str(mapping))


def test_contract_9_is_reduced_as_in_the_run(path: Path) -> None:
    days = pd.concat([rows(2), rows(2)], ignore_index=True)
    days = days.assign(date=["2020-02-01", "2020-02-01", "2020-02-03", "2020-02-03"])
    days = days.assign(sex=days["male"].map({1.0: "M", 0.0: "F"}), crp_mg_per_l=[1.0, 2, 99, 99])
    days = days.assign(age=days["age"].round()).drop(columns="male")
    found = scored(path, days)
    once = days.head(2).drop(columns="date")
    np.testing.assert_allclose(found["score"], scored(path, once, "once.csv")["score"])


def test_the_command_writes_and_says_it_and_refuses_options_of_scans(path: Path) -> None:
    file, out = path.parent / "rows.csv", path.parent / "out.csv"
    rows().drop(columns="crp_mg_per_l").to_csv(file, index=False)
    run = CliRunner().invoke(app, ["predict", str(path), str(file), "--out", str(out), "--explain"])
    assert run.exit_code == 0, run.output
    assert "3 rows scored, 0 refused" in run.output
    assert "count as missing: crp_mg_per_l" in run.output
    assert len(pd.read_csv(out)) == 3
    parts = pd.read_csv(out.with_suffix(".contributions.csv"))
    odds = np.log(parts["score"] / (1 - parts["score"]))
    reference = np.log(parts["reference_score"] / (1 - parts["reference_score"]))
    sums = parts.groupby("row")["contribution"].sum()
    np.testing.assert_allclose(sums, (odds - reference).groupby(parts["row"]).first(), atol=1e-4)
    refused = CliRunner().invoke(
        app, ["predict", str(path), str(file), "--image-orientation", "LPS"]
    )
    assert refused.exit_code != 0
    assert "takes tables" in f"{refused.output}{refused.exception}"


def test_one_row_needs_no_library_that_takes_long_to_import(path: Path) -> None:
    file = path.parent / "rows.csv"
    rows(1).to_csv(file, index=False)
    code = (
        "import sys\n"
        "from covidlit.cli.predict_table import predict_table\n"
        "from pathlib import Path\n"
        f"predict_table(Path({str(path)!r}), Path({str(file)!r}), "
        f"Path({str(path.parent / 'out.csv')!r}), None, False, False)\n"
        "heavy = ('torch', 'sklearn', 'scipy', 'hydra', 'pandera', 'matplotlib')\n"
        "found = [name for name in heavy if name in sys.modules]\n"
        "assert not found, found\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_table_model_is_told_from_others_by_its_archive(path: Path, tmp_path: Path) -> None:
    assert is_table_model(path)
    (tmp_path / "text.ckpt").write_text("SeverityPrediction")
    assert not is_table_model(tmp_path / "text.ckpt")
    assert not is_table_model(tmp_path / "none.ckpt")


def test_places_and_ranges_of_training_values() -> None:
    table = pd.DataFrame({"a": np.arange(101.0), "flag": [0.0] * 50 + [1.0] * 51, "none": np.nan})
    spread = spread_of(table)
    assert place_of(25.0, spread["a"]) == pytest.approx(0.25)
    assert place_of(0.0, spread["flag"]) == pytest.approx(0.245, abs=0.01)
    assert np.isnan(place_of(1.0, spread["none"]))
    assert outside_text("a", 100.0, spread["a"]) == ""
    assert outside_text("a", -0.1, spread["a"]) == "a -0.1 is below the training range 0 to 100"
    assert spread["none"] == {"n": 0, "missing": 101, "quantiles": []}
