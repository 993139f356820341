"""Structured report, secondary captures and PDF, by readers of others."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import highdicom as hd
import numpy as np
import pandas as pd
import pydicom
import pytest
from pydicom.sr.codedict import codes
from series_in_layouts import CHECKS, LAYOUTS, Balls, Made, points_of

from covidlit.dicom.out import (
    pdf_pages,
    scan_tracking_uid,
    tracking_identifier,
    tracking_uid,
)
from covidlit.dicom.out.report_back import check_report
from covidlit.dicom.out.source import read_source
from covidlit.errors import DicomError


def _program(name: str) -> str | None:
    beside = Path(sys.executable).parent / name
    return str(beside) if beside.is_file() else shutil.which(name)


def _out(made: Made, name: str) -> Path:
    return made.folder.parent / "objects" / name


@pytest.mark.skipif(_program("dciodvfy") is None, reason="dciodvfy (dicom3tools) is not installed")
@pytest.mark.parametrize("name", ["axial", "oblique_head_last"])
def test_dciodvfy_finds_no_error_in_any_object(name: str, make: Callable[..., Made]) -> None:
    for path in make(LAYOUTS[name]).write().paths:
        said = subprocess.run(
            [str(_program("dciodvfy")), str(path)], capture_output=True, text=True, check=False
        )
        errors = [line for line in (said.stdout + said.stderr).splitlines() if "Error" in line]
        assert errors == [], path.name


@pytest.mark.skipif(_program("dsrdump") is None, reason="dsrdump (dcmtk) is not installed")
def test_dsrdump_reads_values_units_and_tracking_uids(make: Callable[..., Made]) -> None:
    made = make()
    written = made.write()
    said = subprocess.run(
        [str(_program("dsrdump")), str(_out(made, "factors.dcm"))],
        capture_output=True,
        text=True,
        check=False,
    )
    assert said.returncode == 0
    assert said.stderr == ""
    assert "Completion Flag     : COMPLETE" in said.stdout
    assert '"Attenuation Coefficient")="-500.5" ([hnsf\'U],UCUM,"Hounsfield unit")' in said.stdout
    for uid in written.lesions["tracking_uid"]:
        assert f'"Tracking Unique Identifier")="{uid}"' in said.stdout


def test_one_tracking_uid_in_segmentation_report_and_table(make: Callable[..., Made]) -> None:
    made = make()
    kept = "2.25.123456789"  # of a lesion that was matched with one of an earlier study
    lesions = made.lesions.assign(tracking_uid=[None, kept, None, None])
    written = made.write(lesions=lesions)
    table = dict(zip(written.lesions["lesion_id"], written.lesions["tracking_uid"], strict=True))
    assert table[7] == kept
    assert table[3] == tracking_uid(made.series.series_uid, 3)
    assert made.series.series_uid not in table[3]
    seg = pydicom.dcmread(_out(made, "lesions-1.dcm"))
    by_label = {s.SegmentLabel: s.TrackingUID for s in seg.SegmentSequence if s.SegmentNumber}
    assert by_label == {f"Lesion {number}": uid for number, uid in table.items()}
    report = hd.sr.srread(_out(made, "factors.dcm"))
    groups = report.content.get_volumetric_roi_measurement_groups()
    names = {g.tracking_uid: g.tracking_identifier for g in groups}
    assert names == {uid: tracking_identifier(uid) for uid in table.values()}
    in_seg = {s.TrackingUID: s.TrackingID for s in seg.SegmentSequence if s.SegmentNumber}
    assert in_seg == names
    assert len(set(names.values())) == 4
    (whole,) = report.content.get_image_measurement_groups()
    assert whole.tracking_uid == scan_tracking_uid(made.series.series_uid)
    assert whole.tracking_uid not in by_label.values()


def test_the_report_says_what_the_tables_say_and_leaves_out_what_is_undefined(
    make: Callable[..., Made],
) -> None:
    made = make()
    written = made.write()
    report = hd.sr.srread(_out(made, "factors.dcm"))
    (whole,) = report.content.get_image_measurement_groups()
    said = {(m.name.meaning, m.unit.value): m.value for m in whole.get_measurements()}
    assert said["Number of lesions", "1"] == 4
    assert said["Proportion of lesions of the lung volume", "%"] == 3.25
    # Undefined in the row, or not in it at all: no measurement, never 0.
    assert {name for name, _ in said} == {
        "Number of lesions",
        "Volume",
        "Proportion of lesions of the lung volume",
    }
    volumes = {m.derivation.meaning: m.value for m in whole.get_measurements(codes.SCT.Volume)}
    assert volumes["Total"] == pytest.approx(made.lesions["volume_ml"].sum())
    assert volumes["Mean"] == pytest.approx(made.lesions["volume_ml"].mean())
    numbers = dict(zip(written.lesions["tracking_uid"], written.lesions["lesion_id"], strict=True))
    forms = {}
    for group in report.content.get_volumetric_roi_measurement_groups():
        found = group.get_measurements(codes.IBSI.Sphericity)
        forms[numbers[group.tracking_uid]] = [m.value for m in found]
    assert forms == {3: [0.75], 7: [0.75], 12: [0.75], 300: []}


@pytest.mark.parametrize("name", ["axial", "oblique_head_last"])
def test_outlines_lie_on_the_lesion_in_the_slice_where_it_is_largest(
    name: str, make: Callable[..., Made]
) -> None:
    made = make(LAYOUTS[name])
    table = made.write().lesions
    numbers = dict(zip(table["tracking_uid"], table["lesion_id"], strict=True))
    report = hd.sr.srread(_out(made, "factors.dcm"))
    sources = made.sources()
    balls = {7: 3.0, 3: 2.0, 12: 4.0}
    for group in report.content.get_volumetric_roi_measurement_groups():
        number = numbers[group.tracking_uid]
        (region,) = [item for item in group[0].ContentSequence if item.ValueType == "SCOORD"]
        image = region.ContentSequence[0].ReferencedSOPSequence[0]
        ds = sources[image.ReferencedSOPInstanceUID]
        line = np.array(region.GraphicData, float).reshape(-1, 2)
        assert (line[0] == line[-1]).all()
        row, column = np.array(ds.ImageOrientationPatient, float).reshape(2, 3)
        points = (  # the first pixel's centre is (0.5, 0.5)
            np.array(ds.ImagePositionPatient, float)
            + np.multiply.outer((line[:, 0] - 0.5) * 0.7, row)
            + np.multiply.outer((line[:, 1] - 0.5) * 0.8, column)
        )
        places = np.argwhere(made.instances == number)
        centre = places.mean(0) @ made.scan.affine[:3, :3].T + made.scan.affine[:3, 3]
        off = np.linalg.norm(points[:-1] - centre, axis=1)
        assert off.max() < balls.get(number, 0.3) + 0.8
        assert off.min() > balls.get(number, 0.3) * 0.5


def test_the_report_is_of_the_same_patient_and_study_with_all_slices_as_evidence(
    make: Callable[..., Made],
) -> None:
    made = make()
    written = made.write()
    uids = set(made.sources())
    ct = pydicom.dcmread(next(iter(made.folder.iterdir())))
    for path in written.paths:
        ds = pydicom.dcmread(path)
        assert (ds.PatientID, ds.StudyInstanceUID) == (ct.PatientID, ct.StudyInstanceUID)
        assert str(ds.PatientName) == str(ct.PatientName)
        if "FrameOfReferenceUID" in ds:
            assert ds.FrameOfReferenceUID == ct.FrameOfReferenceUID
    report = pydicom.dcmread(_out(made, "factors.dcm"))
    (study,) = report.CurrentRequestedProcedureEvidenceSequence
    named = {
        item.ReferencedSOPInstanceUID
        for series in study.ReferencedSeriesSequence
        for item in series.ReferencedSOPSequence
    }
    objects = {
        pydicom.dcmread(_out(made, f)).SOPInstanceUID for f in ("classes.dcm", "lesions-1.dcm")
    }
    assert named == uids | objects
    first = {path.name: pydicom.dcmread(path).SOPInstanceUID for path in written.paths}
    again = {path.name: pydicom.dcmread(path).SOPInstanceUID for path in made.write().paths}
    # An archive keeps the old content under an old UID, so that no UID may come back.
    assert not set(first.values()) & set(again.values())


def test_a_report_that_says_something_else_than_the_tables_is_removed(
    make: Callable[..., Made],
) -> None:
    made = make()
    written = made.write()
    path = _out(made, "factors.dcm")
    source = read_source(made.series, CHECKS)
    check_report(path, source, made.factors, written.lesions)
    changed = written.lesions.assign(volume_ml=written.lesions["volume_ml"] * [1, 1, 1.01, 1])
    with pytest.raises(DicomError, match="are not those of the tables"):
        check_report(path, source, made.factors, changed)
    assert not path.exists()


def test_key_slices_are_captures_of_source_slices_with_coloured_contours(
    make: Callable[..., Made],
) -> None:
    made = make(LAYOUTS["oblique_head_last"])
    made.write()
    sources = made.sources()
    paths = sorted(made.folder.parent.joinpath("objects").glob("key-slice-*.dcm"))
    assert 3 <= len(paths) <= 6
    seen = set()
    for path in paths:
        ds = pydicom.dcmread(path)
        source = sources[ds.SourceImageSequence[0].ReferencedSOPInstanceUID]
        assert ds.Modality == "OT"
        picture = ds.pixel_array
        coloured = picture.max(-1) != picture.min(-1)
        classes, _ = Balls.of(LAYOUTS["oblique_head_last"]).labels(points_of(source))
        assert coloured.any()
        assert (classes[coloured] > 0).all()
        yellow = (picture == (240, 228, 66)).all(-1)
        assert (classes[yellow] == 3).all()
        seen |= {value for value in range(1, 7) if (classes == value).any()}
        assert ds.PatientOrientation[0].startswith("L")
    assert seen >= {2, 3, 5}


def test_the_pdf_is_a_pdf_of_the_study(make: Callable[..., Made]) -> None:
    made = make()
    made.write()
    ds = pydicom.dcmread(_out(made, "report.dcm"))
    assert ds.Modality == "DOC"
    assert ds.MIMETypeOfEncapsulatedDocument == "application/pdf"
    assert ds.EncapsulatedDocument[:5] == b"%PDF-"
    assert ds.EncapsulatedDocument[: ds.EncapsulatedDocumentLength].rstrip().endswith(b"%%EOF")
    assert len(ds.SourceInstanceSequence) == 14


def test_the_pages_of_the_pdf_say_values_units_and_what_is_undefined(
    make: Callable[..., Made],
) -> None:
    made = make()
    many = pd.concat(
        [made.lesions.assign(lesion_id=made.lesions["lesion_id"] + 1000 * k) for k in range(15)]
    )
    figure = pdf_pages.first_page(["Patient ID: $x$_1"], made.factors, [])
    said = [text.get_text() for text in figure.texts]
    assert said[said.index("Total volume") + 1].endswith(" mL")
    assert said[said.index("Proportion of the lung") + 1] == "3.25 %"
    assert said[said.index("Mean density") + 1] == "not defined"
    assert "Patient ID: $x$_1" in said
    assert any("Not a diagnosis" in text for text in said)
    assert any("40 largest of 60" in t.get_text() for t in pdf_pages.lesion_page(many).texts)
    assert pdf_pages.pdf_pages(["Patient ID: $x$_1"], made.factors, many, []).startswith(b"%PDF")


def test_without_a_second_reader_it_is_said(
    make: Callable[..., Made], monkeypatch: pytest.MonkeyPatch
) -> None:
    for room in ("write", "dcmqi"):
        monkeypatch.setattr(f"covidlit.dicom.out.{room}.dcmqi_program", lambda: None)
    written = make().write()
    assert written.readers == ("pydicom",)
    assert any("dcmqi is not installed" in note for note in written.notes)
