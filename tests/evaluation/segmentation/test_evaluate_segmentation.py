"""The statistics of a segmentation from its tables, worked out by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from segmentation_tables import RUN, item, long_table, rows_of_data, slice_row

from covidlit.errors import PredictionsError
from covidlit.evaluation.report_context import ReportContext
from covidlit.evaluation.segmentation import (
    evaluate_segmentation,
    read_segmentation_tables,
    split_rows,
    write_segmentation_report,
    write_segmentation_tables,
)
from covidlit.evaluation.segmentation.figures import slice_picture
from covidlit.evaluation.segmentation.overlap import LESION

LUNG = (5, 5, 20, 40)
SPOT, MOVED = (10, 10, 4, 4), (10, 12, 4, 4)
BOTH = {"lung": LUNG, "ground_glass": SPOT}


def tables_of(
    slices: list[dict[str, Any]],
    detections: list[dict[str, Any]] | None = None,
    objects: list[dict[str, Any]] | None = None,
) -> dict[str, pd.DataFrame]:
    found = long_table(slices, detections or [], objects or [])
    return split_rows(found, rows_of_data(slices), **RUN)


def example() -> dict[str, pd.DataFrame]:
    """Patient a: a lesion predicted two pixels beside; b: nothing, one called; c: one missed."""
    slices = [
        slice_row("a.0", BOTH, {"lung": LUNG, "ground_glass": MOVED}),
        slice_row("b.0", {"lung": LUNG}, {"lung": LUNG, "ground_glass": SPOT}),
        slice_row("b.1", {"lung": LUNG}, {"lung": LUNG}),
        slice_row("c.0", BOTH, {"lung": LUNG}),
    ]
    detections = [
        item("a.0", "ground_glass", MOVED, score=0.9),
        item("b.0", "ground_glass", SPOT, score=0.8),
        item("b.1", "ground_glass", SPOT, score=0.2),
        item("a.0", "lung", LUNG, score=0.99),
    ]
    objects = [item("a.0", "ground_glass", SPOT), item("c.0", "ground_glass", SPOT)]
    objects += [item(name, "lung", LUNG) for name in ("a.0", "b.0", "b.1", "c.0")]
    return tables_of(slices, detections, objects)


def measured(tables: dict[str, pd.DataFrame], **settings: Any) -> dict[str, Any]:
    found = evaluate_segmentation(tables, n_bootstrap=200, **settings).metrics["parts"]["test"]
    assert isinstance(found, dict)
    return found


def test_every_number_of_an_example_worked_out_by_hand() -> None:
    found = measured(example())
    lesion = found["overlap"][LESION]
    # 16 true pixels in a and c, 16 predicted in a and b; 4 rows x 2 columns in common.
    assert lesion["dice"]["value"] == pytest.approx(2 * 8 / 64)
    assert lesion["iou"]["value"] == pytest.approx(8 / 56)
    assert lesion["dice_of_instances"]["value"] == pytest.approx(2 * 8 / 64)
    assert found["overlap"]["lung"]["dice"]["value"] == pytest.approx(1.0, abs=0.01)
    assert lesion["dice"]["low"] <= lesion["dice"]["value"] <= lesion["dice"]["high"]
    assert (found["n_slices"], found["n_patients"], found["n_lesions"]) == (4, 3, 2)
    # IoU 8 / 24 of one of two lesions; at 0.5 false positives per slice two are allowed.
    assert found["froc"]["0.125"]["value"] == 0.5  # 0.9 stands above the first false one, 0.8
    assert found["froc"]["4"]["value"] == 0.5
    # a: detected; b.0: called without reason; b.1: below the threshold; c: missed.
    assert found["slices"]["accuracy"]["value"] == pytest.approx(2 / 4)
    assert found["slices"]["sensitivity"]["value"] == pytest.approx(1 / 2)
    assert found["slices"]["specificity"]["value"] == pytest.approx(1 / 2)
    # a: Dice 0.5; b.0 and c: 0; b.1: nothing and nothing.
    assert found["slices"]["agreement"]["value"] == pytest.approx(2 / 4)
    assert found["without_lesion"]["false_positives"]["value"] == pytest.approx(1 / 2)
    lung_pixels = 2 * 20 * 40
    assert found["without_lesion"]["called_lesion"]["value"] == pytest.approx(16 / lung_pixels)
    voxel = 0.5 * 0.5 * 4 / 1000
    errors = np.array([0, 16, -16]) * voxel
    volume = found["volume"][LESION]
    assert volume["bias_ml"]["value"] == pytest.approx(errors.mean())
    assert volume["absolute_ml"]["value"] == pytest.approx(np.abs(errors).mean())
    assert volume["relative"]["value"] == pytest.approx(32 / 32)
    # Outlines of 12 pixels each, moved by two columns of 0.5 mm.
    assert found["surface"]["unit"] == "mm"
    assert 0 < found["surface"]["mean"]["value"] <= 1.0
    assert found["surface"]["hd95"]["value"] == pytest.approx(1.0)
    assert found["surface"]["mean"]["n"] == 1


def test_a_higher_demand_on_a_hit_and_another_threshold() -> None:
    assert measured(example(), hit_overlap=0.4)["froc"]["4"]["value"] == 0.0
    low = measured(example(), score_threshold=0.1)
    assert low["without_lesion"]["false_positives"]["value"] == pytest.approx(1.0)


def test_what_is_to_be_ignored_is_neither_right_nor_wrong(tmp_path: Path) -> None:
    tables = example()
    crowd = example()
    far = (20, 30, 4, 4)
    rows = [
        item("b.0", "ground_glass", SPOT, ignored=True),
        item("c.0", "ground_glass", far, ignored=True),
    ]
    found = [item("c.0", "ground_glass", far, score=0.95)]
    for name, further in (("objects", rows), ("detections", found)):
        added = crowd[name].iloc[: len(further)].assign(**pd.DataFrame(further).to_dict("list"))
        added["patient_id"] = added["scan_id"] = added["slice_id"].str[0]
        crowd[name] = pd.concat([crowd[name], added], ignore_index=True)
    write_segmentation_tables(crowd, tmp_path)
    before, after = measured(tables), measured(read_segmentation_tables(tmp_path))
    assert after["n_lesions"] == before["n_lesions"] == 2
    assert after["n_slices_with_lesion"] == before["n_slices_with_lesion"]
    # The detections of b.0 and c.0 lie on what is ignored: only that of b.1 is wrong.
    assert after["froc_curve"]["false_positives"][-1] == pytest.approx(1 / 4)
    assert before["froc_curve"]["false_positives"][-1] == pytest.approx(2 / 4)
    assert after["map"]["mask"]["n"] == before["map"]["mask"]["n"] == 6
    old = crowd | {"objects": tables["objects"].drop(columns="ignored")}  # of an earlier version
    write_segmentation_tables(old, tmp_path)
    assert measured(read_segmentation_tables(tmp_path))["n_lesions"] == 2


def test_what_nobody_looked_for_is_neither_right_nor_wrong() -> None:
    slices = [
        slice_row("a.0", BOTH, BOTH),
        slice_row("b.0", {"lung": LUNG}, BOTH, ("lung",)),
    ]
    detections = [
        item("a.0", "ground_glass", SPOT, score=0.6),
        item("b.0", "ground_glass", SPOT, score=0.9),
    ]
    found = measured(tables_of(slices, detections, [item("a.0", "ground_glass", SPOT)]))
    assert found["overlap"][LESION]["dice"]["value"] == 1.0
    assert found["overlap"][LESION]["dice"]["n"] == 1
    assert found["froc"]["0.125"]["value"] == 1.0
    assert found["map"]["mask"]["value"] == pytest.approx(1.0)
    assert found["slices"]["accuracy"]["n"] == 1
    assert found["without_lesion"]["slices"]["value"] is None


def test_no_lesion_no_detection_and_no_spacing() -> None:
    slices = [
        slice_row(name, {"lung": LUNG}, {"lung": LUNG}, millimetres=None) for name in ("a.0", "b.0")
    ]
    found = measured(tables_of(slices))
    assert found["overlap"][LESION]["dice"]["value"] is None
    assert found["froc"]["1"]["value"] is None
    assert found["map"]["box"]["value"] is None
    assert found["slices"]["accuracy"]["value"] == 1.0
    assert found["volume"]["lung"]["bias_ml"]["reason"] == "the size of a voxel is not known"
    assert found["volume"]["lung"]["relative"]["value"] == 0.0
    assert found["surface"]["unit"] == "px"
    assert found["surface"]["mean"]["value"] is None


def test_slices_of_one_patient_give_no_interval() -> None:
    slices = [
        slice_row(f"a.{k}", {"ground_glass": SPOT}, {"ground_glass": MOVED}) for k in range(3)
    ]
    dice = measured(tables_of(slices))["overlap"][LESION]["dice"]
    assert dice["value"] == pytest.approx(0.5)
    assert dice["low"] is None
    assert "one patient" in dice["reason"]


def test_the_interval_is_that_of_patients_not_of_slices() -> None:
    slices = []
    for patient in range(8):
        other = MOVED if patient % 2 else SPOT
        slices += [
            slice_row(f"p{patient}.{k}", {"ground_glass": SPOT}, {"ground_glass": other})
            for k in range(10)
        ]
    dice = measured(tables_of(slices))["overlap"][LESION]["dice"]
    width = dice["high"] - dice["low"]
    # Of 8 patients with 1 or 0.5 the standard error is 0.25 / sqrt(8), a tenth of slices' about 3.
    assert width == pytest.approx(2 * 1.96 * 0.25 / np.sqrt(8), rel=0.25)


def test_slices_that_could_not_be_used_are_counted(tmp_path: Path) -> None:
    tables = example()
    lost = tables["slices"].iloc[:1].assign(
        slice_id="d.0", patient_id="d", status="refused", reason="damaged", rows=None, columns=None,
        annotated=None,
    )  # fmt: skip
    tables["slices"] = pd.concat([tables["slices"], lost], ignore_index=True)
    write_segmentation_tables(tables, tmp_path)
    again = read_segmentation_tables(tmp_path)
    assert {name: len(table) for name, table in again.items()} == {
        "slices": 5, "detections": 4, "objects": 6,
    }  # fmt: skip
    found = measured(again)
    assert (found["n_slices"], found["n_refused"]) == (4, 1)
    assert found["overlap"][LESION]["dice"]["value"] == pytest.approx(0.25)
    again["slices"] = again["slices"][4:]
    with pytest.raises(PredictionsError, match="no slice of the test part"):
        evaluate_segmentation(again)


def test_a_table_that_breaks_its_schema_is_refused(tmp_path: Path) -> None:
    tables = example()
    tables["detections"].loc[0, "score"] = 1.5
    with pytest.raises(PredictionsError, match=r"row 1, column 'score'"):
        write_segmentation_tables(tables, tmp_path)
    twice = example()
    twice["slices"] = pd.concat([twice["slices"]] * 2, ignore_index=True)
    with pytest.raises(PredictionsError, match="slice_id"):
        write_segmentation_tables(twice, tmp_path)


def test_the_report_holds_every_measure_and_says_that_the_data_are_synthetic(
    tmp_path: Path,
) -> None:
    evaluation = evaluate_segmentation(example(), n_bootstrap=200)
    picture = slice_picture(np.random.default_rng(0).random((40, 50)), [])
    context = ReportContext(title="T", synthetic=True, gallery=[("Worst: a.0", picture)])
    path = write_segmentation_report(evaluation, tmp_path, context)
    page = path.read_text()
    for said in (
        "Dice of lesions", "0.250", "mAP of masks", "Surface distance, mean (mm)", "SYNTHETIC DATA",
        "does not define it", "Slices called right", "Worst: a.0", 'aria-label="FROC curve',
        "The test part has 3 patients",
    ):  # fmt: skip
        assert said in page, said
    assert (tmp_path / "metrics.json").is_file()


def test_a_picture_shows_truth_and_prediction_where_they_are() -> None:
    import io

    from PIL import Image

    truth, predicted = np.zeros((40, 40), bool), np.zeros((40, 40), bool)
    truth[5:15, 5:15], predicted[25:35, 25:35] = True, True
    png = slice_picture(np.zeros((40, 40)), [("lesion", truth, predicted)])
    image = np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)
    right = image[:, image.shape[1] // 2 :]
    green = np.argwhere((right[..., 1] > 120) & (right[..., 0] < 80))
    orange = np.argwhere((right[..., 0] > 160) & (right[..., 2] < 80))
    size = np.array(right.shape[:2])
    assert (green.mean(axis=0) / size) == pytest.approx(np.array([10, 10]) / 40, abs=0.03)
    assert (orange.mean(axis=0) / size) == pytest.approx(np.array([30, 30]) / 40, abs=0.03)


def test_slices_whose_lesions_are_too_small_for_objects_are_not_without_a_lesion() -> None:
    slices = [
        slice_row("a.0", BOTH, {"lung": LUNG, "ground_glass": SPOT}),
        slice_row("b.0", {"lung": LUNG}, {"lung": LUNG}),
    ]
    detections = [item("a.0", "ground_glass", SPOT, score=0.9)]
    objects = [item(name, "lung", LUNG) for name in ("a.0", "b.0")]  # the spot is no object
    found = measured(tables_of(slices, detections, objects))
    assert found["slices"]["accuracy"]["value"] == 1.0
    assert found["slices"]["specificity"]["value"] == 1.0
    assert found["without_lesion"]["false_positives"]["value"] == 0.0
