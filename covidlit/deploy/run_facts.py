"""What the folder of a run says to whoever scores with its network: its test, who it has seen."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from covidlit.checkpoints.record import RunRecord
from covidlit.cohort.scan_sources import ScanSource
from covidlit.cohort.split import Split
from covidlit.counted import counted
from covidlit.errors import CovidlitError
from covidlit.preprocess.cache import pixel_hash
from covidlit.preprocess.index import SourceIndex
from covidlit.scans.scan import Scan
from covidlit.settings.run_config import read_run_config
from covidlit.settings.words import CONFIG

SPLIT, METRICS = "split.json", "metrics.json"
_LEVELS = 3
"""A checkpoint lies in `checkpoints/`, an export in `checkpoints/exported/<name>`."""

SEEN = {
    "train": "in the training part of this model's run: its score says nothing of new scans",
    "validation": "in the validation part of this model's run, which its operating point was "
    "chosen on: its score is optimistic",
}
"""What is noted of a scan that the network was trained or selected on, by its part."""

_SAME_IMAGE = "the same image as a scan under another id, "
_DIGITS = 16
"""Of a pixel hash, enough to tell the scans of a run apart."""


@dataclass(frozen=True)
class RunFacts:
    """A run, as far as its folder is there.

    Args:
        folder: of the run.
        parts: scan_id to "train" or "validation".
        images: the first digits of a pixel hash to the part of that image.
        metrics: content of `metrics.json`; empty where there is none.
    """

    folder: Path
    parts: Mapping[str, str] = field(default_factory=dict)
    images: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)

    def noted(self, sources: Sequence[ScanSource]) -> list[ScanSource]:
        """The sources; reading one that the network was trained or selected on notes that."""
        return [
            one
            if one.read is None
            else replace(one, read=_Noted(one.read, self.parts.get(one.scan_id, ""), self.images))
            for one in sources
        ]

    @property
    def sentence(self) -> str:
        """The result on the run's test part and its warnings in one line; empty where unknown."""
        try:
            test = self.metrics["parts"]["test"]
            auc, n = test["auc"], int(test["n_scored"])
            warnings = [str(one["text"]).rstrip(".") for one in self.metrics["cautions"]]
            level = float(self.metrics["settings"]["confidence"])
            pooled = self.metrics.get("format", 1) < 2 and len(test.get("folds") or ()) > 1
            found = "" if pooled else _auc(auc, n, level)
        except (KeyError, TypeError, ValueError):
            return ""
        told = f" Its warnings: {'; '.join(warnings)}." if warnings else " It has no warnings."
        return found + told if found else told.strip()


@dataclass(frozen=True)
class _Noted:
    """Reads a scan and adds what the run knows of it; sent to workers, hence small."""

    read: Callable[[], Scan]
    part: str
    images: Mapping[str, str]

    def __call__(self) -> Scan:
        scan = self.read()
        if self.part:
            return replace(scan, notes=(*scan.notes, SEEN[self.part]))
        part = self.images.get(pixel_hash(scan.hu)[:_DIGITS]) if self.images else None
        if part is None:
            return scan
        return replace(scan, notes=(*scan.notes, _SAME_IMAGE + SEEN[part]))


def facts_of_run(model: str | Path, record: RunRecord) -> RunFacts | None:
    """What the folder of the run says that trained a model.

    Args:
        model: the folder of the run, or a checkpoint or an export that lies in it.
        record: of the model, whose split tells whether the folder is of its own run.

    Returns:
        None where the model lies in no folder of a run, or in that of another.
    """
    path = Path(model).absolute()
    for folder in (path, *path.parents[:_LEVELS]):
        if (folder / SPLIT).is_file() and (folder / CONFIG).is_file():
            break
    else:
        return None
    try:
        split = Split.load(folder / SPLIT)
    except CovidlitError:
        return None
    if split.hash != record.split_hash:
        return None
    seen = {scan: part for scan, part in split.parts.items() if part in SEEN}
    return RunFacts(folder, seen, _images(folder, seen), _metrics(folder / METRICS))


def _images(folder: Path, parts: Mapping[str, str]) -> dict[str, str]:
    """Pixel hashes of the scans of these parts, as far as the run's cache still knows them."""
    try:
        data = read_run_config(folder).get("data") or {}
        index = SourceIndex(data["cache_dir"])
    except (CovidlitError, KeyError, TypeError):
        return {}
    if not index.folder.is_dir():
        return {}
    found = {}
    for scan_id, part in parts.items():
        known = index.read(scan_id)
        if known is not None and known.pixel_hash:
            found[known.pixel_hash[:_DIGITS]] = part
    return found


def _metrics(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _auc(auc: Mapping[str, Any], n: int, level: float) -> str:
    if auc["value"] is None:
        return f"On its own test part the network has no AUC: {auc['reason']}."
    interval = ""
    if auc.get("low") is not None:
        interval = f"{100 * level:g}% CI {auc['low']:.3f} to {auc['high']:.3f}, "
    return (
        f"On its own test part the network reached an AUC of {auc['value']:.3f} "
        f"({interval}{counted(n, 'scan')})."
    )
