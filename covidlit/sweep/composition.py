"""Compose a configuration of `train.py`, also inside a Hydra application that is running."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from covidlit.settings.errors import translate


@dataclass(frozen=True)
class Composition:
    """A composed configuration.

    Attributes:
        settings: as plain types with their interpolations, without `hydra`.
        choices: choice of each group, by group or group@package; a list where several are chosen.
    """

    settings: dict[str, Any]
    choices: dict[str, Any]


def compose_train(
    overrides: Sequence[str], conf: Path, search_path: Sequence[str] = ()
) -> Composition:
    """Compose `train.yaml`.

    Args:
        overrides: of the command line; those of `hydra` itself are left out.
        conf: the Hydra tree.
        search_path: further places of Hydra's search path.

    Raises:
        ConfigError: they cannot be composed.
    """
    own = [text for text in overrides if not _of_hydra(text)]
    searched = [f"hydra.searchpath=[{','.join(search_path)}]"] if search_path else []
    try:
        with _own_hydra(), initialize_config_dir(str(conf), job_name="train", version_base="1.3"):
            tree = compose("train", [*searched, *own], return_hydra_config=True)
            choices = dict(tree.hydra.runtime.choices) | _several(own, conf)
    except (HydraException, OmegaConfBaseException) as error:
        raise translate(error, own) from error
    settings = OmegaConf.to_container(tree, resolve=False)
    assert isinstance(settings, dict)
    settings.pop("hydra")
    return Composition({str(key): value for key, value in settings.items()}, choices)


@contextmanager
def _own_hydra() -> Iterator[None]:
    """Lay the running application's Hydra aside; there can be one at a time."""
    running = GlobalHydra.instance()
    kept, running.hydra = running.hydra, None
    try:
        yield
    finally:
        GlobalHydra.instance().hydra = kept


def _several(overrides: Sequence[str], conf: Path) -> dict[str, Any]:
    """Groups of which several are chosen, as in logger=[csv,wandb]: Hydra's record lacks them."""
    found = {}
    for override in OverridesParser.create().parse_overrides(list(overrides)):
        value = override.value()
        if isinstance(value, list) and (conf / override.key_or_group).is_dir():
            found[override.get_key_element().lstrip("+")] = [str(item) for item in value]
    return found


def _of_hydra(override: str) -> bool:
    return override.lstrip("+~").startswith(("hydra.", "hydra/"))
