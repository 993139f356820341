"""What lies beside scans, what is said of many of them, and how `covidlit quantify` is stopped."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pydicom
import pytest
from pydicom.uid import (
    BasicTextSRStorage,
    EncapsulatedPDFStorage,
    GrayscaleSoftcopyPresentationStateStorage,
    MRImageStorage,
    RTStructureSetStorage,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
)
from typer.testing import CliRunner

import covidlit.quantify.many
from covidlit.cli.app import app
from covidlit.cohort.scan_sources import find_scans, in_words
from covidlit.dicom import Checks, find_series, judge
from covidlit.dicom.other_objects import OtherObject, kind_of_class
from covidlit.errors import CovidlitError
from covidlit.quantify.alike import Said, alike
from covidlit.quantify.many import quantify
from covidlit.quantify.masks import MaskLabeller
from covidlit.synthetic import CohortPaths

OBJECTS = {
    BasicTextSRStorage: ("SR", "structured report (SR)"),
    EncapsulatedPDFStorage: ("DOC", "document (PDF)"),
    GrayscaleSoftcopyPresentationStateStorage: ("PR", "presentation state (PR)"),
    RTStructureSetStorage: ("RTSTRUCT", "radiotherapy object (RT)"),
    SegmentationStorage: ("SEG", "segmentation (SEG)"),
    SecondaryCaptureImageStorage: ("OT", "saved screen"),
}


def _series(repeated: CohortPaths) -> Path:
    return next(path for path in sorted(repeated.dicom.rglob("*")) if path.is_file()).parent


def _object_of(slice_file: Path, sop_class: str, modality: str, path: Path) -> None:
    """A DICOM object of another kind, in the study of a slice."""
    ds = pydicom.dcmread(slice_file)
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = sop_class
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = pydicom.uid.generate_uid()
    ds.SeriesInstanceUID, ds.Modality = pydicom.uid.generate_uid(), modality
    if modality in ("SEG", "OT"):
        ds.SamplesPerPixel, ds.BitsAllocated = 3, 1  # as no slice has
    elif modality != "MR":
        for name in ("PixelData", "Rows", "Columns"):
            delattr(ds, name)
    ds.save_as(path, enforce_file_format=True)


@pytest.fixture
def study(repeated: CohortPaths, tmp_path: Path) -> Path:
    """A series with an object of each other kind beside it."""
    folder = tmp_path / "study"
    shutil.copytree(_series(repeated), folder / "ct")
    slice_file = next(iter(sorted((folder / "ct").iterdir())))
    (folder / "objects").mkdir()
    for number, (sop_class, (modality, _)) in enumerate(OBJECTS.items()):
        _object_of(slice_file, sop_class, modality, folder / "objects" / f"{number}.dcm")
    return folder


def test_objects_that_are_no_scans_are_told_apart(study: Path) -> None:
    others: list[OtherObject] = []
    (scan,) = find_scans(study, Checks(), others)
    assert scan.path == "ct"
    assert scan.read is not None
    expected = {f"objects/{n}.dcm": kind for n, (_, kind) in enumerate(OBJECTS.values())}
    assert dict(others) == expected
    assert "1 document (PDF), 1 presentation state (PR)" in in_words(others)
    assert in_words([*others, *others]).endswith("2 segmentations (SEG), 2 structured reports (SR)")
    # A magnetic resonance image is a scan, though none that can be measured.
    slice_file = next(iter((study / "ct").iterdir()))
    _object_of(slice_file, MRImageStorage, "MR", study / "objects" / "mr.dcm")
    found = find_scans(study, Checks(), [])
    assert [one.reason.split(":")[0] for one in found if one.read is None] == ["not_ct"]
    with pytest.raises(CovidlitError, match=r"no CT scan was found there, only 1 document"):
        find_scans(study / "objects" / "1.dcm", Checks(), [])


def test_the_verdict_on_other_objects_gives_no_advice_on_their_pixels(study: Path) -> None:
    for series in find_series(study / "objects").series:
        (finding,) = judge(series).findings
        assert finding.check == "not_ct"
        assert "leave this series out" in finding.message
        kinds = [kind for _, kind in OBJECTS.values()]
        assert any(f"a {kind}" in finding.message for kind in kinds)


@pytest.mark.parametrize(
    ("uid", "kind"),
    [
        ("1.2.840.10008.5.1.4.1.1.88.59", "key object selection (KO)"),
        ("1.2.840.10008.5.1.4.1.1.88.34", "structured report (SR)"),
        ("1.2.840.10008.5.1.4.1.1.66.7", "segmentation (SEG)"),
        ("1.2.840.10008.5.1.4.1.1.66", "raw data"),
        ("1.2.840.10008.5.1.4.1.1.7.2", "saved screen"),
        ("1.2.840.10008.5.1.4.1.1.2", None),
        ("1.2.840.10008.5.1.4.1.1.77.1.4", None),
        ("1.2.3", None),
        ("", None),
    ],
)
def test_kinds_of_objects_by_their_class(uid: str, kind: str | None) -> None:
    assert kind_of_class(uid) == kind


@pytest.mark.slow
def test_results_among_the_scans_are_said_in_one_line(
    repeated: CohortPaths, tmp_path: Path
) -> None:
    assert repeated.truth is not None
    scans, masks = tmp_path / "scans", str(repeated.truth)
    shutil.copytree(_series(repeated), scans / "one")
    quantify(scans, MaskLabeller(repeated.truth), tmp_path / "first")
    shutil.copytree(tmp_path / "first", scans / "results")
    given = ["quantify", str(scans), "--masks", masks, "--out", str(tmp_path / "second")]
    shown = CliRunner().invoke(app, [*given, "--strict"])
    assert shown.exit_code == 0, shown.output
    said = " ".join(shown.output.split())
    assert "refused one" not in said
    assert "1 scan measured, 0 refused" in said
    assert "undefined in the only scan: volume_change_ml (no patient has an earlier scan" in said
    assert "no scans, and left alone: 1 document (PDF), 2 label volumes" in said
    assert said.count("(results of `covidlit quantify` in results/)") == 1
    assert len(pd.read_csv(tmp_path / "second" / "scans.csv")) == 1
    only = CliRunner().invoke(app, [*given[:1], str(tmp_path / "first"), *given[2:]])
    assert only.exit_code == 2
    assert "no CT scan was found there, only 1 document (PDF)" in " ".join(only.output.split())


@pytest.mark.slow
def test_a_folder_that_is_the_path_itself_has_a_name_and_a_mask_by_it(
    repeated: CohortPaths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert repeated.truth is not None
    case = tmp_path / "case 1.5mm"
    shutil.copytree(_series(repeated), case)
    (source,) = find_scans(case, Checks())
    (tmp_path / "masks").mkdir()
    mask = tmp_path / "masks" / "case 1.5mm.nii.gz"
    given = {"dicom": False, "report": False}
    refused = quantify(case, MaskLabeller(tmp_path / "masks"), tmp_path / "none", **given)
    assert refused.scans["path"].tolist() == ["case 1.5mm"]
    shutil.copy(repeated.truth / f"{source.scan_id}.classes.nii.gz", mask)
    for place in (case, Path()):
        monkeypatch.chdir(case)
        found = quantify(place, MaskLabeller(tmp_path / "masks"), tmp_path / "out", **given)
        assert found.scans["status"].tolist() == ["ok"], found.scans["reason"].tolist()
        assert found.scans["path"].tolist() == ["case 1.5mm"]
    # Two series in that folder: its name tells of neither.
    for path in case.iterdir():
        ds = pydicom.dcmread(path)
        ds.SeriesInstanceUID += ".1"
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = f"{ds.SOPInstanceUID}.1"
        ds.save_as(case / f"{path.name}b")
    both = quantify(case, MaskLabeller(tmp_path / "masks"), tmp_path / "two", **given)
    assert both.scans["status"].tolist() == ["refused", "refused"]
    assert both.scans["reason"].str.contains("several scans lie under the same name").all()


def test_what_is_said_of_many_scans_is_said_once() -> None:
    rows = [
        Said(f"S{n}a", f"x/scan{n}.nii.gz", f"no mask of S{n}a in m, {n} files (a, {n}). Fix: give")
        for n in range(5)
    ]
    rows.insert(2, Said("T", "y", "it is flat."))
    lines = alike(rows, by_path=True)
    assert lines == [
        "5 scans (x/scan0.nii.gz, x/scan1.nii.gz, x/scan2.nii.gz and 2 more): no mask of S0a in m, "
        "0 files (a, 0). Fix: give (so of the first; of each in scans.csv)",
        "y: it is flat.",
    ]
    same = [Said(name, name, "no DICOM objects.") for name in "ab"]
    assert alike(same, by_path=False) == ["2 scans (a, b): no DICOM objects."]
    assert alike([], by_path=True) == []
    differ = [Said("a", "a", "too thin."), Said("b", "b", "too thick.")]
    assert alike(differ, by_path=True) == ["a: too thin.", "b: too thick."]


@pytest.mark.slow
def test_refusals_that_are_alike_share_a_line(repeated: CohortPaths, tmp_path: Path) -> None:
    (tmp_path / "masks").mkdir()
    arguments = ["quantify", str(repeated.dicom), "--masks", str(tmp_path / "masks")]
    shown = CliRunner().invoke(app, [*arguments, "--out", str(tmp_path / "out"), "--no-dicom"])
    assert shown.exit_code == 1
    said = " ".join(shown.output.split())
    assert said.count("the folder is to hold") == 1
    assert "refused 3 scans (" in said
    reasons = pd.read_csv(tmp_path / "out" / "scans.csv")["reason"]
    assert reasons.str.contains("the folder is to hold").all()


def test_ctrl_c_says_what_is_kept_and_how_to_go_on(
    repeated: CohortPaths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object, **__: object) -> object:
        raise KeyboardInterrupt

    monkeypatch.setattr(covidlit.quantify.many, "quantify_scan", stop)
    arguments = ["quantify", str(_series(repeated)), "--masks", str(repeated.truth)]
    shown = CliRunner().invoke(app, [*arguments, "--out", str(tmp_path / "out")])
    assert shown.exit_code == 130
    assert (
        f"Stopped (Ctrl-C). Scans that are finished are kept in {tmp_path / 'out'}" in shown.output
    )
    assert "the same command goes on" in shown.output


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--engine", "openvino"], "--engine: does nothing with --masks"),
        (["--device=cuda", "--threads=2"], "--device --threads: do nothing with --masks"),
        (["--no-dicom", "--absent-as-empty"], "--absent-as-empty: does nothing with --no-dicom"),
        (["--no-dicom", "--segmentation=labelmap"], "--segmentation: does nothing with"),
    ],
)
def test_options_that_do_nothing_are_named(options: list[str], said: str, tmp_path: Path) -> None:
    shown = CliRunner().invoke(app, ["quantify", "x", "--masks", str(tmp_path), *options])
    assert shown.exit_code == 2
    assert said in " ".join(shown.output.split())
