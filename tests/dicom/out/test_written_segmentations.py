"""Segmentations lie where they were drawn, by readers that know nothing of what wrote them."""

from __future__ import annotations

from collections.abc import Callable

import highdicom as hd
import numpy as np
import pandas as pd
import pydicom
import pytest
from series_in_layouts import LAYOUTS, TILTED, Balls, Layout, Made, points_of

from covidlit.dicom.out.dcmqi import dcmqi_program, placed_by_dcmqi
from covidlit.errors import DicomError


def _by_source(path: object, uids: list[str], numbers: list[int]) -> np.ndarray:
    """(source, rows, columns, segment) as highdicom gives them."""
    seg = hd.seg.segread(path)
    return seg.get_pixels_by_source_instance(uids, segment_numbers=numbers)


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_voxel_lies_in_the_source_slice_that_it_was_drawn_on(
    name: str, make: Callable[..., Made]
) -> None:
    layout = LAYOUTS[name]
    made = make(layout)
    made.write()
    sources = made.sources()
    uids = list(sources)
    out = made.folder.parent / "objects"
    found = _by_source(out / "classes.dcm", uids, [1, 2, 3, 4, 5, 6])
    lesion = hd.seg.segread(out / "lesions-1.dcm")
    ids = [3, 7, 12, 300]
    by_lesion = lesion.get_pixels_by_source_instance(uids, segment_numbers=[1, 2, 3, 4])
    n = 0
    for k, uid in enumerate(uids):
        classes, instances = Balls.of(layout).labels(points_of(sources[uid]))
        for value in range(1, 7):
            np.testing.assert_array_equal(found[k, :, :, value - 1], classes == value)
        for number, segment in zip(ids, range(4), strict=True):
            np.testing.assert_array_equal(by_lesion[k, :, :, segment], instances == number)
        n += int((instances > 0).sum())
    assert n > 60


def test_first_and_last_slice_one_voxel_and_an_empty_class_are_kept(
    make: Callable[..., Made],
) -> None:
    made = make()
    written = made.write()
    ds = pydicom.dcmread(made.folder.parent / "objects" / "classes.dcm")
    assert ds.SegmentationType == "BINARY"
    assert [item.SegmentLabel for item in ds.SegmentSequence][3] == "Fibrosis"
    assert int(ds.NumberOfFrames) == 6 * 14  # fibrosis and effusion have no voxel, but frames
    positions = {
        tuple(g.PlanePositionSequence[0].ImagePositionPatient)
        for g in ds.PerFrameFunctionalGroupsSequence
    }
    assert len(positions) == 14
    spacing = ds.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    assert float(spacing.SpacingBetweenSlices) == pytest.approx(2.5)
    colours = {tuple(item.RecommendedDisplayCIELabValue) for item in ds.SegmentSequence}
    assert len(colours) == 6
    assert written.lesions["segment_number"].tolist() == [1, 2, 3, 4]
    one = written.lesions.set_index("lesion_id").loc[300]
    assert one["volume_ml"] == pytest.approx(0.8 * 0.7 * 2.5 / 1000)


@pytest.mark.skipif(dcmqi_program() is None, reason="dcmqi (pip install dcmqi) is not installed")
@pytest.mark.parametrize("name", ["oblique", "head_last", "sagittal"])
def test_dcmqi_finds_volume_and_centre_in_patient_millimetres(
    name: str, make: Callable[..., Made]
) -> None:
    made = make(LAYOUTS[name])
    written = made.write()
    assert written.readers == ("pydicom", "dcmqi")
    found = placed_by_dcmqi(made.folder.parent / "objects" / "lesions-1.dcm")
    assert found is not None
    assert found.keys() == set(written.lesions["tracking_uid"])
    for row in written.lesions.itertuples():
        places = np.argwhere(made.instances == row.lesion_id)
        centre = places.mean(0) @ made.scan.affine[:3, :3].T + made.scan.affine[:3, 3]
        assert found[row.tracking_uid].voxels == len(places)
        np.testing.assert_allclose(found[row.tracking_uid].centroid, centre, atol=0.01)


def test_a_tilted_series_keeps_each_voxel_within_half_a_pixel_and_says_so(
    make: Callable[..., Made],
) -> None:
    made = make(TILTED)
    written = made.write()
    assert any("tilted" in note for note in written.notes)
    seg = hd.seg.segread(made.folder.parent / "objects" / "lesions-1.dcm")
    sources = made.sources()
    pixels = seg.get_pixels_by_source_instance(list(sources), segment_numbers=[3])[..., 0]
    points = np.concatenate([points_of(ds)[pixels[k] > 0] for k, ds in enumerate(sources.values())])
    drawn = np.argwhere(made.instances == 12)
    assert len(points) == len(drawn)
    centre = drawn.mean(0) @ made.scan.affine[:3, :3].T + made.scan.affine[:3, 3]
    off = np.linalg.inv(made.scan.affine[:3, :3]) @ (points.mean(0) - centre)
    assert np.abs(off).max() <= 0.5


def test_more_than_255_lesions_stand_in_several_files(make: Callable[..., Made]) -> None:
    made = make()
    classes, instances = np.zeros_like(made.classes), np.zeros_like(made.instances)
    places = np.argwhere(np.ones_like(classes))[:: classes.size // 300][:300]
    classes[tuple(places.T)] = 3
    instances[tuple(places.T)] = np.arange(300) * 5 + 1
    lesions = pd.DataFrame(
        {
            "lesion_id": np.arange(300) * 5 + 1,
            "class_name": "ground_glass",
            "volume_ml": 0.0014,
        }
    )
    written = made.write(classes=classes, instances=instances, lesions=lesions)
    out = made.folder.parent / "objects"
    first, second = (pydicom.dcmread(out / f"lesions-{k}.dcm") for k in (1, 2))
    uids = [
        [item.TrackingUID for item in ds.SegmentSequence if item.SegmentNumber]
        for ds in (first, second)
    ]
    assert [len(each) for each in uids] == [255, 45]
    assert [*uids[0], *uids[1]] == written.lesions["tracking_uid"].tolist()
    assert first.SeriesInstanceUID == second.SeriesInstanceUID
    assert max(int(np.max(ds.pixel_array)) for ds in (first, second)) == 255
    # Fewer lesions the next time: what the first call left is gone.
    again = made.write()
    assert not (out / "lesions-2.dcm").exists()
    assert {path.name for path in out.iterdir()} == {path.name for path in again.paths}


def test_columns_that_are_no_multiple_of_8_are_never_padded_but_noted(
    make: Callable[..., Made],
) -> None:
    odd = Layout((1, 0, 0), (0, 1, 0), columns=45)
    made = make(odd)
    written = made.write()
    assert any("multiple of 8" in note for note in written.notes)
    out = made.folder.parent / "objects"
    assert pydicom.dcmread(out / "classes.dcm").Columns == 45
    sources = made.sources()
    for ask in (False, True):
        notes = made.write(classes_as_label_map=ask).notes
        assert any("multiple of 8" in note for note in notes) != ask
        found = _by_source(out / "classes.dcm", list(sources), [3])
        for k, ds in enumerate(sources.values()):
            classes, _ = Balls.of(odd).labels(points_of(ds))
            np.testing.assert_array_equal(found[k, :, :, 0], classes == 3)


def test_no_lesion_gives_classes_and_a_report_without_lesions(make: Callable[..., Made]) -> None:
    made = make(phantom=False)
    written = made.write()
    names = {path.name for path in written.paths}
    assert "lesions-1.dcm" not in names
    assert {"classes.dcm", "factors.dcm", "report.dcm", "key-slice-1.dcm"} <= names
    assert len(written.lesions) == 0


def test_labels_of_another_geometry_are_refused(make: Callable[..., Made]) -> None:
    made = make()
    shifted = made.scan.affine.copy()
    shifted[:3, 3] += shifted[:3, 2] * 2
    other = type(made.scan)(made.scan.hu, shifted, made.scan.series_uid)
    with pytest.raises(DicomError, match=r"no volume of this series.*2\.00 pixels away"):
        Made(made.folder, made.series, other, *_rest(made)).write()
    thick = made.scan.affine.copy()
    thick[:3, 0] *= 2
    other = type(made.scan)(made.scan.hu, thick, made.scan.series_uid)
    with pytest.raises(DicomError, match="axes and spacing"):
        Made(made.folder, made.series, other, *_rest(made)).write()
    fewer = type(made.scan)(made.scan.hu[:, :-2], made.scan.affine, made.scan.series_uid)
    cut = Made(
        made.folder,
        made.series,
        fewer,
        made.classes[:, :-2],
        made.instances[:, :-2],
        *_rest(made)[2:],
    )
    with pytest.raises(DicomError, match="38 x 48 pixels per slice, the series 40 x 48"):
        cut.write()
    assert not list((made.folder.parent / "objects").glob("*"))


def _rest(made: Made) -> tuple:
    return made.classes, made.instances, made.lesions, made.factors
