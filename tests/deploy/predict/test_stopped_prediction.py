"""A prediction that is stopped loses no score, and the next one goes on."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from predict_runs import CONFIG, make_task, save_run
from typer.testing import CliRunner

import covidlit.deploy.torch_engine
from covidlit.checkpoints.file import update_record
from covidlit.cli.app import app
from covidlit.deploy.predict import predict


class KilledError(BaseException):
    """Stands for a kill: nothing catches it."""


def _run(checkpoint: Path, path: Path, out: Path, *more: str) -> str:
    done = CliRunner().invoke(
        app, ["predict", str(checkpoint), str(path), "--out", str(out), *more]
    )
    assert done.exit_code == 0, done.output
    return " ".join(done.output.split())


@pytest.fixture
def scored(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One entry for every scan that went through the network; the third is a kill."""
    seen: list[int] = []
    engine = covidlit.deploy.torch_engine.TorchEngine
    scores = engine.scores

    def counted(self: object, hu: np.ndarray) -> object:
        if len(seen) == 2:
            raise KilledError
        seen.append(len(hu))
        return scores(self, hu)

    monkeypatch.setattr(engine, "scores", counted)
    return seen


@pytest.fixture
def killed(checkpoint: Path, folder: Path, tmp_path: Path, scored: list[int]) -> Path:
    out = tmp_path / "scores.csv"
    with pytest.raises(KilledError):
        _run(checkpoint, folder, out)
    scored.extend([0] * 10)  # no further kill
    return out


def test_what_was_scored_before_a_kill_is_there(
    checkpoint: Path, folder: Path, killed: Path
) -> None:
    expected = predict(checkpoint, folder).set_index("path")["score"]
    journal = killed.with_name("scores.csv.unfinished")
    rows = [json.loads(line).get("row") for line in journal.read_text().splitlines()]
    there = {row["path"]: row["score"] for row in rows if row}
    assert len(there) == 2
    for path, score in there.items():
        assert score == expected[path]
    partial = pd.read_csv(killed)  # whole rows, as far as it was written
    assert set(partial["path"]) <= {*there, "case0", "other/empty.dcm"}
    assert len(partial) >= 1


def test_the_next_call_goes_on_and_gives_the_same_table(
    checkpoint: Path, folder: Path, killed: Path, scored: list[int], tmp_path: Path
) -> None:
    with killed.with_name("scores.csv.unfinished").open("a") as file:
        file.write('{"source": "cut o')  # as a kill may leave it
    before = len(scored)
    said = _run(checkpoint, folder, killed)
    assert "2 of the scans were scored before" in said
    assert len(scored) - before == 2
    assert [path.name for path in tmp_path.iterdir()] == ["scores.csv"]
    whole = _run(checkpoint, folder, tmp_path / "whole.csv")
    assert "scored before" not in whole
    assert killed.read_bytes() == (tmp_path / "whole.csv").read_bytes()


@pytest.mark.parametrize("change", ["network", "path", "override", "orientation", "file"])
def test_what_scores_depend_on_makes_a_later_call_start_again(
    change: str, checkpoint: Path, folder: Path, killed: Path, tmp_path: Path
) -> None:
    more: tuple[str, ...] = ()
    path = (
        Path(shutil.copytree(folder, tmp_path / "copy")) if change in ("path", "file") else folder
    )
    if change == "network":
        checkpoint = Path(shutil.copy(checkpoint, tmp_path / "other.ckpt"))
        update_record(checkpoint, operating_point=0.3)
    if change == "override":
        more = ("--override", "missing_slice")
    if change == "orientation":
        more = ("--image-orientation", "LAS")
    if change == "file":
        killed = tmp_path / "again.csv"
        shutil.copy(tmp_path / "scores.csv.unfinished", f"{killed}.unfinished")
    assert "scored before" not in _run(checkpoint, path, killed, *more)
    override = more[1:] if change == "override" else ()
    expected = predict(checkpoint, path, override=override)
    found = pd.read_csv(killed)
    np.testing.assert_allclose(
        found["score"].to_numpy(float), expected["score"].to_numpy(float, na_value=np.nan)
    )
    assert found["operating_point"].notna().all() == (change == "network")


def test_a_scan_that_has_changed_is_scored_again(
    checkpoint: Path, folder: Path, tmp_path: Path, scored: list[int]
) -> None:
    path = Path(shutil.copytree(folder, tmp_path / "copy"))
    out = tmp_path / "scores.csv"
    with pytest.raises(KilledError):
        _run(checkpoint, path, out)
    scored.extend([0] * 10)
    rows = out.with_name("scores.csv.unfinished").read_text().splitlines()[1:]
    done = sorted(json.loads(row)["row"]["path"] for row in rows)
    other = next(name for name in ("case1", "case2", "case3", "case4") if name not in done)
    shutil.rmtree(path / done[0])
    shutil.copytree(path / other, path / done[0])
    _run(checkpoint, path, out)
    table = pd.read_csv(out).set_index("path")["score"]
    expected = predict(checkpoint, path).set_index("path")["score"]
    np.testing.assert_allclose(table[expected.index], expected.to_numpy(float, na_value=np.nan))


def test_a_network_of_another_training_is_another(checkpoint: Path, tmp_path: Path) -> None:
    from covidlit.deploy.exported import network_hash

    other = save_run(make_task(), CONFIG, tmp_path / "best.ckpt", synthetic=True)
    assert network_hash(other) != network_hash(checkpoint)
    assert network_hash(checkpoint) == network_hash(shutil.copy(checkpoint, tmp_path / "a.ckpt"))
