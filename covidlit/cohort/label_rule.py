"""Label rules: how the columns of the manifest become the target; chosen by `conf/label_rule`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

import numpy as np
import pandas as pd

from covidlit.cohort.class_names import class_column, in_target_order, require_classes
from covidlit.cohort.columns import TEXT, as_day, column_of
from covidlit.cohort.own_target import has_targets, own_targets
from covidlit.cohort.scan_dates import DOUBTED, scan_days
from covidlit.counted import counted
from covidlit.errors import ManifestError, did_you_mean

_NO_CLASS = "no class_name"
_NO_DAY = f"no RT-PCR result, and {DOUBTED}: state it in the labels"


class TargetRule(Protocol):
    """What every label rule offers: the number of classes, the targets and the reasons."""

    @property
    def n_classes(self) -> int: ...

    def apply(self, manifest: pd.DataFrame) -> pd.Series: ...

    def explain(self, manifest: pd.DataFrame) -> pd.DataFrame: ...


def classes_named(rule: TargetRule | None) -> tuple[str, ...] | None:
    """The classes that a rule names; None for one that does not go by `class_name`."""
    match rule:
        case LabelRule():
            return rule.positive
        case ByClass():
            return (*rule.positive, *(rule.negative or ()))
        case MultiClass():
            return rule.classes
    return None


class ManifestTarget:
    """The manifest's own `target`, 0 or 1; where no row has one, the paper's rule."""

    n_classes = 2

    def apply(self, manifest: pd.DataFrame) -> pd.Series:
        """The target of each row: Int64, null where there is none.

        Raises:
            ManifestError: no row gets a target.
        """
        if has_targets(manifest):
            return own_targets(manifest)
        return LabelRule().apply(manifest)

    def explain(self, manifest: pd.DataFrame) -> pd.DataFrame:
        """`target` and `reason` of each row; a reason stands where the target is null."""
        if not has_targets(manifest):
            return LabelRule().explain(manifest)
        target = self.apply(manifest)
        reason = pd.Series("the column is empty", index=manifest.index, dtype=TEXT)
        return pd.DataFrame({"target": target, "reason": reason.where(target.isna())})


class LabelRule:
    """The CSAC-Net paper's rule ("Image labelling and pre-processing").

    1: RT-PCR positive, at first or later, **and** CT-confirmed COVID-19 (`class_name`).
    0: RT-PCR negative, or scanned before 30 November 2019, when nobody had the disease.
    Null, hence left out and counted: neither of the two, or contradictory (RT-PCR positive with
    another class, or class COVID-19 without a positive RT-PCR).

    The paper labels cases *before 30 November* but includes untested ones *before 1 December*: an
    untested scan of 30 November itself passes the inclusion and gets no label.

    A date that de-identification moved, or that cannot be, makes no untested scan a negative.

    Args:
        positive: the classes that count as CT-confirmed.
        untested_before: ISO date; an untested scan counts as negative if it is earlier than this
            day. Null: every scan needs an RT-PCR result.
    """

    n_classes = 2

    def __init__(
        self, positive: Sequence[str] = ("covid",), untested_before: str | None = "2019-11-30"
    ) -> None:
        self.positive = _names(positive, "positive")
        self.untested_before: pd.Timestamp | None = None
        if untested_before is not None:
            self.untested_before = as_day(untested_before, "label_rule.untested_before")

    def apply(self, manifest: pd.DataFrame) -> pd.Series:
        """The target of each row: Int64, 0 or 1, null where the rule gives none.

        Raises:
            ManifestError: no row gets a target, or a class that the rule names is misspelt.
        """
        require_classes(self.positive, class_column(manifest), "label_rule.positive")
        return _checked(self.explain(manifest), "the RT-PCR rule needs rtpcr_initial and dates")

    def explain(self, manifest: pd.DataFrame) -> pd.DataFrame:
        """`target` and `reason` of each row; a reason stands where the target is null."""
        result = column_of(manifest, "rtpcr_initial")
        later = column_of(manifest, "rtpcr_round").notna()
        tested_positive = (result == "positive") | later
        tested_negative = (result == "negative") & ~later
        untested = ~(tested_positive | tested_negative)
        days, doubted = scan_days(manifest)
        if self.untested_before is None:
            early = pd.Series(False, index=manifest.index)
        else:
            early = days < self.untested_before
        is_positive = class_column(manifest).isin(self.positive)
        known = class_column(manifest).notna()
        outcomes: list[tuple[pd.Series, int | None, str]] = [
            (~known, None, _NO_CLASS),
            (is_positive & tested_positive, 1, ""),
            (is_positive & tested_negative, None, "class is positive but RT-PCR is negative"),
            (is_positive, None, "class is positive but there is no RT-PCR result"),
            (tested_positive, None, "RT-PCR is positive but the class is not"),
            (tested_negative, 0, ""),
            (untested & early, 0, ""),
            (untested & doubted & (self.untested_before is not None), None, _NO_DAY),
            (untested, None, f"no RT-PCR result and not before {self._before()}"),
        ]
        return _table(manifest, outcomes)

    def _before(self) -> str:
        return "any date" if self.untested_before is None else f"{self.untested_before:%Y-%m-%d}"


class ByClass:
    """Binary targets from `class_name` alone: 1 for the `positive` classes, 0 for the others.

    Args:
        positive: classes that become 1.
        negative: classes that become 0; null: every other class. Rows of further classes get no
            target, hence are left out and counted.
    """

    n_classes = 2

    def __init__(
        self, positive: Sequence[str] = ("covid",), negative: Sequence[str] | None = None
    ) -> None:
        self.positive = _names(positive, "positive")
        self.negative = None if negative is None else _names(negative, "negative")
        both = set(self.positive) & set(self.negative or ())
        if both:
            raise ManifestError(
                f"both positive and negative: {', '.join(sorted(both))}.",
                where="label_rule",
                fix="name each class once.",
            )

    def apply(self, manifest: pd.DataFrame) -> pd.Series:
        """The target of each row: Int64, 0 or 1, null for classes that the rule does not name.

        Raises:
            ManifestError: no row gets a target, or a class that the rule names is misspelt.
        """
        classes = [*self.positive, *(self.negative or ())]
        require_classes(classes, class_column(manifest), "label_rule")
        return _checked(self.explain(manifest), f"the rule knows the classes {', '.join(classes)}")

    def explain(self, manifest: pd.DataFrame) -> pd.DataFrame:
        """`target` and `reason` of each row; a reason stands where the target is null."""
        name = class_column(manifest)
        is_negative = name.notna() if self.negative is None else name.isin(self.negative)
        return _table(
            manifest,
            [
                (name.isna(), None, _NO_CLASS),
                (name.isin(self.positive), 1, ""),
                (is_negative, 0, ""),
                (name.notna(), None, "a class that the label rule does not name"),
            ],
        )


class MultiClass:
    """One target per class: the position of `class_name` in `classes`.

    The class of interest, whose probability is the `score`, is covid, or the last class where covid
    is none of them. Of two classes it is target 1 in either order.

    Args:
        classes: the classes in the order of the network's outputs; rows of further classes get no
            target, hence are left out and counted.
    """

    def __init__(self, classes: Sequence[str] = ("np", "cap", "covid")) -> None:
        self.classes = _names(classes, "classes")
        if len(set(self.classes)) != len(self.classes) or len(self.classes) < 2:
            raise ManifestError(
                f"{list(self.classes)} are not two or more different classes.",
                where="label_rule.classes",
                fix="name each class once.",
            )
        self.classes = in_target_order(self.classes)

    @property
    def n_classes(self) -> int:
        """How many classes the targets have."""
        return len(self.classes)

    def apply(self, manifest: pd.DataFrame) -> pd.Series:
        """The target of each row: Int64, 0 to n_classes - 1, null for other classes.

        Raises:
            ManifestError: no row gets a target, or a class that the rule names is misspelt.
        """
        known = ", ".join(self.classes)
        require_classes(self.classes, class_column(manifest), "label_rule.classes")
        return _checked(self.explain(manifest), f"the rule knows the classes {known}")

    def explain(self, manifest: pd.DataFrame) -> pd.DataFrame:
        """`target` and `reason` of each row; a reason stands where the target is null."""
        name = class_column(manifest)
        outcomes: list[tuple[pd.Series, int | None, str]] = [
            (name == known, target, "") for target, known in enumerate(self.classes)
        ]
        outcomes.append((name.isna(), None, _NO_CLASS))
        outcomes.append((name.notna(), None, "a class that the label rule does not name"))
        return _table(manifest, outcomes)


class ByColumn:
    """Binary targets from any column: 1 for the `positive` values, 0 for the others.

    Texts are compared without case, true and false with `true` and `false`, numbers as numbers.

    Args:
        column: of the table, such as outcome or severity.
        positive: values that become 1.
        negative: values that become 0; null: every other value. Rows of further values, and those
            without one, get no target, hence are left out and counted.
    """

    n_classes = 2

    def __init__(
        self,
        column: str,
        positive: Sequence[object],
        negative: Sequence[object] | None = None,
    ) -> None:
        self.column = str(column)
        self.positive = _values(positive, "positive")
        self.negative = None if negative is None else _values(negative, "negative")
        both = set(self.positive) & set(self.negative or ())
        if both:
            raise ManifestError(
                f"both positive and negative: {', '.join(sorted(both))}.",
                where="label_rule",
                fix="name each value once.",
            )

    def apply(self, manifest: pd.DataFrame) -> pd.Series:
        """The target of each row: Int64, 0 or 1, null for values that the rule does not name.

        Raises:
            ManifestError: there is no such column, a value that the rule names is misspelt, or no
                row gets a target.
        """
        self._check(manifest)
        named = ", ".join([*self.positive, *(self.negative or ())])
        return _checked(self.explain(manifest), f"the rule goes by {self.column}: {named}")

    def explain(self, manifest: pd.DataFrame) -> pd.DataFrame:
        """`target` and `reason` of each row; a reason stands where the target is null."""
        words = column_of(manifest, self.column).map(_word, na_action="ignore")
        known = words.notna()
        is_negative = known if self.negative is None else words.isin(self.negative)
        return _table(
            manifest,
            [
                (~known, None, f"no {self.column}"),
                (words.isin(self.positive), 1, ""),
                (is_negative, 0, ""),
                (known, None, f"a value of {self.column} that the label rule does not name"),
            ],
        )

    def _check(self, manifest: pd.DataFrame) -> None:
        columns = list(map(str, manifest.columns))
        if self.column not in columns:
            raise ManifestError(
                f"there is no column {self.column!r}.",
                where="label_rule.column",
                fix=did_you_mean(self.column, columns)
                or f"choose one of {', '.join(columns)}, or map it in the source's mapping.",
            )
        values = sorted(set(manifest[self.column].dropna().map(_word)))
        for value in (*self.positive, *(self.negative or ())):
            near = did_you_mean(value, values, cutoff=0.75)
            if value not in values and near:
                raise ManifestError(
                    f"no row has the value {value!r} in column {self.column!r}.",
                    where="label_rule",
                    fix=f"{near} The column holds: {', '.join(values[:20])}.",
                )


def _word(value: object) -> str:
    """A value as rules name it: `true`, `1` for 1.0, texts without case."""
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value).strip().casefold()


def _values(values: Sequence[object], argument: str) -> tuple[str, ...]:
    listed = [values] if isinstance(values, str | bool | int | float) else list(values)
    if not listed:
        raise ManifestError(
            "no value is named.", where=f"label_rule.{argument}", fix="name at least one value."
        )
    return tuple(_word(value) for value in listed)


def rule_that_keeps(rule: TargetRule | None, manifest: pd.DataFrame) -> str:
    """The label rule that gives a target to the positive scans that this one leaves out.

    Args:
        rule: that gave none of them a target.
        manifest: its rows, those without a target among them.

    Returns:
        A sentence; empty where the rule leaves out no such scan, or labels some.
    """
    if isinstance(rule, ManifestTarget) and not has_targets(manifest):
        rule = LabelRule()
    if not isinstance(rule, LabelRule):
        return ""
    positive = class_column(manifest).isin(rule.positive).to_numpy(dtype=bool)
    labels = rule.explain(manifest)[positive]
    if labels.empty or labels["target"].notna().any():
        return ""
    counts = labels["reason"].value_counts()
    why = "; ".join(f"{n}: {reason}" for reason, n in counts.items())
    names = ",".join(rule.positive)
    named = "" if rule.positive == ("covid",) else f" label_rule.positive=[{names}]"
    option = "" if not named else "".join(f" --positive {name}" for name in rule.positive)
    return (
        f"The paper's rule by RT-PCR gives no target to any of the {len(labels)} scans of class "
        f"{names} ({why}); the rule by class alone keeps them: `covidlit manifest --label-rule "
        f"by-class{option}`, or in training label_rule=by_class{named}."
    )


def _table(
    manifest: pd.DataFrame, outcomes: Iterable[tuple[pd.Series, int | None, str]]
) -> pd.DataFrame:
    """Each row takes the first outcome whose condition holds."""
    conditions, targets, reasons = zip(*outcomes, strict=True)
    masks = [condition.fillna(False).to_numpy(dtype=bool) for condition in conditions]
    values = np.select(masks, [np.nan if t is None else float(t) for t in targets], np.nan)
    reason = pd.Series(np.select(masks, reasons, ""), index=manifest.index, dtype=TEXT)
    return pd.DataFrame(
        {
            "target": pd.Series(values, index=manifest.index).astype("Int64"),
            "reason": reason.where(reason != ""),
        }
    )


def _checked(labels: pd.DataFrame, needs: str) -> pd.Series:
    target = labels["target"]
    if len(target) and target.isna().all():
        counts = labels["reason"].value_counts()
        reasons = "; ".join(f"{counted(n, 'row')}: {reason}" for reason, n in counts.items())
        fix = (
            "complete these columns, or label by class_name alone: label_rule=by_class, for "
            "`covidlit manifest` --label-rule by-class."
        )
        if (labels["reason"] == _NO_CLASS).all():
            fix = "complete the column class_name."
        raise ManifestError(
            f"no row gets a target ({needs}): {reasons}.", where="label_rule", fix=fix
        )
    return target


def _names(names: Sequence[str], argument: str) -> tuple[str, ...]:
    """The classes as a tuple, also from one name or from a list of a configuration."""
    listed = (names,) if isinstance(names, str) else tuple(str(name) for name in names)
    if not listed:
        raise ManifestError(
            "no class is named.", where=f"label_rule.{argument}", fix="name at least one class."
        )
    return listed
