"""Compiled graphs that are kept between processes: the same scores, and never those of another."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from covidlit.deploy import load_engine
from covidlit.deploy.compiled import DEAD, HASHES, MOST, compile_kept
from covidlit.deploy.exported import default_folder
from covidlit.deploy.kept import VARIABLE
from covidlit.errors import ExportError


class Core:
    """Compiles by writing into the folder that it is given, as OpenVINO does."""

    def __init__(self, size: int = 9) -> None:
        self.size = size
        self.asked: list[Path | None] = []

    def read_model(self, path: Path) -> Path:
        return path

    def compile_model(self, path: Path, device: str, options: dict[str, Any]) -> str:
        folder = options.get("CACHE_DIR")
        self.asked.append(None if folder is None else Path(folder))
        if folder is not None and not (blob := Path(folder, "graph.blob")).exists():
            blob.write_bytes(b"x" * self.size)
        return "compiled"


@pytest.fixture
def graph(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "kept"))
    path = tmp_path / "model.xml"
    path.write_text("graph")
    path.with_suffix(".bin").write_bytes(b"weights")
    return path


def _kept(graph: Path) -> list[str]:
    return sorted(path.name for path in (graph.parent / "kept" / "graphs").iterdir())


def test_a_graph_is_found_again_and_another_file_or_option_never_meets_it(graph: Path) -> None:
    core, options = Core(), {"INFERENCE_NUM_THREADS": 1}
    assert compile_kept(core, graph, options) == "compiled"
    (name,) = _kept(graph)
    compile_kept(core, graph, options)
    assert core.asked[-1] == graph.parent / "kept" / "graphs" / name
    compile_kept(core, graph, {"INFERENCE_NUM_THREADS": 2})
    assert len(_kept(graph)) == 2
    graph.with_suffix(".bin").write_bytes(b"WEIGHTS")  # of the same size
    compile_kept(core, graph, options)
    assert len(_kept(graph)) == 3


def test_a_few_stay_and_nothing_half_written_does(graph: Path) -> None:
    for threads in range(MOST + 3):
        compile_kept(Core(), graph, {"INFERENCE_NUM_THREADS": threads})
    assert len(_kept(graph)) == MOST
    compile_kept(Core(size=3), graph, {"INFERENCE_NUM_THREADS": 99})  # the disk was full
    assert len(_kept(graph)) == MOST


@pytest.mark.parametrize("damage", [b"", b"x" * 8 + b"y", None])
def test_a_damaged_graph_is_compiled_again(graph: Path, damage: bytes | None) -> None:
    """With zeros in the middle of a kept graph OpenVINO gives another score, and no error."""
    compile_kept(Core(), graph, {})
    (name,) = _kept(graph)
    blob = graph.parent / "kept" / "graphs" / name / "graph.blob"
    if damage is None:
        blob.with_name(HASHES).unlink()
    else:
        blob.write_bytes(damage)
    core = Core()
    compile_kept(core, graph, {})
    assert core.asked[0] != blob.parent  # in a new folder
    assert _kept(graph) == [name]
    assert blob.read_bytes() == b"x" * 9


def test_what_killed_processes_left_is_removed(graph: Path) -> None:
    graphs = graph.parent / "kept" / "graphs"
    for name, age in ((".new-dead", 2 * DEAD), (".new-alive", 0.0)):
        (graphs / name).mkdir(parents=True)
        then = time.time() - age
        os.utime(graphs / name, (then, then))
    graphs.chmod(0o700)
    compile_kept(Core(), graph, {})
    assert [path.name for path in graphs.glob(".new-*")] == [".new-alive"]


def test_a_folder_that_others_may_write_is_not_trusted(graph: Path) -> None:
    compile_kept(Core(), graph, {})
    (graph.parent / "kept" / "graphs").chmod(0o777)
    core = Core()
    compile_kept(core, graph, {})
    assert core.asked == [None]


def test_where_nothing_can_be_kept_it_is_compiled_all_the_same(
    graph: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for place in ("", str(graph / "under a file")):
        monkeypatch.setenv(VARIABLE, place)
        core = Core()
        assert compile_kept(core, graph, {}) == "compiled"
        assert core.asked == [None]


def test_scores_of_a_kept_graph_are_the_same(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "kept"))
    hu = np.random.default_rng(0).integers(-1000, 400, (2, 16, 16, 16), dtype=np.int16)
    scores = [load_engine(checkpoint, "openvino", threads=1).scores(hu) for _ in range(2)]
    assert scores[0] == scores[1]
    assert len(list((tmp_path / "kept" / "graphs").iterdir())) == 1
    assert (tmp_path / "kept" / "graphs").stat().st_mode & 0o077 == 0


def test_what_is_wrong_with_a_network_opened_ahead_comes_with_the_first_scores(
    checkpoint: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "export"
    shutil.copytree(default_folder(checkpoint), folder)
    with (folder / "model.bin").open("ab") as file:
        file.write(b"more")
    engine = load_engine(folder, "openvino", ahead=True)
    with pytest.raises(ExportError, match=r"model.bin: .*not the one that was exported"):
        engine.scores(np.zeros((1, 16, 16, 16), np.int16))
    with pytest.raises(ExportError, match=r"model\.bin"):
        load_engine(folder, "openvino")
