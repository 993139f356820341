"""The end of `python train.py -m ...`: its runs compared on the patients that all have scored."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.experimental.callback import Callback

from covidlit.errors import CovidlitError
from covidlit.files import write_text

if TYPE_CHECKING:
    from hydra.core.utils import JobReturn
    from omegaconf import DictConfig

log = logging.getLogger(__name__)

OVERRIDES = "overrides.yaml"
"""In the folder of each run of a multirun: what its command line was, for this run alone."""

_TABLES = ("predictions.parquet", "survival.parquet")
_NAMED_BY_VALUE = ("model", "features")
_SAME_MODEL = ("seed", "split.fold")
"""Settings of which `covidlit compare` itself takes several runs together."""


class ComparisonOfRuns(Callback):
    """Compares the runs of a multirun when all are done; a sweep for settings never.

    Leaves `comparison/` in the folder of the multirun, as `covidlit compare` writes it. Nothing is
    done with `comparison=false`, where the runs differ in nothing but their seed or fold, or where
    they are made on different splits.
    """

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **_: Any) -> None:
        """Keep the overrides of a run that is done: its folder does not tell them otherwise."""
        from hydra.core.utils import JobStatus

        if not _is_plain(config) or job_return.status != JobStatus.COMPLETED:
            return
        folder = Path(config.hydra.runtime.output_dir)
        write_text(folder / OVERRIDES, yaml.safe_dump(list(job_return.overrides or ())))

    def on_multirun_end(self, config: DictConfig, **_: Any) -> None:
        """Compare what is finished."""
        if not _is_plain(config) or not config.get("comparison", True):
            return
        folder = Path(config.hydra.sweep.dir).resolve()
        asked = [str(each) for each in config.hydra.overrides.task]
        runs = _finished_runs(folder)
        labels = labels_of([overrides for _, overrides in runs], varied_settings(asked))
        if len(set(labels)) < 2:
            return
        given = [f"{label}={path}" for label, (path, _) in zip(labels, runs, strict=True)]
        try:
            _compare(given, folder / "comparison", config)
        except CovidlitError as error:
            log.warning("The runs are not compared: %s", error)


def varied_settings(overrides: Sequence[str]) -> list[str]:
    """The settings of which a command line with -m gives several values.

    Args:
        overrides: as on the command line, such as "model=svm,random_forest".
    """
    parsed = OverridesParser.create().parse_overrides(list(overrides))
    return [one.get_key_element().lstrip("+~") for one in parsed if one.is_sweep_override()]


def labels_of(runs: Sequence[Mapping[str, str]], varied: Sequence[str]) -> list[str]:
    """A name for the model of each run, made of what tells it from the others.

    Args:
        runs: of each the value of each override.
        varied: settings of which there are several values.

    Returns:
        Such as "svm", or "fusion_ann, imaging"; the same for runs that differ in their seed or fold
        alone. Empty where the splits differ, which no comparison can hold against each other.
    """
    told = [name for name in varied if name not in _SAME_MODEL and not name.startswith("hydra.")]
    if any(name == "split" or name.startswith("split.") for name in told):
        return []
    short = {name: name.rpartition(".")[2] for name in told}
    if len(set(short.values())) < len(short):
        short = {name: name for name in told}
    return [
        ", ".join(_value(name, short[name], run.get(name, "")) for name in told) for run in runs
    ]


def _value(name: str, short: str, value: str) -> str:
    value = value.replace("=", " ").strip("'\"")  # the label of a run ends at its first "="
    return value if name.rpartition(".")[2] in _NAMED_BY_VALUE else f"{short} {value}"


def _is_plain(config: DictConfig) -> bool:
    """Whether runs are those of one command with -m, and not the trials of a search."""
    several = str(config.hydra.mode).endswith("MULTIRUN")
    return several and config.hydra.runtime.choices.get("sweep") in (None, "null")


def _finished_runs(folder: Path) -> list[tuple[Path, dict[str, str]]]:
    """The runs with a table of scores, in the order of their jobs, with their overrides."""
    found = []
    for path in folder.glob(f"*/{OVERRIDES}"):
        run = path.parent
        state = json.loads((run / "run.json").read_text()) if (run / "run.json").is_file() else {}
        if state.get("state") != "finished" or not any((run / name).is_file() for name in _TABLES):
            continue
        overrides = yaml.safe_load(path.read_text(encoding="utf-8")) or []
        pairs = (str(each).partition("=") for each in overrides)
        found.append((run, {name.lstrip("+~"): value for name, _, value in pairs}))
    return sorted(found, key=lambda each: (_job(each[0]), each[0].name))


def _job(run: Path) -> int:
    number = run.name.partition("_")[0]
    return int(number) if number.isdecimal() else -1


def _compare(runs: list[str], out: Path, config: DictConfig) -> None:
    from covidlit.cli.compare import compare

    evaluation = config.get("evaluation") or {}
    compare(
        runs,
        out=out,
        operating_point=str(evaluation.get("operating_point", "auto")),
        mcnemar="exact",
        bootstrap=int(evaluation.get("n_bootstrap", 2000)),
        confidence=float(evaluation.get("confidence", 0.95)),
        seed=int(config.seed) if isinstance(config.get("seed"), int) else 0,
        title="Comparison of models",
    )
