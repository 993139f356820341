"""Which scans of a manifest show the disease, by the label rule of a model's run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from covidlit.checkpoints.record import RunRecord
from covidlit.cohort import label_rule
from covidlit.cohort.manifest import read_manifest
from covidlit.cohort.scan_sources import TABLE_SUFFIXES
from covidlit.errors import ConfigError, CovidlitError

if TYPE_CHECKING:
    from covidlit.cohort.label_rule import TargetRule

_RULES = ("ByClass", "ByColumn", "LabelRule", "ManifestTarget", "MultiClass")
_MODULES = ("covidlit.cohort", "covidlit.cohort.label_rule")


@dataclass(frozen=True)
class KnownTargets:
    """What a manifest says of its scans.

    Args:
        targets: scan_id to 1 (the class of interest) or 0, of the scans that the rule labels.
        patients: scan_id to patient_id.
        problem: why there are no targets, in a sentence; empty where there are some, and for a
            path that is no manifest.
    """

    targets: dict[str, int] = field(default_factory=dict)
    patients: dict[str, str] = field(default_factory=dict)
    problem: str = ""


def known_targets(path: str | Path, record: RunRecord, positive: int) -> KnownTargets:
    """Targets and patients of a manifest; nothing where the path is none.

    Args:
        path: as `find_scans` takes it.
        record: of the run, whose label rule makes the targets.
        positive: target of the class of interest.

    Raises:
        ManifestError: a manifest that breaks its schema.
    """
    path = Path(path)
    if not path.is_file() or path.suffix.lower() not in TABLE_SUFFIXES:
        return KnownTargets()

    manifest = read_manifest(path)
    ids = manifest["scan_id"].astype(str)
    patients = dict(zip(ids, manifest["patient_id"].astype(str), strict=True))
    try:
        target = rule_of(record).apply(manifest)
    except CovidlitError as error:  # what else is known of the scans stands
        problem = f"The run's label rule gives these scans no target: {error.what}"
        return KnownTargets(patients=patients, problem=problem)
    known = target.notna()
    found = target[known].eq(positive).astype(int)
    return KnownTargets(dict(zip(ids[known], found.tolist(), strict=True)), patients)


def rule_of(record: RunRecord) -> TargetRule:
    """The label rule of a run, from the configuration in its record.

    Raises:
        ConfigError: the record has none, or one that is not covidlit's own: what a checkpoint asks
            for is not built unseen.
        ManifestError: its arguments do not fit.
    """
    node: Any = record.config.get("label_rule")
    node = node if isinstance(node, Mapping) else {}
    module, _, name = str(node.get("_target_", "")).rpartition(".")
    if module not in _MODULES or name not in _RULES:
        raise ConfigError(
            f"its record names no label rule of covidlit, but {node.get('_target_')!r}.",
            where="label_rule",
            fix="give the run's folder instead, whose own scans have targets.",
        )
    arguments = {key: value for key, value in node.items() if key != "_target_"}
    try:
        rule: TargetRule = getattr(label_rule, name)(**arguments)
    except TypeError as error:
        raise ConfigError(f"its arguments do not fit: {error}.", where="label_rule") from error
    return rule
