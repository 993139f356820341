"""The model that a run was judged by, and configurations of unknown origin."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from covidlit.checkpoints.of_run import model_of_run
from covidlit.errors import CheckpointError, ConfigError
from covidlit.settings.run_config import read_run_config


def _run(folder: Path, *files: str, **model: str) -> Path:
    config = {"data": {}, "split": {}, "model": model, "seed": 0, "strict": False}
    (folder / "checkpoints").mkdir(parents=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    for name in files:
        (folder / "checkpoints" / name).touch()
    return folder


@pytest.mark.parametrize(
    ("files", "weights", "judged"),
    [
        (("best.ckpt", "last.ckpt"), "best", "best.ckpt"),
        (("best.ckpt", "last.ckpt"), "last", "last.ckpt"),
        (("last.ckpt",), "best", "last.ckpt"),
        (("model.skops",), "best", "model.skops"),
    ],
)
def test_a_run_stands_for_the_model_that_it_was_judged_by(
    files: tuple[str, ...], weights: str, judged: str, tmp_path: Path
) -> None:
    run = _run(tmp_path / "run", *files, weights=weights)
    assert model_of_run(run) == run / "checkpoints" / judged


def test_a_cross_validation_names_its_folds(tmp_path: Path) -> None:
    for fold in ("fold_0", "fold_1"):
        _run(tmp_path / fold, "last.ckpt")
    with pytest.raises(CheckpointError, match="2 folds") as error:
        model_of_run(tmp_path)
    assert "fold_0" in str(error.value.fix)
    with pytest.raises(CheckpointError, match="not the folder of a training run"):
        model_of_run(tmp_path / "fold_0" / "checkpoints")


def test_aliases_that_stand_for_more_than_memory_holds_are_refused(tmp_path: Path) -> None:
    levels = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    levels += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    (tmp_path / "config.yaml").write_text("\n".join(levels))
    with pytest.raises(ConfigError, match="not the configuration of a run"):
        read_run_config(tmp_path)
    (tmp_path / "config.yaml").write_text("data: &data {inner: *data}")
    with pytest.raises(ConfigError, match="not the configuration of a run"):
        read_run_config(tmp_path)
