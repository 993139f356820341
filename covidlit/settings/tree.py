"""Where the Hydra tree lies, and what it holds by default."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from covidlit.errors import ConfigError


def config_dir() -> Path:
    """The folder of the Hydra tree: inside the installed package, or `conf/` of a checkout."""
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "conf", package.parent / "conf"):
        if (folder / "train.yaml").is_file():
            return folder
    raise ConfigError(
        "the configuration tree is missing.", where=package, fix="install covidlit again."
    )


def groups() -> Iterator[str]:
    """The names of the tree's groups, such as `data`."""
    yield from (folder.name for folder in config_dir().iterdir() if folder.is_dir())


def default_tree(*overrides: str, hydra: bool = False) -> dict[str, Any]:
    """The configuration as plain types, not resolved.

    Args:
        overrides: of the defaults.
        hydra: with Hydra's own node.
    """
    from hydra import compose, initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra
    from omegaconf import OmegaConf

    GlobalHydra.instance().clear()
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        config = compose("train", list(overrides), return_hydra_config=hydra)
        tree = OmegaConf.to_container(config, resolve=False)
    assert isinstance(tree, dict)
    return {str(key): value for key, value in tree.items()}


def dotted_names(tree: Mapping[Any, Any], prefix: str = "") -> Iterator[str]:
    """The names of all settings of a tree, such as data.batch_size."""
    for key, value in tree.items():
        name = f"{prefix}{key}"
        yield name
        if isinstance(value, Mapping):
            yield from dotted_names(value, f"{name}.")
