"""The datamodule's table: manifest, target, part and the outcome of the preparation in one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pandas as pd

from covidlit.cohort.label_rule import rule_that_keeps
from covidlit.cohort.own_target import own_targets
from covidlit.cohort.provenance import rules_of
from covidlit.cohort.split import unit_key
from covidlit.errors import ManifestError, SplitError
from covidlit.tables import row_texts

if TYPE_CHECKING:
    from covidlit.cohort.splits import Split


def with_target(manifest: pd.DataFrame, label_rule: Any = None, n_classes: int = 2) -> pd.DataFrame:
    """The manifest with a `target`: the label rule's, or its own where no rule is given.

    Rows that get none are refused: `status` and `reason` say so. A rule of an endpoint in time adds
    its columns of the follow-up.

    Raises:
        ManifestError: there is neither a target nor a rule, or a target is not in
            0 .. n_classes - 1.
    """
    table = manifest.copy()
    reasons = pd.Series("the column is empty", index=table.index, dtype="string")
    if label_rule is None:
        if "target" not in table or table["target"].isna().all():
            raise ManifestError(
                "the manifest has no target and no label rule is given.",
                where="column target",
                fix="fill the column, or choose a label_rule.",
            )
    else:
        table["target"] = label_rule.apply(manifest)
        if hasattr(label_rule, "explain"):
            reasons = label_rule.explain(manifest)["reason"].astype("string")
        if hasattr(label_rule, "follow_up"):  # an endpoint in time
            own = label_rule.follow_up(manifest)
            table = table.drop(columns=[name for name in own if name in table]).join(own)
    table["target"] = own_targets(table)
    for row, value in zip(row_texts(table), table["target"], strict=True):
        if not pd.isna(value) and not 0 <= value < n_classes:
            raise ManifestError(
                f"row {row}, column 'target': value {value} is not in 0..{n_classes - 1}.",
                where="manifest",
                fix=_rule_of_manifest(table) or "correct it, or set n_classes.",
            )
    refused = _text(table, "status").eq("refused").fillna(False).astype(bool)
    unlabelled = table["target"].isna() & ~refused
    table["status"] = _text(table, "status").fillna("ok").mask(unlabelled, "refused")
    table["reason"] = _text(table, "reason").mask(unlabelled, "no target: " + reasons)
    return table


@contextmanager
def naming_the_rule(label_rule: Any, manifest: pd.DataFrame) -> Iterator[None]:
    """Where all rows have one target and no split can be: the rule that labels the others too."""
    try:
        yield
    except SplitError as error:
        # As before `with_target`, whose targets are no longer the manifest's own.
        kept = rule_that_keeps(label_rule, manifest.drop(columns="target"))
        if not kept or manifest["target"].nunique() > 1:
            raise
        raise SplitError(error.what, where=error.where, fix=kept) from error


def _rule_of_manifest(table: pd.DataFrame) -> str:
    """The choice of several classes that made the targets, where the manifest says so."""
    for text in rules_of(table):
        rule, _, classes = text.partition(": ")
        if rule == "multi_class":
            return f"use label_rule=multi_class 'label_rule.classes=[{classes.replace(' ', '')}]'."
    return ""


def check_manifest_columns(manifest: pd.DataFrame, where: object) -> None:
    """Check that the manifest's own columns can stand in a predictions table beside its scores.

    Raises:
        ManifestError: names the columns that cannot.
    """
    taken = {"run_id", "model", "seed", "fold", "repeat", "score"}  # contract 6
    names = [
        str(name) for name in manifest.columns if name in taken or str(name).startswith("score_")
    ]
    if names:
        raise ManifestError(
            f"the table of predictions has columns of its own called {', '.join(names)} (score_... "
            "is the score of a class).",
            where=where,
            fix=f"give the manifest's another name, such as own_{names[0]}.",
        )


def rows_of_split(table: pd.DataFrame, split: Split) -> pd.DataFrame:
    """The rows of `with_target` that a split names, and those without a target, with their reason.

    Any other scan is of a part that the split leaves out, and is none of the datamodule's business.
    """
    named = table[unit_key(table)].astype(str).isin(split.parts.keys())
    return table[named | table["target"].isna()]


def usable_rows(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of `with_target` that are worth preparing."""
    return table[table["status"] == "ok"]


def prepared_table(manifest: pd.DataFrame, prepared: pd.DataFrame, split: Split) -> pd.DataFrame:
    """Join the manifest with its split and the outcome of the preparation.

    Args:
        manifest: from `with_target`.
        prepared: `PreparedCohort.table` of the manifest's usable rows.
        split: parts by scan_id.

    Returns:
        The manifest's rows in order, with `part` (null outside the split), `status`, `reason`,
        `key`, `pixel_hash`, and, where there is any, `notes` (what was noted of the scan on the way
        in) and `lungs_in_view_percent`.
    """
    outcome = prepared.set_index("scan_id")
    ids = manifest["scan_id"].astype(str)
    table = manifest.copy()
    table["part"] = ids.map(dict(split.parts)).astype("string")
    for column in ("key", "pixel_hash"):
        table[column] = ids.map(outcome[column]).astype("string")
    refused = table["status"] == "refused"
    for column in ("status", "reason"):
        table[column] = ids.map(outcome[column]).astype("string").mask(refused, table[column])
    for column in ("notes", "lungs_in_view_percent"):
        found = ids.map(outcome[column])
        # What an earlier reading found, for the manifest, stays where there is none of now.
        found = found.fillna(table[column]) if column in table else found
        if found.notna().any():
            table[column] = found.astype("string" if column == "notes" else "float64")
    return table


def _text(table: pd.DataFrame, column: str) -> pd.Series:
    if column in table:
        return table[column].astype("string")
    return pd.Series(pd.NA, index=table.index, dtype="string")
