"""Many scans into one folder: a second call with the same input does the rest, with other input
all of it; and the book-keeping grows with the number of scans, not with its square."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from covidlit.cohort.scan_sources import ScanSource, find_scans
from covidlit.deploy.predict import predict
from covidlit.dicom import Checks
from covidlit.explain.evaluation import evaluate_heatmaps
from covidlit.explain.heat_files import TABLE
from covidlit.explain.many import explain_scans
from covidlit.explain.predicted import heatmaps_of_scored
from covidlit.explain.truth import Truth
from covidlit.explain.write import HeatmapWriter
from covidlit.scans.images import write_nifti
from covidlit.tables import read_table

AFFINE = np.array([[0, 0, 2, 0], [0, 2, 0, 5], [5, 0, 0, -70], [0, 0, 0, 1]], float)
Explain = Callable[..., pd.DataFrame]


def write_image(path: Path, seed: int) -> Path:
    hu = np.random.default_rng(seed).integers(-1000, 400, (20, 24, 20)).astype(np.int16)
    return write_nifti(hu, AFFINE, path)


def write_labels(folder: Path, scan_id: str, column: int) -> None:
    classes, instances = np.ones((20, 24, 20), np.uint8), np.zeros((20, 24, 20), np.int32)
    classes[8:12, 8:12, column], instances[8:12, 8:12, column] = 3, 1
    write_nifti(classes, AFFINE, folder / f"{scan_id}.classes.nii.gz")
    write_nifti(instances, AFFINE, folder / f"{scan_id}.instances.nii.gz")


def write_manifest(folder: Path, scan_ids: list[str]) -> Path:
    rows = {"patient_id": scan_ids, "scan_id": scan_ids, "path": [f"{i}.nii" for i in scan_ids],
            "class_name": "covid", "centre": "a"}  # fmt: skip
    pd.DataFrame(rows).to_csv(folder / "manifest.csv", index=False)
    return folder / "manifest.csv"


def files_of(out: Path, table: pd.DataFrame) -> dict[str, tuple[bytes, bytes]]:
    """The content of a table's files, by the path of the scan."""
    rows = table[table["status"] == "ok"].to_dict("records")
    return {
        row["path"]: ((out / row["nifti"]).read_bytes(), (out / row["png"]).read_bytes())
        for row in rows
    }


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the heatmaps that were made."""
    names: list[str] = []
    write = HeatmapWriter.write

    def noting(self: HeatmapWriter, *args: Any, name: str, **more: Any) -> Any:
        names.append(name)
        return write(self, *args, name=name, **more)

    monkeypatch.setattr(HeatmapWriter, "write", noting)
    return names


@pytest.fixture
def explain(csacnet_run: Path) -> Explain:
    def call(path: Path, out: Path, **options: Any) -> pd.DataFrame:
        own = {k: options.pop(k) for k in ("truth", "done") if k in options}
        arguments = {"scale": 1.0, "n_slices": 1} | options
        writer = HeatmapWriter(csacnet_run / "checkpoints" / "last.ckpt", out, **arguments)
        return explain_scans(writer, find_scans(path, Checks()), **own)

    return call


def assert_same(out: Path, table: pd.DataFrame, alone: Path, wanted: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(table, wanted)
    assert files_of(out, table) == files_of(alone, wanted)
    pd.testing.assert_frame_equal(read_table(out / TABLE), read_table(alone / TABLE))


def test_other_images_into_the_same_folder_get_heatmaps_of_their_own(
    tmp_path: Path, explain: Explain, made: list[str]
) -> None:
    for number, folder in enumerate(("a", "b")):
        for k in range(2):
            write_image(tmp_path / folder / f"scan{k}.nii", 10 * number + k)
    out = tmp_path / "out"
    first = explain(tmp_path / "a", out)
    second = explain(tmp_path / "b", out)
    assert_same(out, second, tmp_path / "b_alone", explain(tmp_path / "b", tmp_path / "b_alone"))
    assert len({*first["scan_id"], *second["scan_id"]}) == 4
    made.clear()
    again = explain(tmp_path / "a", out)  # whose files are still there
    assert made == []
    assert_same(out, again, tmp_path / "a_alone", explain(tmp_path / "a", tmp_path / "a_alone"))


def test_one_id_for_other_scans_never_gets_their_heatmaps(
    tmp_path: Path, explain: Explain, made: list[str]
) -> None:
    manifests = {}
    for number, folder in enumerate(("a", "b")):
        for k, scan_id in enumerate(("s1", "s2")):
            write_image(tmp_path / folder / f"{scan_id}.nii", 10 * number + k)
        manifests[folder] = write_manifest(tmp_path / folder, ["s1", "s2"])
    out = tmp_path / "out"
    for folder in ("a", "b", "a"):
        alone = tmp_path / f"{folder}_alone"
        wanted = explain(manifests[folder], alone)
        made.clear()
        assert_same(out, explain(manifests[folder], out), alone, wanted)
        assert made == ["s1", "s2"]


def test_a_scan_replaced_by_one_of_the_same_size_and_date_is_explained_anew(
    tmp_path: Path, explain: Explain, made: list[str]
) -> None:
    for k in range(2):
        write_image(tmp_path / "scans" / f"s{k}.nii", k)
    manifest, out = write_manifest(tmp_path / "scans", ["s0", "s1"]), tmp_path / "out"
    before = explain(manifest, out)
    path = tmp_path / "scans" / "s1.nii"
    known = path.stat()
    write_image(path, 5)
    os.utime(path, ns=(known.st_atime_ns, known.st_mtime_ns))
    assert path.stat().st_size == known.st_size
    made.clear()
    after = explain(manifest, out)
    assert made == ["s1"]
    assert before["score"][0] == after["score"][0]
    assert before["score"][1] != after["score"][1]


@pytest.mark.parametrize(
    "change", [{"n_slices": 2}, {"scale": 2.0}, {"method": "activation"}, {"layer": "last_pool"}]
)
def test_other_settings_make_other_heatmaps(
    tmp_path: Path, explain: Explain, made: list[str], change: dict[str, Any]
) -> None:
    write_image(tmp_path / "scans" / "a.nii", 0)
    explain(tmp_path / "scans", tmp_path / "out")
    explain(tmp_path / "scans", tmp_path / "out", **change)
    assert len(made) == 2


def test_only_the_scans_whose_labels_changed_are_judged_again(
    tmp_path: Path, explain: Explain, made: list[str]
) -> None:
    for k in range(2):
        write_image(tmp_path / "scans" / f"s{k}.nii", k)
        write_labels(tmp_path / "truth", f"s{k}", 4)
    manifest, out = write_manifest(tmp_path / "scans", ["s0", "s1"]), tmp_path / "out"
    before = explain(manifest, out, truth=Truth(tmp_path / "truth"))
    write_labels(tmp_path / "truth", "s1", 14)
    made.clear()
    after = explain(manifest, out, truth=Truth(tmp_path / "truth"))
    assert made == ["s1"]
    assert before["distance_mm"][0] == after["distance_mm"][0]
    assert before["distance_mm"][1] != after["distance_mm"][1]
    without = explain(manifest, out)
    assert "has_lesions" not in without
    assert made == ["s1", "s0", "s1"]  # without the outlines of lesions in the pictures


def test_a_stopped_call_is_taken_up_where_it_stopped(
    tmp_path: Path, explain: Explain, made: list[str]
) -> None:
    for k in range(4):
        write_image(tmp_path / "scans" / f"{k}.nii", k)
    out, left = tmp_path / "out", iter([None, KeyboardInterrupt])

    def stop_at_second() -> None:
        if error := next(left):
            raise error

    with pytest.raises(KeyboardInterrupt):
        explain(tmp_path / "scans", out, done=stop_at_second)
    assert len(made) == 2
    assert not (out / TABLE).exists()  # nothing looks as if it were whole
    made.clear()
    table = explain(tmp_path / "scans", out)
    assert len(made) == 2
    assert_same(out, table, tmp_path / "alone", explain(tmp_path / "scans", tmp_path / "alone"))


def test_a_missing_or_damaged_file_is_made_again(
    tmp_path: Path, explain: Explain, made: list[str]
) -> None:
    for k in range(3):
        write_image(tmp_path / "scans" / f"s{k}.nii", k)
    manifest, out = write_manifest(tmp_path / "scans", ["s0", "s1", "s2"]), tmp_path / "out"
    explain(manifest, out)
    (out / "s0.png").unlink()
    (out / "s2.heat.json").write_text('{"made_from": ')
    made.clear()
    explain(manifest, out)
    assert made == ["s0", "s2"]


def test_an_image_that_cannot_be_read_is_told_by_its_path(tmp_path: Path, explain: Explain) -> None:
    write_image(tmp_path / "scans" / "good.nii", 0)
    (tmp_path / "scans" / "bad.nii").write_bytes(b"no image")
    table = explain(tmp_path / "scans", tmp_path / "out").set_index("path")
    assert table["status"].to_dict() == {"bad.nii": "refused", "good.nii": "ok"}
    assert table.loc["bad.nii", "scan_id"] == ""
    assert "cannot be read" in table.loc["bad.nii", "reason"]


def test_heatmaps_of_scored_scans_replace_those_that_were_explained(
    tmp_path: Path, explain: Explain, made: list[str], csacnet_run: Path
) -> None:
    """`covidlit predict --heatmaps` into a folder of `covidlit explain`, and into its own."""
    manifests = {}
    for number, folder in enumerate(("a", "b")):
        write_image(tmp_path / folder / "s1.nii", number)
        write_image(tmp_path / folder / "more" / "x.nii", 10 + number)
        manifests[folder] = write_manifest(tmp_path / folder, ["s1"])
    out, checkpoint = tmp_path / "out", csacnet_run / "checkpoints" / "last.ckpt"
    first = explain(manifests["a"], out)

    def score(path: Path) -> pd.DataFrame:
        with heatmaps_of_scored(checkpoint, out, scale=1.0, n_slices=1) as on_scored:
            scores = predict(checkpoint, path, on_scored=on_scored)
        table = read_table(out / TABLE)
        assert table["path"].tolist() == scores["path"].tolist()
        np.testing.assert_allclose(table["score"], scores["score"])
        return table

    score(manifests["b"])
    made.clear()
    again = explain(manifests["a"], out)  # whose file lies there no more
    assert made == ["s1"]
    pd.testing.assert_frame_equal(first, again)
    images = [score(tmp_path / folder / "more") for folder in ("a", "b")]
    assert images[0]["nifti"][0] != images[1]["nifti"][0]


class QuickWriter(HeatmapWriter):
    """Writes a heatmap without making one."""

    def __init__(self, out_dir: Path) -> None:
        self.out_dir = out_dir

    def settings(self) -> dict[str, Any]:
        return {}

    def write(self, *args: Any, name: str, **more: Any) -> Any:
        for ending in ("heat.nii.gz", "png"):
            (self.out_dir / f"{name}.{ending}").touch()
        row = {"scan_id": name, "score": 0.5, "status": "ok"}
        return type("Written", (), {"row": row, "heatmap": None, "heat_in_lung": 0.5})


def test_the_bookkeeping_grows_with_the_number_of_scans(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written, replace = [0], os.replace

    def counting(source: Any, target: Any) -> None:
        written[0] += Path(source).stat().st_size
        replace(source, target)

    def book_keeping(n: int) -> tuple[int, int, int]:
        """Bytes written by a first call, by one after a stop in its middle, and opened files."""
        scans, out = tmp_path / f"scans{n}", tmp_path / f"out{n}"
        scans.mkdir()
        out.mkdir()
        for k in range(n):
            (scans / f"{k:04d}").touch()
        sources = [
            ScanSource(f"s{k:04d}", f"{k:04d}", read=lambda: None, location=scans / f"{k:04d}")
            for k in range(n)
        ]
        written[0] = 0
        explain_scans(QuickWriter(out), sources[: n // 2])
        first, written[0] = written[0], 0
        opened = [0]
        open_file = Path.read_text

        def noting(self: Path, *args: Any, **more: Any) -> str:
            opened[0] += 1
            return open_file(self, *args, **more)

        monkeypatch.setattr(Path, "read_text", noting)
        explain_scans(QuickWriter(out), sources)
        monkeypatch.setattr(Path, "read_text", open_file)
        return first, written[0], opened[0]

    monkeypatch.setattr(os, "replace", counting)
    few, many = book_keeping(20), book_keeping(400)
    for one, other in zip(few, many, strict=True):
        assert 0 < other < 21 * one


def test_other_scans_heat_of_a_large_cohort_is_a_sample(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    n = 40
    monkeypatch.setattr("covidlit.explain.evaluation.MOST_OTHERS", 10)
    asked: list[int] = []
    monkeypatch.setattr(
        "covidlit.explain.evaluation.LesionTruth",
        lambda labels: type("T", (), {"hits": lambda _, points: noted(asked, points)})(),
    )
    monkeypatch.setattr(Truth, "labels_of", lambda *_: "labels")
    table = pd.DataFrame(
        {
            "scan_id": [f"s{k}" for k in range(n)], "path": "", "status": "ok", "score": 0.9,
            "max": 1.0, "has_lesions": True, "hit": True, "distance_mm": 0.0, "chance": 0.5,
            "heat_in_lesions": 0.5, "heat_in_lung": 0.5, "lesions_of_lung": 0.1,
            **{f"{of}_{axis}_mm": np.arange(n) / n for of in ("peak", "input") for axis in "xyz"},
        }
    )  # fmt: skip
    targets = dict.fromkeys(table["scan_id"], 1)
    found = evaluate_heatmaps(
        table, targets=targets, patients={}, operating_point=0.5, truth=Truth(tmp_path)
    )
    assert set(asked) == {10}
    assert found["positives"]["others_heat"]["value"] == pytest.approx(0.5)


def noted(asked: list[int], points: np.ndarray) -> np.ndarray:
    asked.append(len(points))
    return np.arange(len(points)) % 2 == 0


def test_a_killed_call_loses_no_finished_scan(tmp_path: Path, csacnet_run: Path) -> None:
    for k in range(3):
        write_image(tmp_path / "scans" / f"s{k}.nii", k)
    manifest, out = write_manifest(tmp_path / "scans", ["s0", "s1", "s2"]), tmp_path / "out"
    code = f"""
import os, signal
from covidlit.cohort.scan_sources import find_scans
from covidlit.dicom import Checks
from covidlit.explain.many import explain_scans
from covidlit.explain.write import HeatmapWriter
writer = HeatmapWriter({str(csacnet_run / "checkpoints" / "last.ckpt")!r}, {str(out)!r}, scale=1.0)
left = iter([False, True])
def kill(): next(left) and os.kill(os.getpid(), signal.SIGKILL)
explain_scans(writer, find_scans({str(manifest)!r}, Checks()), done=kill)
"""
    done = subprocess.run([sys.executable, "-c", code], check=False)
    assert done.returncode == -9
    assert sorted(path.name for path in out.glob("*.heat.json")) == ["s0.heat.json", "s1.heat.json"]
