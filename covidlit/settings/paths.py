"""Settings that are paths: whole ones, so that a run can be taken up from any folder."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

PATHS = (
    "cache_dir", "ckpt_path", "data_dir", "dirpath", "factors", "folder", "path", "pretrained",
)  # fmt: skip
"""Names of the settings that are paths, at any depth of the nodes of `_NODES`."""

SOURCE_PATHS = ("annotations", "images", "labels", "manifest", "root", "table")
"""Names of further settings of a source of data that are paths; but where there is a `root`, those
beside it start from there."""

NAMED_WEIGHTS = ("imagenet", "coco")
"""Values of `pretrained` that are names and no paths; see `covidlit.models.maskrcnn.pretrained`."""

_NODES = ("callbacks", "ckpt_path", "data", "data_dir", "model", "split", "trainer")


def absolute_paths(config: Mapping[str, Any], folder: str | Path) -> dict[str, Any]:
    """A configuration whose relative paths are taken from a folder.

    Args:
        config: resolved, as plain types.
        folder: where the command was given.
    """

    def whole(name: object, value: Any, names: Collection[str] = PATHS) -> Any:
        if isinstance(value, Mapping):
            further = SOURCE_PATHS if name == "source" else ()
            known = {*PATHS, *(("root",) if "root" in value and further else further)}
            return {key: whole(key, inner, known) for key, inner in value.items()}
        if isinstance(value, list):
            return [whole(None, inner) for inner in value]
        if name == "pretrained" and value in NAMED_WEIGHTS:
            return value
        if name in names and isinstance(value, str) and value:
            return str(Path(folder, value).absolute())
        return value

    return {key: whole(key, value) if key in _NODES else value for key, value in config.items()}
