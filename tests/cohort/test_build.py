import stat
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from covidlit.cohort import (
    ByClass,
    InclusionCriteria,
    MultiClass,
    manifest_from_dicom,
    read_manifest,
    scan_id_of,
    write_manifest,
)
from covidlit.dicom import Checks, pseudonym_uid, read_series
from covidlit.errors import ManifestError
from covidlit.names import is_name
from covidlit.papers.csacnet.readings import readers

pytestmark = pytest.mark.slow

Write = Callable[..., Path]
LABELS = {
    "patient_id": ["pat-1", "pat-2", "pat-3", "pat-4", "pat-9"],
    "class_name": ["covid", "covid", "np", "np", "cap"],
    "centre": ["A", "A", "B", "B", "B"],
    "rtpcr_initial": ["positive", "negative", None, "negative", None],
    "rtpcr_round": [1, 2, None, None, None],
    "ward": [1, 2, 3, 4, 5],
    "name": ["Doe"] * 5,
    "Date of Birth": ["1950-06-15"] * 5,
}


@pytest.fixture
def root(tmp_path: Path, write_series: Write) -> Path:
    """Soft and lung kernel of one study, a repeat, a missing slice, an early and a thick scan."""
    write_series("a/soft", "pat-1", "1.2.1", "1.2.1.1")
    write_series("a/lung", "pat-1", "1.2.1", "1.2.1.2", n=20, ConvolutionKernel="LUNG")
    write_series("repeat", "pat-1", "1.2.5", "1.2.5.1", AcquisitionDate="20200301")
    write_series("b", "pat-2", "1.2.2", "1.2.2.1", drop=5)
    write_series("c", "pat-3", "1.2.3", "1.2.3.1", AcquisitionDate="20190101", PatientSex="O")
    write_series("d", "pat-4", "1.2.4", "1.2.4.1", SliceThickness=7)
    return tmp_path / "dicom"


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    pd.DataFrame(LABELS).to_csv(tmp_path / "labels.csv", index=False)
    return tmp_path / "labels.csv"


def by_place(manifest: pd.DataFrame, folder: Path) -> pd.DataFrame:
    """A manifest by the paths of its scans, from `folder`."""
    return manifest.set_index(
        [[Path(path).relative_to(folder).as_posix() for path in manifest["path"]]]
    )


def test_a_folder_and_labels_become_a_manifest(root: Path, labels: Path, tmp_path: Path) -> None:
    built = manifest_from_dicom(root, labels, folder=tmp_path, keep_columns=["ward"])
    table = by_place(built.manifest, tmp_path)
    assert set(table.index) == {"dicom/a/soft", "dicom/b", "dicom/c"}
    one = table.loc["dicom/a/soft"]
    assert one["scan_id"] == scan_id_of("1.2.1.1")
    assert one[["class_name", "centre", "target", "status"]].tolist() == ["covid", "A", 1, "ok"]
    assert (one["age"], one["sex"], one["kernel"], one["n_slices"]) == (50, "F", "STANDARD", 14)
    assert one["acquisition_date"] == pd.Timestamp(2020, 2, 1)
    assert one["ward"] == 1
    assert table.loc["dicom/c", "target"] == 0  # untested, before 30 November 2019
    assert pd.isna(table.loc["dicom/c", "sex"])
    refused = table.loc["dicom/b"]
    assert refused["status"] == "refused"
    assert refused["reason"].startswith("missing_slice")
    assert refused["target"] == 1
    assert built.refused["path"].tolist() == [str(tmp_path / "dicom/b")]


def test_what_is_left_out_is_counted_and_listed(root: Path, labels: Path, tmp_path: Path) -> None:
    built = manifest_from_dicom(root, labels, folder=tmp_path)
    flow = built.flow.to_frame()
    assert flow["n_excluded"].tolist() == [0, 0, 1, 1, 0, 0, 1, 0, 1]
    assert flow["n_left"].tolist() == [6, 6, 5, 4, 4, 4, 3, 3, 2]
    assert flow["n_patients"].iloc[[0, -1]].tolist() == [4, 2]
    reasons = built.problems.set_index("path")["reason"]
    assert "stands for its study" in reasons["dicom/a/lung"]
    assert "slices of at most 5 mm" in reasons["dicom/d"]
    assert "initial scan" in reasons["dicom/repeat"]
    assert "missing_slice" in reasons["dicom/b"]
    assert built.unmatched_labels["label_row"].tolist() == [5]


def test_nothing_in_it_identifies_a_patient(
    root: Path, labels: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    built = manifest_from_dicom(root, labels, folder=tmp_path)
    write_manifest(built.manifest, tmp_path / "m.csv")
    written = (tmp_path / "m.csv").read_text() + built.problems.to_csv() + "".join(built.notes)
    written += built.flow.to_frame().to_csv() + repr(built) + "".join(capfd.readouterr())
    for secret in ("pat-", "DOE", "Doe", "1.2.1", "1.2.3", "JANE", "1950-06-15"):
        assert secret not in written
    key = tmp_path / "manifest.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600


IDENTIFYING = {
    "hospital_id": "H-4711",
    "pat_name": "Roe",
    "referring_physician": "Watson",
    "Geburtsdatum": "15.06.1950",
    "birth_year": "1950",
    "case_number": "F-0815",
    "reader_comment": "Roe was here in May",
}


def test_columns_that_nobody_knows_are_left_out_and_listed(root: Path, tmp_path: Path) -> None:
    labels = pd.DataFrame(LABELS | {name: [value] * 5 for name, value in IDENTIFYING.items()})
    labels = labels.assign(reader_1=[0.1, 0.2, 0.3, 0.4, 0.5], aetiology="viral")
    built = manifest_from_dicom(root, labels, folder=tmp_path)
    assert built.manifest["aetiology"].eq("viral").all()
    assert built.manifest["reader_1"].notna().all()
    written = built.manifest.to_csv() + "".join(built.notes)
    (note,) = (note for note in built.notes if "--keep-column" in note)
    for name, value in IDENTIFYING.items():
        assert name in note
        assert name not in built.manifest
        assert value not in written
    assert "aetiology" not in note


def test_readers_calls_in_words_reach_the_paper_s_reader_study(root: Path, tmp_path: Path) -> None:
    calls = ["positive", "Negative ", None, "negative", "positive"]
    labels = pd.DataFrame(LABELS).assign(
        reader_1=calls, reader_1_seconds=60.0, reader_2=["positive", "negative", "Roe", "", None]
    )
    built = manifest_from_dicom(root, labels, folder=tmp_path)
    # dicom/a/soft is pat-1's, dicom/b pat-2's, dicom/c pat-3's.
    (reader,) = readers(built.manifest.sort_values("path"))
    assert (reader.name, reader.remark) == ("1", None)
    assert reader.read.tolist() == [True, True, False]
    assert reader.value[:2].tolist() == [1, 0]
    assert "reader_2" not in built.manifest
    assert any("reader_2" in note for note in built.notes)


def test_a_column_is_kept_when_it_is_named(root: Path, labels: Path, tmp_path: Path) -> None:
    built = manifest_from_dicom(root, labels, folder=tmp_path, keep_columns=["ward"])
    assert set(built.manifest["ward"]) == {1, 2, 3}
    assert "name" not in built.manifest
    (note,) = (note for note in built.notes if "--keep-column" in note)
    assert "ward" not in note
    with pytest.raises(ManifestError, match=r"no further column 'wards'.*did you mean ward\?"):
        manifest_from_dicom(root, labels, folder=tmp_path, keep_columns=["wards"])


def test_what_others_call_a_scan_is_kept_in_a_column_of_its_own(root: Path, tmp_path: Path) -> None:
    table = pd.DataFrame({"patient_id": ["pat-1", "pat-2"], "class_name": ["covid", "np"]})
    table["scan_id"] = ["../ward 7/1", "../ward 7/2"]
    built = manifest_from_dicom(
        root, table, folder=tmp_path, label_rule=None, keep_columns=["original_id"]
    )
    assert set(built.manifest["original_id"]) == {"../ward 7/1", "../ward 7/2"}
    assert all(map(is_name, built.manifest["scan_id"]))


def test_a_class_that_cannot_name_a_file_is_refused_before_scans_are_read(tmp_path: Path) -> None:
    table = pd.DataFrame({"patient_id": ["pat-1"], "class_name": ["ground/glass"]})
    with pytest.raises(ManifestError, match=r"row 1, column 'class_name'.*ground_glass"):
        manifest_from_dicom(tmp_path / "nowhere", table, folder=tmp_path)


def test_the_key_keeps_pseudonyms_stable(root: Path, labels: Path, tmp_path: Path) -> None:
    one = manifest_from_dicom(root, labels, folder=tmp_path).manifest
    again = manifest_from_dicom(root, labels, folder=tmp_path).manifest
    pd.testing.assert_frame_equal(one, again)
    other = manifest_from_dicom(root, labels, folder=tmp_path, key_file=tmp_path / "k").manifest
    assert set(other["patient_id"]).isdisjoint(one["patient_id"])
    assert other["scan_id"].tolist() == one["scan_id"].tolist()
    key = tmp_path / "manifest.key"
    key.write_text("not a key")
    with pytest.raises(ManifestError, match=r"manifest.key: this is not a key"):
        manifest_from_dicom(root, labels, folder=tmp_path)


def test_identifiers_are_kept_on_request(root: Path, labels: Path, tmp_path: Path) -> None:
    table = manifest_from_dicom(root, labels, folder=tmp_path, keep_identifiers=True).manifest
    assert set(table["patient_id"]) == {"pat-1", "pat-2", "pat-3"}
    assert "1.2.1.1" in set(table["series_uid"])
    assert set(table["name"]) == {"Doe"}
    assert not (tmp_path / "manifest.key").exists()


def test_its_rows_can_be_read(root: Path, labels: Path, tmp_path: Path) -> None:
    built = manifest_from_dicom(root, labels, folder=tmp_path)
    table = read_manifest(write_manifest(built.manifest, tmp_path / "sub" / "m.csv"))
    row = table[table["scan_id"] == scan_id_of("1.2.1.1")].iloc[0]
    scan = read_series(row["path"], series_uid=row["series_uid"])
    assert scan.hu.shape == (14, 8, 8)
    assert row["series_uid"] == pseudonym_uid("1.2.1.1")


def test_strict_stops_at_labels_and_scans_with_a_problem(
    root: Path, labels: Path, tmp_path: Path
) -> None:
    with pytest.raises(ManifestError, match=r"1 x label without scan; 1 x refused.: row 5 .line 6"):
        manifest_from_dicom(root, labels, folder=tmp_path, strict=True)
    assert not (tmp_path / "m.csv").exists()


@pytest.mark.parametrize(
    ("key", "values"),
    [
        ("study_uid", ["1.2.1", "1.2.3"]),
        ("series_uid", ["1.2.1.1", "1.2.3.1"]),
        ("path", ["a/soft/", "./c"]),
        ("path", ["a", "c"]),
        ("patient_id", [" pat-1", "pat-3"]),
    ],
)
def test_labels_by_any_key(root: Path, tmp_path: Path, key: str, values: list[str]) -> None:
    labels = pd.DataFrame({key: values, "class_name": ["covid", "np"], "centre": "A"})
    table = manifest_from_dicom(root, labels, folder=tmp_path, label_rule=ByClass()).manifest
    assert by_place(table, tmp_path)["target"].to_dict() == {"dicom/a/soft": 1, "dicom/c": 0}


def test_labels_by_series_choose_the_series(root: Path, tmp_path: Path) -> None:
    labels = pd.DataFrame(
        {"series_uid": ["1.2.1.2", "1.2.3.1"], "class_name": ["covid", "np"], "centre": "A"}
    )
    table = manifest_from_dicom(root, labels, folder=tmp_path, label_rule=ByClass()).manifest
    assert set(by_place(table, tmp_path).index) == {"dicom/a/lung", "dicom/c"}


def test_known_classes_are_read_in_any_way_of_writing(root: Path, tmp_path: Path) -> None:
    labels = pd.DataFrame(
        {"patient_id": ["pat-1", "pat-2", "pat-3"], "class_name": [" COVID", "Tumour ", "Np"]}
    )
    table = manifest_from_dicom(root, labels, folder=tmp_path, label_rule=ByClass()).manifest
    assert dict(zip(table["class_name"], table["target"], strict=True)) == {
        "covid": 1, "Tumour": 0, "np": 0,
    }  # fmt: skip


def test_one_class_alone_is_pointed_out(root: Path, tmp_path: Path) -> None:
    labels = pd.DataFrame({"patient_id": ["pat-1", "pat-3"], "class_name": ["cap", "np"]})
    built = manifest_from_dicom(root, labels, folder=tmp_path, label_rule=ByClass(), centre="A")
    (note,) = (note for note in built.notes if "target" in note)
    assert "all 2 scans have target 0 (classes: cap (1), np (1))" in note


def test_a_projection_does_not_stand_for_its_study(tmp_path: Path, write_series: Write) -> None:
    write_series("original", "pat-1", "1.2.1", "1.2.1.1", ConvolutionKernel="LUNG")
    for place, kind, uid in (("mip", ["AXIAL", "CT_SOM5 MIP"], "2"), ("unnamed", ["AXIAL"], "3")):
        write_series(
            place, "pat-1", "1.2.1", f"1.2.1.{uid}", n=40,
            ImageType=["DERIVED", "SECONDARY", *kind],
        )  # fmt: skip
    built = manifest_from_dicom(tmp_path / "dicom", folder=tmp_path, centre="A")
    assert by_place(built.manifest, tmp_path).index.tolist() == ["dicom/original"]
    everything = manifest_from_dicom(
        tmp_path / "dicom", folder=tmp_path, centre="A", series_choice="all"
    )
    assert set(by_place(everything.manifest, tmp_path).index) == {"dicom/original", "dicom/unnamed"}
    assert "is_derived" not in built.manifest


def test_all_series_of_a_study(root: Path, tmp_path: Path) -> None:
    labels = pd.DataFrame({"patient_id": ["pat-1"], "class_name": ["covid"], "centre": ["A"]})
    built = manifest_from_dicom(
        root, labels, folder=tmp_path, label_rule=ByClass(), inclusion=None, series_choice="all"
    )
    assert len(built.manifest) == 3


def test_the_patient_of_the_labels_wins(tmp_path: Path, write_series: Write) -> None:
    for i in range(6):
        write_series(str(i), "ANONYMOUS", f"1.3.{i}", f"1.3.{i}.1", PatientSex="FM"[i % 2])
    labels = pd.DataFrame({"path": [str(i) for i in range(6)], "class_name": "np", "centre": "A"})
    root = tmp_path / "dicom"
    warned = manifest_from_dicom(root, labels, folder=tmp_path, label_rule=None, inclusion=None)
    assert warned.manifest["patient_id"].nunique() == 1
    assert any("scans of both sexes" in note for note in warned.notes)
    assert any("one PatientID covers 6 of 6 studies" in note for note in warned.notes)
    labels["patient_id"] = [f"person {i}" for i in range(6)]
    built = manifest_from_dicom(root, labels, folder=tmp_path, label_rule=None, inclusion=None)
    assert built.manifest["patient_id"].nunique() == 6
    assert built.notes == ()


def test_without_a_patient_id_each_study_is_a_patient(tmp_path: Path, write_series: Write) -> None:
    write_series("a", "", "1.3.1", "1.3.1.1")
    write_series("b", "", "1.3.2", "1.3.2.1")
    built = manifest_from_dicom(tmp_path / "dicom", folder=tmp_path, centre="A")
    assert built.manifest["patient_id"].nunique() == 2
    assert built.notes[0].startswith("2 series have no PatientID")


def test_a_path_with_the_patient_id_is_pointed_out(tmp_path: Path, write_series: Write) -> None:
    write_series("smith42", "smith42", "1.3.1", "1.3.1.1")
    built = manifest_from_dicom(tmp_path / "dicom", folder=tmp_path, centre="A")
    assert built.notes[0].startswith("1 path with the PatientID in it")


def test_without_labels_every_study_is_there_for_prediction(root: Path, tmp_path: Path) -> None:
    built = manifest_from_dicom(root, folder=tmp_path)
    assert len(built.manifest) == 5
    assert built.manifest["class_name"].isna().all()
    assert "target" not in built.manifest
    assert built.manifest["centre"].isna().all()
    assert any("--centre" in note for note in built.notes)


def test_rules_and_checks_are_arguments(root: Path, labels: Path, tmp_path: Path) -> None:
    built = manifest_from_dicom(
        root,
        labels,
        folder=tmp_path,
        checks=Checks(override=frozenset({"missing_slice"})),
        label_rule=MultiClass(["np", "cap", "covid"]),
        inclusion=InclusionCriteria(max_slice_thickness_mm=None),
    )
    assert built.manifest["target"].tolist().count(2) == 2
    assert built.manifest["status"].tolist() == ["ok"] * 4
    assert any(path.endswith("d") for path in built.manifest["path"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"patient_id": ["pat-1", "pat-1", "pat-3", "pat-4", "pat-9"]},
            r"rows 1, 2 .lines 2, 3 ",
        ),
        (
            {"patient_id": [None, "pat-2", "pat-3", "pat-4", "pat-9"]},
            r"row 1 .*'patient_id'",
        ),
        (
            {"rtpcr_initial": ["pos", None, None, None, None]},
            r"row 1 .*'rtpcr_initial': val",
        ),
        ({"age": [1, 2, 3, 4, 400]}, r"row 5 .line 6 of the file., column 'age': value '400'"),
    ],
)
def test_bad_labels_are_named_by_row(
    root: Path, tmp_path: Path, change: dict[str, list[object]], message: str
) -> None:
    pd.DataFrame(LABELS | change).to_csv(tmp_path / "labels.csv", index=False)
    with pytest.raises(ManifestError, match=message) as caught:
        manifest_from_dicom(root, tmp_path / "labels.csv", folder=tmp_path / "out")
    assert "pat-" not in str(caught.value).replace(str(tmp_path), "")
    assert not (tmp_path / "out").exists()


def test_labels_that_fit_nothing_say_so(root: Path, tmp_path: Path) -> None:
    labels = pd.DataFrame({"patient_id": ["x"], "class_name": ["np"], "centre": ["A"]})
    with pytest.raises(ManifestError, match=r"no scan is left .*labelled: 0 left"):
        manifest_from_dicom(root, labels, folder=tmp_path)
    with pytest.raises(ManifestError, match=r"no column tells which scan.*has: class_name"):
        manifest_from_dicom(root, labels.drop(columns="patient_id"), folder=tmp_path)
    with pytest.raises(ManifestError, match=r"no row gets a target.*label_rule=by_class"):
        manifest_from_dicom(root, labels.assign(patient_id="pat-1"), folder=tmp_path)


def test_lost_leading_zeros_are_recognised(tmp_path: Path, write_series: Write) -> None:
    write_series("a", "007", "1.3.1", "1.3.1.1")
    write_series("b", "1234", "1.3.2", "1.3.2.1")
    labels = pd.DataFrame({"patient_id": ["7", "1234"], "class_name": "np", "centre": "A"})
    built = manifest_from_dicom(tmp_path / "dicom", labels, folder=tmp_path, label_rule=None)
    assert "leading zeros" in built.unmatched_labels["reason"].iloc[0]


def test_a_folder_without_dicom_is_refused(tmp_path: Path) -> None:
    (tmp_path / "dicom").mkdir()
    (tmp_path / "dicom" / "note.txt").write_text("hello")
    with pytest.raises(ManifestError, match=r"no DICOM image series.*covidlit inspect"):
        manifest_from_dicom(tmp_path / "dicom", folder=tmp_path)
