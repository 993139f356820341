"""`covidlit quantify --severity`: scores beside the factors, on the page, and kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import table_models
from typer.testing import CliRunner

from covidlit.cli.app import app
from covidlit.deploy.tables.model import load_table_model
from covidlit.deploy.tables.predict_rows import predict_rows
from covidlit.errors import ConfigError, ManifestError
from covidlit.explain.tables.of_scan import SeverityOfScans
from covidlit.quantify.many import quantify
from covidlit.quantify.masks import MaskLabeller
from covidlit.quantify.results import Results
from covidlit.synthetic import CohortPaths


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("factors")
    return table_models.severity_model(
        folder, "factors", table_models.IMAGING, nothing_found={"mean_density_hu": -850.0}
    )


@pytest.fixture(scope="module")
def clinical_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return table_models.severity_model(
        tmp_path_factory.mktemp("clinical"), "clinical",
        [*table_models.IMAGING, *table_models.LABS], attention=True, rule="first",
        before_days=None, after_days=1.0, tolerance_days=2.0,
        units={"haemoglobin_g_per_l": "g/L"},
    )  # fmt: skip


def factors(**changes: Any) -> dict[str, Any]:
    return {
        "patient_id": "P1", "scan_id": "S1", "acquisition_date": "2020-03-10", "n_lesions": 4,
        "total_volume_ml": 120.0, "mean_volume_ml": 30.0, "proportion_percent": 4.0,
        "max_diameter_3d_mm": 40.0, "max_diameter_2d_mm": 30.0, "mean_density_hu": -400.0,
        "edge_clarity_hu_per_mm": 50.0, "pleural_distance_mm": 5.0, "form": 0.7,
        "volume_change_ml": None, **changes,
    }  # fmt: skip


def labs(rows: list[tuple[str, str, float, float]], path: Path) -> Path:
    """Contract 9: patient, date, haemoglobin and leukocytes of 50 years old men."""
    table = pd.DataFrame(
        rows, columns=["patient_id", "date", "haemoglobin_g_per_l", "leukocytes_1e9_per_l"]
    )
    table = table.assign(age=50, sex="M", lymphocyte_percent=20.0)
    table.to_csv(path, index=False)
    return path


def value_of(severity: Any, feature: str) -> Any:
    return next(each.value for each in severity.values if each.feature == feature)


def test_the_score_is_that_of_predict(model: Path, tmp_path: Path) -> None:
    file = tmp_path / "factors.csv"
    rows = [factors(), factors(scan_id="S2", n_lesions=0, mean_density_hu=None, form=None)]
    pd.DataFrame(rows).to_csv(file, index=False)
    expected = predict_rows(load_table_model(model), file).table
    scorer = SeverityOfScans(model)
    found = [scorer.of(row) for row in rows]
    np.testing.assert_allclose([one.row["score"] for one in found], expected["score"], rtol=1e-6)
    assert value_of(found[1], "mean_density_hu") == -850  # as in the run, of a scan without lesion
    assert found[0].positive == "severe or critical"
    assert found[1].row["missing"] == "form"


def test_contributions_sum_to_the_log_odds_and_what_is_outside_is_flagged(model: Path) -> None:
    found = SeverityOfScans(model).of(factors(total_volume_ml=9000.0))
    assert found.reference_score is not None

    def odds(score: float) -> float:
        return float(np.log(score / (1 - score)))

    total = sum(each.contribution for each in found.values)
    assert total == pytest.approx(odds(found.row["score"]) - odds(found.reference_score), abs=1e-4)
    flagged = [each.feature for each in found.values if each.outside]
    assert flagged == ["total_volume_ml"]
    volume = next(each for each in found.values if each.feature == "total_volume_ml")
    assert volume.place == 1
    assert found.row["n_outside"] == 1


def test_the_nearest_values_before_the_scan_count_and_none_of_after(
    clinical_model: Path, tmp_path: Path
) -> None:
    table = labs(
        [
            ("p1", "2020-03-01", 101, 3.1),  # older than the run's two days
            ("p1", "2020-03-08", 110, 5.0),
            ("p1", "2020-03-09", 120, 6.0),
            ("p1", "2020-03-11", 150, 14.0),  # later
        ],
        tmp_path / "labs.csv",
    )
    scorer = SeverityOfScans(clinical_model, table)
    found = scorer.of(factors())
    assert value_of(found, "haemoglobin_g_per_l") == 120
    assert value_of(found, "leukocytes_1e9_per_l") == 6
    assert value_of(found, "age") == 50
    assert value_of(found, "proportion_percent") == 4
    assert found.row["patient_id"] == "P1"
    assert sum(each.attention or 0 for each in found.values) == pytest.approx(1, abs=1e-4)
    assert "up to 2 days before the scan" in found.lines[0]
    same_day = scorer.of(factors(acquisition_date="2020-03-11"))
    assert value_of(same_day, "haemoglobin_g_per_l") == 150
    # Whatever stands in the table after the scan changes nothing.
    pd.read_csv(table).iloc[:3].to_csv(tmp_path / "before.csv", index=False)
    before = SeverityOfScans(clinical_model, tmp_path / "before.csv").of(factors())
    assert before.row["score"] == found.row["score"]


def test_worst_mean_and_slope_are_of_the_days_before_the_scan(tmp_path: Path) -> None:
    names = ["haemoglobin_g_per_l", "leukocytes_1e9_per_l", "leukocytes_1e9_per_l_first", "age"]
    values = table_models.training_rows(table_models.LABS).rename(
        columns={"lymphocyte_percent": "leukocytes_1e9_per_l_first"}
    )
    rule = {"default": "last", "haemoglobin_g_per_l": "worst",
            "leukocytes_1e9_per_l": ["mean", "first"]}  # fmt: skip
    path = table_models.severity_model(
        tmp_path, "clinical", names, values=values[names], rule=rule, before_days=7.0, units={}
    )
    rows = [
        ("P1", "2020-03-01", 60.0, 99.0),
        ("P1", "2020-03-04", 105.0, 8.0),
        ("P1", "2020-03-09", 120.0, 6.0),
        ("P1", "2020-03-11", 90.0, 14.0),
    ]
    found = SeverityOfScans(path, labs(rows, tmp_path / "labs.csv")).of(factors())
    assert value_of(found, "haemoglobin_g_per_l") == 105
    assert value_of(found, "leukocytes_1e9_per_l") == 7
    assert value_of(found, "leukocytes_1e9_per_l_first") == 6


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"acquisition_date": None}, "has no date"),
        ({"patient_id": "P9"}, "'P9' of the scan is not in the clinical table"),
        ({"acquisition_date": "2020-03-20"}, "no laboratory value from 2 days before"),
        ({"acquisition_date": "2020-02-20"}, "no laboratory value from 2 days before"),
    ],
)
def test_a_scan_without_a_score_says_why(
    clinical_model: Path, tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    table = labs([("P1", "2020-03-10", 120, 6.0)], tmp_path / "labs.csv")
    found = SeverityOfScans(clinical_model, table).of(factors(**changes))
    assert found.row["status"] == "refused"
    assert said in found.row["reason"]
    assert found.row["score"] is None
    assert found.values == ()


def test_a_scan_after_the_outcome_is_said_to_predict_nothing(
    clinical_model: Path, tmp_path: Path
) -> None:
    table = labs([("P1", "2020-03-09", 120, 6.0)], tmp_path / "labs.csv")
    pd.read_csv(table).assign(outcome="died", outcome_date="2020-03-10").to_csv(table, index=False)
    found = SeverityOfScans(clinical_model, table).of(factors())
    assert found.row["status"] == "ok"
    assert "predicts nothing" in found.lines[1]


def test_what_does_not_go_together_is_refused_before_anything_is_measured(
    model: Path, clinical_model: Path, tmp_path: Path
) -> None:
    table = labs([("P1", "2020-03-10", 1200, 6.0)], tmp_path / "labs.csv")
    with pytest.raises(ConfigError, match="takes laboratory values"):
        SeverityOfScans(clinical_model)
    with pytest.raises(ConfigError, match="factors of scans alone"):
        SeverityOfScans(model, table)
    with pytest.raises(ManifestError, match="1200"):
        SeverityOfScans(clinical_model, table)
    run = CliRunner().invoke(app, ["quantify", "--masks", ".", ".", "--clinical", str(table)])
    assert "without --severity" in f"{run.output}{run.exception}"


def measured(repeated: CohortPaths, out: Path, severity: Any) -> Results:
    assert repeated.truth is not None
    labeller = MaskLabeller(repeated.truth)
    return quantify(repeated.dicom, labeller, out, dicom=False, severity=severity)


@pytest.mark.slow
def test_scores_stand_on_the_page_and_in_a_table_and_are_made_anew_by_another_model(
    repeated: CohortPaths, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    first = measured(repeated, out, SeverityOfScans(model))
    table = pd.read_csv(out / "severity.csv").set_index("scan_id")
    expected = predict_rows(load_table_model(model), out / "factors.parquet").table
    expected = expected.set_index("scan_id")["score"]
    np.testing.assert_allclose(table["score"], expected.loc[table.index], rtol=1e-5)
    parts = pd.read_csv(out / "severity.contributions.csv")
    assert parts.groupby("scan_id").size().tolist() == [5] * 3
    pages = {path.name: path.read_text() for path in (out / "reports").glob("*.html")}
    last = first.factors.sort_values("acquisition_date").groupby("patient_id")["scan_id"].last()
    for patient, scan in last.items():
        page = pages[f"{patient}.html"]
        assert f"<b>{table.loc[scan, 'score']:.3f}</b>" in page
        assert "Trained on synthetic data" in page
        assert "Nothing here says how ill the patient is" not in page
    # The same model does nothing again; another one scores, and measures nothing.
    monkeypatch.setattr("covidlit.quantify.many._measure", None)
    monkeypatch.setattr("covidlit.quantify.many.write_report", None)
    again = measured(repeated, out, SeverityOfScans(model))
    assert again.n_known == 3
    pd.testing.assert_frame_equal(again.severity, first.severity)
    monkeypatch.undo()
    monkeypatch.setattr("covidlit.quantify.many._measure", None)
    other = table_models.severity_model(tmp_path / "other", "factors", table_models.IMAGING, seed=9)
    changed = measured(repeated, out, SeverityOfScans(other))
    assert (changed.severity["score"] != first.severity["score"]).all()
    for patient, scan in last.items():
        score = changed.severity.set_index("scan_id").loc[scan, "score"]
        assert f"<b>{score:.3f}</b>" in (out / "reports" / f"{patient}.html").read_text()
    without = measured(repeated, out, None)
    assert without.severity.empty
    assert not (out / "severity.csv").exists()
    assert not any('id="severity"' in path.read_text() for path in (out / "reports").glob("*.html"))


@pytest.mark.slow
def test_the_command_scores_scans_and_says_who_has_no_score(
    repeated: CohortPaths, clinical_model: Path, tmp_path: Path
) -> None:
    out, table = tmp_path / "out", tmp_path / "labs.csv"
    known = measured(repeated, out, None).factors
    sizes = known.groupby("patient_id").size()
    own = known[known["patient_id"] == sizes.idxmin()].iloc[0]
    day = pd.Timestamp(own["acquisition_date"])
    labs([(own["patient_id"], f"{day:%Y-%m-%d}", 120, 6.0)], table)
    scans = ["--masks", str(repeated.truth), str(repeated.dicom), "--out", str(out)]
    scored_by = ["--severity", str(clinical_model), "--clinical", str(table)]
    command = ["quantify", *scans, "--no-dicom", *scored_by]
    run = CliRunner().invoke(app, command)
    assert run.exit_code == 0, run.output
    assert "1 scan scored by fusion_ann, 3 networks, 2 without a score" in run.output
    assert "is not in the clinical table" in run.output
    found = pd.read_csv(out / "severity.csv").set_index("scan_id")
    assert found["status"].value_counts().to_dict() == {"refused": 2, "ok": 1}
    page = (out / "reports" / f"{sizes.idxmax()}.html").read_text()
    assert "No score: patient" in page
    assert CliRunner().invoke(app, [*command, "--strict"]).exit_code == 1
