"""The datamodule's table: manifest, target, part and the outcome of the preparation in one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from covidlit.errors import ManifestError

if TYPE_CHECKING:
    import pandas as pd

    from covidlit.cohort.splits import Split


def with_target(manifest: pd.DataFrame, label_rule: Any = None) -> pd.DataFrame:
    """The manifest with a `target`: its own where it has any, else the label rule's.

    Where the rule gives no target, its reason is kept in `attrs["target_reasons"]` by scan_id.

    Raises:
        ManifestError: neither is there.
    """
    if "target" in manifest and manifest["target"].notna().any():
        return manifest
    if label_rule is None:
        raise ManifestError(
            "the manifest has no target and no label rule is given.",
            where="column target",
            fix="fill the column, or choose a label_rule.",
        )
    table = manifest.copy()
    table["target"] = label_rule.apply(manifest)
    table.attrs.update(manifest.attrs)
    if hasattr(label_rule, "explain"):
        reasons = label_rule.explain(manifest)["reason"]
        table.attrs["target_reasons"] = dict(zip(manifest["scan_id"], reasons, strict=True))
    return table


def usable_rows(table: pd.DataFrame) -> pd.DataFrame:
    """The rows that are worth preparing: with a target, and not refused by the manifest itself."""
    rows = table[(_text(table, "status").fillna("ok") == "ok") & table["target"].notna()]
    rows.attrs.update(table.attrs)
    return rows


def prepared_table(
    manifest: pd.DataFrame, prepared: pd.DataFrame, split: Split, n_classes: int
) -> pd.DataFrame:
    """Join the manifest with its split and the outcome of the preparation.

    Args:
        manifest: with `target`.
        prepared: `PreparedCohort.table` of the manifest's usable rows.
        split: parts by scan_id.
        n_classes: targets must be 0 .. n_classes - 1.

    Returns:
        The manifest's rows in order, with `part` (null outside the split), `status`, `reason`,
        `key`, `pixel_hash`. A scan without a target is refused.

    Raises:
        ManifestError: a target out of range.
    """
    import pandas as pd

    target = pd.to_numeric(manifest["target"], errors="coerce").astype("Int64")
    wrong = target.notna() & ~target.between(0, n_classes - 1)
    if wrong.any():
        row = int(wrong.to_numpy(dtype=bool).argmax())
        raise ManifestError(
            f"row {row + 1} (scan {manifest['scan_id'].iloc[row]}), column 'target': value "
            f"{target.iloc[row]} is not in 0..{n_classes - 1}.",
            where="manifest",
            fix="correct it, or set n_classes.",
        )
    outcome = prepared.set_index("scan_id")
    ids = manifest["scan_id"].astype(str)
    table = manifest.copy()
    table["target"] = target
    table["part"] = ids.map(dict(split.parts)).astype("string")
    for column in ("key", "pixel_hash"):
        table[column] = ids.map(outcome[column]).astype("string")
    # A scan is refused by the manifest, for want of a target, or by the preparation.
    refused = _text(manifest, "status") == "refused"
    unlabelled = ~refused & target.isna()
    why_unlabelled = ids.map(manifest.attrs.get("target_reasons", {})).astype("string")
    status = ids.map(outcome["status"]).astype("string")
    table["status"] = status.mask(refused | unlabelled, "refused")
    reason = ids.map(outcome["reason"]).astype("string")
    reason = reason.mask(unlabelled, "no target: " + why_unlabelled.fillna("the column is empty"))
    table["reason"] = reason.mask(refused, _text(manifest, "reason"))
    table.attrs.update(manifest.attrs)
    return table


def _text(table: pd.DataFrame, column: str) -> pd.Series:
    import pandas as pd

    if column in table:
        return table[column].astype("string")
    return pd.Series(pd.NA, index=table.index, dtype="string")
