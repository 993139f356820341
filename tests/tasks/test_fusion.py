"""What the network of a severity prediction takes its numbers from."""

from __future__ import annotations

import numpy as np
import pytest

from covidlit.errors import ConfigError
from covidlit.models.fusion_ann.fit import fit_preparation
from covidlit.tasks import SeverityPrediction

NET = {"_target_": "covidlit.models.FusionANN", "members": 1, "hidden": [2]}


@pytest.mark.parametrize("change", [{"columns": [1, 0]}, {"columns": [0, 2]}])
def test_features_stand_in_the_columns_that_they_are_named_by(change: dict[str, object]) -> None:
    values = np.random.default_rng(0).normal(size=(20, 2))
    settings = fit_preparation(values, np.arange(20) % 2, [0, 1], ["age", "crp"])
    SeverityPrediction(NET, preparation=settings, columns=["age", "crp"])
    with pytest.raises(ConfigError, match=r"takes (age|crp) from column [12] of the 2 raw"):
        SeverityPrediction(NET, preparation={**settings, **change}, columns=["age", "crp"])
