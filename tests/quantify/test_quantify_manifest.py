"""`covidlit quantify` of image files in a manifest: what a later call takes over, and what not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from covidlit.dicom import Checks
from covidlit.lesions import read_factors, read_lesions
from covidlit.quantify.many import Results, quantify
from covidlit.quantify.masks import MaskLabeller
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
