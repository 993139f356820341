"""What is kept beside a manifest."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from covidlit.cohort import Flow, InclusionCriteria, read_manifest, write_manifest
from covidlit.cohort.sources import existing_manifest, flow_of, flow_path
from covidlit.errors import ManifestError
from covidlit.synthetic.source import synthetic_manifest
from covidlit.tables import read_table, write_table


@pytest.fixture
def kept(tmp_path: Path, manifest: pd.DataFrame) -> Path:
    """A manifest with two refused scans, and its flow."""
    manifest["status"] = ["refused"] * 2 + ["ok"] * 46
    manifest["reason"] = [None if status == "ok" else "thick" for status in manifest["status"]]
    flow = Flow.start(manifest, "series found")
    _, flow = flow.step(manifest, "accepted", manifest["status"] == "refused")
    path = write_manifest(manifest, tmp_path / "m.csv")
    write_table(flow.to_frame(), flow_path(path))
    return path


def test_a_manifest_s_own_flow_is_shown(kept: Path) -> None:
    flow, note = flow_of(kept)
    assert flow is not None
    assert flow["n_left"].tolist() == [48, 46]
    assert note == ""


def test_a_manifest_may_have_no_flow(kept: Path) -> None:
    flow_path(kept).unlink()
    assert flow_of(kept) == (None, "")


def test_criteria_leave_rows_of_a_manifest_out_and_are_counted(kept: Path, tmp_path: Path) -> None:
    pd.read_csv(kept).assign(slice_thickness_mm=[5, 5, 8] + [5] * 45).to_csv(kept, index=False)
    criteria = InclusionCriteria(initial_scan_only=False, tested_or_before=None)
    folder = tmp_path / "elsewhere"
    used = existing_manifest(str(kept), str(folder), criteria)
    left = read_manifest(used)
    assert (used.parent, len(left)) == (folder, 47)
    assert read_table(used)["path"].iloc[0] == "../dicom/0"
    flow, note = flow_of(used)
    assert note == ""
    assert flow is not None
    assert flow["criterion"].iloc[:4].tolist() == [
        "series found", "accepted", "scans in m.csv", "slices of at most 5 mm",
    ]  # fmt: skip
    assert flow["n_left"].tolist() == [48, 46, 48, 47, 47, 45]
    assert flow["step"].tolist() == [0, 1, 2, 3, 4, 5]
    other = existing_manifest(str(kept), str(folder), replace(criteria, min_spo2_percent=None))
    assert other != used
    assert existing_manifest(str(kept), str(folder)) == kept
    with pytest.raises(ManifestError, match="no row meets the inclusion criteria"):
        existing_manifest(str(kept), str(folder), replace(criteria, max_slice_thickness_mm=1))


@pytest.mark.parametrize("change", ["row", "patient", "columns", "empty"])
def test_the_flow_of_another_manifest_is_not_shown(kept: Path, change: str) -> None:
    table, flow = pd.read_csv(kept), pd.read_csv(flow_path(kept))
    if change == "row":
        table = table.iloc[:-1]
    elif change == "patient":
        table.loc[47, "patient_id"] = "P99"
    elif change == "columns":
        flow = flow.rename(columns={"n_left": "left"})
    else:
        flow = flow.iloc[:0]
    table.to_csv(kept, index=False)
    flow.to_csv(flow_path(kept), index=False)
    shown, note = flow_of(kept)
    assert shown is None
    assert "m.flow.csv is not shown" in note


@pytest.mark.parametrize(
    "content", [b"", b"step,n_left\nfound,48\nok,46,1,2\n", b"\xff\xfe\x00step", b"\n\n"]
)
def test_a_damaged_flow_is_not_shown(kept: Path, content: bytes) -> None:
    flow_path(kept).write_bytes(content)
    shown, note = flow_of(kept)
    assert shown is None
    assert "m.flow.csv is not shown: the table cannot be read" in note


def test_the_criteria_of_a_synthetic_cohort_can_be_chosen(tmp_path: Path) -> None:
    arguments = {"preset": "mild", "n_scans": 8, "seed": 0, "matrix": 32, "thickness_mm": 5.0}
    thin = InclusionCriteria(spo2_classes=["covid"], min_spo2_percent=None)
    manifests = [
        synthetic_manifest(str(tmp_path), n_jobs=1, **given, **arguments)
        for given in (
            {},
            {"inclusion": InclusionCriteria()},
            {"inclusion": thin},
            {"inclusion": None},
        )
    ]
    assert manifests[0] == manifests[1]
    assert manifests[0].name == "manifest.csv"
    assert len(set(manifests)) == 3
    assert [len(pd.read_csv(flow_path(path))) for path in manifests] == [8, 8, 7, 4]


def test_criteria_that_nothing_meets_for_want_of_a_column_name_it(
    kept: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """conf/inclusion=paper with on_missing=exclude on a cohort without SpO2."""
    pd.read_csv(kept).assign(slice_thickness_mm=5, rtpcr_initial="negative").to_csv(
        kept, index=False
    )
    criteria = InclusionCriteria(initial_scan_only=False, on_missing="exclude")
    left = read_manifest(existing_manifest(str(kept), str(tmp_path / "some"), criteria))
    assert set(left["class_name"]) == {"np"}
    assert "there is no column spo2_percent. Fix: complete spo2_percent" in caplog.text
    every = replace(criteria, spo2_classes=["covid", "cap", "np"])
    with pytest.raises(ManifestError, match=r"no row meets.*no column spo2_percent: 0 left") as no:
        existing_manifest(str(kept), str(tmp_path / "none"), every)
    assert "inclusion.min_spo2_percent=null" in str(no.value)


def test_misspelt_names_of_a_manifest_written_by_hand_are_warned_of(
    kept: Path, caplog: pytest.LogCaptureFixture
) -> None:
    table = pd.read_csv(kept).assign(rtpcr_inital="negative", study_id=3)
    table.loc[[1, 4], "class_name"] = "nnp"
    table.loc[2, "class_name"] = "influenza"
    table.to_csv(kept, index=False)
    assert existing_manifest(str(kept)) == kept
    said = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    column, name = said
    assert "'rtpcr_inital' (48 rows filled)" in column
    assert "did you mean rtpcr_initial?" in column
    assert "'nnp' in 2 rows (2, 5; lines 3, 6 of the file): did you mean np?" in name
