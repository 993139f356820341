"""`covidlit trend` from tables and labels on the disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from covidlit.cli.app import app
from covidlit.lesions import (
    LesionLabels,
    quantify_labels,
    read_factors,
    read_lesions,
    write_labels,
)
from covidlit.scans.scan import Scan
from covidlit.tables import write_table

SHAPE, SPACING = (40, 40, 60), (6.0, 6.0, 5.0)


def scan(radius: float, second: bool) -> tuple[Scan, LesionLabels]:
    affine = np.zeros((4, 4))
    affine[[2, 1, 0, 3], [0, 1, 2, 3]] = (*SPACING, 1)
    z, y, x = (np.arange(n) * s for n, s in zip(SHAPE, SPACING, strict=True))
    z, y, x = z[:, None, None], y[None, :, None], x[None, None, :]
    classes = np.zeros(SHAPE, np.uint8)
    for middle, high in ((75, 100), (225, 85)):
        lung = ((x - middle) / 55) ** 2 + ((y - 120) / 90) ** 2 + ((z - 115) / high) ** 2 < 1
        classes[lung] = 1
    instances = np.zeros(SHAPE, np.int32)
    away = np.sqrt((x - 75) ** 2 + (y - 120) ** 2 + (z - 115) ** 2)
    classes[away < radius], instances[away < radius] = 3, 1
    if second:
        away = np.sqrt((x - 225) ** 2 + (y - 120) ** 2 + (z - 130) ** 2)
        classes[away < 20], instances[away < 20] = 2, 2
    hu = np.select([classes == 0, classes == 1], [40, -850], -300).astype(np.int16)
    return Scan(hu, affine, f"1.2.{int(radius)}"), LesionLabels(classes, instances, affine)


def cohort(folder: Path, with_labels: bool = True) -> Path:
    rows, lesions = [], []
    for name, day, radius, second in (
        ("S1", "2020-02-01", 20.0, False),
        ("S2", "2020-02-09", 38.0, True),
    ):
        image, labels = scan(radius, second)
        found = quantify_labels(image, labels, patient_id="P 1", scan_id=name, acquisition_date=day)
        rows.append(found.scan)
        lesions.append(found.lesions)
        if with_labels:
            write_labels(folder / "labels", name, labels)
    write_table(pd.DataFrame(rows), folder / "factors.parquet")
    write_table(pd.concat(lesions, ignore_index=True), folder / "lesions.parquet")
    return folder


def run(*arguments: object) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["trend", *map(str, arguments)])
    return done.exit_code, done.output


def test_tables_and_figures_of_a_patient(tmp_path: Path) -> None:
    source, out = cohort(tmp_path / "in"), tmp_path / "out"
    code, text = run(source, "--out", out)
    assert code == 0, text
    assert "limits of agreement" in text
    trend = pd.read_csv(out / "trend.csv").set_index("scan_id")
    assert trend.loc["S2", "days"] == 8
    assert trend.loc["S2", "volume_change"] == "more"
    assert trend.loc["S2", "lung_volume_change"] == "within limits"
    factors = read_factors(out / "factors.parquet").set_index("scan_id")
    before = read_factors(source / "factors.parquet").set_index("scan_id")["total_volume_ml"]
    assert factors.loc["S2", "volume_change_ml"] == before["S2"] - before["S1"] > 100
    changes = pd.read_csv(out / "lesion_changes.csv")
    assert changes["change"].tolist() == ["grown", "new"]
    uid = read_lesions(out / "lesions.parquet").set_index(["scan_id", "lesion_id"])["tracking_uid"]
    assert uid["S2", 1] == uid["S1", 1] != uid["S2", 2]
    assert (out / "P_1.png").read_bytes().startswith(b"\x89PNG")
    assert run(source, "--out", out)[0] == 0  # again, over its own


def test_without_labels_the_volumes_alone_are_followed(tmp_path: Path) -> None:
    source = cohort(tmp_path / "in", with_labels=False)
    code, text = run(source / "factors.parquet", "--out", tmp_path / "out")
    assert code == 0, text
    assert "not matched" in text
    assert not (tmp_path / "out" / "lesion_changes.csv").exists()


def test_what_is_missing_or_not_its_own_is_told(tmp_path: Path) -> None:
    code, text = run(tmp_path, "--out", tmp_path / "out")
    assert code == 2
    assert "there is no factors.parquet" in text
    source = cohort(tmp_path / "in")
    code, text = run(source, "--out", source)
    assert code == 2
    assert "factors.parquet" in text
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "trend.csv").write_text("a,b\n1,2\n")
    code, text = run(source, "--out", tmp_path / "other")
    assert code == 2
    assert "did not write" in text


@pytest.mark.parametrize("missing", ["labels", "lung"])
def test_a_scan_that_cannot_be_matched_does_not_cost_the_others(
    tmp_path: Path, missing: str
) -> None:
    source = cohort(tmp_path / "in")
    one = cohort(tmp_path / "other")
    for name in ("factors", "lesions"):  # the same again as another patient's
        table = pd.read_parquet(one / f"{name}.parquet").assign(patient_id="P 2")
        table["scan_id"] = table["scan_id"].str.replace("S", "T")
        both = pd.concat([pd.read_parquet(source / f"{name}.parquet"), table], ignore_index=True)
        write_table(both, source / f"{name}.parquet")
    for path in (one / "labels").iterdir():
        path.rename(source / "labels" / path.name.replace("S", "T"))
    if missing == "labels":
        (source / "labels" / "S2.classes.nii.gz").unlink()
    else:
        image, labels = scan(38.0, True)
        classes = np.where(labels.classes == 1, 0, labels.classes)
        write_labels(source / "labels", "S2", LesionLabels(classes, labels.instances, image.affine))
    code, text = run(source, "--out", tmp_path / "out")
    assert code == 0, text
    said = "S2.classes.nii.gz" if missing == "labels" else "no lung to align"
    assert said in text
    changes = pd.read_csv(tmp_path / "out" / "lesion_changes.csv").set_index("patient_id")
    assert changes.loc["P 1", "change"] == "not matched"
    assert said in changes.loc["P 1", "reason"]
    assert changes.loc["P 2", "change"].tolist() == ["grown", "new"]
    assert (tmp_path / "out" / "P_1.png").is_file()
