"""Reading a kept model of times to an event, of either kind."""

from __future__ import annotations

from pathlib import Path

from covidlit.baselines.cox.model import load_cox
from covidlit.baselines.survival.boosted_model import load_boosted_hazards
from covidlit.baselines.survival.kept import SurvivalModel
from covidlit.checkpoints.kept_survival import BOOSTED, COX, survival_kind
from covidlit.errors import CheckpointError


def load_survival_model(path: str | Path) -> SurvivalModel:
    """The model of a `cox.json` or a `boosted_hazards.json`.

    Raises:
        CheckpointError: missing, damaged, of another format, or no such model.
    """
    kind = survival_kind(path)
    if kind == COX:
        return load_cox(path)
    if kind == BOOSTED:
        return load_boosted_hazards(path)
    raise CheckpointError(
        "this is no model of times to an event that covidlit wrote.",
        where=path,
        fix="use a file that a run wrote (checkpoints/cox.json, checkpoints/boosted_hazards.json).",
    )
