"""Labels out of DICOM segmentations, on the scan that they were drawn on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import highdicom as hd
import numpy as np
import pandas as pd
import pydicom
import pytest
from pydicom.sr.codedict import codes
from pydicom.uid import RLELossless

from covidlit.cohort.slice_table import read_labelled_slices
from covidlit.datamodules.slices.coco_export import class_map
from covidlit.datamodules.slices.label_volumes import CLASSES, label_volumes
from covidlit.errors import CovidlitError
from covidlit.scans.images import read_volume
from covidlit.synthetic.source import synthetic_manifest


@pytest.fixture(scope="session")
def scan(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A synthetic scan with lesions: its manifest, the headers of its slices, its classes."""
    folder = tmp_path_factory.mktemp("seg")
    manifest = synthetic_manifest(
        str(folder), n_jobs=1, inclusion=None, preset="lesions", n_scans=2, seed=4, matrix=48,
        thickness_mm=10.0,
    )  # fmt: skip
    table = pd.read_csv(manifest)
    for row in table.itertuples():
        classes, affine = read_volume(manifest.parent / "truth" / f"{row.scan_id}.classes.nii.gz")
        if len(np.unique(classes)) > 2:
            break
    files = sorted((manifest.parent / row.path).rglob("*.dcm"))
    slices = [
        pydicom.dcmread(file) for file in files or sorted((manifest.parent / row.path).iterdir())
    ]
    return manifest, row.scan_id, slices, classes, affine


def _segmentation(scan: Any, labels: list[str], kind: str, **options: Any) -> hd.seg.Segmentation:
    """A SEG of the values 1, 2, ... of the classes, as another program would write it."""
    _, _, slices, classes, affine = scan
    by_place = {
        round(float(s.ImagePositionPatient[2]), 2): k for k, s in enumerate(slices)
    }  # fmt: skip
    order = [
        by_place[round(float(affine[2, 3] + z * affine[2, 0]), 2)] for z in range(len(classes))
    ]
    source = [slices[k] for k in order]
    algorithm = hd.AlgorithmIdentificationSequence(
        name="test", version="1", family=codes.cid7162.ArtificialIntelligence
    )
    descriptions = [
        hd.seg.SegmentDescription(
            segment_number=number, segment_label=label,
            segmented_property_category=codes.SCT.MorphologicallyAbnormalStructure,
            segmented_property_type=codes.SCT.Lesion,
            algorithm_type=hd.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
            algorithm_identification=algorithm,
        )
        for number, label in enumerate(labels, 1)
    ]  # fmt: skip
    # Rows and columns of these series run as those of a canonical scan.
    array = np.where(classes <= len(labels), classes, 0).astype(np.uint8)
    return hd.seg.Segmentation(
        source_images=source, pixel_array=array, segmentation_type=kind,
        segment_descriptions=descriptions, series_instance_uid=hd.UID(), series_number=9,
        sop_instance_uid=hd.UID(), instance_number=1, manufacturer="test",
        manufacturer_model_name="test", software_versions="1", device_serial_number="1",
        **options,
    )  # fmt: skip


def _labels(scan: Any, folder: Path, values: Any = None) -> np.ndarray:
    manifest, scan_id, _, classes, _ = scan
    path = label_volumes(
        str(manifest), str(folder), str(folder / "out"), "{scan_id}.dcm", values, n_jobs=1
    )
    table, coco = read_labelled_slices(path)
    assert set(table["scan_id"]) == {scan_id}
    shape = classes.shape[1:]
    own = [[a for a in coco.annotations if a.image_id == k + 1] for k in range(len(table))]
    return np.stack([class_map(found, CLASSES, shape) for found in own])


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("BINARY", {}),  # frames without a voxel left out
        ("BINARY", {"omit_empty_frames": False}),
        ("LABELMAP", {"transfer_syntax_uid": RLELossless}),
    ],
)
def test_a_segmentation_gives_the_classes_that_were_drawn(
    scan: Any, kind: str, options: Any, tmp_path: Path
) -> None:
    names = [name.replace("_", " ").title() for name in CLASSES]
    _segmentation(scan, names, kind, **options).save_as(tmp_path / f"{scan[1]}.dcm")
    assert np.array_equal(_labels(scan, tmp_path), scan[3])


def test_segments_are_known_by_label_or_number(scan: Any, tmp_path: Path) -> None:
    labels = ["Left and right lung", *(f"s{k}" for k in range(2, 7))]
    _segmentation(scan, labels, "BINARY").save_as(tmp_path / f"{scan[1]}.dcm")
    with pytest.raises(CovidlitError, match=r"segment 1, 'Left and right lung', stands for no"):
        _labels(scan, tmp_path)
    values: dict[Any, Any] = {"left and right LUNG": "lung", 2: "fibrosis", 3: "fibrosis"}
    values |= {"s4": None, "s5": None, "s6": None}
    found = _labels(scan, tmp_path, values)
    classes = scan[3]
    assert np.array_equal(found == 4, np.isin(classes, (2, 3)))
    assert np.array_equal(found == 1, classes == 1)


def test_a_segmentation_of_another_place_is_refused(scan: Any, tmp_path: Path) -> None:
    made = _segmentation(scan, list(CLASSES), "BINARY")
    for group in made.PerFrameFunctionalGroupsSequence:
        place = group.PlanePositionSequence[0]
        x, y, z = place.ImagePositionPatient
        place.ImagePositionPatient = [x, y, float(z) + 4.0]
    made.save_as(tmp_path / f"{scan[1]}.dcm")
    with pytest.raises(CovidlitError, match="does not lie on a slice of the scan"):
        _labels(scan, tmp_path)


def test_what_is_no_segmentation_is_said(scan: Any, tmp_path: Path) -> None:
    scan[2][0].save_as(tmp_path / f"{scan[1]}.dcm")
    with pytest.raises(CovidlitError, match="no segmentation, but of the modality CT"):
        _labels(scan, tmp_path)
