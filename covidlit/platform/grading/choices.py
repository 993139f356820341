"""What graders choose from: `[grading]` of `platform.toml`."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from covidlit.cohort.class_names import KNOWN_CLASSES
from covidlit.cohort.clinical.indicators import SEVERITIES
from covidlit.names import NAME_RULE, is_name
from covidlit.tables import MISSING


def _word(text: str) -> str:
    """Refuse what a table would give back as another text, or as none."""
    if text != text.strip() or not text.isprintable() or text in MISSING:
        raise ValueError("must be a word, not one that tables write for a missing value")
    return text


def _class(name: str) -> str:
    if not is_name(name):
        raise ValueError(f"a class {NAME_RULE}")
    return _word(name)


_Word = Annotated[str, Field(max_length=80), AfterValidator(_word)]
_Class = Annotated[str, AfterValidator(_class)]


class GradingSettings(BaseModel):
    """The words, and what the second grader sees."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    blind: bool = False
    quality_grades: list[_Word] = Field(default=["good", "fair", "poor"], min_length=1)
    classes: list[_Class] = list(KNOWN_CLASSES)
    severities: list[_Word] = list(SEVERITIES)
    exclusion_reasons: list[_Word] = [
        "motion artefact", "metal artefact", "low resolution", "lungs cut off", "no chest CT",
    ]  # fmt: skip
    claim_minutes: float = Field(default=20.0, gt=0, le=24 * 60)
