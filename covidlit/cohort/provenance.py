"""How a manifest came about, in columns of its own: the label rule, and the checks of its scans.

They go where the rows go, through edits and joined tables, so that training asks for nothing that
`covidlit manifest` was told already, and a run's records say what was really done.
"""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from covidlit.cohort.label_rule import ByClass, LabelRule, MultiClass, TargetRule
from covidlit.dicom import Checks
from covidlit.errors import CovidlitError, ManifestError
from covidlit.tables import row_texts

RULE, CHECKS = "label_rule", "checks_changed"
"""Columns: the rule that made `target`, such as "by_class: covid"; and the checks that are not the
default ones, such as "override=gantry_tilt,too_thick; min_slices=8"."""


def rule_text(rule: TargetRule | None) -> str | None:
    """A label rule as the manifest names it: the choice of `conf/label_rule`, and its classes."""
    match rule:
        case LabelRule():
            day = rule.untested_before
            before = "no untested scan" if day is None else f"untested before {day:%Y-%m-%d}"
            return f"paper: {', '.join(rule.positive)}; {before}"
        case ByClass():
            against = f" against {', '.join(rule.negative)}" if rule.negative else ""
            return f"by_class: {', '.join(rule.positive)}{against}"
        case MultiClass():
            return f"multi_class: {', '.join(rule.classes)}"
    return None


def checks_text(checks: Checks | None) -> str | None:
    """What of these checks a later reading must know; None for the default ones."""
    if checks is None:
        return None
    default, said = Checks(), []
    if checks.override:
        said.append(f"override={','.join(sorted(checks.override))}")
    if checks.min_slices != default.min_slices:
        said.append(f"min_slices={checks.min_slices}")
    if checks.image_orientation is not None:
        said.append(f"image_orientation={checks.image_orientation}")
    return "; ".join(said) or None


def rules_of(manifest: pd.DataFrame) -> dict[str, int]:
    """How many rows of a manifest each label rule has labelled, as far as it says."""
    if RULE not in manifest:
        return {}
    return {str(name): int(n) for name, n in manifest[RULE].value_counts().items()}


def checks_of(manifest: pd.DataFrame, given: Checks | None = None) -> Checks:
    """The checks that scans of a manifest are read with: those given, and those it was made with.

    What is switched off for some of its rows is so for all. A setting that was given (other than
    the default) goes before the manifest's.

    Args:
        manifest: contract 2.
        given: None: the default ones.

    Raises:
        ManifestError: the column holds something else, or two orientations of image files.
    """
    given = given or Checks()
    if CHECKS not in manifest:
        return given
    default, merged = Checks(), given
    fewest = [default.min_slices] if manifest[CHECKS].isna().any() else []
    for row, text in zip(row_texts(manifest), manifest[CHECKS], strict=True):
        if pd.isna(text):
            continue
        own = _parsed(str(text), row)
        merged = replace(merged, override=merged.override | own.override)
        fewest.append(own.min_slices)
        if given.image_orientation is None and own.image_orientation is not None:
            if merged.image_orientation not in (None, own.image_orientation):
                raise ManifestError(
                    f"its images run to {merged.image_orientation} and to {own.image_orientation}.",
                    where=f"row {row}, column {CHECKS!r}",
                    fix="keep one manifest for each, or state it: data.image_orientation.",
                )
            merged = replace(merged, image_orientation=own.image_orientation)
    if fewest and given.min_slices == default.min_slices:
        merged = replace(merged, min_slices=min(fewest))
    return merged


def _parsed(text: str, row: object) -> Checks:
    values = dict(part.strip().partition("=")[::2] for part in text.split(";"))
    try:
        unknown = set(values) - {"override", "min_slices", "image_orientation"}
        if unknown:
            raise ValueError(f"{min(unknown)!r} is no setting of the checks")
        names = values.get("override", "").split(",")
        return Checks(
            int(values.get("min_slices", Checks().min_slices)),
            frozenset(name.strip() for name in names if name.strip()),
            values.get("image_orientation"),
        )
    except (ValueError, CovidlitError) as error:
        what = error.what if isinstance(error, CovidlitError) else f"{error}."
        raise ManifestError(
            f"row {row}, column {CHECKS!r}: value {text!r}: {what}",
            where="manifest",
            fix="leave the column as `covidlit manifest` wrote it, or empty it.",
        ) from error
