"""Groups in several spellings, shares for percent, and all that is wrong in one message."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from covidlit.cohort.build import manifest_from_dicom, manifest_from_images
from covidlit.cohort.clinical import read_clinical
from covidlit.cohort.label_rule import ByClass
from covidlit.cohort.labels_table import read_labels
from covidlit.cohort.manifest import validate_manifest
from covidlit.cohort.sources import existing_manifest
from covidlit.cohort.spellings import spelling
from covidlit.cohort.splits import centre_held_out
from covidlit.errors import ManifestError, SplitError


def _labels(folder: Path, **columns: Any) -> Path:
    table = {"patient_id": ["a", "b", "c", "d"], "class_name": ["covid", "np", "np", "covid"]}
    pd.DataFrame(table | columns).to_csv(folder / "labels.csv", index=False)
    return folder / "labels.csv"


@pytest.mark.parametrize(
    "other", ["Centre_1", "CENTRE_1", "centre 1", "centre-1", "centre_01", "centre\u00a01"]
)
def test_a_centre_in_another_spelling_is_refused(other: str, tmp_path: Path) -> None:
    labels = _labels(tmp_path, centre=["centre_1", "centre_1", other, "centre_2"])
    with pytest.raises(ManifestError) as caught:
        read_labels(labels)
    assert f"{other!r} in 1 row (3; line 4 of the file), others write 'centre_1'" in str(
        caught.value
    )
    assert read_labels(labels, own_names=[other]).table["centre"].nunique() == 3


def test_blanks_around_a_centre_do_not_count(tmp_path: Path) -> None:
    labels = _labels(tmp_path, centre=["centre_1", " centre_1", "centre_1 ", "centre_2"])
    assert read_labels(labels).table["centre"].tolist() == ["centre_1"] * 3 + ["centre_2"]


@pytest.mark.parametrize("others", ["centre_2", "centre_11", "centre_10", "centre_1a"])
def test_another_centre_is_another(others: str) -> None:
    assert spelling(others) != spelling("centre_1")


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("class_name", ["covid", "ILD", "ild", "covid"]),
        ("aetiology", ["Viral", "viral", "viral", None]),
        ("ward", ["A 1", "a1", "A 1", "B"]),
    ],
)
def test_so_is_any_other_group(column: str, values: list[str], tmp_path: Path) -> None:
    labels = _labels(tmp_path, **{column: values})
    with pytest.raises(ManifestError, match=f"column '{column}': .* others write"):
        read_labels(labels, kept=["ward"])


def test_a_held_out_centre_leaks_by_no_spelling(manifest: pd.DataFrame) -> None:
    table = manifest.copy()
    held = table["centre"].iloc[0]
    row = table.index[table["centre"] == held][1]
    table.loc[row, "centre"] = held.upper() if held.upper() != held else held.lower()
    with pytest.raises(SplitError, match=f"{held!r} is held out, and rows"):
        centre_held_out(table, held)
    table.loc[row, "centre"] = f" {held} "
    centre_held_out(validate_manifest(table), held)


def test_training_warns_of_a_manifest_with_two_spellings(
    manifest: pd.DataFrame, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    table = manifest.copy()
    table.loc[table.index[2], "centre"] = f"{table['centre'].iloc[2]}_".upper()
    table.to_csv(tmp_path / "m.csv", index=False)
    existing_manifest(path=tmp_path / "m.csv", folder=tmp_path)
    assert "counts as another group than" in caplog.text


@pytest.mark.parametrize("values", [[0.97, 0.98, 0.95, 0.99], [97, 98, 0.95, None]])
def test_shares_are_no_percent(values: list[float], tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"'0.95': must be percent, .*write 97 for 0.97"):
        read_labels(_labels(tmp_path, spo2_percent=values))


@pytest.mark.parametrize(("values", "right"), [([0.6, 0.7, 0.8], False), ([60, 0.7, 0.8], True)])
def test_shares_in_a_clinical_table(values: list[float], right: bool, tmp_path: Path) -> None:
    table = {"patient_id": ["a", "b", "c"], "date": "2020-02-01", "lymphocyte_percent": values}
    pd.DataFrame(table).to_csv(tmp_path / "c.csv", index=False)
    if right:
        assert read_clinical(tmp_path / "c.csv")["lymphocyte_percent"].tolist() == values
        return
    with pytest.raises(ManifestError, match="all values look like shares"):
        read_clinical(tmp_path / "c.csv")


def test_all_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    labels = _labels(
        tmp_path,
        patient_id=["a", "a", "c", "d"],
        class_name=["covid", "np", "nnp", "covid"],
        age=[40, 50, 400, 30],
        centre=["x", "X", "x", "y"],
        rtpcr_inital=["positive", None, None, None],
    )
    with pytest.raises(ManifestError) as caught:
        manifest_from_dicom(tmp_path / "none", labels, label_rule=ByClass())
    said = str(caught.value)
    assert "5 kinds of things are to be mended" in said
    for part in (
        "'rtpcr_inital': did you mean rtpcr_initial?",
        "row 3 (line 4 of the file), column 'age': value '400': must be 0 to 120 years",
        "rows 1, 2 (lines 2, 3 of the file), column 'patient_id'",
        "'nnp' in 1 row (3; line 4 of the file): did you mean np?",
        "column 'centre': 'X' in 1 row (2; line 3 of the file), others write 'x'",
    ):
        assert part in said, part
    assert "--own-name nnp" in said


def test_labels_of_images_too(tmp_path: Path) -> None:
    labels = _labels(tmp_path, patient_id=None, path=["a", "b", "c", "d"], age=[1, 2, 3, 400])
    with pytest.raises(ManifestError) as caught:
        manifest_from_images(tmp_path, labels, label_rule=ByClass())
    assert "each row needs a patient_id" in str(caught.value)
    assert "must be 0 to 120 years" in str(caught.value)
