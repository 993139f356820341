"""The data of a run folder."""

import shutil
from pathlib import Path

import pytest
import yaml

from covidlit.cohort import Split
from covidlit.errors import CovidlitError
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


def test_no_cohort_is_drawn_for_a_run_folder(csacnet_run: Path, tmp_path: Path) -> None:
    # A folder from elsewhere may name any place, and any number of scans.
    config = yaml.safe_load((csacnet_run / "config.yaml").read_text())
    folder = tmp_path / "cohorts"
    (folder / "mild-seed0-0123abcd").mkdir(parents=True)
    (folder / "mild-seed0-0123abcd" / "manifest.csv").touch()
    target = "covidlit.synthetic.source.synthetic_manifest"
    config["data"]["source"] = {"_target_": target, "folder": str(folder), "n_scans": 100_000}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    with pytest.raises(CovidlitError, match="not there any more"):
        datamodule_of(tmp_path, "")
    assert [path.name for path in folder.iterdir()] == ["mild-seed0-0123abcd"]
