"""The data of a run folder."""

import shutil
from pathlib import Path

from covidlit.cohort import Split
from covidlit.explain.run_sources import datamodule_of


def test_the_split_is_the_one_that_the_run_saved(csacnet_run: Path, tmp_path: Path) -> None:
    shutil.copy(csacnet_run / "config.yaml", tmp_path)
    drawn = Split.load(csacnet_run / "split.json")
    # As an earlier version may have drawn it, from the same settings.
    moved = dict.fromkeys(drawn.scans("validation")[:1], "train")
    other = Split.model_validate(
        {**drawn.model_dump(exclude={"hash"}), "parts": {**drawn.parts, **moved}}
    )
    other.save(tmp_path / "split.json")
    assert datamodule_of(tmp_path, other.hash).split == other
