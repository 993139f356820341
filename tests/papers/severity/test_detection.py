"""The severity paper's figures are printed in it; what is shown beside them is of our own runs."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from covidlit.errors import ConfigError, CovidlitError
from covidlit.evaluation.published_figures import published_figures
from covidlit.papers.severity import DETECTION, check_own_severity, detection, write_severity


def test_the_published_figures_stand_in_the_text(shared_data: Path) -> None:
    path = shared_data.parent / "papers" / "severity_maskrcnn_ann.txt"
    if not path.is_file():
        pytest.skip(f"{path} is not there (papers are not shipped)")
    text = re.sub(r"[-\s]", "", path.read_text(encoding="utf-8"))
    figures = published_figures(DETECTION)
    said = f"an{figures.sensitivity}sensitivityandan{figures.specificity}specificity"
    assert text.count(said) == 2  # abstract and results
    assert f"asensitivityof96%andaspecificityof{figures.specificity}fordetectingCOVID19" in text
    assert "96%" in figures.remarks[0]
    assert "617CTsampleswereutilizedfortesting,522ofwhich" in text
    assert "remaining95were" in text


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(ConfigError, match="did you mean severity_detection"):
        published_figures("severity_detections")


def _predictions(seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    target = np.arange(60) % 2
    return pd.DataFrame(
        {
            "run_id": "run", "model": "factor_thresholds", "seed": 0, "fold": None, "part": "test",
            "patient_id": [f"P{number}" for number in range(60)],
            "scan_id": [f"S{number}" for number in range(60)],
            "centre": "centre_1", "class_name": np.where(target == 1, "covid", "np"),
            "target": target, "score": np.clip(rng.normal(0.4 + 0.2 * target, 0.15), 0, 1),
            "synthetic": True,
        }
    )  # fmt: skip


def test_each_method_is_counted_at_its_operating_point_and_at_one_half(tmp_path: Path) -> None:
    table = _predictions()
    other = _predictions(1).iloc[:50]
    results = detection({"ours": table, "fewer": other}, operating_point=0.4, n_bootstrap=100)
    first = results["methods"][0]
    sick = table["target"] == 1
    assert first["sensitivity"]["value"] == (table["score"][sick] >= 0.4).mean()
    assert first["at_half"]["sensitivity"]["value"] == (table["score"][sick] >= 0.5).mean()
    assert first["at_half"]["specificity"]["value"] == (table["score"][~sick] < 0.5).mean()
    assert (first["positive"], first["negative"]) == ({"covid": 30}, {"np": 30})
    assert any("cannot be held against each other" in text for text in results["remarks"])
    page = write_severity(results, tmp_path, command="a & b").read_text()
    assert "a &amp; b" in page
    assert "published, other patients" in page
    write_severity(results, tmp_path)  # over its own
    check_own_severity(tmp_path)
    (tmp_path / "severity.html").write_text("<p>mine</p>")
    with pytest.raises(CovidlitError, match="did not write"):
        check_own_severity(tmp_path)
