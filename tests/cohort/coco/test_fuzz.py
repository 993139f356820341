"""A short run of the fuzzer, and that it sees what is wrong."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from covidlit.cohort.coco import Coco

FOLDER = Path(__file__).parents[3] / "benchmarks"


@pytest.fixture
def fuzzer(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """benchmarks/coco_fuzz.py as a module; its neighbours are importable for this test alone."""
    monkeypatch.syspath_prepend(str(FOLDER))
    spec = importlib.util.spec_from_file_location("coco_fuzz", FOLDER / "coco_fuzz.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "coco_fuzz", module)
    spec.loader.exec_module(module)
    return module


def test_no_mutation_is_read_wrong_or_refused_without_its_place(
    fuzzer: Any, tmp_path: Path
) -> None:
    outcomes = [fuzzer.fuzz_one(seed, tmp_path / "a.json") for seed in range(10_000, 10_060)]
    assert {one.result for one in outcomes} == {"right", "refused"}
    assert max(one.peak_mb for one in outcomes) < 200


def test_the_fuzzer_sees_a_reader_that_is_wrong(
    fuzzer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = fuzzer.read_coco

    def swapped(*arguments: Any) -> Coco:
        coco = read(*arguments)
        first = replace(coco.annotations[0], class_name="consolidation")
        return replace(coco, annotations=(first, *coco.annotations[1:]))

    def trusting(*arguments: Any) -> Coco:
        raise KeyError("segmentation")

    monkeypatch.setattr(fuzzer, "read_coco", swapped)
    results = {fuzzer.fuzz_one(seed, tmp_path / "a.json").result for seed in range(30)}
    assert "wrong" in results
    monkeypatch.setattr(fuzzer, "read_coco", trusting)
    assert fuzzer.fuzz_one(0, tmp_path / "a.json").result == "traceback"
