"""What is not handed out, and what is refused before another library stumbles over it."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pydicom
import pytest
from pydicom.dataset import Dataset
from series_in_layouts import CHECKS, LAYOUTS, Made

from covidlit.dicom import Checks, find_series
from covidlit.dicom.out import Algorithm, with_tracking_uids
from covidlit.dicom.out.copies_back import check_capture, check_pdf
from covidlit.dicom.out.read_back import Drawn, check_segmentation
from covidlit.dicom.out.segmentation import write_classes
from covidlit.dicom.out.source import SourceSeries, read_source
from covidlit.dicom.out.source_order import SourceMap, map_to_source
from covidlit.errors import DicomError

OF_CLASSES = {value: value for value in range(1, 7)}


@pytest.mark.parametrize("shift", [(1, 0, 0), (0, 1, 0), (0, 0, -1)], ids=str)
def test_a_mask_that_was_moved_by_a_voxel_is_not_handed_out(
    shift: tuple[int, int, int], make: Callable[..., Made]
) -> None:
    made = make(LAYOUTS["oblique"])
    source = read_source(made.series, CHECKS)
    placing = map_to_source(made.scan.affine, made.classes.shape, source)
    right = placing.apply(made.classes, source.shape)
    path = made.folder.parent / "classes.dcm"
    drawn = Drawn(made.classes, made.scan.affine, OF_CLASSES)
    write_classes(source, right, path, Algorithm())
    assert "pydicom" in check_segmentation(path, source, drawn)
    write_classes(source, np.roll(right, shift, (0, 1, 2)), path, Algorithm())
    with pytest.raises(DicomError, match="not handed out"):
        check_segmentation(path, source, drawn)
    assert not path.exists()


def test_mirrored_masks_and_swapped_classes_are_not_handed_out(make: Callable[..., Made]) -> None:
    made = make()
    source = read_source(made.series, CHECKS)
    path = made.folder.parent / "classes.dcm"
    drawn = Drawn(made.classes, made.scan.affine, OF_CLASSES)
    swapped = np.where(made.classes == 3, 4, made.classes).astype(np.uint8)
    for wrong in (made.classes[::-1], made.classes[:, ::-1], made.classes[:, :, ::-1], swapped):
        write_classes(source, np.ascontiguousarray(wrong), path, Algorithm())
        with pytest.raises(DicomError, match="not handed out"):
            check_segmentation(path, source, drawn)
        assert not path.exists()


def test_frames_that_name_another_slice_are_not_handed_out(make: Callable[..., Made]) -> None:
    made = make()
    source = read_source(made.series, CHECKS)
    path = made.folder.parent / "classes.dcm"
    write_classes(source, made.classes, path, Algorithm())
    ds = pydicom.dcmread(path)
    first, second = (
        ds.PerFrameFunctionalGroupsSequence[k].DerivationImageSequence[0].SourceImageSequence[0]
        for k in (0, 1)
    )
    first.ReferencedSOPInstanceUID = second.ReferencedSOPInstanceUID
    ds.save_as(path)
    drawn = Drawn(made.classes, made.scan.affine, OF_CLASSES)
    with pytest.raises(DicomError, match="position is not that of the source slice"):
        check_segmentation(path, source, drawn)


def test_nothing_of_a_call_stays_where_one_object_fails(
    make: Callable[..., Made], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make()
    right = SourceMap.apply

    def moved(self: SourceMap, labels: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
        placed = right(self, labels, shape)
        return np.roll(placed, 1, axis=2) if labels.dtype == np.int32 else placed

    monkeypatch.setattr(SourceMap, "apply", moved)
    with pytest.raises(DicomError, match=r"lesions-1.dcm: not handed out"):
        made.write()
    assert list((made.folder.parent / "objects").iterdir()) == []


def test_captures_and_pdf_with_another_content_are_not_handed_out(
    make: Callable[..., Made],
) -> None:
    made = make()
    made.write()
    out = made.folder.parent / "objects"
    source = read_source(made.series, CHECKS)
    ds = pydicom.dcmread(out / "key-slice-1.dcm")
    k = source.instance_uids.index(ds.SourceImageSequence[0].ReferencedSOPInstanceUID)
    check_capture(out / "key-slice-1.dcm", source, k, ds.pixel_array)
    with pytest.raises(DicomError, match="names another slice"):
        check_capture(out / "key-slice-1.dcm", source, k + 1, ds.pixel_array)
    with pytest.raises(DicomError, match="pixels are others"):
        check_capture(out / "key-slice-2.dcm", source, _slice_of(out, source), ds.pixel_array)
    document = pydicom.dcmread(out / "report.dcm")
    pdf = document.EncapsulatedDocument[: document.EncapsulatedDocumentLength]
    check_pdf(out / "report.dcm", source, pdf)
    with pytest.raises(DicomError, match="document is another"):
        check_pdf(out / "report.dcm", source, pdf + b" ")
    left = {path.name for path in out.iterdir()}
    assert not left & {"key-slice-1.dcm", "key-slice-2.dcm", "report.dcm"}


def _slice_of(out: Path, source: SourceSeries) -> int:
    ds = pydicom.dcmread(out / "key-slice-2.dcm")
    return source.instance_uids.index(ds.SourceImageSequence[0].ReferencedSOPInstanceUID)


def _drop(*names: str) -> Callable[[Dataset, int], None]:
    def edit(ds: Dataset, k: int) -> None:
        for name in names:
            delattr(ds, name)

    return edit


def test_absent_attributes_are_named_or_taken_as_unknown(make: Callable[..., Made]) -> None:
    made = make(edit=_drop("PatientBirthDate", "StudyID"))
    with pytest.raises(DicomError, match="lack PatientBirthDate, StudyID") as caught:
        made.write()
    assert "absent_as_empty" in str(caught.value.fix)
    written = made.write(absent_as_empty=True)
    assert pydicom.dcmread(written.paths[0]).PatientBirthDate == ""


def _frames_of_reference(of: Callable[[int], str]) -> Callable[[Dataset, int], None]:
    def edit(ds: Dataset, k: int) -> None:
        ds.FrameOfReferenceUID = of(k)

    return edit


def test_several_frames_of_reference_are_refused_in_our_words(make: Callable[..., Made]) -> None:
    override = Checks(override=CHECKS.override | {"mixed_frame_of_reference"})
    for of, n in ((lambda k: f"1.2.3.{k}", 14), (lambda k: "1.2.3" if k < 7 else "1.2.4", 2)):
        made = make(edit=_frames_of_reference(of), checks=override)
        with pytest.raises(DicomError, match=f"{n} different FrameOfReferenceUIDs"):
            made.write(checks=override)
    made = make(edit=_drop("FrameOfReferenceUID"))
    with pytest.raises(DicomError, match="no FrameOfReferenceUID"):
        made.write()


def test_slices_without_a_uid_of_their_own_are_refused(make: Callable[..., Made]) -> None:
    def edit(ds: Dataset, k: int) -> None:
        if k in (3, 4):
            ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = "1.2.3.4"

    made = make(edit=edit)
    with pytest.raises(DicomError, match="2 slices have no SOPInstanceUID of their own"):
        made.write()


@pytest.mark.parametrize(
    ("name", "value"),
    [("PatientSex", "female"), ("PatientBirthDate", "15/06/1950"), ("StudyTime", "ten")],
)
def test_malformed_attributes_are_named_without_their_value(
    name: str, value: str, make: Callable[..., Made]
) -> None:
    def edit(ds: Dataset, k: int) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ds[name]._value = value

    made = make(edit=edit)
    with pytest.raises(DicomError, match=name) as caught:
        made.write()
    assert value not in str(caught.value)


def test_names_in_other_scripts_come_through_and_nothing_of_the_patient_is_logged(
    make: Callable[..., Made], caplog: pytest.LogCaptureFixture
) -> None:
    def edit(ds: Dataset, k: int) -> None:
        ds.SpecificCharacterSet = "ISO_IR 144"
        ds.PatientName = "Секретов^Иван"
        ds.ReferringPhysicianName = "Doe, a name with a comma"

    made = make(edit=edit)
    caplog.set_level(logging.DEBUG)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        written = made.write()
    for path in written.paths:
        assert str(pydicom.dcmread(path).PatientName) == "Секретов^Иван"
    said = caplog.text + " ".join(str(each.message) for each in caught)
    for secret in ("Секретов", "SECRET-ID", "comma", "19500615"):
        assert secret not in said


def test_multi_frame_sources_are_refused_before_anything_is_written(
    make: Callable[..., Made], tmp_path: object
) -> None:
    made = make()
    image = made.series.images[0]
    image.n_frames = 2
    try:
        with pytest.raises(DicomError, match="multi-frame"):
            made.write()
    finally:
        image.n_frames = 1


def test_table_and_volumes_must_speak_of_the_same_lesions(make: Callable[..., Made]) -> None:
    made = make()
    with pytest.raises(DicomError, match="lesion 7 is in the volume of instances, not in the"):
        made.write(lesions=made.lesions[made.lesions["lesion_id"] != 7])
    one = made.lesions.iloc[:1].assign(lesion_id=99)
    with pytest.raises(DicomError, match="lesion 99 is in the table, not in the volume"):
        made.write(lesions=pd.concat([made.lesions, one]))
    other = made.lesions.assign(class_name="fibrosis")
    with pytest.raises(DicomError, match="lesion 3: class 'fibrosis' in the table, 'ground_glass'"):
        made.write(lesions=other)
    with pytest.raises(DicomError, match="no column volume_ml"):
        made.write(lesions=made.lesions.drop(columns="volume_ml"))


def test_tracking_uids_must_be_uids_of_one_lesion_each() -> None:
    lesions = pd.DataFrame({"lesion_id": [1, 2]})
    uids = with_tracking_uids(lesions, "1.2.3")["tracking_uid"].tolist()
    assert uids == with_tracking_uids(lesions, "1.2.3")["tracking_uid"].tolist()
    assert len({*uids, *with_tracking_uids(lesions, "1.2.4")["tracking_uid"]}) == 4
    assert all(uid.startswith("2.25.") and len(uid) <= 64 for uid in uids)
    with pytest.raises(DicomError, match="stands for two lesions"):
        with_tracking_uids(lesions.assign(tracking_uid="2.25.7"), "1.2.3")
    with pytest.raises(DicomError, match="no DICOM UID"):
        with_tracking_uids(lesions.assign(tracking_uid=["x", None]), "1.2.3")


def test_an_infinite_factor_is_refused(make: Callable[..., Made]) -> None:
    made = make()
    with pytest.raises(DicomError, match="'proportion_percent': value inf"):
        made.write(factors={**made.factors, "proportion_percent": np.inf})


def test_the_series_is_found_again(make: Callable[..., Made]) -> None:
    """The objects do not get in the way of the series that lies in the same folder."""
    made = make()
    made.write(out_dir=made.folder / "objects")
    (series,) = [s for s in find_series(made.folder).series if s.images[0].modality == "CT"]
    assert len(series.images) == 14


def test_masks_of_people_and_a_row_without_a_value_are_written(
    make: Callable[..., Made], recwarn: pytest.WarningsRecorder
) -> None:
    def edit(ds: Dataset, k: int) -> None:
        ds.SpecificCharacterSet = "ISO_IR 192"
        ds.SeriesDescription = "胸部 1.5"

    made = make(edit=edit)
    by_hand = Algorithm("a reader", "1", "MANUAL")
    written = made.write(factors={"n_lesions": None}, algorithm=by_hand)
    seg = pydicom.dcmread(made.folder.parent / "objects" / "classes.dcm")
    assert {item.SegmentAlgorithmType for item in seg.SegmentSequence} == {"MANUAL"}
    assert len(written.paths) > 4
    assert not [each for each in recwarn if "Glyph" in str(each.message)]
    with pytest.raises(DicomError, match="AUTOMATIC, SEMIAUTOMATIC or MANUAL"):
        Algorithm("x", "1", "BY_HAND")
    with pytest.raises(DicomError, match="1 to 64 ASCII"):
        Algorithm("x" * 65, "1")
