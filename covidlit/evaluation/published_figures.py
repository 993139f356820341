"""Figures that papers printed, as they printed them, to stand beside a run's own."""

from __future__ import annotations

import json
from functools import cache
from importlib import resources

from pydantic import BaseModel, ConfigDict, Field

from covidlit.errors import ConfigError, did_you_mean

_Text = Field(min_length=1)


class PublishedFigures(BaseModel):
    """What a paper says of a method: of other patients, and never tested against a run's.

    Args:
        label: of the paper, short.
        citation: what it is about.
        what: the task.
        where: in the paper.
        cohort: whom the figures are of.
        sensitivity, specificity: as printed.
        remarks: what to know before one compares.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    label: str = _Text
    citation: str = _Text
    what: str = _Text
    where: str = _Text
    cohort: str = _Text
    sensitivity: str = _Text
    specificity: str = _Text
    remarks: tuple[str, ...]


def published_figures(name: str) -> PublishedFigures:
    """Published figures by name, such as "severity_detection".

    Raises:
        ConfigError: there are none of that name.
    """
    known = _all()
    if name not in known:
        raise ConfigError(
            f"there are no published figures {name!r}.",
            where="model.published",
            fix=did_you_mean(str(name), known) or f"use null, or one of {', '.join(known)}.",
        )
    return known[name]


@cache
def _all() -> dict[str, PublishedFigures]:
    source = resources.files("covidlit.evaluation").joinpath("published_figures.json")
    content = json.loads(source.read_text(encoding="utf-8"))
    return {name: PublishedFigures.model_validate(figures) for name, figures in content.items()}
