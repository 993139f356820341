"""A disease: which lesions are its own, which factors are shown, which models, which words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

from covidlit.cohort.factor_definitions import DEFINITIONS, Definition
from covidlit.errors import did_you_mean
from covidlit.scans.lesion_labels import FIRST_LESION, LESION_CLASSES

DEFAULT_DISEASE = "covid-19"
"""What a study group follows unless somebody chooses."""

LARGEST_NAME = 40
NO_MODEL = "none"
"""In the place of a model: none, also where `[models]` of the platform names one."""

LUNG = 1
_VALUE_OF = {name: value for value, name in LESION_CLASSES.items() if value >= FIRST_LESION}
_DEFINITION_OF = {each.column: each for each in DEFINITIONS}
_BELOW_ZERO = ("mean_density_hu", "volume_change_ml")


def _words(text: str) -> str:
    if not text.isprintable() or text != text.strip():
        raise ValueError("must be printable text on one line, without blanks around it")
    return text


_Words = Annotated[str, Field(min_length=1, max_length=80), AfterValidator(_words)]
_Sentence = Annotated[str, Field(min_length=1, max_length=300), AfterValidator(_words)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Wording(_Strict):
    """What pages say of a disease.

    Args:
        about: a sentence on what is followed.
        lesion, lesions: what one, and all of them, are called.
        trend: heading of the course of the followed factor.
    """

    about: _Sentence
    lesion: _Words = "lesion"
    lesions: _Words = "lesions"
    trend: _Words


class ShownFactors(_Strict):
    """Columns of contract 8.

    Args:
        shown: in the tables, in this order.
        followed: over time; one of those that are shown and cannot be below 0.
    """

    shown: tuple[str, ...] = Field(min_length=1)
    followed: str

    @field_validator("shown")
    @classmethod
    def _known(cls, found: tuple[str, ...]) -> tuple[str, ...]:
        for name in found:
            if name not in _DEFINITION_OF:
                raise ValueError(_unknown("factor", name, _DEFINITION_OF))
            if found.count(name) > 1:
                raise ValueError(f"{name!r} stands there twice")
        return found

    @model_validator(mode="after")
    def _can_be_followed(self) -> ShownFactors:
        if self.followed not in self.shown:
            raise ValueError(
                f"followed: {self.followed!r} is not among the shown ones: {', '.join(self.shown)}"
            )
        if self.followed in _BELOW_ZERO:
            raise ValueError(
                f"followed: {self.followed!r} may be below 0, and the course is drawn from 0"
            )
        return self


class DiseaseModels(_Strict):
    """Trained models; empty: those of `[models]` in `platform.toml`; "none": none."""

    lesions: str = ""
    severity: str = ""


class Disease(_Strict):
    """A disease that patients are followed for.

    Args:
        name: of its file; in addresses and in the database.
        title: for people.
        wording: what pages say.
        classes: the lesions that are its own, with the words for each; the others count as lung
            (an effusion as outside of it).
        factors: that are shown.
        models: that label and score.
    """

    name: str = Field(pattern=rf"^[a-z0-9][a-z0-9-]{{0,{LARGEST_NAME - 1}}}$")
    title: _Words
    wording: Wording
    classes: dict[str, _Words] = Field(min_length=1)
    factors: ShownFactors
    models: DiseaseModels = DiseaseModels()

    @field_validator("classes")
    @classmethod
    def _known(cls, found: dict[str, str]) -> dict[str, str]:
        for name in found:
            if name not in _VALUE_OF:
                raise ValueError(_unknown("class of lesions", name, _VALUE_OF))
        if len(set(found.values())) < len(found):
            raise ValueError("two classes are called alike")
        return found

    def __str__(self) -> str:
        return self.title

    @property
    def values(self) -> dict[int, str]:
        """Value of contract 7 of each of its classes, and what people call it; by value."""
        return {_VALUE_OF[name]: self.classes[name] for name in sorted(self.classes, key=_value)}

    @property
    def has_all_classes(self) -> bool:
        """Whether every lesion is one of this disease."""
        return len(self.classes) == len(_VALUE_OF)

    @property
    def legend(self) -> list[tuple[int, str]]:
        """Value and words of what outlines are drawn of."""
        return [(LUNG, LESION_CLASSES[LUNG]), *self.values.items()]

    @property
    def definitions(self) -> list[Definition]:
        """What the shown factors are, in their order."""
        return [_DEFINITION_OF[name] for name in self.factors.shown]

    @property
    def followed(self) -> Definition:
        """What the course is of."""
        return _DEFINITION_OF[self.factors.followed]

    def words_of(self, kind: str) -> str:
        """What people call a class; of one that is not its own, as it stands."""
        return self.classes.get(kind, kind.replace("_", " "))


def _value(name: str) -> int:
    return _VALUE_OF[name]


def _unknown(what: str, name: str, known: Mapping[str, object]) -> str:
    hint = did_you_mean(name, known) or f"there are {', '.join(known)}"
    return f"there is no {what} {name!r}; {hint.rstrip('?')}"
