"""Classes of third-party packages: arguments that conf/ does not list, and missing packages."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.util import find_spec
from inspect import Parameter, signature
from typing import Any

from covidlit.errors import ConfigError

UNUSED = {
    "callbacks": "choose them with callbacks=",
    "logger": "choose them with logger=",
    "default_root_dir": "choose the run's folder with hydra.run.dir=",
    "enable_model_summary": "leave it out: train.log has the number of parameters",
    "use_distributed_sampler": "leave it out: the datamodule shares the scans out itself",
    "limit_test_batches": "leave it out: the test part is scored whole",
    "limit_predict_batches": "leave it out: every part is scored whole",
}
"""Arguments of Lightning's Trainer that a run sets itself or never comes to, and what to do."""

_EXTRAS = {"tensorboard": ("tensorboard", "tensorboardX")}
"""Extras of covidlit, and the packages of which they bring one in."""


def how_to_add(asked: str, tree: Mapping[str, Any], override: str) -> str | None:
    """How to set an argument that the class of a node has and the node does not list.

    Args:
        asked: the dotted name, such as trainer.max_steps.
        tree: the default configuration as plain types, not resolved.
        override: how Hydra would have it added, such as +trainer.max_steps=5.

    Returns:
        A sentence for the error; None where the node has no class of another library, or that
        class no such argument.
    """
    parent, _, name = asked.rpartition(".")
    node: Any = tree
    for key in parent.split("."):
        node = node.get(key) if isinstance(node, Mapping) else None
    target = str(node.get("_target_", "")) if isinstance(node, Mapping) else ""
    if not target or target.startswith("covidlit."):
        return None  # covidlit's own nodes list all that can be set
    if parent == "trainer" and name in UNUSED:
        return f"{UNUSED[name]}."
    from hydra.utils import get_object

    found = signature(get_object(target)).parameters.get(name)
    if found is None or found.kind in (Parameter.VAR_KEYWORD, Parameter.VAR_POSITIONAL):
        return None
    return f"{target} has it: write {override}."


def missing_package(error: BaseException, where: str | None) -> ConfigError | None:
    """The error for a package that is not installed, from what the import said.

    Args:
        error: as raised, or one that has it as its cause.
        where: the class that needs the package.

    Returns:
        Names the extra of covidlit, or the package; None where no package is missing.
    """
    if isinstance(error.__cause__, ModuleNotFoundError):
        error = error.__cause__
    if not isinstance(error, ModuleNotFoundError):
        return None
    package = (error.name or _unquoted(str(error))).partition(".")[0]
    if not package or find_spec(package.replace("-", "_")) is not None:
        return None  # it is there, and the name inside it is wrong
    extra = next((extra for extra, names in _EXTRAS.items() if package in names), None)
    return ConfigError(
        f"the package {package} is not installed.",
        where=where,
        fix=f"pip install '{f'covidlit[{extra}]' if extra else package}'.",
    )


def _unquoted(message: str) -> str:
    """The first quoted package of a message such as Lightning's Requirement 'wandb>=0.12.10'."""
    found = re.search(r"[`'\"]([A-Za-z][\w.-]*)[^`'\"]*[`'\"]", message)
    return found.group(1) if found else ""
