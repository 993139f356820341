"""What a run writes into its checkpoints about itself."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from covidlit.cohort.manifest import read_manifest, write_manifest
from covidlit.datamodules.build import build_datamodule
from covidlit.runs.lightning_runner import LightningRunner
from covidlit.runs.steps import build_runner, record_of
from covidlit.settings.tree import config_dir


@pytest.mark.parametrize(
    ("synthetic_centres", "expected"),
    [
        (None, False),  # a manifest without the column
        ([], False),
        (["centre_1", "centre_2", "centre_3", "centre_4"], True),
        (["centre_1"], True),
        (["centre_4"], False),  # the test part, which the network does not learn from
    ],
)
def test_a_network_that_learned_from_synthetic_scans_says_so(
    synthetic_centres: list[str] | None,
    expected: bool,
    tiny_data: Path,
    tiny_overrides: list[str],
    tmp_path: Path,
) -> None:
    table = read_manifest((tiny_data / "manifest_path").read_text())
    assert table.pop("synthetic").all()
    if synthetic_centres is not None:
        flags = table["centre"].isin(synthetic_centres)
        table["synthetic"] = pd.array(flags.to_numpy(), dtype="boolean")
    manifest = write_manifest(table, tmp_path / "manifest.csv")
    overrides = [*tiny_overrides, f"data.source.path={manifest}", "model.task.net.width=4"]
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        composed = compose("train", [*overrides, "name=test"])
    config = OmegaConf.to_container(composed, resolve=True)
    assert isinstance(config, dict)
    config = {str(name): value for name, value in config.items()}
    runner = build_runner(config)
    runner.record = record_of(config, build_datamodule(config))
    assert isinstance(runner, LightningRunner)
    assert runner.record["synthetic"] is expected
