"""The model card of a run, in the sections of Mitchell et al. 2019, as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import yaml

from covidlit.cards.claim import ClaimItem, claim_sheet
from covidlit.cards.claim_model import determinism
from covidlit.cards.claim_results import (
    CALIBRATION,
    MEASURES,
    estimate_text,
    measure_name,
    measure_of,
)
from covidlit.cards.markdown import bullets, escape, table
from covidlit.cards.run_artefacts import Facts, MissingFact, RunArtefacts
from covidlit.evaluation.estimate import format_level

SECTIONS = (
    "Model details",
    "Intended use",
    "Factors",
    "Metrics",
    "Evaluation data",
    "Training data",
    "Quantitative analyses",
    "Ethical considerations",
    "Caveats and recommendations",
)
"""Mitchell et al., Model Cards for Model Reporting, FAT* 2019, section 4, in its order."""

NOT_CLINICAL = (
    "For research only. **Not for clinical use**: not a medical device, not validated for "
    "diagnosis or treatment."
)


def model_card(run: RunArtefacts, items: Sequence[ClaimItem] | None = None) -> str:
    """The card as Markdown with a YAML header as on the Hugging Face Hub; user text is escaped.

    Args:
        run: of `read_run`.
        items: of `claim_sheet`, if it was made already: the card says the same as the sheet.
    """
    by_number = {item.number: item for item in items or claim_sheet(run)}
    facts = Facts(run)
    bodies = (
        _details(by_number),
        _intended_use(by_number),
        _factors(facts, by_number),
        _metrics(by_number),
        _evaluation_data(facts, by_number),
        _training_data(facts, by_number),
        _analyses(facts),
        _person("State the ethics approval, consent, what the data may be used for, and the harm "
                "that a wrong score can do."),
        _caveats(facts, by_number),
    )  # fmt: skip
    mark = " (SYNTHETIC DATA)" if run.synthetic else ""
    sections = [f"## {name}{mark}\n\n{body}" for name, body in zip(SECTIONS, bodies, strict=True)]
    return "\n".join([_head(run, facts), *sections])


def _head(run: RunArtefacts, facts: Facts) -> str:
    tags = ["covidlit", "medical-imaging", "computed-tomography", "covid-19", "research-only"]
    header = {
        "library_name": "covidlit",
        "pipeline_tag": "image-classification",
        "tags": [*tags, "synthetic-data"] if run.synthetic else tags,
    }
    name = facts.find("config.yaml", "name") or run.folder.name
    lines = [f"---\n{yaml.safe_dump(header, sort_keys=False)}---\n\n# {escape(name)}\n"]
    if run.synthetic:
        lines.append(
            "> **SYNTHETIC DATA**: every number on this card comes from computer-generated images, "
            "not from patients.\n"
        )
    elif run.synthetic is None:
        lines.append("> The run does not say whether its images are synthetic.\n")
    return "\n".join([*lines, f"{NOT_CLINICAL}\n"])


def _details(items: dict[int, ClaimItem]) -> str:
    titles = {1: "Kind", 22: "Architecture", 24: "First values", 25: "Training", 26: "Selection",
              27: "Ensemble", 23: "Versions"}  # fmt: skip
    return "\n".join(f"### {title}\n\n{_of(items[number])}" for number, title in titles.items())


def _intended_use(items: dict[int, ClaimItem]) -> str:
    return f"{NOT_CLINICAL}\n\n{_of(items[3])}\n{_of(items[39])}"


def _factors(facts: Facts, items: dict[int, ClaimItem]) -> str:
    groups: dict[str, list[str]] = {}
    for row in _found(facts, "metrics.json", "parts.test.subgroups"):
        groups.setdefault(str(row["column"]), []).append(f"{row['group']} (n = {row['n']})")
    lines = [f"{column}: {', '.join(values)}" for column, values in groups.items()]
    text = bullets(lines) if lines else _lack("metrics.json has no parts.test.subgroups")
    scanners = _records(_found(facts, "cohort.json", "scanners"))
    shown = scanners or _of(items[7])
    return f"Groups of the test part:\n\n{text}\nScanners of all parts:\n\n{shown}"


def _metrics(items: dict[int, ClaimItem]) -> str:
    return f"{_of(items[28])}\n{_of(items[29])}"


def _evaluation_data(facts: Facts, items: dict[int, ClaimItem]) -> str:
    parts = _records(_found(facts, "cohort.json", "parts")) or _of(items[20])
    return f"{_of(items[32])}\n{parts}\n### Reference standard\n\n{_of(items[14])}"


def _training_data(facts: Facts, items: dict[int, ClaimItem]) -> str:
    flow = _records(_found(facts, "cohort.json", "flow")) or _of(items[33])
    table1 = _records(_found(facts, "cohort.json", "table1")) or _of(items[34])
    titles = {8: "Eligibility", 20: "Partitions", 21: "Disjointness",
              9: "Preprocessing", 13: "Missing data", 12: "De-identification"}  # fmt: skip
    texts = [f"### {title}\n\n{_of(items[number])}" for number, title in titles.items()]
    # The scanners stand under Factors, as a table.
    own = [line for line in items[7].answer if not line.startswith("Scanner: ")]
    sources = bullets(own) if own else _of(items[7])
    return "\n".join(
        [
            f"### Sources\n\n{sources}",
            *texts,
            f"### Inclusion\n\n{flow}",
            f"### Table 1 by part\n\n{table1}",
        ]
    )


def _analyses(facts: Facts) -> str:
    try:
        parts = facts.get("metrics.json", "parts")
        confidence = facts.get("metrics.json", "settings.confidence")
    except MissingFact as lack:
        return _lack(str(lack))
    level, test = format_level(confidence), parts["test"]
    rows = [
        [
            measure_name(test, key),
            *(estimate_text(measure_of(part, key), key) for part in parts.values()),
        ]
        for key in MEASURES
    ]
    heads = [f"{name} (n = {part['n_scored']}), {level} CI" for name, part in parts.items()]
    confusion, refused = test["confusion"], test["refused"]
    two_by_two = [
        ["positive", confusion["tp"], confusion["fn"], refused["n_positive"]],
        ["negative", confusion["fp"], confusion["tn"], refused["n_negative"]],
    ]
    calibration = [
        [name, estimate_text(test["calibration"][key], key)]
        for key, name in CALIBRATION.items()
        if key in test["calibration"]
    ]
    groups = [
        [row["column"], row["group"], row["compared_with"], row["n"], row["n_positive"],
         *(estimate_text(row[key], key) for key in ("auc", "sensitivity", "specificity"))]
        for row in test["subgroups"]
    ]  # fmt: skip
    heading = [
        "column", "group", "compared with", "n", "positive", "AUC", "sensitivity", "specificity",
    ]  # fmt: skip
    return "\n".join(
        [
            table(["measure", *heads], rows),
            "### Test scans at the operating point\n",
            table(["truth", "called positive", "called negative", "no score"], two_by_two),
            "### Calibration of the test scores\n",
            table(["measure", f"value, {level} CI"], calibration),
            f"### Subgroups of the test part, {level} CI\n",
            table(heading, groups),
        ]
    )


def _caveats(facts: Facts, items: dict[int, ClaimItem]) -> str:
    cautions = [caution["text"] for caution in _found(facts, "metrics.json", "cautions")]
    repeated = determinism(facts) if "config.yaml" in facts.run.files else []
    return f"{bullets([*cautions, *repeated])}\n{_of(items[30])}\n{_of(items[38])}"


def _of(item: ClaimItem) -> str:
    """What the sheet says to an item, and what it leaves to a person."""
    if item.status == "needs a person":
        return _person(item.person)
    return _lack(item.reason) if item.status == "missing" else bullets(item.answer)


def _person(task: str) -> str:
    return f"*Needs a person:* {escape(task)}\n"


def _lack(reason: str) -> str:
    return f"*Missing:* {escape(reason)}.\n"


def _found(facts: Facts, file: str, key: str) -> list[dict[str, Any]]:
    return list(facts.find(file, key) or [])


def _records(records: Sequence[dict[str, Any]]) -> str:
    """Records with the same keys as a table; empty where there are none."""
    if not records:
        return ""
    heads = list(records[0])
    return table(
        [head.replace("_", " ") for head in heads],
        ([row.get(key) for key in heads] for row in records),
    )
