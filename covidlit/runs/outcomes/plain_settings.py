"""Settings of outcomes that have no classes to call: what they share, and what they refuse."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from covidlit.errors import ConfigError, PredictionsError
from covidlit.evaluation.settings import check_settings
from covidlit.settings.keys import check_keys

BOOTSTRAP = ("n_bootstrap", "confidence")

_OF_CLASSIFICATION: dict[str, tuple[Any, ...]] = {
    "operating_point": ("auto", None),
    "subgroups": (None, []),
}
"""Settings of the same node that say nothing here, and what leaves them unsaid."""


def check_plain_settings(config: Mapping[str, Any], what: str, own: Sequence[str] = ()) -> None:
    """Check the node `evaluation` of a run that is no classification, and that it wants no cards.

    Args:
        config: of the run.
        what: the run in sentences, such as "a segmentation".
        own: further settings that the outcome knows, and checks itself.

    Raises:
        ConfigError: a setting that is unknown, out of its range, or of classifications.
    """
    settings = config["evaluation"]
    check_keys("evaluation", settings, (*BOOTSTRAP, *own, *_OF_CLASSIFICATION))
    for name, unsaid in _OF_CLASSIFICATION.items():
        if name in settings and settings[name] not in unsaid:
            raise ConfigError(
                f"{what} has no {name.replace('_', ' ')}.",
                where=f"evaluation.{name}",
                fix="leave it out.",
            )
    try:
        check_settings(**{name: settings[name] for name in BOOTSTRAP if name in settings})
    except PredictionsError as error:
        where = f"evaluation.{error.where}"
        raise ConfigError(error.what, where=where, fix=error.fix) from error
    if config.get("cards"):
        raise ConfigError(
            "the CLAIM sheet and the model card are of classifications.",
            where="cards",
            fix="set cards=false.",
        )
