"""Tables 1 and 2 of the CSAC-Net paper, of any cohort: who is in it, per centre and per part."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from covidlit.cohort.class_names import KNOWN_CLASSES
from covidlit.cohort.split import PARTS, Split, unit_key
from covidlit.errors import ManifestError

AETIOLOGIES = (
    "bacterial",
    "bacterial_mycoplasma",
    "viral",
    "mycoplasma",
    "nodule",
    "other",
    "healthy",
)
"""The paper's causes (Table 2): four of community-acquired pneumonia, three without pneumonia."""

NOT_KNOWN = "not known"
"""What tables call the group of the scans without a value."""


def table1(manifest: pd.DataFrame, by: str = "centre") -> pd.DataFrame:
    """Table 1: size, sex, age and classes of each group, as numbers.

    Args:
        manifest: contract 2.
        by: the column whose values become the table's columns.

    Returns:
        Columns: the groups, sorted, "not known" if some have no value, then `all`. Rows: `n`,
        `n_patients`, `female_n`, `female_percent` (of those whose sex is known), `age_mean`,
        `age_sd` (years, sample SD), one `class:<name>` per class, and where there are any
        `sex_missing`, `age_missing`, `refused`.
    """
    if by not in manifest:
        raise ManifestError(
            f"the manifest has no column {by!r}.",
            where="table1(by=...)",
            fix=f"choose one of: {', '.join(map(str, manifest.columns))}.",
        )
    classes = _ordered(manifest["class_name"].dropna().unique(), KNOWN_CLASSES)
    groups = {str(name): rows for name, rows in manifest.groupby(by, sort=True)}
    if len(unknown := manifest[manifest[by].isna()]):
        groups[NOT_KNOWN] = unknown
    table = pd.DataFrame(
        {name: _summary(rows, classes) for name, rows in [*groups.items(), ("all", manifest)]}
    )
    optional = [
        row for row in ("sex_missing", "age_missing", "refused") if not table.loc[row].any()
    ]
    return table.drop(index=optional)


def show_table1(table: pd.DataFrame) -> pd.DataFrame:
    """Table 1 as the paper prints it: "325 (55%)", "50 (17)", and a dash for none."""

    def of(group: pd.Series) -> dict[str, str]:
        cells = {"Total population": f"{group['n']:.0f}"}
        if group["n_patients"] != group["n"]:
            cells["Patients"] = f"{group['n_patients']:.0f}"
        known = pd.notna(group["female_percent"])
        cells["Female (percentage)"] = (
            f"{group['female_n']:.0f} ({group['female_percent']:.0f}%)" if known else "-"
        )
        known = pd.notna(group["age_mean"])
        spread = f" ({group['age_sd']:.0f})" if pd.notna(group["age_sd"]) else ""
        cells["Age, mean, years (SD)"] = f"{group['age_mean']:.0f}{spread}" if known else "-"
        for row in group.index[group.index.str.startswith("class:")]:
            name = row.removeprefix("class:")
            label = {"covid": "COVID-19", "cap": "CAP", "np": "NP"}.get(name, name)
            cells[label] = f"{group[row]:.0f}" if group[row] else "-"
        for row, label in (
            ("sex_missing", "Sex unknown"),
            ("age_missing", "Age unknown"),
            ("refused", "Refused scans among these"),
        ):
            if row in group.index:
                cells[label] = f"{group[row]:.0f}" if group[row] else "-"
        return cells

    return pd.DataFrame({name: of(table[name]) for name in table}).fillna("-")


def table2(manifest: pd.DataFrame, split: Split) -> pd.DataFrame:
    """Table 2: classes by RT-PCR and aetiology in each part of a split.

    Returns:
        Index (part, class_name). Columns: `n`, `rtpcr_positive_initial` (the first test was
        positive), `rtpcr_positive_multiple` (the first was negative, a later one positive), then
        one per aetiology: the paper's in its order, then others, and `not_stated` where a case that
        is not RT-PCR positive has none.
    """
    split.check_fits(manifest)
    table = manifest.assign(part=manifest[unit_key(manifest)].map(split.parts))
    table = table[table["part"].notna()]
    missing = pd.Series(pd.NA, index=table.index, dtype="object")
    initial = table.get("rtpcr_initial", missing) == "positive"
    multiple = ~initial & table.get("rtpcr_round", missing).notna()
    # "covid" as the cause of class covid says nothing that the class has not said.
    cause = table.get("aetiology", missing)
    cause = cause.where(cause != table["class_name"])
    causes = _ordered(cause.dropna().unique(), AETIOLOGIES)
    counts = {
        "n": pd.Series(True, index=table.index),
        "rtpcr_positive_initial": initial,
        "rtpcr_positive_multiple": multiple,
        **{name: cause == name for name in causes},
    }
    not_stated = cause.isna() & ~initial & ~multiple
    if not_stated.any():
        counts["not_stated"] = not_stated
    columns = pd.DataFrame({name: mask.fillna(False).astype(int) for name, mask in counts.items()})
    summed = columns.groupby([table["part"], table["class_name"].fillna("not stated")]).sum()
    classes = _ordered(summed.index.get_level_values(1).unique(), KNOWN_CLASSES)
    order = [(part, name) for part in PARTS for name in classes if (part, name) in summed.index]
    return summed.loc[order]


def _summary(rows: pd.DataFrame, classes: list[str]) -> pd.Series:
    missing = pd.Series(float("nan"), index=rows.index)
    sex, age = rows.get("sex", missing), rows.get("age", missing).astype("float64")
    n_sex = int(sex.notna().sum())
    return pd.Series(
        {
            "n": len(rows),
            "n_patients": rows["patient_id"].nunique(),
            "female_n": int((sex == "F").sum()),
            "female_percent": 100 * int((sex == "F").sum()) / n_sex if n_sex else float("nan"),
            "age_mean": age.mean(),
            "age_sd": age.std(ddof=1),
            **{f"class:{name}": int((rows["class_name"] == name).sum()) for name in classes},
            "sex_missing": len(rows) - n_sex,
            "age_missing": int(age.isna().sum()),
            "refused": int((rows.get("status", missing) == "refused").sum()),
        },
        dtype="float64",
    )


def _ordered(found: Iterable[object], known: tuple[str, ...]) -> list[str]:
    """The known names first, in their own order, then the others by name."""
    names = [str(name) for name in found]
    return [n for n in known if n in names] + sorted(n for n in names if n not in known)
