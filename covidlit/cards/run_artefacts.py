"""The files of one run as values that a checklist can cite by file and key."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser

from covidlit.cards.network_facts import network_facts
from covidlit.cohort import Split
from covidlit.errors import CheckpointError, CovidlitError, PredictionsError
from covidlit.evaluation import read_metrics, read_predictions
from covidlit.evaluation.folds import number_of_folder
from covidlit.evaluation.predictions import of_one_repeat
from covidlit.files import fingerprint
from covidlit.settings.run_config import load_yaml

FILES = ("config.yaml", "split.json", "cohort.json", "hardware.json", "metrics.json")
CHECKPOINT, MULTIRUN, HEATMAPS = "checkpoint", "multirun.yaml", "heatmaps/localisation.json"
FOLDS = "fold_*/split.json"
_AGAIN = "train again, or take the file from a copy of the run."


class MissingFact(Exception):  # noqa: N818 (an answer, not an error)
    """A run lacks the file or the key that an item is answered from."""


@dataclass(frozen=True)
class RunArtefacts:
    """What a run left behind.

    Args:
        folder: of the run.
        files: content by name, those of `FILES` that are there; under "checkpoint" the facts of the
            network that gave the scores, of a cross-validation that of its first fold; under
            "multirun.yaml" the sweep that the run is part of; under `FOLDS` the splits of the folds
            of a cross-validation, by the names of their folders.
    """

    folder: Path
    files: Mapping[str, Any]

    @property
    def synthetic(self) -> bool | None:
        """Whether any image is synthetic; None where no file of the run says."""
        found = (
            self.files.get("metrics.json", {}).get("synthetic"),
            self.files.get("cohort.json", {}).get("n_synthetic"),
            self.files.get(CHECKPOINT, {}).get("synthetic"),
        )
        known = [bool(value) for value in found if value is not None]
        return any(known) if known else None


class Facts:
    """Reads values of a run, and keeps where each came from.

    Attributes:
        sources: file and key of each value that was found, in order.
    """

    def __init__(self, run: RunArtefacts) -> None:
        self.run = run
        self.sources: list[str] = []

    def get(self, file: str, key: str) -> Any:
        """The value at a key such as "parts.test.auc".

        Raises:
            MissingFact: there is no such file or key, or its value is null.
        """
        if (value := self.find(file, key)) is None:
            there = file in self.run.files
            raise MissingFact(f"{file} has no {key}" if there else f"the run has no {file}")
        return value

    def find(self, file: str, key: str) -> Any:
        """The value at a key, or None where there is none."""
        value = self.run.files.get(file)
        for name in key.split("."):
            value = value.get(name) if isinstance(value, Mapping) else None
        source = f"{_shown(self.run, file)}: {key}"
        if value is not None and source not in self.sources:
            self.sources.append(source)
        return value


def read_run(folder: str | Path) -> RunArtefacts:
    """Read the folder of a run and check that its files belong together.

    Only `config.yaml` must be there; what else is missing is left out.

    Raises:
        CovidlitError: there is no such folder, it is none of a run, a file is damaged, or files are
            of different runs.
    """
    folder = Path(folder)
    if not (folder / "config.yaml").is_file():
        raise CovidlitError(
            "the folder holds no config.yaml." if folder.is_dir() else "there is no such folder.",
            where=folder,
            fix="give the folder of a run (runs/<name>/<date>), as `covidlit train` leaves it.",
        )
    files = {name: _read(folder / name) for name in FILES if (folder / name).is_file()}
    if folds := {} if "split.json" in files else _splits_of_folds(folder):
        files[FOLDS] = folds
    first = folder / next(iter(folds), "")
    if (path := _checkpoint_of(first, files.get("metrics.json", {}))) is not None:
        files[CHECKPOINT] = {**network_facts(path), "file": path.relative_to(folder).as_posix()}
    if (folder / HEATMAPS).is_file():
        files[HEATMAPS] = _read(folder / HEATMAPS)
    if (folder.resolve().parent / MULTIRUN).is_file():
        files[MULTIRUN] = _multirun(folder.resolve().parent)
    run = RunArtefacts(folder, files)
    _check_one_run(run)
    return run


def _read(path: Path) -> dict[str, Any]:
    """A JSON or YAML file that holds a mapping; a split is checked against its own hash."""
    if path.name == "split.json":
        return Split.load(path).model_dump(mode="json")
    if path.name == "metrics.json":
        metrics = read_metrics(path)
        if kind := metrics.get("kind"):
            raise CovidlitError(
                f"the CLAIM sheet and the model card are of classifications, and this is a run of "
                f"{kind}.",
                where=path.parent,
                fix="give the folder of a classification; report.html says what this run came to.",
            )
        return metrics
    try:
        text = path.read_text(encoding="utf-8")
        content = load_yaml(text) if path.suffix == ".yaml" else json.loads(text)
    except (ValueError, yaml.YAMLError) as error:
        first = str(error).splitlines()[0]
        raise CovidlitError(f"it cannot be read: {first}.", where=path, fix=_AGAIN) from error
    if not isinstance(content, dict):
        raise CovidlitError(
            f"it holds {type(content).__name__} instead of a mapping.", where=path, fix=_AGAIN
        )
    return content


def _splits_of_folds(folder: Path) -> dict[str, Any]:
    """The split of each finished fold of a cross-validation, by the fold's folder, in order."""
    found = {path.parent.name: Split.load(path) for path in folder.glob(FOLDS)}
    return {
        name: found[name].model_dump(mode="json") for name in sorted(found, key=number_of_folder)
    }


def _checkpoint_of(folder: Path, metrics: Mapping[str, Any]) -> Path | None:
    """The checkpoint whose weights gave the scores, as far as its name tells; else any."""
    found = {path.stem: path for path in sorted((folder / "checkpoints").glob("*.ckpt"))}
    record = metrics.get("record")
    selected = isinstance(record, Mapping) and record.get("selected_on") == "validation"
    names = [*(("best", "last") if selected else ("last", "best")), *found]
    return next((found[name] for name in names if name in found), None)


def _multirun(folder: Path) -> dict[str, Any]:
    """How many runs of a sweep there are now, and what it varies."""
    content = _read(folder / MULTIRUN)
    hydra = content.get("hydra") or {}
    asked = (hydra.get("overrides") or {}).get("task") or []
    overrides = OverridesParser.create().parse_overrides(list(map(str, asked)))
    varied = [str(one.input_line) for one in overrides if one.is_sweep_override()]
    runs = [path.parent.name for path in folder.glob("*/config.yaml")]
    return {"folder": folder.name, "n_runs": len(runs), "varied": varied}


def _check_one_run(run: RunArtefacts) -> None:
    """Refuse files that are of different runs."""
    files = run.files
    network = files.get(CHECKPOINT, {})
    hashes: dict[str | None, str | None] = {}
    if FOLDS in files:
        of_folds = [split["hash"] for split in files[FOLDS].values()]
        _check_same({FOLDS: of_folds[0], network.get("file"): network.get("split_hash")}, run)
        hashes[FOLDS] = fingerprint(of_folds)
    else:
        hashes["split.json"] = files.get("split.json", {}).get("hash")
        hashes[network.get("file")] = network.get("split_hash")
    record = files.get("metrics.json", {}).get("record") or {}
    _check_same({**hashes, "metrics.json": record.get("split_hash")}, run)
    _check_predictions(run)


def _check_same(hashes: Mapping[str | None, str | None], run: RunArtefacts) -> None:
    known = {name: value for name, value in hashes.items() if value is not None}
    if len({*known.values()}) > 1:
        named = ", ".join(f"{name} of split {value[:12]}" for name, value in known.items())
        raise CheckpointError(
            f"its files are of different runs: {named}.",
            where=run.folder,
            fix="give a folder as one run left it.",
        )


def _check_predictions(run: RunArtefacts) -> None:
    """Refuse statistics that are not those of the predictions table beside them."""
    path = run.folder / "predictions.parquet"
    parts = run.files.get("metrics.json", {}).get("parts")
    if not path.is_file() or not isinstance(parts, Mapping):
        return
    counted = of_one_repeat(read_predictions(path))["part"].value_counts()
    for part, record in parts.items():
        if record["n_scans"] != counted.get(part, 0):
            raise PredictionsError(
                f"it has {counted.get(part, 0)} {part} scans, metrics.json {record['n_scans']}.",
                where=path,
                fix=f"evaluate again: covidlit evaluate {run.folder} --out {run.folder}",
            )


def _shown(run: RunArtefacts, file: str) -> str:
    if file == CHECKPOINT and CHECKPOINT in run.files:
        return str(run.files[CHECKPOINT]["file"])
    return f"../{file}" if file == MULTIRUN else file
