"""What a program does with scans through the client: grades, corrects, sends, exports."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from zipfile import ZipFile

import pytest
from client_world import Served, served_at

from covidlit.platform.client import Platform, PlatformError

pytestmark = pytest.mark.slow

SQUARE = [(20.0, 20.0), (26.0, 20.0), (26.0, 26.0), (20.0, 26.0)]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served_at(tmp_path_factory.mktemp("served") / "platform") as own:
        yield own


@pytest.fixture
def platform(served: Served) -> Iterator[Platform]:
    with Platform(served.address, served.tokens["PHYSICIAN"]) as own:
        yield own


def test_scans_are_graded_by_two(served: Served, platform: Platform) -> None:
    with (
        Platform(served.address, served.tokens["GRADER_FIRST"]) as first,
        Platform(served.address, served.tokens["GRADER_SECOND"]) as second,
    ):
        assert "covid" in first.grading_choices()["classes"]
        waiting = first.queue("first")
        assert [each.patient for each in waiting] == ["P-north", "P-north"]
        seen = waiting[0].grades()
        assert (seen.state, seen.levels, seen.grades) == ("ungraded", ["first"], [])
        seen.exclude("first", "other", "half a lung")
        assert seen.exclude("first", "other", "half a lung").number == 1  # sent twice
        with pytest.raises(PlatformError, match="graded it as the first") as late:
            seen.grade("first", "good", "covid")  # on what was seen before
        assert late.value.status == 409
        done = waiting[1].grades().grade("first", "good", "covid", severity="mild")
        assert done.grades[0].grader == "grader_first"
        with pytest.raises(PlatformError, match="Choose"):
            done.grade("first", "", "covid")
        with pytest.raises(PlatformError, match="right to verify"):
            first.queue("second")
        _, other = second.queue("second")
        assert other.grades().confirm("agreed").state == "approved"
    table = platform.grading_manifest().set_index("scan_id")
    assert table["label_status"].tolist() == ["graded", "approved"]
    assert table["class_name"].tolist()[1] == "covid"


def test_values_severity_and_report_are_read(platform: Platform, tmp_path: Path) -> None:
    patient = platform.patient("P-north")
    known = patient.clinical()
    assert known.about == ["61 years"]
    table = known.table()
    assert table["crp_mg_per_l"].tolist() == [12.5, 80.0]
    assert table.index.day.tolist() == [1, 9]
    assert platform.patient("Q000").clinical().table().empty
    without, scored = patient.scans()
    assert without.severity() is None
    severity = scored.severity()
    assert severity is not None
    assert (severity.low, severity.score, severity.high) == (0.7, 0.8, 0.9)
    assert severity.positive == "severe illness"
    path = patient.save_report(tmp_path / "report.html")
    assert path.read_text() == "<p>a report</p>"
    with pytest.raises(PlatformError, match="nothing of this kind"):
        platform.patient("Q000").save_report(tmp_path / "other.html")
    assert [each.name for each in tmp_path.iterdir()] == ["report.html"]


def test_a_clinical_table_is_brought_in_and_withdrawn(platform: Platform, tmp_path: Path) -> None:
    path = tmp_path / "labs.csv"
    path.write_text("patient_id,date,crp_mg_per_l\nH-9,2020-03-01,12\n")
    table = platform.add_clinical_table(path, "north", "clinic")
    assert table.job is not None
    assert table.job.wait(120).state == "done"
    table = table.now()
    assert (table.n_patients, table.n_unknown) == (0, 1)
    assert next(platform.clinical_tables()).id == table.id
    assert table.withdraw().withdrawn_at is not None
    assert platform.mappings()
    with pytest.raises(PlatformError, match="no such mapping"):
        platform.add_clinical_table(path, "north", "clinic", mapping="nothing")


def test_results_are_sent_as_they_were_seen(served: Served, platform: Platform) -> None:
    unmeasured, scan = platform.patient("P-north").scans()
    seen = scan.sendable()
    assert [each["name"] for each in seen.archives] == ["pacs"]
    with pytest.raises(PlatformError, match="at least 1 item"):
        unmeasured.sendable().send("pacs")  # it has no objects
    sending = seen.send("pacs", ["factors.dcm", "report.dcm"])
    assert sending.job is not None
    sending.job.wait(120)
    assert [each["state"] for each in sending.now().objects] == ["sent", "sent"]
    assert len(served.archive.stored) == 2
    assert next(platform.sendings()).id == sending.id
    assert sending.again().objects == sending.now().objects  # nothing is left to send


def test_lesions_are_corrected(served: Served) -> None:
    with Platform(served.address, served.tokens["ANNOTATOR"]) as annotator:
        scan = annotator.patient("P-north").scans()[0]
        assert scan.draft() is None
        draft = scan.correct()
        done = draft.edit("new", slice_index=1, contour=SQUARE, class_name="fibrosis")
        assert done["effect"]["more"] == 36
        draft.edit("reclassify", lesion=1, class_name="consolidation")
        assert [each["kind"] for each in draft.undo().edits] == ["new"]
        with pytest.raises(PlatformError, match="different point"):
            draft.edit("new", slice_index=1, contour=SQUARE[:2], class_name="fibrosis")
        saved = draft.save()
        assert (saved.by, saved.version) == ("annotator", 1)
        assert scan.draft() is None
        with pytest.raises(PlatformError, match="no model labels lesions here"):
            saved.wait(300)


def test_a_training_set_is_made_and_saved(platform: Platform, tmp_path: Path) -> None:
    made = platform.export("north", "clinic").wait(300)
    assert made.is_ready
    assert made.n_scans == 1
    with ZipFile(made.save(tmp_path / "set.zip")) as archive:
        assert "manifest.csv" in archive.namelist()
    assert (tmp_path / "set.zip").stat().st_size == made.n_bytes
    assert [each.id for each in platform.exports()] == [made.id]
    with pytest.raises(PlatformError, match="centre"):
        platform.export("nowhere!", "clinic")
