"""What the texts of columns about patients mean, where a mapping does not say it itself."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from covidlit.cohort.clinical.cells import as_text, is_empty
from covidlit.cohort.clinical.mapping import Column, ListColumn
from covidlit.errors import did_you_mean


class Unknown(Exception):  # noqa: N818 (a value that is not known)
    """A value without a meaning; its text says what would be one."""


def _table(**meanings: str) -> dict[str, str]:
    return {word: meaning for meaning, words in meanings.items() for word in words.split("|")}


YES = "yes|y|true|t|1|ja|j|oui|sí|si|sim|是|有|+|pos|positive|ever|current|former|wahr|vrai|x|✓|√"
NO = "no|n|false|f|0|nein|nee|non|não|nao|否|无|無|-|neg|negative|none|never|falsch|faux"
FLAGS: dict[str, bool] = dict.fromkeys(YES.split("|"), True) | dict.fromkeys(NO.split("|"), False)
SEXES = _table(
    F="f|female|w|weiblich|woman|frau|femme|féminin|feminin|mujer|femenino|femmina|vrouw|女|女性",
    M="m|male|man|mann|männlich|homme|masculin|hombre|masculino|maschio|男|男性",
)
OUTCOMES = _table(
    died="died|dead|death|deceased|expired|non-survivor|nonsurvivor|exitus|verstorben|tot|décédé|"
    "decede|décès|fallecido|muerto|exitus letalis|deceduto|死亡|死",
    survived="survived|alive|survivor|discharged|recovered|living|lebt|lebend|entlassen|genesen|"
    "vivant|sorti|vivo|alta|dimesso|存活|出院|治愈|痊愈|好转",
)
SEVERITIES = _table(
    mild="mild|light|leicht|léger|leve|lieve|轻|轻型",
    moderate="moderate|common|ordinary|general|moderat|mittel|mittelschwer|modéré|moderado|moderada|"
    "普通|普通型|中型",
    severe="severe|serious|schwer|sévère|grave|重|重型",
    critical="critical|critically ill|kritisch|critique|crítico|crítica|critico|危重|危重型",
)
_KNOWN: dict[str, Mapping[str, Any]] = {
    "sex": SEXES,
    "smoker": FLAGS,
    "progressed": FLAGS,
    "outcome": OUTCOMES,
    "severity": SEVERITIES,
    "severity_at_admission": SEVERITIES,
}


_MOST = {"age": 120.0, "event_time_days": 36525.0, "comorbidity_count": 100.0}
_UNIT = {"age": "years", "event_time_days": "days", "comorbidity_count": "diseases"}


def meaning_of(name: str, column: Column) -> Callable[[Any], Any]:
    """What a cell of a column means, None where it is empty.

    Args:
        name: of covidlit, such as sex.
        column: of the mapping.

    Returns:
        A function of a cell that raises `Unknown`.
    """
    known = _KNOWN.get(name)
    own = {as_text(word).casefold(): value for word, value in (column.map or {}).items()}

    def read(cell: Any) -> Any:
        word = _word(cell)
        if word in own:
            return own[word]
        if is_empty(cell) and (known is None or word not in known):
            return None
        text = as_text(cell)
        if column.otherwise is not None:
            return column.otherwise
        if own or (known is not None and word not in known):
            names = list(own) or [*dict.fromkeys(known or ())]
            hint = did_you_mean(word, names) or f"known are {', '.join(names[:12])}"
            raise Unknown(f"has no meaning in the mapping ({hint})")
        return known[word] if known is not None else text

    return read


def number_of(name: str, column: Column) -> Callable[[Any], Any]:
    """The number in a cell, in years for ages and days for times; `Unknown` for what is none."""
    per = {"years": 1.0, "months": 1 / 12, "days": 1 / 365.25, "hours": 1.0, None: 1.0}
    if name == "event_time_days":
        per = {"years": 365.25, "months": 365.25 / 12, "days": 1.0, "hours": 1 / 24, None: 1.0}
    own = {as_text(word).casefold(): value for word, value in (column.map or {}).items()}

    def read(cell: Any) -> Any:
        if is_empty(cell):
            return None
        word = _word(cell)
        if word in own:
            return own[word]
        match = re.fullmatch(
            r"(-?\d+(?:[.,]\d+)?)\s*(?:y|yr|yrs|years?|j|jahre|ans?|años|anni|岁)?", word
        )
        if match is None or isinstance(cell, bool):
            raise Unknown("is no number")
        value = float(match[1].replace(",", ".")) * per[column.unit]
        if not 0 <= value <= _MOST[name]:
            raise Unknown(f"must be 0 to {_MOST[name]:g} {_UNIT[name]} (its unit is {name}.unit)")
        if name == "comorbidity_count" and not value.is_integer():
            raise Unknown("must be a whole number")
        return value

    return read


def flag_of(own: Mapping[str, bool] | None) -> Callable[[Any], Any]:
    """Whether a cell says yes or no; `Unknown` for anything else."""
    words: dict[str, bool] = {**FLAGS, **{as_text(k).casefold(): v for k, v in (own or {}).items()}}

    def read(cell: Any) -> Any:
        word = _word(cell)
        if word not in words:
            if is_empty(cell):
                return None
            raise Unknown("must be yes or no (say what it means by map)")
        return words[word]

    return read


def listed(cell: Any, column: ListColumn) -> list[str] | None:
    """The things that a text lists; None where it is empty."""
    if is_empty(cell) and as_text(cell or "").casefold() not in column.none:
        return None
    text = as_text(cell).casefold()
    if text in {word.casefold() for word in column.none}:
        return []
    parts = [part.strip() for part in re.split(column.separator, text, flags=re.I)]
    return [part for part in dict.fromkeys(parts) if part and part not in column.none]


def has_any(things: Sequence[str], spellings: Sequence[str]) -> bool:
    """Whether a list of things has one that is called so."""
    return any(
        re.search(rf"(?<!\w){re.escape(word.casefold())}(?!\w)", thing)
        for word in spellings
        for thing in things
    )


def _word(cell: Any) -> str:
    if isinstance(cell, bool):
        return str(cell).casefold()
    return as_text("" if cell is None else cell).casefold()
