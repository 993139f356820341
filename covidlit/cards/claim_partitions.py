"""CLAIM items on the partitions and who is in them (20, 21, 33, 34), from a run's files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from covidlit.cards.run_artefacts import FOLDS, Facts, MissingFact
from covidlit.cards.wording import listed, record_text
from covidlit.counted import counted


def assignment(facts: Facts) -> list[str]:
    """Item 20: the kind of the split, its arguments and the share of each part."""
    folds = facts.run.files.get(FOLDS)
    if not folds:
        return _assignment(facts, "split.json", "")
    repeats = len(folds) // len({split.get("fold") for split in folds.values()})
    whole = f"Cross-validation of {len(folds) // repeats} folds"
    lines = [f"{whole}: each scan is tested once, in one of them."]
    if repeats > 1:
        lines = [f"{whole}, {repeats} times: each scan is tested once in each repeat."]
    for fold in folds:
        lines += [f"{fold}: {line}" for line in _assignment(facts, FOLDS, f"{fold}.")]
    return lines


def _assignment(facts: Facts, file: str, at: str) -> list[str]:
    kind, arguments = facts.get(file, f"{at}kind"), facts.find(file, f"{at}arguments") or {}
    seed, fold = facts.find(file, f"{at}seed"), facts.find(file, f"{at}fold")
    how = {**arguments, **{k: v for k, v in (("seed", seed), ("fold", fold)) if v is not None}}
    lines = [f"Split made by {kind}{f' with {record_text(how)}' if how else ''}."]
    names = list(facts.get(file, f"{at}parts").values())
    for part in dict.fromkeys(("train", "validation", "test", *names)):
        count = names.count(part)
        lines.append(f"{part}: {count} of {len(names)} scans ({100 * count / len(names):.1f}%).")
    return [*lines, f"SHA-256 of the split: {facts.get(file, f'{at}hash')}."]


def disjointness(facts: Facts) -> list[str]:
    """Item 21: what was compared between the parts, with the result."""
    compared = facts.get("cohort.json", "in_two_parts")
    patients = facts.get("cohort.json", "in_two_parts.patients.shared")
    lines = ["The parts share patients." if patients else "The parts are disjoint by patient."]
    for name, found in compared.items():
        what = "images (hash of the voxels)" if name == "images" else name
        if found is None:
            lines.append(f"{what}: not compared, the manifest does not tell them apart.")
        else:
            text = f"{what}: {found['compared']} compared, {found['shared']} in more than one part."
            lines.append(text)
    suspicions = facts.find("cohort.json", "suspicions")
    if suspicions is not None:
        counts = [f"{kind}: {n}" for kind, n in suspicions.items()]
        lines.append(f"To be looked at, {', '.join(counts) or 'near copies: none'}.")
    held_out, shared = test_centres(facts)
    if held_out:
        lines.append(f"Centres of the test part alone: {listed(held_out)}.")
    if shared:
        lines.append(f"Centres of the test part and of another: {listed(shared)}.")
    return lines + unknown_centres(facts)


def flow(facts: Facts) -> list[str]:
    """Item 33: how many scans each step left out."""
    note = facts.find("cohort.json", "flow_note")
    if not facts.find("cohort.json", "flow"):
        raise MissingFact(note or "cohort.json has no flow of inclusion")
    lines = []
    for row in facts.get("cohort.json", "flow"):
        out = f"{row['n_excluded']} out, " if row["n_excluded"] else ""
        unknown = f", {row['n_not_assessed']} not assessed" if row.get("n_not_assessed") else ""
        left = f"{counted(row['n_left'], 'scan')} of {counted(row['n_patients'], 'patient')} left"
        lines.append(f"{row['criterion']}: {out}{left}{unknown}.")
    return lines


def characteristics(facts: Facts) -> list[str]:
    """Item 34: Table 1 by part."""
    lines = []
    for row in facts.get("cohort.json", "table1"):
        name, *cells = row.items()
        lines.append(f"{name[1]}: {'; '.join(f'{part} {value}' for part, value in cells)}.")
    return lines


def test_centres(facts: Facts) -> tuple[list[str], list[str]]:
    """The centres of the test part: those with no scan in another part, and the others.

    While the centre of a scan of another part is not known, no centre is shown to have none there.
    """
    rows = facts.get("cohort.json", "centres")
    unsure = any(row["centre"] is None and _elsewhere(row) for row in rows)
    tested = [row for row in rows if row.get("test") and row["centre"] is not None]
    other = [str(row["centre"]) for row in tested if _elsewhere(row)]
    alone = [str(row["centre"]) for row in tested if not _elsewhere(row)]
    return [] if unsure else alone, other


def unknown_centres(facts: Facts) -> list[str]:
    """How many scans of each part are of a centre that is not known, where some are."""
    counts = [
        f"{row[part]} of the {part} part"
        for row in facts.get("cohort.json", "centres")
        for part in ("train", "validation", "test")
        if row["centre"] is None and row.get(part)
    ]
    return [f"Scans whose centre is not known: {listed(counts)}."] if counts else []


def _elsewhere(row: Mapping[str, Any]) -> bool:
    return bool(row.get("train") or row.get("validation"))
