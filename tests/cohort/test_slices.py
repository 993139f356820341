"""Contract 11, labelled slices: the table, its annotations, and which slices are used."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from covidlit.cohort.coco import Coco, CocoAnnotation, CocoImage, rle
from covidlit.cohort.slice_criteria import SliceChoice, SliceCriteria
from covidlit.cohort.slice_table import (
    read_labelled_slices,
    slice_id_of,
    validate_slices,
    write_labelled_slices,
)
from covidlit.cohort.splits import from_file, patient_k_fold
from covidlit.errors import ManifestError


def _table(scans: int = 6, slices: int = 4) -> pd.DataFrame:
    rows = [
        {
            "slice_id": slice_id_of(f"S{scan}", index), "patient_id": f"P{scan // 2}",
            "scan_id": f"S{scan}", "slice_index": index, "path": f"scans/S{scan}.nii.gz",
            "source": "scan", "rows": 8, "columns": 9, "row_spacing_mm": 0.7,
            "column_spacing_mm": 0.7, "class_name": "covid", "centre": "x",
        }
        for scan in range(scans) for index in range(slices)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def _coco(table: pd.DataFrame) -> Coco:
    images = tuple(CocoImage(k, f"{name}.png", 8, 9) for k, name in enumerate(table["slice_id"], 1))
    mask = np.zeros((8, 9), bool)
    mask[2:4, 5] = True
    return Coco(images, (CocoAnnotation(1, 3, "fibrosis", rle.encode(mask)),), ("lung", "fibrosis"))


def test_slices_and_annotations_are_read_as_they_were_written(tmp_path: Path) -> None:
    table = _table()
    path = write_labelled_slices(table, _coco(table), tmp_path)
    again, coco = read_labelled_slices(path)
    assert again["slice_id"].tolist() == table["slice_id"].tolist()
    assert again["path"].iloc[0] == str((tmp_path / "scans/S0.nii.gz").resolve())
    assert again["slice_index"].dtype == "Int64"
    assert coco.classes == ("lung", "fibrosis")  # also those that nothing is annotated with
    assert [(a.image_id, a.class_name) for a in coco.annotations] == [(3, "fibrosis")]
    assert len(coco.images) == len(table)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"patient_id": None}, "row 1, column 'patient_id': value .empty."),
        ({"slice_index": -1}, "row 1, column 'slice_index': value '?-1"),
        ({"slice_id": "a/b"}, "row 1, column 'slice_id': value 'a/b'"),
        ({"slice_id": "S0.0001"}, "column 'slice_id'"),
        ({"slice_index": 1}, r"rows \[1, 2\] are the same slice"),
        ({"patient_id": "P9"}, "the scan S0 is of several patients"),
        ({"row_spacing_mm": 0}, "row 1, column 'row_spacing_mm': value '?0.*more than 0 mm"),
        ({"source": "film"}, "must be scan or image"),
    ],
)
def test_a_table_that_breaks_the_contract_is_refused(changes: dict[str, Any], said: str) -> None:
    table = _table()
    for name, value in changes.items():
        table[name] = table[name].astype(object)
        table.loc[0, name] = value
    with pytest.raises(ManifestError, match=said):
        validate_slices(table)


def test_annotations_of_other_slices_are_refused(tmp_path: Path) -> None:
    table = _table()
    with pytest.raises(ManifestError, match=r"not of the same slices: S0.0000.png"):
        write_labelled_slices(table.iloc[1:], _coco(table), tmp_path)
    with pytest.raises(ManifestError, match="no room for the number"):
        slice_id_of("s" * 125, 0)


def test_a_split_keeps_the_slices_of_a_patient_together(tmp_path: Path) -> None:
    table = _table(scans=20)
    split = patient_k_fold(table, n_folds=4, fold=1, validation_fraction=0.2, seed=3)
    assert set(split.parts) == set(table["slice_id"])
    part = table["slice_id"].map(dict(split.parts))
    assert part.groupby(table["patient_id"]).nunique().max() == 1
    assert set(part) == {"train", "validation", "test"}
    split.save(tmp_path / "split.json")
    assert from_file(table, tmp_path / "split.json") == split


def test_the_paper_s_grading_filters_and_is_counted() -> None:
    table = _table(scans=4, slices=2)
    table["quality_grade"] = ["good", "good", "poor", None] * 2
    table["label_status"] = ["approved"] * 6 + ["draft"] * 2
    table["grader_1"], table["grader_2"] = "A", ["A", "B"] * 4
    criteria = SliceCriteria(["good"], ["approved"], graders_agree=True)
    left, flow = criteria.apply(table)
    assert left["slice_id"].tolist() == ["S0.0000", "S2.0000"]
    assert [(s.n_excluded, s.n_left, s.n_not_assessed) for s in flow.steps] == [
        (0, 8, 0), (4, 4, 2), (0, 4, 0), (2, 2, 0),
    ]  # fmt: skip
    kept, _ = SliceCriteria(["good"], on_missing="keep").apply(table)
    assert len(kept) == 6
    with pytest.raises(ManifestError, match=r"2 slices cannot be assessed.*S1.0001"):
        SliceCriteria(["good"], on_missing="error").apply(table)


@pytest.mark.parametrize("wrong", [{"every": 0}, {"every": 1.5}, {"empty_share": 1.0}])
def test_a_choice_that_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ManifestError, match=f"data.choice.{next(iter(wrong))}"):
        SliceChoice(**wrong)
