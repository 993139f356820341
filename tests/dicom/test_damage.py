"""Damaged, encrypted, empty and stray files: flagged, never a crash."""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.pixels.decoders.base import Decoder

from covidlit.dicom import Checks, SeriesRefused, find_series, judge, read_series
from covidlit.dicom.transfer_syntax import how_to_decode, no_decoder
from covidlit.errors import DicomError

Write = Callable[..., Path]
END = "a001"  # the last slice in space: nothing beside it shows that it is gone


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (lambda b: b"", "empty"),
        (lambda b: b[:100], "not DICOM"),
        (lambda b: b[:400], "no SeriesInstanceUID"),
        (lambda b: b[:-100], "truncated: 140 of 240 bytes"),
        (lambda b: b[:128] + b"DIXM" + b[132:], "DICM"),
        (lambda b: bytes.fromhex("30820400 06092a864886f70d010703") + bytes(500), "encrypted"),
        (lambda b: np.random.default_rng(0).bytes(len(b)), "not DICOM"),
    ],
)
def test_a_damaged_slice_at_the_end_refuses_the_series(
    write_ct: Write, content: Callable[[bytes], bytes], word: str
) -> None:
    path = write_ct() / END
    path.write_bytes(content(path.read_bytes()))
    found = find_series(path.parent)
    verdict = judge(found.series[0])
    assert not verdict.accepted
    assert verdict.findings[0].check in ("stray_file", "unreadable_file")
    assert END in verdict.reason
    with pytest.raises(SeriesRefused, match=word):
        read_series(path.parent)
    scan = read_series(path.parent, Checks(override=frozenset({"stray_file", "unreadable_file"})))
    assert len(scan.hu) == 13
    assert END in scan.notes[0]


def test_a_slice_with_another_series_uid_is_noticed(write_ct: Write) -> None:
    path = write_ct() / END
    ds = pydicom.dcmread(path)
    ds.SeriesInstanceUID = "1.2.3"
    ds.save_as(path)
    verdicts = {len(one.files): judge(one) for one in find_series(path.parent).series}
    assert verdicts[13].findings[0].check == "stray_file"
    assert END in verdicts[13].reason


@pytest.mark.filterwarnings("ignore::UserWarning:pydicom")
@pytest.mark.parametrize(
    "changes",
    [
        {"Modality": "SR"},  # alone: the class still says CT
        {"Modality": "SR", "SOPClassUID": "1.2.840.10008.5.1.4.1.1.88.11"},
        {"Modality": "CU", "SOPClassUID": "1.2.840.10008.5.1.4.1.1.882"},
        {"Modality": "CU", "SOPClassUID": "damaged"},
    ],
)
def test_a_slice_that_lost_its_image_is_missed(write_ct: Write, changes: dict[str, str]) -> None:
    path = write_ct() / END
    ds = pydicom.dcmread(path)
    del ds.Rows, ds.Columns, ds.PixelData
    for name, value in changes.items():
        setattr(ds, name, value)
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
    ds.save_as(path)
    found = find_series(path.parent)
    assert found.n_other == 0
    (verdict,) = [judge(one) for one in found.series]
    assert not verdict.accepted
    assert END in verdict.reason


def test_reports_and_presentation_states_beside_a_series_are_no_slices(write_ct: Write) -> None:
    path = write_ct()
    ds = pydicom.dcmread(path / END)
    del ds.Rows, ds.Columns, ds.PixelData
    ds.Modality, ds.SOPClassUID = "SR", "1.2.840.10008.5.1.4.1.1.88.11"
    ds.file_meta.MediaStorageSOPClassUID, ds.SeriesInstanceUID = ds.SOPClassUID, "1.2.3.4"
    ds.save_as(path / "report")
    found = find_series(path)
    assert (found.n_other, found.problems) == (1, [])
    assert judge(found.series[0]).accepted


def test_a_bolus_monitoring_slice_beside_a_series_is_no_stray(write_ct: Write) -> None:
    def edit(ds: Dataset, k: int) -> None:
        ds.ImagePositionPatient = [-20, -30, 113]

    folder = write_ct()
    write_ct(n=1, edit=edit, series="b")
    verdicts = {len(one.files): judge(one) for one in find_series(folder).series}
    assert verdicts[14].accepted


def test_files_of_other_series_do_not_refuse_a_whole_archive(write_ct: Write) -> None:
    folder = write_ct()
    write_ct(series="b")
    (folder / "c001").write_bytes(b"")
    found = find_series(folder)
    assert [judge(one).accepted for one in found.series] == [True, True]
    assert [problem.path.name for problem in found.problems] == ["c001"]


def test_a_file_called_dcm_that_is_not_is_listed(tmp_path: Path) -> None:
    (tmp_path / "a.dcm").write_text("this is a text, long enough to hold a preamble" * 10)
    (problem,) = find_series(tmp_path).problems
    assert "encrypted or damaged" in problem.reason
    with pytest.raises(DicomError, match=r"a\.dcm: not DICOM in spite of its name"):
        read_series(tmp_path)


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.4.70", "1.2.840.10008.1.2.5"])
def test_pixels_that_do_not_decode(write_ct: Write, syntax: str) -> None:
    def edit(ds: Dataset, k: int) -> None:
        if k == 13:
            ds.PixelData = encapsulate([b"\xff\xd8 this is no image \xff\xd9"])
            ds["PixelData"].VR = "OB"
            ds.file_meta.TransferSyntaxUID = syntax

    (series,) = find_series(write_ct(edit=edit)).series
    with pytest.raises(SeriesRefused, match="undecodable") as refusal:
        read_series(series)
    assert refusal.value.verdict.findings[0].check == "unreadable_file"
    assert END in refusal.value.verdict.reason
    assert refusal.value.verdict.reason.endswith("fetch them again")
    scan = read_series(series, Checks(override=frozenset({"unreadable_file"})))
    assert len(scan.hu) == 13


@pytest.mark.parametrize(
    ("syntax", "reason"),
    [
        (
            "1.2.840.10008.1.2.4.53",
            "and 11 more: undecodable: no decoder for transfer syntax 1.2.840.10008.1.2.4.53",
        ),
        ("1.2.840.10008.1.2.4.70", r"4\.70 is installed \(one of: .*pylibjpeg"),
    ],
)
def test_a_transfer_syntax_without_decoder(
    write_ct: Write, monkeypatch: pytest.MonkeyPatch, syntax: str, reason: str
) -> None:
    def edit(ds: Dataset, k: int) -> None:
        ds.PixelData = encapsulate([b"\xff\xd8 whatever this is \xff\xd9"])
        ds["PixelData"].VR = "OB"
        ds.file_meta.TransferSyntaxUID = syntax

    folder = write_ct(edit=edit)
    monkeypatch.setattr(Decoder, "is_available", False)
    no_decoder.cache_clear()
    verdict = judge(find_series(folder).series[0])
    no_decoder.cache_clear()
    assert re.search(reason, verdict.reason)
    assert "; store them uncompressed" in verdict.reason


def test_decoders_are_named_by_what_pip_installs(monkeypatch: pytest.MonkeyPatch) -> None:
    lacking = ("pylibjpeg - requires pylibjpeg>=2.0 and pylibjpeg-libjpeg>=2.1",)
    monkeypatch.setattr(Decoder, "missing_dependencies", lacking)
    assert how_to_decode(["1.2.840.10008.1.2.4.70"]) == (
        "store them uncompressed, or install a decoder: pip install 'pylibjpeg>=2.0' "
        "'pylibjpeg-libjpeg>=2.1'"
    )
    assert "no package decodes this" in how_to_decode(["1.2.840.10008.1.2.4.53"])


def test_compressed_pixels_that_do_not_end(write_ct: Write) -> None:
    def edit(ds: Dataset, k: int) -> None:
        ds.compress("1.2.840.10008.1.2.5")

    folder = write_ct(edit=edit)
    assert np.array_equal(read_series(folder).hu[:, 0, 0], 100 * np.arange(14))
    path = folder / "a007"
    path.write_bytes(path.read_bytes()[:-30])
    verdict = judge(find_series(folder).series[0])
    assert verdict.findings[0].check == "unreadable_file"
    assert "a007: truncated" in verdict.reason


RIGHT = ("flagged", "same", "values")


@pytest.fixture
def fuzzer(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """benchmarks/dicom_fuzz.py as a module; its neighbours are importable for this test alone."""
    folder = Path(__file__).resolve().parents[2] / "benchmarks"
    monkeypatch.syspath_prepend(str(folder))
    spec = importlib.util.spec_from_file_location("dicom_fuzz", folder / "dicom_fuzz.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "dicom_fuzz", module)
    spec.loader.exec_module(module)
    return module


@pytest.mark.filterwarnings("ignore::UserWarning:pydicom")
def test_random_damage_is_flagged_or_harmless(write_ct: Write, fuzzer: ModuleType) -> None:
    outcomes = list(fuzzer.fuzz(write_ct(n=16), 60, first_seed=900))
    assert [one for one in outcomes if one.result not in RIGHT] == []
    assert {one.result for one in outcomes} >= {"flagged", "same"}


@pytest.mark.filterwarnings("ignore::UserWarning:pydicom")
@pytest.mark.parametrize(
    "syntax", ["1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.1.99"]
)
def test_random_damage_of_compressed_series_too(
    write_ct: Write, fuzzer: ModuleType, syntax: str, tmp_path: Path
) -> None:
    fuzzer.convert(write_ct(n=16), tmp_path / "other", syntax)
    outcomes = list(fuzzer.fuzz(tmp_path / "other", 40, first_seed=100))
    assert [one for one in outcomes if one.result not in RIGHT] == []
    assert {one.result for one in outcomes} >= {"flagged", "same"}
    assert max(one.seconds for one in outcomes) < 10


@pytest.mark.parametrize(
    ("change", "alone"),
    [
        ({"PatientID": "another"}, True),
        ({"RescaleIntercept": -900}, False),
        ({"BitsStored": 11}, False),
        ({"RescaleSlope": 2}, False),
        ({"PixelData": b"\0\1" * 120}, True),
        ({"PixelData": b"\0\1" * 118}, False),
    ],
)
def test_the_fuzzer_excuses_other_values_of_pixels_alone(
    write_ct: Write, fuzzer: ModuleType, change: dict[str, Any], alone: bool
) -> None:
    path = next(iter(write_ct(n=2).iterdir()))
    before = path.read_bytes()
    dataset = pydicom.dcmread(path)
    for keyword, value in change.items():
        setattr(dataset, keyword, value)
    dataset.save_as(path)
    assert fuzzer.only_values_differ(before, path.read_bytes()) == alone
