"""Cells of a laboratory's table as numbers, by rule; what was changed is counted."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from covidlit.cohort.clinical.mapping import Texts
from covidlit.cohort.clinical.units import readings, spelled
from covidlit.tables import MISSING

_ABSENT = frozenset(word.casefold() for word in MISSING) | frozenset(
    ("-", "--", "---", ".", "..", "/", "//", "\\", "?", "*", "x", "#", "n.a.", "nil", "(null)")
)  # fmt: skip
"""What stands in an empty cell; not counted."""

NOT_MEASURED = frozenset(
    word.strip()
    for line in """
    not done|not measured|not available|not tested|not performed|no sample|no result|see comment
    see note|error|invalid|cancelled|canceled|rejected|insufficient|insufficient sample|qns|nd|n.d.
    quantity not sufficient|missing|unknown|pending|hemolyzed|hemolysed|haemolyzed|haemolysed
    hemolysis|haemolysis|hemolytic|haemolytic|hem|hemol|lipemic|lipaemic|icteric|clotted|clot
    coagulated|contaminated|hämolytisch|hämolyse|lipämisch|geronnen|nicht bestimmt|nicht gemessen
    entfällt|folgt|fehlt|storniert|hémolysé|hémolyse|non fait|non dosé|coagulé|hemolizado|hemolizada
    no realizado|coagulado|emolizzato|non eseguito|gehemolyseerd|niet bepaald|溶血|未检|未测|未查
    未做|凝血|脂血|拒收|不详|無|无|#div/0!|#value!|#ref!|#name?|#num!|#null!
    """.splitlines()
    for word in line.split("|")
    if word.strip()
)
"""Texts of laboratories for a value that was not measured, or that cannot be used; counted."""

_NEGATIVE = frozenset(
    ("neg", "neg.", "negative", "negativ", "négatif", "negativo", "阴性", "(-)", "absent",
     "not detected", "nicht nachweisbar")
)  # fmt: skip
_POSITIVE = frozenset(
    ("pos", "pos.", "positive", "positiv", "positif", "positivo", "阳性", "(+)", "+", "++", "+++",
     "present", "detected")
)  # fmt: skip
_NUMBER = r"[-+]?(?:\d[\d.,' \u00a0\u202f]*\d|\d)(?:e[-+]?\d+)?|[-+]?[.,]\d+"
_CELL = re.compile(
    rf"(?P<sign>[<>≤≥＜＞]=?|=|~|ca\.?)?\s*(?P<number>{_NUMBER})\s*(?P<rest>.*)", re.I | re.S
)
_BLANKS = r"[' \u00a0\u202f]"


def _form(mark: str, group: str) -> re.Pattern[str]:
    """Numbers with this decimal mark, whose thousands (or lakhs) are apart, if at all, as usual."""
    groups = rf"\d{{1,3}}(?:{group}\d{{2,3}})*{group}\d{{3}}|\d{{1,3}}(?:{_BLANKS}\d{{3}})+"
    return re.compile(rf"[-+]?(?:{groups}|\d*)(?:{mark}\d*)?(?:e[-+]?\d+)?", re.I)


_COMMA, _POINT = _form(",", r"\."), _form(r"\.", ",")
_ONE_POINT = re.compile(r"[-+]?[1-9]\d{0,2}\.\d{3}")
_FLAG = re.compile(r"[\[(]?(?:h|l|hh|ll|\*+|!+|[↑↓]+|high|low|abn|a|n)?[\])]?", re.I)
_ASTERISK = re.compile(r"^[*!↑↓]+\s*")


class Unreadable(Exception):  # noqa: N818 (says what the cell is, not that something failed)
    """A cell that is no number and that no rule knows."""


@dataclass
class Cells:
    """A column of cells as numbers.

    Args:
        values: NaN where there is none.
        changed: how many cells each rule changed, by a text such as `below a limit, halved`.
        wrong: place in the column -> what is wrong with the cell.
    """

    values: NDArray[np.floating]
    changed: Counter[str] = field(default_factory=Counter)
    wrong: dict[int, str] = field(default_factory=dict)


def as_numbers(
    cells: Sequence[Any],
    texts: Texts,
    *,
    words: Mapping[str, float | None] | None = None,
    decimal: str = "auto",
    units: Sequence[str] = (),
) -> Cells:
    """The numbers of a column.

    Args:
        cells: as they stand in the table.
        texts: rules of the source.
        words: text -> number or None, which come first.
        decimal: point, comma, or auto: what the column's own texts show.
        units: spellings of the column's unit, which a cell may repeat.
    """
    known = {_tidy(word): value for word, value in {**texts.words, **(words or {})}.items()}
    found = Cells(np.full(len(cells), np.nan))
    written = [k for k, cell in enumerate(cells) if isinstance(cell, str)]
    number_of = _reader(decimal, [_tidy(cells[k]) for k in written])
    allowed = {spelled(unit) for unit in units}
    for k, cell in enumerate(cells):
        if cell is None:
            continue
        try:
            if isinstance(cell, str):
                if len(cell) > 200:
                    raise Unreadable("is a long text where a number is expected")
                value, rule = _of_text(_tidy(cell), texts, known, number_of, allowed)
            else:
                value, rule = _of_value(cell), ""
        except Unreadable as problem:
            found.wrong[k] = str(problem)
            continue
        found.values[k] = value
        if rule:
            found.changed[rule] += 1
    return found


def is_empty(cell: Any) -> bool:
    """Whether nothing stands in a cell, or a word for a missing value."""
    if cell is None or (isinstance(cell, float) and cell != cell):
        return True
    return isinstance(cell, str) and cell.strip().casefold() in _ABSENT


def is_blank(cell: Any) -> bool:
    """Whether a name is missing: `x` and `-` may be names."""
    if cell is None or (isinstance(cell, float) and cell != cell):
        return True
    return isinstance(cell, str) and cell.strip() in MISSING


def as_text(cell: Any) -> str:
    """A cell as people read it: 1 for 1.0, and no blanks around it."""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return unicodedata.normalize("NFKC", str(cell)).strip()


def _tidy(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).replace("−", "-").split()).casefold()


def _of_value(cell: Any) -> float:
    if isinstance(cell, bool | np.bool_):
        raise Unreadable("is true or false where a number is expected")
    if isinstance(cell, datetime | date | time):
        raise Unreadable(
            "is a date where a number is expected (spreadsheets make dates of texts such as 3.5: "
            "write the number, in a column formatted as a number)"
        )
    if isinstance(cell, Real):
        value = float(cell)
        if np.isinf(value):
            raise Unreadable("is infinite")
        return value
    raise Unreadable("is no number")


def _of_text(
    text: str,
    texts: Texts,
    known: Mapping[str, float | None],
    number_of: Callable[[str], tuple[float, str]],
    allowed: set[str],
) -> tuple[float, str]:
    if text in known:
        value = known[text]
        return (np.nan, f"{text!r}, missing") if value is None else (value, f"{text!r}, {value:g}")
    if text in _ABSENT or text == "":
        return np.nan, ""
    if text in NOT_MEASURED:
        return np.nan, f"{text!r}, missing"
    if text in _NEGATIVE:
        zero = texts.negative == "zero"
        return (0.0 if zero else np.nan), f"{text!r}, {'0' if zero else 'missing'}"
    if text in _POSITIVE:
        return np.nan, f"{text!r}, missing"
    bare = _ASTERISK.sub("", text)
    match = _CELL.fullmatch(bare)
    if match is None:
        raise Unreadable("is no number")
    rest = match["rest"].strip()
    if rest and spelled(rest) not in allowed and _FLAG.fullmatch(rest) is None:
        if readings(rest):
            raise Unreadable(f"is in {rest}, and not in the unit of the mapping")
        raise Unreadable(f"is a number with {rest!r} behind it")
    (value, rule), sign = number_of(match["number"]), match["sign"] or ""
    if sign[:1] in "<≤＜" and sign:
        if texts.below == "missing":
            return np.nan, "below a limit (<), missing"
        half = texts.below == "half"
        return value / 2 if half else value, f"below a limit (<), {'half of it' if half else 'it'}"
    if sign[:1] in ">≥＞" and sign:
        if texts.above == "missing":
            return np.nan, "above a limit (>), missing"
        return value, "above a limit (>), it"
    if rest or bare != text:
        return value, "a mark or a unit beside the number, removed"
    return value, rule


def _reader(decimal: str, texts: Sequence[str]) -> Callable[[str], tuple[float, str]]:
    """How the texts of a column become a number and the rule that was needed for it."""
    numbers = [m["number"] for text in texts if (m := _CELL.fullmatch(text))]
    bare = [re.sub(_BLANKS, "", number) for number in numbers]
    comma = decimal == "comma"
    unclear = False
    if decimal == "auto":
        decimal_comma = [
            n for n in bare
            if re.fullmatch(r"[-+]?(?:\d*,\d{1,2}|\d*,\d{4,}|[-+]?0,\d+|\d{4,},\d+"
                            r"|\d{1,3}(?:\.\d{3})+,\d+)", n)
        ]  # fmt: skip
        decimal_point = [
            n for n in bare
            if re.fullmatch(r"[-+]?(?:\d{1,3}(?:,\d{3})+\.\d*|\d{1,3}(?:,\d{3}){2,})", n)
        ]  # fmt: skip
        comma = bool(decimal_comma)
        unclear = bool(decimal_comma) == bool(decimal_point)
    # 12.400 among 9800 and 11200 is no 12.4: a laboratory that writes decimals writes them in all.
    points = any("." in n and "," not in n and not _ONE_POINT.fullmatch(n) for n in bare)
    whole = any(n.isdigit() and int(n) >= 100 for n in bare)
    doubtful = not points and whole and decimal == "auto" and not comma

    def read(number: str) -> tuple[float, str]:
        thousands = _ONE_POINT.fullmatch(number) is not None
        if thousands and comma and points:
            raise Unreadable(
                "has a point that may be of thousands, and other points of the column are decimal "
                "(write the column in one way, or set decimal: auto in the mapping)"
            )
        if (thousands and doubtful) or ("," in number and unclear):
            raise Unreadable(
                f"has a {'comma' if ',' in number else 'point'} of which it cannot be told whether "
                "it is decimal or of thousands (set decimal: comma or decimal: point in the "
                "mapping)"
            )
        by_comma = comma and ("," in number or thousands or number.count(".") > 1)
        form, group, mark = (_COMMA, ".", ",") if by_comma else (_POINT, ",", ".")
        if form.fullmatch(number) is None:
            raise Unreadable("is no number")
        text = re.sub(_BLANKS, "", number).replace(group, "").replace(mark, ".")
        try:
            value = float(text)
        except ValueError:
            raise Unreadable("is no number") from None
        if np.isinf(value):
            raise Unreadable("is too large")
        if thousands and by_comma:
            return value, "written with a point of thousands"
        return value, "written with a comma" if "," in number else ""

    return read
