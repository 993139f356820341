"""`covidlit quantify` of image files in a manifest: what a later call takes over, and what not."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from covidlit.cli.app import app
from covidlit.dicom import Checks
from covidlit.errors import CovidlitError
from covidlit.lesions import read_factors, read_labels, read_lesions
from covidlit.lesions.trend import changes_table, trend_table
from covidlit.quantify.many import quantify
from covidlit.quantify.masks import MaskLabeller
from covidlit.quantify.results import Results
from covidlit.scans.images import write_nifti

SHAPE, SPACING = (24, 40, 56), (10.0, 6.0, 6.0)
NO_CHECKS = Checks(1, frozenset({"no_lungs", "not_chest", "label_map", "too_few_slices"}))


def affine() -> np.ndarray:
    found = np.zeros((4, 4))
    found[[2, 1, 0, 3], [0, 1, 2, 3]] = (*SPACING, 1)
    return found


def draw(radius: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """HU, and a mask of one ball of ground glass in the right lung."""
    z, y, x = (np.arange(n) * s for n, s in zip(SHAPE, SPACING, strict=True))
    z, y, x = z[:, None, None], y[None, :, None], x[None, None, :]
    classes = np.zeros(SHAPE, np.uint8)
    for middle in (85, 255):
        classes[((x - middle) / 60) ** 2 + ((y - 120) / 90) ** 2 + ((z - 115) / 95) ** 2 < 1] = 1
    classes[(x - 85) ** 2 + (y - 120) ** 2 + (z - 115) ** 2 < radius**2] = 3
    hu = np.select([classes == 0, classes == 1], [40, -850], -400).astype(np.int16)
    hu += np.random.default_rng(seed).integers(-3, 4, SHAPE).astype(np.int16)
    return hu, classes


def cohort(folder: Path, *rows: tuple[str, str, str | None, float]) -> tuple[Path, Path]:
    """A manifest and a folder of masks: (scan, patient, day, radius of the lesion)."""
    (folder / "masks").mkdir(parents=True, exist_ok=True)
    table = []
    for k, (scan, patient, day, radius) in enumerate(rows):
        hu, classes = draw(radius, k)
        write_nifti(hu, affine(), folder / f"{scan}-ct.nii.gz")
        write_nifti(classes, affine(), folder / "masks" / f"{scan}.nii.gz")
        table.append(
            {"patient_id": patient, "scan_id": scan, "path": str(folder / f"{scan}-ct.nii.gz"),
             "class_name": "covid", "acquisition_date": day}
        )  # fmt: skip
    pd.DataFrame(table).to_csv(folder / "manifest.csv", index=False)
    return folder / "manifest.csv", folder / "masks"


def run(manifest: Path, masks: Path, out: Path, **options: object) -> Results:
    return quantify(manifest, MaskLabeller(masks), out, checks=NO_CHECKS, **options)  # type: ignore[arg-type]


def row(out: Path, scan: str) -> pd.Series:
    table = read_factors(out / "factors.parquet")
    return table[table["scan_id"] == scan].iloc[0]


def test_a_corrected_patient_or_date_is_taken_over(tmp_path: Path) -> None:
    manifest, masks = cohort(tmp_path / "a", ("S1", "P1", "2020-02-01", 20.0))
    run(manifest, masks, tmp_path / "out")
    table = pd.read_csv(manifest).assign(patient_id="P2", acquisition_date="2020-03-05")
    table.to_csv(manifest, index=False)
    assert run(manifest, masks, tmp_path / "out").n_known == 0
    found = row(tmp_path / "out", "S1")
    assert (found["patient_id"], str(found["acquisition_date"])[:10]) == ("P2", "2020-03-05")


def test_two_series_of_one_day_are_both_followed(tmp_path: Path) -> None:
    manifest, masks = cohort(
        tmp_path / "a",
        ("S1", "P1", "2020-02-01", 20.0),
        ("S2", "P1", "2020-02-09", 24.0),
        ("S3", "P1", "2020-02-09", 28.0),
        ("S4", "P1", "2020-02-20", 32.0),
    )
    out = tmp_path / "out"
    run(manifest, masks, out, report=False)
    lesions = read_lesions(out / "lesions.parquet")
    assert lesions["tracking_uid"].nunique() == 1
    for scan in ("S2", "S3"):
        change = row(out, scan)["total_volume_ml"] - row(out, "S1")["total_volume_ml"]
        assert row(out, scan)["volume_change_ml"] == pytest.approx(change)
    before = (row(out, "S2")["total_volume_ml"] + row(out, "S3")["total_volume_ml"]) / 2
    change = row(out, "S4")["total_volume_ml"] - before
    assert row(out, "S4")["volume_change_ml"] == pytest.approx(change)


def test_other_axes_of_image_files_are_measured_anew(tmp_path: Path) -> None:
    manifest, masks = cohort(tmp_path / "a", ("S1", "P1", "2020-02-01", 20.0))
    run(manifest, masks, tmp_path / "out", report=False)
    other = Checks(1, NO_CHECKS.override, "LPS")
    found = quantify(manifest, MaskLabeller(masks), tmp_path / "out", checks=other, report=False)
    assert found.n_known == 0


def test_a_mask_named_by_the_id_that_a_scan_gets_may_change(tmp_path: Path) -> None:
    _, masks = cohort(tmp_path / "a", ("S1", "P1", None, 20.0))
    image, mask = tmp_path / "a" / "S1-ct.nii.gz", masks / "S1.nii.gz"
    alone = masks / "S1-ct.nii.gz"
    mask.rename(alone)
    name = run(image, masks, tmp_path / "x", report=False).factors["scan_id"][0]
    alone.rename(masks / f"{name}.nii.gz")
    first = run(image, masks, tmp_path / "out", report=False).factors
    assert run(image, masks, tmp_path / "out", report=False).n_known == 1
    write_nifti(draw(30.0)[1], affine(), masks / f"{name}.nii.gz")
    second = run(image, masks, tmp_path / "out", report=False)
    assert second.n_known == 0
    assert second.factors["total_volume_ml"][0] > 2 * first["total_volume_ml"][0]


def test_two_copies_of_an_image_and_one_too_large_do_not_cost_the_others(tmp_path: Path) -> None:
    folder, masks = (
        cohort(
            tmp_path / "a",
            ("S1", "P1", None, 20.0),
            ("S2", "P2", None, 20.0),
            ("S3", "P3", None, 20.0),
        )[0].parent,
        tmp_path / "a" / "masks",
    )
    for k in (1, 2, 3):
        (masks / f"S{k}.nii.gz").rename(masks / f"S{k}-ct.nii.gz")
    (folder / "images").mkdir()
    for k in (1, 2, 3):
        (folder / f"S{k}-ct.nii.gz").rename(folder / "images" / f"S{k}-ct.nii.gz")
    copy = (folder / "images" / "S1-ct.nii.gz").read_bytes()
    (folder / "images" / "S9-ct.nii.gz").write_bytes(copy)
    (masks / "S9-ct.nii.gz").write_bytes((masks / "S1-ct.nii.gz").read_bytes())
    whole = affine()
    whole[:3, :3] *= 3  # lesions of 27 times the volume of a chest
    write_nifti(draw(20.0, 2)[0], whole, folder / "images" / "S3-ct.nii.gz")
    write_nifti(np.full(SHAPE, 3, np.uint8), whole, masks / "S3-ct.nii.gz")
    found = run(folder / "images", masks, tmp_path / "out", report=False)
    assert found.scans["status"].tolist().count("ok") == 2
    assert len(read_factors(tmp_path / "out" / "factors.parquet")) == 2
    reasons = " ".join(found.scans["reason"].dropna())
    assert "another scan of this call" in reasons
    assert "total_volume_ml" in reasons


def test_a_mask_with_slightly_other_pixels_is_refused(tmp_path: Path) -> None:
    manifest, masks = cohort(tmp_path / "a", ("S1", "P1", "2020-02-01", 20.0))
    fine = affine() * np.array([0.05, 0.1, 0.1, 1.0])
    write_nifti(draw(20.0)[0], fine, tmp_path / "a" / "S1-ct.nii.gz")
    other = fine * np.array([1.0, 1.0, 1.015, 1.0])  # 0.009 mm a pixel, half a pixel at the end
    write_nifti(draw(20.0)[1], other, masks / "S1.nii.gz")
    found = run(manifest, masks, tmp_path / "out", report=False)
    assert "does not lie where the scan does" in found.scans["reason"][0]


def test_without_a_lung_lesions_are_measured_and_not_matched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest, masks = cohort(
        tmp_path / "a", ("S1", "P1", "2020-02-01", 20.0), ("S2", "P1", "2020-02-09", 24.0)
    )
    for scan, radius in (("S1", 20.0), ("S2", 24.0)):
        write_nifti((draw(radius)[1] == 3).astype(np.uint8), affine(), masks / f"{scan}.nii.gz")
    monkeypatch.setattr(
        "covidlit.quantify.masks.segment_lungs", lambda hu, spacing: np.zeros(hu.shape, np.uint8)
    )
    found = run(manifest, masks, tmp_path / "out", report=False)
    assert found.scans["status"].tolist() == ["ok", "ok"]
    assert "lesions not matched" in found.scans["notes"][1]
    assert found.lesions["tracking_uid"].nunique() == 2


def test_one_mask_is_not_taken_for_scans_of_one_name(tmp_path: Path) -> None:
    manifest, masks = cohort(tmp_path / "a", ("S1", "P1", None, 20.0), ("S2", "P2", None, 20.0))
    for k in (1, 2):
        (tmp_path / "scans" / f"p{k}").mkdir(parents=True)
        (manifest.parent / f"S{k}-ct.nii.gz").rename(tmp_path / "scans" / f"p{k}" / "ct.nii.gz")
    (masks / "S1.nii.gz").rename(masks / "ct.nii.gz")
    found = run(tmp_path / "scans", masks, tmp_path / "out", report=False)
    assert found.scans["status"].tolist() == ["refused", "refused"]
    assert "no mask of it" in found.scans["reason"][0]


def test_a_scan_of_another_patient_leaves_the_first_ones_page(tmp_path: Path) -> None:
    manifest, masks = cohort(
        tmp_path / "a", ("S1", "P1", "2020-02-01", 20.0), ("S2", "P1", "2020-02-09", 24.0)
    )
    out = tmp_path / "out"
    run(manifest, masks, out)
    assert "S2" in (out / "reports" / "P1.html").read_text()
    table = pd.read_csv(manifest)
    table.loc[1, "patient_id"] = "P2"
    table.to_csv(manifest, index=False)
    run(manifest, masks, out)
    facts = (out / "reports" / "P1.html").read_text().split("<h2>")[0]
    assert "<dd>S1</dd>" in facts
    assert "<dd>S2</dd>" in (out / "reports" / "P2.html").read_text()
    for mask in masks.iterdir():
        mask.unlink()
    assert run(manifest, masks, out).factors.empty
    assert not (out / "factors.parquet").exists()


def page(out: Path, patient: str = "P1") -> str:
    """What is written on a page, without pictures and scripts."""
    text = (out / "reports" / f"{patient}.html").read_text()
    return re.sub(r'data:image[^"]*', "", text.split("<script")[0])


def test_the_page_of_a_scan_that_is_dropped_or_refused_does_not_stay(tmp_path: Path) -> None:
    manifest, masks = cohort(
        tmp_path / "a",
        ("S1", "P1", "2020-02-01", 20.0),
        ("S2", "P1", "2020-02-09", 24.0),
        ("S3", "P2", "2020-02-09", 24.0),
    )
    out = tmp_path / "out"
    run(manifest, masks, out, dicom=False)
    table = pd.read_csv(manifest)
    table[table["scan_id"] == "S1"].to_csv(manifest, index=False)
    found = run(manifest, masks, out, dicom=False)
    assert sorted(found.dropped) == ["S2", "S3"]
    assert sorted(path.name for path in (out / "reports").iterdir()) == ["P1.html", "P1.pdf"]
    assert "S2" not in page(out)
    assert run(manifest, masks, out, dicom=False).n_known == 1
    table.to_csv(manifest, index=False)
    assert run(manifest, masks, out, dicom=False).dropped == ()
    assert "<dd>S2</dd>" in page(out)
    (masks / "S2.nii.gz").rename(masks / "elsewhere.nii.gz")
    (masks / "S3.nii.gz").unlink()
    found = run(manifest, masks, out, dicom=False)
    assert found.scans.set_index("scan_id")["status"].to_dict() == {
        "S1": "ok", "S2": "refused", "S3": "refused",
    }  # fmt: skip
    assert "<dd>S1</dd>" in page(out)
    assert "S2" not in page(out)
    assert not (out / "reports" / "P2.html").exists()
    assert run(manifest, masks, out, dicom=False).n_known == 1


def test_page_tables_and_trend_say_the_same_of_a_change(tmp_path: Path) -> None:
    manifest, masks = cohort(
        tmp_path / "a",
        ("S1", "P1", "2020-02-01", 20.0),
        ("S2", "P1", "2020-02-09", 44.0),
        ("S3", "P1", "2020-02-19", 45.0),
    )
    out = tmp_path / "out"
    found = run(manifest, masks, out, dicom=False)
    assert found.trend.set_index("scan_id")["volume_change"].tolist()[1:] == [
        "more", "within limits",
    ]  # fmt: skip
    assert found.changes["change"].tolist() == ["grown", "unchanged"]
    own = trend_table(read_factors(out / "factors.parquet"))
    pd.testing.assert_frame_equal(found.trend, own)
    same, _ = changes_table(
        own, read_lesions(out / "lesions.parquet"), lambda scan: read_labels(out / "labels", scan)
    )
    lesions = read_lesions(out / "lesions.parquet").set_index("scan_id")
    volume, factors = lesions["volume_ml"], found.factors.set_index("scan_id")
    assert lesions["volume_change_ml"].isna().tolist() == [True, False, False]
    assert lesions.loc["S2", "volume_change_ml"] == pytest.approx(volume["S2"] - volume["S1"])
    assert lesions.loc["S3", "volume_change_ml"] == pytest.approx(volume["S3"] - volume["S2"])
    assert lesions.loc["S2", "proportion_percent"] == pytest.approx(
        100 * volume["S2"] / factors.loc["S2", "lung_volume_ml"]
    )
    kept = pd.read_csv(out / "lesion_changes.csv", dtype={"lesions_before": str})
    assert kept["change"].tolist() == same["change"].tolist()
    assert kept["tracking_uid"].tolist() == same["tracking_uid"].tolist()
    shown = page(out)
    assert "within the limits of agreement, no change" in shown
    assert f"{found.trend['volume_change_ml'].iloc[1]:+.1f} (more)" in shown
    assert "<td>unchanged</td>" in shown
    later = manifest.read_text().splitlines()
    manifest.write_text("\n".join(later[:3]) + "\n")
    run(manifest, masks, out, dicom=False)
    assert "mL: more than before" in page(out)
    assert "<td>grown</td>" in page(out)


def test_scans_of_one_day_and_without_a_date_are_said_on_the_page(tmp_path: Path) -> None:
    manifest, masks = cohort(
        tmp_path / "a",
        ("S1", "P1", None, 26.0),
        ("S2", "P1", "2020-02-01", 20.0),
        ("S3", "P1", "2020-02-09", 24.0),
        ("S4", "P1", "2020-02-09", 28.0),
    )
    found = run(manifest, masks, tmp_path / "out", dicom=False)
    notes = found.trend.set_index("scan_id")["note"]
    assert notes["S1"] == "no date: not in the trend"
    assert notes["S3"] == notes["S4"] == "another scan on this day"
    shown = page(tmp_path / "out")
    assert "S4 (this report)" in shown
    assert "the mean counts" not in shown  # the day before has one scan
    assert shown.count("another scan on this day") == 2
    assert "no date: not in the trend" in shown
    assert found.changes[["scan_before", "scan_after"]].to_numpy().tolist() == [
        ["S2", "S3"], ["S2", "S4"],
    ]  # fmt: skip


def test_a_mask_of_the_lungs_is_not_taken_for_lesions(tmp_path: Path) -> None:
    manifest, masks = cohort(
        tmp_path / "a",
        ("S1", "P1", None, 20.0),
        ("S2", "P2", None, 20.0),
        ("S3", "P3", None, 20.0),
    )
    _, classes = draw(20.0)
    half = (classes > 0) & (np.arange(SHAPE[2]) < SHAPE[2] // 2)
    for scan, mask in (("S1", classes > 0), ("S2", half), ("S3", classes == 3)):
        write_nifti(mask.astype(np.uint8), affine(), masks / f"{scan}.nii.gz")
    found = run(manifest, masks, tmp_path / "out", dicom=False, report=False).scans
    found = found.set_index("scan_id")
    assert found["status"].to_dict() == {"S1": "refused", "S2": "refused", "S3": "ok"}
    assert "--label 1=lung" in found.loc["S1", "reason"]
    told = quantify(
        manifest, MaskLabeller(masks, {1: "lung"}), tmp_path / "out", checks=NO_CHECKS,
        dicom=False, report=False,
    )  # fmt: skip
    assert told.factors["n_lesions"].tolist() == [0, 0, 0]
    assert told.factors["lung_volume_ml"][0] == pytest.approx(
        (classes > 0).sum() * np.prod(SPACING) / 1000
    )


def test_other_definitions_stand_beside_ours_by_option(tmp_path: Path) -> None:
    manifest, masks = cohort(tmp_path / "a", ("S1", "P1", None, 20.0), ("S2", "P2", None, 26.0))
    out = tmp_path / "out"
    run(manifest, masks, out, dicom=False)
    assert not (out / "spread.parquet").exists()
    assert "other definitions" not in (out / "factors.md").read_text()
    run(manifest, masks, out, dicom=False, spread=True)
    table = pd.read_parquet(out / "spread.parquet")
    ours = table[table["definition"].str.startswith("ours")].set_index(["scan_id", "factor"])
    for scan in ("S1", "S2"):
        for factor in ("total_volume_ml", "proportion_percent"):
            assert ours.loc[(scan, factor), "value"] == pytest.approx(row(out, scan)[factor])
    assert "Under other definitions" in (out / "factors.md").read_text()
    assert "sphericity of the mesh of the voxels" in page(out)
    run(manifest, masks, out, dicom=False)
    assert not (out / "spread.parquet").exists()
    assert "Under other definitions" not in page(out)


def test_scans_that_leave_the_tables_are_named_also_without_pages(tmp_path: Path) -> None:
    manifest, masks = cohort(
        tmp_path / "a", ("S1", "P1", "2020-02-01", 20.0), ("S2", "P2", "2020-02-09", 24.0)
    )
    out = tmp_path / "out"
    run(manifest, masks, out, dicom=False, report=False)
    rows = manifest.read_text().splitlines()
    manifest.write_text("\n".join(rows[:2]) + "\n")
    found = run(manifest, masks, out, dicom=False, report=False)
    assert found.dropped == ("S2",)
    assert found.n_known == 1
    assert read_factors(out / "factors.parquet")["scan_id"].tolist() == ["S1"]


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    manifest, masks = cohort(tmp_path / "a", ("S1", "P1", "2020-02-01", 20.0))
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(CovidlitError, match=r"file.*cannot write"):
        run(manifest, masks, tmp_path / "file" / "out", dicom=False)


def test_one_value_of_masks_is_one_class(tmp_path: Path) -> None:
    twice = ["--label", "9=ground_glass", "--label", "9=fibrosis"]
    done = CliRunner().invoke(
        app, ["quantify", "--masks", str(tmp_path), str(tmp_path), *twice, "--out", "never"]
    )
    assert done.exit_code == 2
    assert "the value 9 is given as ground_glass and as fibrosis" in " ".join(done.output.split())


def test_coco_of_a_folder_that_is_not_there_says_so(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["coco", str(tmp_path / "nowhere"), str(tmp_path / "out")])
    assert done.exit_code == 2
    assert "there is no such file or folder" in " ".join(done.output.split())
