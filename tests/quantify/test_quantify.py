"""`covidlit quantify` with masks: what it writes, what it keeps, what it refuses."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import highdicom as hd
import nibabel as nib
import numpy as np
import pandas as pd
import pydicom
import pytest
from pypdf import PdfReader
from typer.testing import CliRunner

import covidlit.quantify.many
from covidlit.cli.app import app
from covidlit.dicom import read_series
from covidlit.errors import ConfigError, CovidlitError
from covidlit.lesions import read_factors, read_labels, read_lesions
from covidlit.quantify.many import quantify
from covidlit.quantify.masks import MaskLabeller
from covidlit.quantify.results import Results
from covidlit.synthetic import CohortPaths

pytestmark = pytest.mark.slow

Quantify = Callable[..., Results]


@pytest.fixture(scope="module")
def done(repeated: CohortPaths, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("quantified")
    assert repeated.truth is not None
    quantify(repeated.dicom, MaskLabeller(repeated.truth), out)
    return out


def _written(out: Path) -> dict[str, int]:
    return {
        str(path.relative_to(out)): path.stat().st_mtime_ns
        for path in out.rglob("*")
        if path.is_file() and path.suffix in (".gz", ".dcm", ".html", ".pdf")
    }


def _load(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Values and affine of a NIfTI file."""
    image = nib.Nifti1Image.from_filename(path)
    assert image.affine is not None
    return np.asanyarray(image.dataobj).copy(), np.array(image.affine)


def _save(path: Path, values: np.ndarray, affine: np.ndarray) -> None:
    nib.Nifti1Image(values, affine).to_filename(path)


def test_labels_tables_objects_and_pages_of_every_scan(done: Path, repeated: CohortPaths) -> None:
    assert repeated.truth is not None
    factors, lesions = (
        read_factors(done / "factors.parquet"),
        read_lesions(done / "lesions.parquet"),
    )
    assert len(factors) == 3
    for row in factors.itertuples():
        labels = read_labels(done / "labels", row.scan_id)
        true = read_labels(repeated.truth, row.scan_id)
        assert (labels.classes == true.classes).all()
        voxel_ml = abs(np.linalg.det(labels.affine[:3, :3])) / 1000
        assert row.total_volume_ml == pytest.approx((true.classes >= 2).sum() * voxel_ml, rel=1e-6)
        own = lesions[lesions["scan_id"] == row.scan_id]
        assert len(own) == row.n_lesions == len(np.unique(true.instances)) - 1
        names = {path.name for path in (done / "dicom" / row.scan_id).iterdir()}
        assert {"classes.dcm", "lesions-1.dcm", "factors.dcm", "report.dcm"} <= names
    for kind in ("html", "pdf"):
        pages = sorted(path.stem for path in (done / "reports").glob(f"*.{kind}"))
        assert pages == sorted(factors["patient_id"].unique())
    assert "total_volume_ml" in (done / "factors.md").read_text()


def test_tracking_uids_and_volumes_agree_between_tables_and_objects(done: Path) -> None:
    lesions = read_lesions(done / "lesions.parquet")
    for scan_id, own in lesions.groupby("scan_id"):
        seg = hd.seg.segread(done / "dicom" / str(scan_id) / "lesions-1.dcm")
        uids = {
            seg.get_segment_description(number).tracking_uid
            for number in seg.segment_numbers
            if seg.get_segment_description(number).tracking_uid
        }
        assert uids == set(own["tracking_uid"])
        report = pydicom.dcmread(done / "dicom" / str(scan_id) / "factors.dcm")
        said = str(report)
        assert all(str(uid) in said for uid in uids)
        assert report.StudyInstanceUID == seg.StudyInstanceUID


def test_scans_of_a_patient_are_compared_by_date(done: Path) -> None:
    factors = read_factors(done / "factors.parquet").sort_values("acquisition_date")
    sizes = factors.groupby("patient_id").size()
    first, second = factors[factors["patient_id"] == sizes.idxmax()].itertuples()
    assert pd.isna(first.volume_change_ml)
    assert second.volume_change_ml == pytest.approx(
        second.total_volume_ml - first.total_volume_ml, abs=1e-6
    )
    (alone,) = factors[factors["patient_id"] == sizes.idxmin()].itertuples()
    assert pd.isna(alone.volume_change_ml)


def test_a_lesion_keeps_its_identifier_in_the_next_scan(
    repeated: CohortPaths, masks: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    truth = quantify(repeated.dicom, MaskLabeller(masks), out, dicom=False, report=False)
    sizes = truth.factors.groupby("patient_id").size()
    own = truth.factors[truth.factors["patient_id"] == sizes.idxmax()]
    first, second = own.sort_values("acquisition_date")["scan_id"]
    for scan_id in (first, second):  # the same ball in both, a second one in the later scan alone
        classes, affine = _load(masks / f"{scan_id}.classes.nii.gz")
        numbers = np.zeros(classes.shape, np.int16)
        classes[classes >= 2] = 1
        lung = np.argwhere(classes == 1)
        low, high = lung.min(axis=0), lung.max(axis=0)
        shares = ((0.25, 0.5, 0.5), (0.75, 0.5, 0.5))[: 1 + (scan_id == second)]
        places = [np.rint(low + np.array(share) * (high - low)).astype(int) for share in shares]
        for number, (x, y, z) in enumerate(places, start=1):
            where = (slice(x - 2, x + 3), slice(y - 2, y + 3), slice(z - 1, z + 2))
            classes[where], numbers[where] = 2, number
        _save(masks / f"{scan_id}.classes.nii.gz", classes, affine)
        _save(masks / f"{scan_id}.instances.nii.gz", numbers, affine)
    found = quantify(repeated.dicom, MaskLabeller(masks), out, dicom=False, report=False).lesions
    (old,) = found[found["scan_id"] == first]["tracking_uid"]
    later = found[found["scan_id"] == second]["tracking_uid"].tolist()
    assert len(later) == len(set(later)) == 2
    assert old in later


def test_nothing_that_identifies_the_patient_is_in_tables_and_pages(
    done: Path, repeated: CohortPaths
) -> None:
    raw = [pydicom.dcmread(path) for path in list(repeated.dicom.rglob("*"))[:40] if path.is_file()]
    known = {str(ds.PatientID) for ds in raw} | {str(ds.StudyInstanceUID) for ds in raw}
    known |= {str(ds.PatientName) for ds in raw if str(ds.get("PatientName", ""))}
    texts = [path.read_text() for path in done.rglob("*.html")]
    pdfs = [PdfReader(path) for path in done.rglob("*.pdf")]
    assert pdfs
    texts += [f"{pdf.metadata} " + "".join(p.extract_text() for p in pdf.pages) for pdf in pdfs]
    texts += [path.read_text() for path in done.rglob("*.json")]
    texts += [(done / "scans.csv").read_text(), read_factors(done / "factors.parquet").to_csv()]
    texts += [read_lesions(done / "lesions.parquet").to_csv()]
    assert not [name for name in known if any(name in text for text in texts)]


def test_a_finished_folder_is_left_alone_and_a_lost_file_is_made_again(
    done: Path, repeated: CohortPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert repeated.truth is not None
    before = _written(done)
    with monkeypatch.context() as patched:
        patched.setattr(covidlit.quantify.many, "quantify_scan", None)
        results = quantify(repeated.dicom, MaskLabeller(repeated.truth), done)
    assert results.n_known == 3
    assert _written(done) == before
    lost = next((done / "dicom").rglob("factors.dcm"))
    lost.unlink()
    results = quantify(repeated.dicom, MaskLabeller(repeated.truth), done)
    assert results.n_known == 2
    assert lost.is_file()


def test_after_a_stop_the_finished_scans_are_kept(
    repeated: CohortPaths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert repeated.truth is not None
    labeller = MaskLabeller(repeated.truth)
    real, calls = covidlit.quantify.many.quantify_scan, []

    def stop(*arguments: object, **named: object) -> object:
        calls.append(arguments)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(*arguments, **named)  # type: ignore[arg-type]

    with monkeypatch.context() as patched:
        patched.setattr(covidlit.quantify.many, "quantify_scan", stop)
        with pytest.raises(KeyboardInterrupt):
            quantify(repeated.dicom, labeller, tmp_path / "out", dicom=False, report=False)
    results = quantify(repeated.dicom, labeller, tmp_path / "out", dicom=False, report=False)
    assert results.n_known == 1
    assert len(results.factors) == 3


def test_other_masks_give_other_results(repeated: CohortPaths, masks: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = quantify(repeated.dicom, MaskLabeller(masks), out, dicom=False, report=False)
    scan_id = first.factors["scan_id"].iloc[0]
    path = masks / f"{scan_id}.classes.nii.gz"
    classes, affine = _load(path)
    classes[classes >= 2] = 1
    _save(path, classes, affine)
    (masks / f"{scan_id}.instances.nii.gz").unlink()
    second = quantify(repeated.dicom, MaskLabeller(masks), out, dicom=False, report=False)
    row = second.factors.set_index("scan_id").loc[scan_id]
    assert row["n_lesions"] == 0
    assert row["total_volume_ml"] == 0
    assert scan_id not in set(second.lesions["scan_id"])


def test_a_scan_without_a_mask_or_with_one_of_another_place_is_listed(
    repeated: CohortPaths, masks: Path, tmp_path: Path
) -> None:
    first, second, third = sorted(masks.glob("*.classes.nii.gz"))
    for path in (first, second):
        (masks / path.name.replace("classes", "instances")).unlink()
    first.unlink()
    values, moved = _load(second)
    moved[:3, 3] += 5
    _save(second, values, moved)
    arguments = [
        "quantify",
        "--masks",
        str(masks),
        str(repeated.dicom),
        "--out",
        str(tmp_path / "o"),
    ]
    shown = CliRunner().invoke(app, [*arguments, "--no-dicom", "--no-report"])
    assert shown.exit_code == 0, shown.output
    scans = pd.read_csv(tmp_path / "o" / "scans.csv").set_index("scan_id")
    assert scans["status"].value_counts().to_dict() == {"refused": 2, "ok": 1}
    assert "no mask of it" in scans.loc[first.name.split(".")[0], "reason"]
    assert "does not lie where the scan does" in scans.loc[second.name.split(".")[0], "reason"]
    assert scans.loc[third.name.split(".")[0], "status"] == "ok"
    strict = CliRunner().invoke(app, [*arguments, "--no-dicom", "--no-report", "--strict"])
    assert strict.exit_code == 1


def test_a_binary_mask_of_an_image_file(repeated: CohortPaths, tmp_path: Path) -> None:
    assert repeated.truth is not None
    series = next(path for path in sorted(repeated.dicom.rglob("*")) if path.is_file()).parent
    scan = read_series(series)
    affine = np.diag([-1.0, -1.0, 1.0, 1.0]) @ scan.affine[:, [2, 1, 0, 3]]
    (tmp_path / "scans").mkdir()
    (tmp_path / "masks").mkdir()
    _save(tmp_path / "scans" / "one.nii.gz", scan.hu.T, affine)
    mask = np.zeros(scan.hu.shape, np.uint8)
    mask[12:15, 30:34, 18:22] = 7
    _save(tmp_path / "masks" / "one.nii.gz", mask.T, affine)
    arguments = ["quantify", "--masks", str(tmp_path / "masks"), str(tmp_path / "scans")]
    arguments += ["--out", str(tmp_path / "out"), "--no-report"]
    refused = CliRunner().invoke(app, arguments)
    assert refused.exit_code == 1
    assert "values without a class: 7" in refused.output.replace("\n", " ")
    shown = CliRunner().invoke(app, [*arguments, "--label", "7=consolidation"])
    assert shown.exit_code == 0, shown.output
    (row,) = read_factors(tmp_path / "out" / "factors.parquet").to_dict("records")
    assert row["total_volume_ml"] == pytest.approx(3 * 16 * np.prod(scan.spacing) / 1000, rel=1e-4)
    assert row["n_lesions"] == 1
    assert 0 < row["proportion_percent"] < 100  # the lungs were found in the scan
    record = json.loads(next((tmp_path / "out" / "records").glob("*.json")).read_text())
    assert any("no DICOM objects: an image file" in note for note in record["notes"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["a", "b", "--masks", "m"], "give PATH alone"),
        (["a"], "CHECKPOINT and PATH"),
        (["a", "b", "--label", "1=lung"], "knows its own classes"),
        (["a", "--masks", ".", "--label", "x"], "VALUE=CLASS"),
        (["a", "--masks", ".", "--label", "1=ground_glas"], "ground_glass"),
        (["a", "--masks", "not_there"], "no such folder"),
        (["a", "--masks", ".", "--segmentation", "fractional"], "binary or labelmap"),
    ],
)
def test_wrong_arguments_are_refused(
    arguments: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shown = CliRunner().invoke(app, ["quantify", *arguments])
    assert shown.exit_code == 2
    assert said in " ".join(shown.output.split())


def test_the_classes_are_a_label_map_by_option(
    repeated: CohortPaths, masks: Path, tmp_path: Path
) -> None:
    series = next(path for path in sorted(repeated.dicom.rglob("*")) if path.is_file()).parent
    arguments = ["quantify", "--masks", str(masks), str(series), "--no-report", "--spread"]
    written = {}
    for kind in ("binary", "labelmap"):
        shown = CliRunner().invoke(
            app, [*arguments, "--out", str(tmp_path / kind), "--segmentation", kind]
        )
        assert shown.exit_code == 0, shown.output
        (path,) = (tmp_path / kind / "dicom").glob("*/classes.dcm")
        assert str(pydicom.dcmread(path).SegmentationType) == kind.upper()
        seg = hd.seg.segread(path)
        written[kind] = seg.get_volume(combine_segments=True, segment_numbers=range(1, 7)).array
    assert written["binary"].any()
    assert (written["binary"] == written["labelmap"]).all()
    spread = pd.read_parquet(tmp_path / "binary" / "spread.parquet")
    assert "with the airways" in spread["definition"].tolist()


def test_an_unknown_class_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="fibros"):
        MaskLabeller(tmp_path, {1: "fibros"})


def test_results_among_the_scans_or_over_another_table_are_refused(
    repeated: CohortPaths, masks: Path, tmp_path: Path
) -> None:
    labeller = MaskLabeller(masks)
    for out in (repeated.dicom, repeated.dicom / "results"):
        with pytest.raises(ConfigError, match="among the scans"):
            quantify(repeated.dicom, labeller, out)
    (tmp_path / "factors.parquet").write_bytes(b"of the user")
    with pytest.raises(CovidlitError, match="would write over"):
        quantify(repeated.dicom, labeller, tmp_path)
    assert (tmp_path / "factors.parquet").read_bytes() == b"of the user"


def test_a_series_that_allows_no_objects_keeps_the_rest(
    repeated: CohortPaths, masks: Path, tmp_path: Path
) -> None:
    series = next(path for path in sorted(repeated.dicom.rglob("*")) if path.is_file()).parent
    shutil.copytree(series, tmp_path / "scans" / "one")
    for path in (tmp_path / "scans" / "one").iterdir():
        ds = pydicom.dcmread(path)
        del ds.PatientBirthDate
        ds.save_as(path)
    arguments = ["quantify", "--masks", str(masks), str(tmp_path / "scans"), "--no-report"]
    arguments += ["--out", str(tmp_path / "out")]
    shown = CliRunner().invoke(app, arguments)
    assert shown.exit_code == 0, shown.output
    (row,) = pd.read_csv(tmp_path / "out" / "scans.csv").to_dict("records")
    assert row["status"] == "ok"
    assert "no DICOM objects" in row["notes"]
    assert "PatientBirthDate" in row["notes"]
    assert not (tmp_path / "out" / "dicom").exists()
    shown = CliRunner().invoke(app, [*arguments, "--absent-as-empty"])
    assert shown.exit_code == 0, shown.output
    assert len(list((tmp_path / "out" / "dicom").rglob("classes.dcm"))) == 1
    # Objects of an earlier call would show what was drawn then.
    shown = CliRunner().invoke(app, arguments)
    assert shown.exit_code == 0, shown.output
    assert not list((tmp_path / "out" / "dicom").rglob("*.dcm"))
