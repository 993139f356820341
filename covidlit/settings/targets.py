"""The allow-list of what a mapping with `_target_` may build, and its building.

`torch.load(weights_only=True)` runs no code while it reads a checkpoint, but it does not stop one
whose hyper-parameters name `os.system` as the class to build; nor does YAML in a run's folder. So
every `_target_` that was read from a file is held against `ALLOWED_TARGETS` before anything is
imported.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from covidlit.errors import ConfigError, did_you_mean

# fmt: off
OPTIMIZERS = (
    "Adadelta", "Adafactor", "Adagrad", "Adam", "AdamW", "Adamax", "ASGD", "NAdam", "RAdam",
    "RMSprop", "Rprop", "SGD",
)
SCHEDULERS = (
    "ConstantLR", "CosineAnnealingLR", "CosineAnnealingWarmRestarts", "CyclicLR", "ExponentialLR",
    "LinearLR", "MultiStepLR", "OneCycleLR", "PolynomialLR", "ReduceLROnPlateau", "StepLR",
)
# fmt: on

ALLOWED_TARGETS: dict[str, set[str]] = {
    "models": {
        "covidlit.models.CSACNet3D",
        "covidlit.models.DenseNet3D",
        "covidlit.models.FusionANN",
        "covidlit.models.MaskRCNN",
        "covidlit.models.ResNet3D",
        "covidlit.models.TabM",
    },
    "tasks": {
        "covidlit.tasks.LesionSegmentation",
        "covidlit.tasks.SeverityPrediction",
        "covidlit.tasks.VolumeClassification",
    },
    "optimizers": {f"torch.optim.{name}" for name in OPTIMIZERS},
    "schedulers": {f"torch.optim.lr_scheduler.{name}" for name in SCHEDULERS},
    "data": {
        "covidlit.datamodules.VolumeDataModule",
        "covidlit.datamodules.slices.SliceDataModule",
        "covidlit.datamodules.tables.ClinicalDataModule",
        "covidlit.datamodules.tables.FactorDataModule",
    },
    "classifiers": {
        "covidlit.baselines.BestSingle",
        "covidlit.baselines.BoostedTrees",
        "covidlit.baselines.FactorThresholds",
    },
    "sources": {
        "covidlit.cohort.sources.existing_manifest",
        "covidlit.synthetic.source.synthetic_manifest",
        "covidlit.datamodules.slices.coco_source.coco_slices",
        "covidlit.datamodules.slices.coco_source.existing_slices",
        "covidlit.datamodules.slices.label_volumes.label_volumes",
        "covidlit.datamodules.slices.mask_images.mask_images",
        "covidlit.datamodules.slices.synthetic.synthetic_slices",
        "covidlit.datamodules.tables.clinical_source.clinical_file",
    },
    "inclusion": {
        "covidlit.cohort.inclusion.InclusionCriteria",
        "covidlit.cohort.slice_criteria.SliceCriteria",
    },
    "label_rules": {
        "covidlit.cohort.endpoint.Endpoint",
        *(
            f"covidlit.cohort.label_rule.{name}"
            for name in ("ByClass", "ByColumn", "LabelRule", "ManifestTarget", "MultiClass")
        ),
    },
    "splits": {
        f"covidlit.cohort.splits.{name}"
        for name in ("centre_held_out", "from_column", "from_file", "patient_k_fold")
    },
}
"""What may be built, by kind: exact dotted names of classes. A class that stands in a module of its
own inside `covidlit.models` or `covidlit.tasks` (`covidlit.models.my_net.MyNet`) is allowed too;
names of other packages are added by `allow_target`. Classifiers of scikit-learn need no name here,
see `covidlit.baselines.classifier`."""


MOVED = {
    "covidlit.cohort.sources.synthetic_manifest": "covidlit.synthetic.source.synthetic_manifest",
}
"""Names in configurations of earlier runs, and what they are called today."""

CLASSIFICATION = "covidlit.tasks.classification.VolumeClassification"
SEVERITY = "covidlit.tasks.severity.SeverityPrediction"
SEVERITIES = (SEVERITY, "covidlit.tasks.SeverityPrediction")
"""The names that tasks write into their checkpoints; known here, because looking for them would
import Lightning, which takes longer than scoring a scan."""


_OF_HYDRA = ("_target_", "_partial_", "_recursive_", "_convert_")


def allow_target(target: str, kind: str = "models") -> None:
    """Add a class of your own to the allow-list, for example "my_package.nets.MyNet".

    Raises:
        ConfigError: no such kind.
    """
    if kind not in ALLOWED_TARGETS:
        raise ConfigError(
            f"kind must be one of {', '.join(ALLOWED_TARGETS)}, got {kind!r}.", where="kind"
        )
    ALLOWED_TARGETS[kind].add(target)


def is_allowed(target: object, kind: str | None = None) -> bool:
    """Whether `target` may be built (as `kind`, or as any kind); imports nothing but covidlit."""
    if not isinstance(target, str):
        return False
    kinds = ALLOWED_TARGETS if kind is None else {kind: ALLOWED_TARGETS[kind]}
    return any(target in names or _is_own_class(target, name) for name, names in kinds.items())


def _is_own_class(target: str, kind: str) -> bool:
    if kind not in ("models", "tasks"):
        return False
    if target in (CLASSIFICATION, SEVERITY):
        return kind == "tasks"
    parts = target.split(".")
    if len(parts) != 4 or parts[:2] != ["covidlit", kind]:
        return False
    package = importlib.import_module(f"covidlit.{kind}")
    if parts[2] not in {module.name for module in pkgutil.iter_modules(package.__path__)}:
        return False
    module = importlib.import_module(".".join(parts[:3]))
    found = getattr(module, parts[3], None)
    # Defined there, not merely imported there.
    return inspect.isclass(found) and found.__module__ == module.__name__


def build(node: Mapping[str, Any], kind: str, *, trusted: bool = False, **arguments: Any) -> Any:
    """Build the object that a plain mapping with `_target_` describes.

    Args:
        node: `_target_` and the keyword arguments of that class; not instantiated recursively.
        kind: of `ALLOWED_TARGETS`; others are refused.
        trusted: the node is from the user's own command line, where any class may be named, with
            nodes inside it; never for what was read from a checkpoint or a run's folder.
        arguments: further keyword arguments, which `node` may not repeat with another value.

    Raises:
        ConfigError: no `_target_`, one outside the allow-list, or arguments that do not fit.
    """
    target = node.get("_target_") if isinstance(node, Mapping) else None
    if target is None:
        raise ConfigError(
            f"a mapping with `_target_` is needed to build one of the {kind}, got {node!r}.",
            fix=f"write for example {{_target_: {sorted(ALLOWED_TARGETS[kind])[0]}}}.",
        )
    target = MOVED.get(str(target), str(target))
    if trusted:
        return _instantiate(node, target, arguments)
    require_allowed(target, kind)
    keywords = {name: value for name, value in node.items() if name not in _OF_HYDRA}
    for name, value in arguments.items():
        if name in keywords and keywords[name] != value:
            raise ConfigError(
                f"{name} is {keywords[name]!r} here, but {value!r} is needed.",
                where=target,
                fix=f"leave {name} out; it is set from the other settings.",
            )
    module, _, name = target.rpartition(".")
    factory = getattr(importlib.import_module(module), name)
    keywords |= arguments
    if node.get("_partial_"):
        return partial(factory, **keywords)
    _check_arguments(factory, keywords, target)
    return factory(**keywords)


def _instantiate(node: Mapping[str, Any], target: str, arguments: Mapping[str, Any]) -> Any:
    """What Hydra makes of a node; the arguments are handed over as they are.

    Hydra would make configurations of those that are dataclasses.
    """
    from hydra.utils import instantiate

    factory = instantiate({**node, "_target_": target, "_partial_": True})
    if node.get("_partial_"):
        return partial(factory, **arguments)
    try:
        return factory(**arguments)
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f"{type(error).__name__}: {error}",
            where=target,
            fix="correct the settings of this object (config.yaml in the run's folder).",
        ) from error


def require_allowed(target: object, kind: str) -> None:
    """Refuse a class that may not be built.

    Raises:
        ConfigError: names it, and how a class of the user's own is allowed.
    """
    if not is_allowed(target, kind):
        raise ConfigError(
            f"`_target_: {target}` is not one of the {kind} that may be built.",
            where=target,
            fix=_suggest(str(target), ALLOWED_TARGETS[kind])
            + " A class of your own is allowed by covidlit.checkpoints.allow_target.",
        )


def build_fitted(node: Mapping[str, Any]) -> Any:
    """What Hydra makes of the user's own node, to which a training has added what it fitted.

    That is handed over as it is: as a configuration, lists of thousands of numbers take longer than
    a small network to train, and an interruption in their midst ends in an odd error.
    """
    from hydra.utils import instantiate

    fitted = {name: value for name, value in node.items() if _is_fitted(value)}
    if not fitted:
        return instantiate(dict(node), _recursive_=False, _convert_="all")
    rest = {name: value for name, value in node.items() if name not in fitted}
    made = instantiate({**rest, "_partial_": True}, _recursive_=False, _convert_="all")
    return made(**fitted)


def _is_fitted(value: Any) -> bool:
    """Whether a setting is a mapping with lists of lists, and nothing in it to build."""
    if not isinstance(value, dict) or "_target_" in value:
        return False
    lists = [each for each in value.values() if isinstance(each, list) and each]
    return any(isinstance(each[0], list) for each in lists)


def _check_arguments(factory: type, keywords: Mapping[str, Any], target: str) -> None:
    signature = inspect.signature(factory)
    known = list(signature.parameters)
    try:
        signature.bind(**keywords)
    except TypeError as error:
        unknown = [name for name in keywords if name not in known]
        fix = _suggest(unknown[0], known) if unknown else f"its arguments are {', '.join(known)}."
        raise ConfigError(f"the arguments do not fit: {error}.", where=target, fix=fix) from None


def _suggest(name: str, known: Any) -> str:
    return did_you_mean(name, known) or f"choose one of {', '.join(sorted(known))}."


def targets_in(value: Any, path: str = "") -> Iterator[tuple[str, object]]:
    """Every `_target_` in nested mappings and sequences, with the dotted path to it."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            if name == "_target_":
                yield path or name, inner
            yield from targets_in(inner, f"{path}.{name}" if path else str(name))
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            yield from targets_in(inner, f"{path}[{index}]")
