"""`covidlit clinical`: tables of a hospital written as contract 9."""

from __future__ import annotations

from pathlib import Path

import clinical_tables as hospital
import pandas as pd
import yaml
from typer.testing import CliRunner

from covidlit.cli.app import app
from covidlit.cohort.clinical import read_clinical


def test_it_says_what_was_changed_and_writes_it(tmp_path: Path) -> None:
    table = hospital.frame()
    table["Hb"] = ["<13.5", 12.0, "hemolyzed", 14.2]
    table.to_csv(tmp_path / "labs.csv", index=False)
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(hospital.MAPPING, allow_unicode=True))
    out = tmp_path / "c.parquet"
    words = ["clinical", str(tmp_path / "labs.csv"), "--mapping", str(tmp_path / "own.yaml")]
    done = CliRunner().invoke(app, [*words, "--out", str(out), "--rule", "worst"])
    assert done.exit_code == 0, done.output
    said = " ".join(done.output.split())
    assert "4 rows of 3 patients, 5 laboratory values" in said
    assert read_clinical(out)["haemoglobin_g_per_l"].tolist()[:2] == [67.5, 120]
    changed = pd.read_csv(tmp_path / "c.changed.csv").set_index(["column", "rule"])["n"]
    assert changed["haemoglobin_g_per_l", "below a limit (<), half of it"] == 1
    assert changed["haemoglobin_g_per_l", "'hemolyzed', missing"] == 1
    missing = pd.read_csv(tmp_path / "c.missing.csv").set_index("feature")
    assert missing.loc["haemoglobin_g_per_l", ["n", "missing"]].tolist() == [3, 1]
    assert len(pd.read_csv(tmp_path / "c.patients.csv")) == 3
    # What it wrote is read without a mapping, with the units of further features.
    again = tmp_path / "d.csv"
    done = CliRunner().invoke(app, ["clinical", str(out), "--out", str(again)])
    assert done.exit_code == 0, done.output
    features = pd.read_csv(tmp_path / "d.features.csv").set_index("name")
    assert features.loc["crp_mg_per_l", ["unit", "worse", "group"]].tolist() == [
        "mg/L", "high", "further",
    ]  # fmt: skip
    assert read_clinical(again)["crp_mg_per_l"].tolist()[:2] == [10, 125]


def test_a_refusal_writes_nothing(tmp_path: Path) -> None:
    table = hospital.frame()
    table.loc[2, "Hb"] = 133
    table.to_csv(tmp_path / "labs.csv", index=False)
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(hospital.MAPPING, allow_unicode=True))
    out = tmp_path / "c.csv"
    words = ["clinical", str(tmp_path / "labs.csv"), "--mapping", str(tmp_path / "own.yaml")]
    done = CliRunner().invoke(app, [*words, "--out", str(out)])
    assert done.exit_code == 2
    assert "line 4 of the file" in done.output
    assert not out.exists()
    done = CliRunner().invoke(app, [*words, "--out", str(tmp_path / "labs.csv")])
    assert done.exit_code == 2  # its own input
    assert pd.read_csv(tmp_path / "labs.csv")["Hb"].tolist()[2] == 133


def test_times_that_are_written_are_those_from_the_index_beside_them(tmp_path: Path) -> None:
    table = hospital.frame().assign(ICU=["2020-02-05", "2020-02-05", "2020-02-06", "2020-02-08"],
                                    Days=[19, 19, 8, 24])  # fmt: skip
    table.to_csv(tmp_path / "labs.csv", index=False)
    mapping = hospital.changed(event_time_days="Days")
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(mapping, allow_unicode=True))
    out = tmp_path / "clinical.csv"
    arguments = [str(tmp_path / "labs.csv"), "--mapping", str(tmp_path / "own.yaml")]
    for index, days in (("auto", [19, 8, 24]), ("ICU", [15, 4, 20])):
        found = CliRunner().invoke(
            app, ["clinical", *arguments, "--out", str(out), "--index", index]
        )
        assert found.exit_code == 0, found.output
        written = pd.read_csv(out).drop_duplicates("patient_id")
        assert written["event_time_days"].tolist() == days
        assert pd.to_datetime(written["outcome_date"]).dt.day.tolist() == [20, 10, 28]
