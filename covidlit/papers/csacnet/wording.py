"""How differences are put into words: what was shown, and what the data leave open."""

from __future__ import annotations

from typing import Any

from covidlit.evaluation.difference import format_p


def verdict(test: dict[str, Any], what: str, confidence: float, percent: bool = False) -> str:
    """One sentence on a difference: whether one is shown, and how large it may be.

    Args:
        test: `DifferenceTest.to_dict()`; its p-value corrected by Holm counts where there is one.
        what: the measure, such as "AUC".
        confidence: level of the interval; 1 - confidence is the level of the test.
        percent: whether to write percentage points.
    """
    found = test["difference"]
    if found["value"] is None:
        return f"{what}: nothing can be said, because {found['reason']}."
    if found["low"] is None:
        value = signed(found["value"], percent)
        return f"{what}: the difference is {value}; how sure that is is unknown: {found['reason']}."
    range_ = f"{signed(found['low'], percent)} to {signed(found['high'], percent)}"
    if percent:
        range_ += " percentage points"
    p_value = test["p_holm"] if test["p_holm"] is not None else test["p_value"]
    if p_value is None:
        return f"{what}: no test, because {test['reason']}; the interval is {range_}."
    name = "p corrected by Holm" if test["p_holm"] is not None else "p"
    shown = f"{name} {format_p(p_value).removeprefix('p ')}"
    if p_value < 1 - confidence:
        return f"{what}: a difference is shown ({shown}), of {range_}."
    if not found["low"] <= 0 <= found["high"]:
        return (
            f"{what}: no difference is shown for certain ({shown}), although the interval of this "
            f"one test, {range_}, leaves 0 out."
        )
    return f"{what}: no difference is shown ({shown}); anything of {range_} fits the data."


def difference_text(test: dict[str, Any], percent: bool = False) -> str:
    """For the terminal: "+9.9 (+4.3 to +18.3)", or why there is no difference."""
    found = test["difference"]
    if found["value"] is None:
        return f"undefined: {found['reason']}"
    if found["low"] is None:
        return f"{signed(found['value'], percent)} (no interval)"
    low, high = signed(found["low"], percent), signed(found["high"], percent)
    return f"{signed(found['value'], percent)} ({low} to {high})"


def signed(value: float, percent: bool) -> str:
    """A number with its sign: three decimals, or percent with one."""
    return (f"{100 * value:+.1f}" if percent else f"{value:+.3f}").replace("-", "−")
