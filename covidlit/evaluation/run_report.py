"""The report of a run, made again from the files in its folder."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from covidlit.cohort.split import Split
from covidlit.counted import counted
from covidlit.errors import PredictionsError
from covidlit.evaluation.importance import read_importance
from covidlit.evaluation.learnt_thresholds import learnt_thresholds
from covidlit.evaluation.metrics_file import FILE, read_metrics
from covidlit.evaluation.published_figures import PublishedFigures, published_figures
from covidlit.evaluation.report_context import ReportContext
from covidlit.evaluation.row_names import SCAN
from covidlit.evaluation.runs import split_label
from covidlit.evaluation.settings import SETTINGS
from covidlit.files import fingerprint
from covidlit.settings.run_config import load_yaml
from covidlit.settings.words import CONFIG


def is_run_folder(path: str | Path) -> bool:
    """Whether a path is the folder of a run, and not a predictions table or another folder."""
    return (Path(path) / CONFIG).is_file()


def run_settings(folder: str | Path) -> dict[str, Any]:
    """The arguments of `evaluate` that a run was evaluated with, those of its configuration.

    Raises:
        PredictionsError: the configuration cannot be read.
    """
    own = run_evaluation(folder)
    return {name: own[name] for name in (*SETTINGS, "seed") if name in own}


def run_evaluation(folder: str | Path) -> dict[str, Any]:
    """The node `evaluation` of a run's configuration, whatever its outcome, and its `seed`.

    Raises:
        PredictionsError: the configuration cannot be read.
    """
    config = _config(Path(folder))
    evaluation = config.get("evaluation")
    own = dict(evaluation) if isinstance(evaluation, dict) else {}
    return own | ({"seed": config["seed"]} if isinstance(config.get("seed"), int) else {})


def run_context(folder: str | Path) -> ReportContext:
    """What a run's folder says for its report, as far as the files are there.

    `config.yaml`, `split.json`, `cohort.json`, `hardware.json` and `logs/metrics.csv` are of the
    run itself; what no file repeats (model, training, command, versions) comes from the record in
    its `metrics.json`, heatmaps from its `report.html`, and the importance of features from
    `importance.csv`.

    Raises:
        PredictionsError: a file cannot be read.
        SplitError: the split was changed by hand.
    """
    try:
        return _context(Path(folder))
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise PredictionsError(
            f"its files are not as a run leaves them ({type(error).__name__}: {error}).",
            where=folder,
            fix="give the predictions table of the run instead of its folder.",
        ) from error


def _context(folder: Path) -> ReportContext:
    config, cohort = _config(folder), _json(folder / "cohort.json")
    metrics = read_metrics(folder / FILE) if (folder / FILE).is_file() else {}
    record = metrics.get("record") or {}
    hardware = _json(folder / "hardware.json")
    split, page = folder / "split.json", folder / "report.html"
    gallery = (
        _Gallery(page.read_text(encoding="utf-8", errors="replace")) if page.is_file() else None
    )
    n_synthetic = cohort.get("n_synthetic")
    importance = read_importance(folder)
    return ReportContext(
        title=str(config.get("name") or folder.resolve().name),
        run_id=folder.resolve().name,
        command=record.get("command"),
        config=(folder / CONFIG).read_text(encoding="utf-8"),
        config_hash=record.get("config_hash") or _hash(config),
        split_hash=Split.load(split).hash if split.is_file() else record.get("split_hash"),
        split_summary=_frame(cohort.get("parts")),
        centres=sorted(str(row["centre"]) for row in cohort.get("centres") or ()),
        disjointness=_disjointness(cohort.get("in_two_parts") or {}),
        flow=_frame(cohort.get("flow")),
        tables=_tables(cohort),
        versions=record.get("versions") or {n: _shown(v) for n, v in hardware.items() if v},
        seed=config["seed"] if isinstance(config.get("seed"), int) else None,
        training_curve=training_curve(folder),
        model=record.get("model") or {},
        training=record.get("training") or {},
        selected_on=record.get("selected_on"),
        cut_short=record.get("cut_short") or "",
        synthetic=None if n_synthetic is None else bool(n_synthetic),
        notes=_notes(cohort),
        thresholds=learnt_thresholds(folder),
        published=published_of(config),
        gallery=gallery.images if gallery else (),
        gallery_note=gallery.note.strip() if gallery else "",
        importance=importance.table if importance else None,
        importance_note=importance.note if importance else "",
        importance_picture=importance.picture if importance else b"",
        unit=str(record.get("unit") or SCAN),
    )


def unit_of_runs(runs: Sequence[str | Path]) -> str:
    """What a row of some runs is, such as "patient"; "scan" where they do not say the same.

    Args:
        runs: run folders or predictions tables, each perhaps with "LABEL=" in front.
    """
    units = set()
    for run in runs:
        metrics = split_label(run)[1] / FILE
        record = read_metrics(metrics).get("record") if metrics.is_file() else None
        units.add(str((record or {}).get("unit") or SCAN))
    return units.pop() if len(units) == 1 else SCAN


def published_of(config: Mapping[str, Any]) -> PublishedFigures | None:
    """The figures of a paper that a run's model names, to stand beside its own.

    Raises:
        ConfigError: there are none of that name.
    """
    name = (config.get("model") or {}).get("published")
    return None if name is None else published_figures(name)


def _notes(cohort: Mapping[str, Any]) -> list[str]:
    found = [str(cohort["flow_note"])] if cohort.get("flow_note") else []
    counts = [f"{kind}: {n}" for kind, n in (cohort.get("suspicions") or {}).items()]
    noted = cohort.get("notes") or {}
    found += [f"Noted of {counted(n, 'scan')}: {text}" for text, n in noted.items()]
    if counts:
        found.append(f"Possible leakage ({', '.join(counts)}): train.log names the scans.")
    return found


def training_curve(folder: str | Path) -> pd.DataFrame | None:
    """The metrics that a run has logged, one row per epoch; None where nothing was logged.

    A run that went on has logged those of before into `metrics_<n>.csv`.
    """
    logs = Path(folder) / "logs"
    tables = []
    for path in [*sorted(logs.glob("metrics_*.csv")), logs / "metrics.csv"]:
        try:
            tables.append(pd.read_csv(path))
        except (OSError, ValueError):  # none, or cut off: the report does without
            continue
    tables = [table for table in tables if "epoch" in table]
    if not tables:
        return None
    logged = pd.concat(tables, ignore_index=True)
    return logged.groupby("epoch", as_index=False).last().drop(columns="step", errors="ignore")


def _config(folder: Path) -> dict[str, Any]:
    path = folder / CONFIG
    try:
        config = load_yaml(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as problem:
        first = str(problem).splitlines()[0]
        raise PredictionsError(
            f"it cannot be read: {first}.",
            where=path,
            fix="give the predictions table of the run instead of its folder.",
        ) from problem
    return config if isinstance(config, dict) else {}


def _json(path: Path) -> dict[str, Any]:
    """The content of a file of the run; empty where there is none."""
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as problem:
        raise PredictionsError(
            f"it cannot be read: {problem}.",
            where=path,
            fix="give the predictions table of the run instead of its folder.",
        ) from problem
    return content if isinstance(content, dict) else {}


def _hash(config: dict[str, Any]) -> str | None:
    try:
        return fingerprint(config)
    except (TypeError, ValueError):  # a date, say, which no configuration of a run holds
        return None


def _shown(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _frame(records: list[dict[str, Any]] | None) -> pd.DataFrame | None:
    return pd.DataFrame(records) if records else None


def _tables(cohort: dict[str, Any]) -> dict[str, pd.DataFrame]:
    titles = {
        "table1": "Table 1. The cohort by part",
        "table2": "Table 2. Classes, RT-PCR and aetiology by part",
    }
    frames = {title: _frame(cohort.get(name)) for name, title in titles.items()}
    return {title: frame for title, frame in frames.items() if frame is not None}


def _disjointness(in_two_parts: dict[str, Any]) -> list[str]:
    """Such as "No value in two parts: 40 patients, 40 images (checked when the run started)."."""
    known = {name: counts for name, counts in in_two_parts.items() if counts}
    clean = [f"{c['compared']} {name}" for name, c in known.items() if not c["shared"]]
    sentences = [
        f"{counts['shared']} of {counts['compared']} {name} stand in two parts."
        for name, counts in known.items()
        if counts["shared"]
    ]
    if clean:
        sentences.insert(
            0, f"None stands in two parts of {', '.join(clean)}; checked when the run started."
        )
    return sentences


class _Gallery(HTMLParser):
    """The heatmaps of a report, and what it says of them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.images: list[tuple[str, bytes]] = []
        self.note = ""
        self._inside, self._paragraphs, self._reading = False, 0, False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag == "section":
            self._inside = found.get("id") in ("heatmaps", "slices")
        if not self._inside:
            return
        if tag == "p":
            self._paragraphs += 1
            self._reading = self._paragraphs == 1
        start, _, data = (found.get("src") or "").partition(",")
        if tag == "img" and start == "data:image/png;base64":
            try:
                self.images.append((found.get("alt") or "", base64.b64decode(data, validate=True)))
            except binascii.Error:  # a page that was cut off
                return

    def handle_endtag(self, tag: str) -> None:
        self._reading = self._reading and tag != "p"
        self._inside = self._inside and tag != "section"

    def handle_data(self, data: str) -> None:
        if self._reading:
            self.note += data
