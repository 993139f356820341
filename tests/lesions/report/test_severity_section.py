"""The severity on a patient's page: score, what made it, and what it rests on."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

import patient_pages
import pytest

from covidlit.lesions.report.severity import OPEN_BARS, ScoredValue, Severity


def value(number: int, contribution: float, **changes: Any) -> ScoredValue:
    known = {"value": 10.0 + number, "place": 0.25, "outside": "", **changes}
    return ScoredValue(f"f{number}", f"Feature {number}", "mL", contribution=contribution, **known)


def severity(*values: ScoredValue, **row: Any) -> Severity:
    own = {
        "score": 0.7314, "score_low": 0.61, "score_high": 0.84, "predicted_class": "severe",
        "operating_point": 0.42, "status": "ok", "reason": None, "notes": None,
        "trained_on_synthetic": False, **row,
    }  # fmt: skip
    return Severity(own, values, 0.4, "severe", "fusion_ann, 3 networks", ("Nearest values.",))


def section(path: Path, given: Severity | None) -> str:
    html = patient_pages.write(path, severity=given)
    page = patient_pages.Page(html)
    assert all(link.startswith("data:") for link in page.links)
    return html.partition('<section id="severity">')[2].partition("</section>")[0]


def test_score_range_call_and_values_by_their_contribution(tmp_path: Path) -> None:
    text = section(tmp_path, severity(value(1, 0.5), value(2, -1.0), value(3, 0.0, value=None)))
    assert "<b>0.731</b>" in text
    assert "its members: 0.610 to 0.840" in text
    assert "Called severe: at or above 0.420, the operating point of the model&#39;s run." in text
    assert "left:61.00%;width:23.00%" in text
    assert re.findall(r'class="what">([^<]+)', text) == ["Feature 2", "Feature 1", "Feature 3"]
    assert re.findall(r'class="(up|down)" style="width:([\d.]+)%', text) == [
        ("down", "50.0"), ("up", "25.0"), ("down", "0.0"),
    ]  # fmt: skip
    assert "Missing: Feature 3." in text
    assert "medians of the training part (score 0.400)" in text
    assert "Attention" not in text
    assert "synthetic" not in text
    assert "Nearest values." in text


def test_values_outside_the_training_are_never_folded_away(tmp_path: Path) -> None:
    values = [value(k, 5.0 - 0.1 * k) for k in range(OPEN_BARS + 3)]
    values.append(value(99, 0.001, outside="f99 109 is above the training range 1 to 50"))
    text = section(tmp_path, severity(*values, trained_on_synthetic=True))
    shown, _, folded = text.partition("<details>")
    assert "Outside: f99 109 is above the training range 1 to 50." in shown
    assert folded.count('class="what"') == 3
    assert "Trained on synthetic data" in shown


def test_attention_stands_beside_each_value(tmp_path: Path) -> None:
    text = section(tmp_path, severity(value(1, 0.5, attention=0.75), value(2, 0.1, attention=0.25)))
    assert "attention 0.750" in text
    assert "all sum to 1" in text


@pytest.mark.parametrize("given", [None, "refused"])
def test_without_a_score_the_page_says_so_and_claims_no_severity(
    tmp_path: Path, given: str | None
) -> None:
    none = {"status": "refused", "reason": "no <date>.", "score": None, "predicted_class": None,
            "score_low": None, "score_high": None}  # fmt: skip
    text = section(tmp_path, None if given is None else severity(**none))
    assert ("No score: no &lt;date&gt;." in text) == (given is not None)
    whole = (tmp_path / "report.html").read_text()
    assert "Nothing here says how ill the patient is" in whole
    scored = patient_pages.write(tmp_path, severity=severity(value(1, 0.5)))
    assert "Nothing here says how ill the patient is" not in scored


def test_a_severity_is_kept_as_json() -> None:
    own = severity(value(1, 0.5), value(2, -1.0, value=None, attention=0.5))
    assert Severity.of_plain(json.loads(json.dumps(asdict(own)))) == own
