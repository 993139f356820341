"""`covidlit associations`: of tables and runs, one row per patient, planted features found."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import factor_cohort
import numpy as np
import pandas as pd
import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from scipy import stats
from typer.testing import CliRunner

from covidlit.cli.app import app
from covidlit.cli.train import whole_run
from covidlit.settings.tree import config_dir


def cohort(n: int = 60, scans: int = 1) -> pd.DataFrame:
    """Of each patient scans with a planted feature, noise, a constant, an empty column, texts."""
    rng = np.random.default_rng(0)
    severity = np.array(["mild", "moderate", "severe", "critical"])[np.arange(n) % 4]
    rank = np.arange(n) % 4
    table = pd.DataFrame(
        {
            "patient_id": [f"P{i:03d}" for i in range(n)],
            "date": "2020-02-01",
            "severity": severity,
            "outcome": np.where(rank == 3, "died", "survived"),
            "planted": rank + rng.normal(size=n),
            "noise": rng.lognormal(size=n),
            "constant": 1.5,
            "empty": np.nan,
            "sex": np.where(rng.random(n) < 0.5, "F", "M"),
            "smoker": rank + rng.normal(size=n) > 1.5,
            "remark": [f"text {i}" for i in range(n)],
        }
    )
    table.loc[::7, "noise"] = np.nan
    later = [table.assign(date=f"2020-03-0{i}", planted=0.0) for i in range(1, scans)]
    return pd.concat([table, *later], ignore_index=True)


def command(*words: Any, ok: bool = True) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        done = CliRunner().invoke(app, ["associations", *map(str, words)])
    assert (done.exit_code == 0) == ok, done.output
    return " ".join(done.output.split())


def test_a_table_gives_numbers_figure_and_page(tmp_path: Path) -> None:
    table = cohort()
    table.to_csv(tmp_path / "clinical.csv", index=False)
    said = command(tmp_path / "clinical.csv", "--out", tmp_path / "out")
    found = pd.read_csv(tmp_path / "out" / "associations.csv").set_index("feature")
    assert list(found.index) == ["planted", "noise", "constant", "empty", "sex", "smoker"]
    rank = table["severity"].map({"mild": 0, "moderate": 1, "severe": 2, "critical": 3})
    expected = stats.spearmanr(table["planted"], rank)
    assert found.loc["planted", "spearman"] == pytest.approx(expected.statistic)
    assert found.loc["planted", "spearman_p"] == pytest.approx(expected.pvalue)
    # Four features could be tested of six: the smallest p of each family is multiplied by four.
    assert found.loc["planted", "spearman_p_holm"] == pytest.approx(4 * expected.pvalue)
    assert found.loc["planted", "group_p_holm"] == pytest.approx(
        4 * found.loc["planted", "group_p"]
    )
    assert found.loc["planted", "spearman_p_holm"] < 0.001 < 0.05 < found.loc["noise", "group_p"]
    assert found.loc[["constant", "empty"], "spearman"].isna().all()
    assert "the feature is 1.5 in all 60 rows" in found.loc["constant", "reason"]
    assert found.loc["noise", "n_missing"] == 9
    page = (tmp_path / "out" / "associations.html").read_text()
    assert "over the 4 of 6 features that could be tested" in said
    for text in (
        "Kruskal-Wallis",
        "data:image/png;base64",
        "remark",
        "outcome",
        "Bonett and Wright",
    ):
        assert text in page
    assert (tmp_path / "out" / "heatmap.png").read_bytes().startswith(b"\x89PNG")
    # Its own files are written over, those of others are not.
    command(tmp_path / "clinical.csv", "--out", tmp_path / "out")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "associations.html").write_text("mine")
    assert "error:" in command(tmp_path / "clinical.csv", "--out", tmp_path / "other", ok=False)


def test_two_groups_have_effect_sizes_and_a_table_1(tmp_path: Path) -> None:
    table = cohort()
    table.to_parquet(tmp_path / "clinical.parquet")
    command(tmp_path / "clinical.parquet", "--outcome", "outcome", "--out", tmp_path / "out")
    found = pd.read_csv(tmp_path / "out" / "associations.csv").set_index("feature")
    died = table["outcome"] == "died"
    shares = table["smoker"][died].mean() - table["smoker"][~died].mean()
    assert found.loc["smoker", "risk_difference"] == pytest.approx(shares)
    assert found.loc["planted", "auc"] == pytest.approx(
        stats.mannwhitneyu(table["planted"][died], table["planted"][~died]).statistic / 15 / 45
    )
    assert found.loc["planted", "hedges_g"] > 0.8 > found.loc["noise", "hedges_g"]
    one = pd.read_csv(tmp_path / "out" / "table1.csv").set_index("feature")
    assert list(one)[:2] == ["survived (n = 45)", "died (n = 15)"]
    n = int(table["smoker"][died].sum())
    assert one.loc["smoker", "died (n = 15)"] == f"{n} of 15 ({n / 15:.0%})"
    middle = table["noise"][died].quantile([0.5, 0.25, 0.75])
    low, high = f"{middle[0.25]:.3g}", f"{middle[0.75]:.3g}"
    assert one.loc["noise", "died (n = 15)"] == f"{middle[0.5]:.3g} ({low} to {high})"


def test_a_patient_counts_once_and_it_is_said(tmp_path: Path) -> None:
    table = cohort(scans=3).sample(frac=1, random_state=0)
    table.to_csv(tmp_path / "t.csv", index=False)
    said = command(tmp_path / "t.csv", "--out", tmp_path / "first")
    assert "180 rows are of 60 patients: the first row of each by date is used" in said
    first = pd.read_csv(tmp_path / "first" / "associations.csv").set_index("feature")
    assert first.loc["planted", "n"] == 60
    assert first.loc["planted", "spearman"] > 0.5  # later rows are 0
    said = command(tmp_path / "t.csv", "--rows", "all", "--out", tmp_path / "all")
    assert "as if they were independent, which they are not" in said
    assert pd.read_csv(tmp_path / "all" / "associations.csv")["n"][0] == 180
    command(tmp_path / "t.csv", "--rows", "last", "--out", tmp_path / "last")
    last = pd.read_csv(tmp_path / "last" / "associations.csv").set_index("feature")
    assert "in all 60 rows" in last.loc["planted", "reason"]


def test_factors_are_joined_to_labels_and_a_run_has_its_own(tmp_path: Path) -> None:
    manifest, quantified = factor_cohort.write_cohort(tmp_path)
    said = command(
        quantified, "--labels", manifest, "--outcome", "target", "--features", "imaging", "--out",
        tmp_path / "table",
    )  # fmt: skip
    assert "70 of 70 rows have labels in manifest.csv, by scan_id." in said
    assert "of 60 patients" in said
    given = [
        "model=logistic_regression", "data=factors", f"data.source.path={manifest}",
        f"data.factors={quantified}", "split=k_fold", "split.n_folds=3", "split.fold=all",
        "evaluation.n_bootstrap=100", "name=test", f"data_dir={tmp_path}", "data.n_jobs=1",
    ]  # fmt: skip
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        plain: Any = OmegaConf.to_container(compose("train", given), resolve=True)
    whole_run(plain, tmp_path / "run")
    said = command(tmp_path / "run", "--out", tmp_path / "of_run")
    assert "test rows among them" in said
    one, other = (
        pd.read_csv(tmp_path / name / "associations.csv").set_index("feature")
        for name in ("table", "of_run")
    )
    assert list(one.index) == list(other.index)
    # The run reads what no lesion counts as into the factors; the number of lesions is the same.
    assert one.loc["n_lesions", "spearman"] == pytest.approx(other.loc["n_lesions", "spearman"])
    assert one.loc["form", "n"] < other.loc["form", "n"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--outcome", "sevrity"], "did you mean severity"),
        (["--outcome", "constant"], "one value in all 60 rows"),
        (["--outcome", "remark"], "has 60 values; groups are needed"),
        (["--order", "mild,moderate,severe"], "critical are not in it"),
        (["--positive", "sever"], "did you mean severe"),
        (["--features", "plantet"], "did you mean planted"),
        (["--features", "paper15"], "none of the 15 features"),
        (["--features", "remark"], "no column is a feature"),
        (["--rows", "second"], "first, last or all"),
        (["--confidence", "95"], "did you mean 0.95"),
    ],
)
def test_what_cannot_be_is_refused(words: list[str], message: str, tmp_path: Path) -> None:
    cohort().to_csv(tmp_path / "t.csv", index=False)
    said = command(tmp_path / "t.csv", *words, "--out", tmp_path / "out", ok=False)
    assert message in said


@pytest.mark.parametrize("n", [2, 3, 4, 5])
def test_next_to_no_rows_are_described(n: int, tmp_path: Path) -> None:
    cohort(n).to_csv(tmp_path / "t.csv", index=False)
    command(tmp_path / "t.csv", "--out", tmp_path / "out")
    found = pd.read_csv(tmp_path / "out" / "associations.csv").set_index("feature")
    assert len(found) >= 5
    if n == 2:
        assert "three are needed" in found.loc["planted", "reason"]
