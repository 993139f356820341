"""What is kept beside a manifest."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from covidlit.cohort import Flow, write_manifest
from covidlit.cohort.sources import flow_of, flow_path
from covidlit.tables import write_table


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
