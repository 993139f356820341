"""The folder of a run: one run at a time writes in it, and one that is used is not used again."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml
from filelock import FileLock, Timeout

from covidlit.checkpoints.same_run import changed_run, changed_settings
from covidlit.errors import ConfigError
from covidlit.files import write_json, write_text
from covidlit.runs.stopped import last_checkpoint, stopped_by_sigterm
from covidlit.settings.run_config import load_yaml
from covidlit.settings.words import CONFIG

STATE = "run.json"
_LOCK = ".run.lock"
_RESULTS = (CONFIG, "split.json", "predictions.parquet", "metrics.json", "report.html")
"""What earlier versions, which wrote no state, leave in the folder of a run."""


@dataclass
class RunFolder:
    """A folder that this process alone writes a run into.

    Args:
        path: of the folder.
        finished: whether the run in it is finished already.
        goes_on: whether an unfinished run with the same settings has got somewhere in it.
        facts: what `finish` kept of a finished run.
    """

    path: Path
    finished: bool = False
    goes_on: bool = False
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def checkpoint(self) -> Path | None:
        """What an unfinished run goes on from; None where it begins."""
        return last_checkpoint(self.path) if self.goes_on and not self.finished else None

    def finish(self, facts: Mapping[str, Any] | None = None) -> None:
        """Note that all is written, with plain facts to be kept."""
        self.facts = json.loads(json.dumps(dict(facts or {}), default=str))
        self.finished = True


def is_finished(path: Path, config: Mapping[str, Any]) -> bool:
    """Whether a folder holds the finished run of a configuration."""
    state, before = _read(path / STATE), _read(path / CONFIG)
    done = state.get("state") == "finished" and (path / "report.html").is_file()
    repeats = [(each.get("cross_validation") or {}).get("repeats", 1) for each in (before, config)]
    return done and bool(before) and repeats[0] == repeats[1] and not changed_run(before, config)


def is_begun(path: Path) -> bool:
    """Whether a run has left anything in a folder."""
    return any((path / name).exists() for name in (*_RESULTS, STATE))


@contextmanager
def run_folder(
    path: Path, config: Mapping[str, Any], *, keep_finished: bool = False
) -> Iterator[RunFolder]:
    """Take a folder for a run; leave in its `run.json` how the run ended.

    Args:
        path: of the folder, made if needed.
        config: the resolved configuration; becomes `config.yaml`.
        keep_finished: hand a finished run of the same settings back instead of refusing.

    Raises:
        ConfigError: another run is writing there; a finished run, or one with other settings, is
            in it.
    """
    path.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path / _LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise ConfigError(
            "another run is writing into this folder.", where=path, fix=_ANOTHER_FOLDER
        ) from error
    try:
        folder = _looked_at(path, config, keep_finished)
        if folder.finished:
            yield folder
            return
        started = _read(path / STATE).get("started")  # at first, whatever attempts came to nothing
        started = started if isinstance(started, str) else _now()
        write_json(path / STATE, {"state": "running", "started": started})
        for left in _results_of_before(path):
            left.unlink()  # of an attempt that did not end: its scores are not those to come
        write_text(path / CONFIG, yaml.safe_dump(dict(config), sort_keys=False))
        state, reason = "stopped", ""
        try:
            with stopped_by_sigterm():
                yield folder
        except (KeyboardInterrupt, SystemExit):  # Lightning leaves by SystemExit on both signals
            reason = "stopped from outside"
            raise
        except BaseException as error:
            state, reason = "failed", f"{type(error).__name__}: {error}"
            raise
        finally:
            # What ends once all is written, such as the making of a page, is no unfinished run.
            state = "finished" if folder.finished else state
            known = {"state": state, "started": started, "ended": _now(), "reason": reason}
            write_json(path / STATE, {**known, "facts": folder.facts})
    finally:
        lock.release()


_ANOTHER_FOLDER = "give another one (hydra.run.dir=..., or hydra.sweep.dir=... with -m)."


def _looked_at(path: Path, config: Mapping[str, Any], keep_finished: bool) -> RunFolder:
    found = [name for name in (*_RESULTS, STATE) if (path / name).exists()]
    if not found:
        return RunFolder(path)
    state = _read(path / STATE)
    before = _read(path / CONFIG)
    # A run without a state is of an earlier version; one whose state was cut off has not ended.
    finished = state.get("state") == "finished" or not (path / STATE).exists()
    differences = changed_run if finished else changed_settings
    changed = differences(before, config) if before else "its settings are not known"
    if finished and not (keep_finished and not changed):
        raise ConfigError(
            f"the folder holds a run already ({', '.join(found)}).",
            where=path,
            fix=_ANOTHER_FOLDER,
        )
    if not finished and not _has_work(path):
        return RunFolder(path)
    if changed:
        raise ConfigError(
            f"the folder holds a run with other settings that is not finished: {changed}.",
            where=path,
            fix=f"go on with the settings of its {CONFIG}, or {_ANOTHER_FOLDER}",
        )
    facts = state.get("facts")
    return RunFolder(path, finished, True, facts if isinstance(facts, dict) else {})


def _results_of_before(path: Path) -> list[Path]:
    """What an attempt has written of its scores."""
    names = [path / name for name in ("metrics.json", "report.html")]
    return [*path.glob("*.parquet"), *(name for name in names if name.exists())]


def _has_work(path: Path) -> bool:
    """Whether an unfinished run has left weights, a table, or a fold of a cross-validation."""
    left = ("checkpoints/*", "*.parquet", f"fold_*/{STATE}")
    return any(found for pattern in left for found in path.glob(pattern))


def _read(path: Path) -> dict[str, Any]:
    """A mapping of a YAML or JSON file; empty where there is none, or another thing."""
    try:
        content = load_yaml(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return {}
    return content if isinstance(content, dict) else {}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
