"""Units of laboratory values, spelled as laboratories spell them, and their conversion.

Sources: UCUM (`10*9/L`, `[IU]/L`, `kat`); BIPM, The International System of Units, 9th edition;
1 kat = 1 mol/s, hence 1 ukat/L = 60 U/L (Dybkaer, Clin Chem Lab Med 2001); haemoglobin per monomer,
16.114 g/mmol (IFCC; Nordin et al., Clin Chem Lab Med 2007 give 16,114 g/mol); 1 kPa = 7.50062 mmHg.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from covidlit.errors import ConfigError

HAEMOGLOBIN_MONOMER, ALBUMIN = 16114.0, 66500.0
"""g/mol, for conversion between mass and amount of substance."""

_Values = TypeVar("_Values", float, NDArray[np.floating], pd.Series)

_VOLUMES = {  # in litres
    "l": 1.0, "dl": 1e-1, "100ml": 1e-1, "cl": 1e-2, "ml": 1e-3, "cm3": 1e-3, "cc": 1e-3,
    "ul": 1e-6, "mcl": 1e-6, "mm3": 1e-6, "cmm": 1e-6, "cumm": 1e-6, "nl": 1e-9, "pl": 1e-12,
    "fl": 1e-15, "m3": 1e3, "dm3": 1.0,
}  # fmt: skip
_WORDS = {  # of volumes
    **{f"{cubic}{mm}": "mm3" for cubic in ("cu", "cub", "cubic", "c")
       for mm in ("mm", "millimetre", "millimeter")},
    **{f"{prefix}{litre}": f"{short}l" for prefix, short in
       (("", ""), ("deci", "d"), ("milli", "m"), ("micro", "u"), ("nano", "n"), ("pico", "p"))
       for litre in ("litre", "liter", "litres", "liters", "ltr", "lt")},
    "cucm": "cm3", "ccm": "cm3", "cubiccentimetre": "cm3", "cubiccentimeter": "cm3",
}  # fmt: skip
_PER = r"(?<=\S)\s+per\s+(?=\S)"
_GRAMS = "(?:g|gm|gms|gr|grs|gram|grams)"
_COUNTS = {
    "": 1.0, "1": 1.0, "#": 1.0, "n": 1.0, "k": 1e3, "th": 1e3, "thou": 1e3, "thousand": 1e3,
    "thousands": 1e3, "tsd": 1e3, "1000": 1e3, "103": 1e3, "m": 1e6, "mil": 1e6, "mill": 1e6,
    "mio": 1e6, "million": 1e6, "millions": 1e6, "lakh": 1e5, "lakhs": 1e5, "lac": 1e5,
    "万": 1e4, "千": 1e3, "g": 1e9, "gpt": 1e9, "giga": 1e9, "bil": 1e9, "billion": 1e9,
    "t": 1e12, "tpt": 1e12, "tera": 1e12,
}  # fmt: skip
_PREFIXES = {"k": 1e3, "": 1.0, "m": 1e-3, "u": 1e-6, "mc": 1e-6, "n": 1e-9, "p": 1e-12}
_FRACTIONS = {
    "%": 1.0, "percent": 1.0, "per cent": 1.0, "pct": 1.0, "prozent": 1.0, "pourcent": 1.0,
    "vol%": 1.0, "l/l": 100.0, "fraction": 100.0, "ratio": 100.0, "share": 100.0,
    "proportion": 100.0, "1": 100.0, "{ratio}": 100.0, "{fraction}": 100.0, "v/v": 100.0,
    "permille": 0.1, "‰": 0.1,
}  # fmt: skip
_PRESSURES = {
    "mmhg": 1.0, "mm[hg]": 1.0, "torr": 1.0, "kpa": 7.50062, "hpa": 0.750062, "mbar": 0.750062,
    "pa": 0.00750062,
}  # fmt: skip
_ENZYMES = {"u": 1.0, "iu": 1.0, "ui": 1.0, "[iu]": 1.0, "unit": 1.0, "units": 1.0, "e": 1.0,
            "kat": 6e7}  # fmt: skip
_EXAMPLES = {
    "count": "10^9/L, G/L, K/uL, 10^3/uL, /uL, /mm3, 10^12/L, T/L, M/uL",
    "mass": "g/L, g/dL, mg/L, mg/dL, ug/mL, ng/mL, pg/mL",
    "amount": "mol/L, mmol/L, umol/L, nmol/L, pmol/L",
    "percent": "%, fraction, L/L",
    "activity": "U/L, IU/L, U/mL, ukat/L, nkat/L",
    "pressure": "mmHg, kPa",
}


def spelled(unit: str) -> str:
    """A unit without what laboratories write in one way or another: `×10⁹ / L` is `10^9/l`."""
    text = re.sub("[⁰¹²³⁴⁵⁶⁷⁸⁹]+", lambda m: "^" + unicodedata.normalize("NFKC", m[0]), unit)
    text = unicodedata.normalize("NFKC", text).replace("μ", "u").replace("µ", "u").casefold()
    text = re.sub(_PER, "/", text)
    text = re.sub(r"\s+", "", text).strip(".")
    text = re.sub(r"^[x×✕*](?=10|1000|e\d)", "", text)
    text = re.sub(
        r"(?:10\s*(?:\^|\*\*?|e(?:xp)?\+?|\(|\{)|(?:^|(?<=[\s/]))e)\+?(\d+)[)}]?", r"10^\1", text
    )
    # Superscripts that a file lost: 109/L, 10 9/L and 1012/L are 10^9/L and 10^12/L.
    text = re.sub(r"^10(3|6|9|12)(?=(?:cells?)?/)", r"10^\1", text)
    text = text.replace("mm^3", "mm3").replace("cm^3", "cm3").replace("[iu]", "iu")
    above, slash, below = text.rpartition("/")
    text = above + slash + _WORDS.get(below.replace(".", ""), below) if slash else text
    return re.sub(r"^(?:cells?|count)/", "/", text)


def readings(unit: str) -> dict[str, float]:
    """What a unit may be: kind of quantity -> how many of the kind's base unit one of it is.

    The base units are 10^9/L, g/L, mmol/L, percent, U/L and mmHg. `g/L` is grams, or giga per litre
    of a count: the kind that is asked for decides.
    """
    text = spelled(unit)
    found: dict[str, float] = {}
    if text.startswith("percent") or text in _FRACTIONS:
        found["percent"] = _FRACTIONS.get(text, 1.0)
    if text in _PRESSURES:
        found["pressure"] = _PRESSURES[text]
    if mass := re.fullmatch(rf"(m|u|mc)?{_GRAMS}%", text):  # in 100 mL
        found["mass"] = 10.0 * _PREFIXES[mass[1] or ""]
    above, slash, below = text.rpartition("/")
    if not slash or below not in _VOLUMES:
        return found
    litres = _VOLUMES[below]
    many = above.removesuffix("cells").removesuffix("cell").rstrip("*x·.")
    power = re.fullmatch(r"10\^(\d+)", many)
    count = 10.0 ** int(power[1]) if power else _COUNTS.get(many)
    letter = many in ("g", "t", "gpt", "tpt") and below != "l"  # giga and tera stand before litres
    if count is not None and not letter and not (many == "m" and below == "l"):
        found["count"] = count / litres / 1e9
    if mass := re.fullmatch(rf"(k|m|u|mc|n|p|f)?{_GRAMS}(?:hb|alb)?", above):
        found["mass"] = {**_PREFIXES, "f": 1e-15}[mass[1] or ""] / litres
    if amount := re.fullmatch(r"(m|u|mc|n|p)?mol(?:e|es)?", above):
        found["amount"] = _PREFIXES[amount[1] or ""] * 1e3 / litres
    for name, each in _ENZYMES.items():
        if (own := re.fullmatch(rf"(k|m|u|mc|n)?{re.escape(name)}", above)) is not None:
            found["activity"] = _PREFIXES[own[1] or ""] * each / litres
            break
    return found


def factor(unit: str, to: str, molar_mass: float | None = None) -> float:
    """What a value in `unit` is multiplied by to be in `to`.

    Args:
        unit: as a laboratory spells it.
        to: the unit that is wanted.
        molar_mass: g/mol of the substance, for conversion between g and mol.

    Raises:
        ConfigError: the unit is unknown or of another kind of quantity; names those that are known.
    """
    if spelled(unit) == spelled(to):
        return 1.0
    source, target = readings(unit), _wanted(to)
    for kind, base in target.items():
        if kind in source:
            return _ratio(source[kind], base)
    if molar_mass and "amount" in source and "mass" in target:
        return _ratio(source["amount"] * molar_mass / 1e3, target["mass"])
    if molar_mass and "mass" in source and "amount" in target:
        return _ratio(source["mass"] * 1e3 / molar_mass, target["amount"])
    kinds = [*target, *(["amount"] if molar_mass and "mass" in target else [])]
    known = "; ".join(_EXAMPLES[kind] for kind in kinds) or f"{to} alone"
    what = "is a unit of something else" if source else "is no unit that is known"
    raise ConfigError(
        f"{unit!r} {what}, and {to} is wanted.", where="unit", fix=f"use one of: {known}."
    )


def convert(values: _Values, unit: str, to: str, molar_mass: float | None = None) -> _Values:
    """Values in another unit; see `factor`."""
    return values * factor(unit, to, molar_mass)


def other_units(to: str, molar_mass: float | None = None, unit: str | None = None) -> list[str]:
    """The common units that can be converted to one, except those that are the same as another.

    Args:
        to: the unit that is wanted.
        molar_mass: see `factor`.
        unit: the other; None: `to` itself.
    """
    own = 1.0 if unit is None else factor(unit, to, molar_mass)
    kinds = [*_wanted(to), *(["amount"] if molar_mass else [])]
    texts = [text for kind in kinds for text in _EXAMPLES[kind].split(", ")]
    return [text for text in texts if factor(text, to, molar_mass) != own]


def _wanted(to: str) -> dict[str, float]:
    """What a unit that is asked for is: in `g/L` the case of the letter decides."""
    found = readings(to)
    if {"count", "mass"} <= set(found):
        del found["count" if to.strip().startswith("g") else "mass"]
    return found


def _ratio(above: float, below: float) -> float:
    """Without the last digits of a division: 1e-1 / 1e-3 is 100."""
    return float(f"{above / below:.12g}")
