"""Runs on the factors of lesions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import factor_cohort
import pandas as pd
import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from covidlit.cli.train import whole_run
from covidlit.settings.tree import config_dir


@pytest.fixture
def factor_run(tmp_path: Path) -> Callable[..., Path]:
    """Trains on the cohort, or on other factors of it, and returns the run's folder."""

    def made(
        model: str, *overrides: str, measured: pd.DataFrame | None = None, name: str = ""
    ) -> Path:
        place = tmp_path / (name or model)
        place.mkdir(exist_ok=True)
        manifest, quantified = factor_cohort.write_cohort(place, None, measured)
        given = [
            f"model={model}", "data=factors", f"data.source.path={manifest}",
            f"data.factors={quantified}", "split=k_fold", "split.n_folds=3",
            "evaluation.n_bootstrap=100", "name=test", f"data_dir={place}", "data.n_jobs=1",
        ]  # fmt: skip
        if model == "random_forest":
            given.append("model.classifier.n_estimators=20")
        with initialize_config_dir(str(config_dir()), version_base="1.3"):
            config = compose("train", [*given, *overrides])
        plain: Any = OmegaConf.to_container(config, resolve=True)
        whole_run(plain, place / "run")
        return place / "run"

    return made
