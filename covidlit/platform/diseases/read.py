"""Diseases read from YAML: the packaged ones, and those of a platform's own folder."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from covidlit.errors import ConfigError, did_you_mean
from covidlit.platform.diseases import disease as schema
from covidlit.platform.diseases.disease import DEFAULT_DISEASE, LARGEST_NAME, Disease

PACKAGED = Path(__file__).parent
OWN = "diseases"
"""In the folder of a platform: diseases of its own (`*.yaml`), put there by whoever has it. None
comes in by a page, since a disease names models."""

_ENDING = ".yaml"
_MODELS: dict[str, type[BaseModel]] = {"wording": schema.Wording, "factors": schema.ShownFactors,
           "models": schema.DiseaseModels}  # fmt: skip


class _Loader(yaml.SafeLoader):
    """YAML in which a key that stands twice is a mistake."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: list[Any] = []
        for key, _ in node.value:
            name = self.construct_object(key, deep=True)
            if name in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {name!r} stands there twice", key.start_mark
                )
            seen.append(name)
        return super().construct_mapping(node, deep)


def read_diseases(own: Path) -> dict[str, Disease]:
    """The diseases of a platform by name: the default one first, the others by name.

    Args:
        own: the platform's folder of diseases, which need not be there.

    Raises:
        ConfigError: one cannot be read, says what is not known, or is called as another one.
    """
    found: dict[str, Disease] = {}
    titles: dict[str, Path] = {}
    for path in [*sorted(PACKAGED.glob(f"*{_ENDING}")), *_own_files(own)]:
        if path.stem in found:
            raise ConfigError(
                f"there is a disease {path.stem!r} already: it comes with covidlit.", where=path,
                fix="give the file another name, and let study groups follow that one.",
            )  # fmt: skip
        each = read_disease(path, own.parent)
        if (other := titles.setdefault(each.title.casefold(), path)) != path:
            raise ConfigError(
                f"title: {each.title!r} is that of {other.name} too.", where=path,
                fix="give it another one: people choose by it.",
            )  # fmt: skip
        found[each.name] = each
    return dict(sorted(found.items(), key=lambda item: (item[0] != DEFAULT_DISEASE, item[0])))


def read_disease(path: Path, root: Path | None = None) -> Disease:
    """A disease from its file, whose name is its own.

    Args:
        path: of the file.
        root: the platform's folder, in which relative paths of models begin.

    Raises:
        ConfigError: names the field that is wrong, and what it may be.
    """
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        said = " ".join(str(error).split())
        raise ConfigError(f"it cannot be read as YAML: {said}.", where=path, fix=_LIKE) from error
    if not isinstance(content, Mapping) or "name" in content:
        what = "name: it is that of the file" if isinstance(content, Mapping) else "it is empty"
        raise ConfigError(f"{what}.", where=path, fix=_LIKE)
    try:
        return Disease.model_validate({**content, "name": path.stem}, context={"root": root})
    except ValidationError as error:
        # A key that is misspelt is one that is unknown, and another one that is missing.
        first = min(error.errors(), key=lambda each: each["type"] != "extra_forbidden")
        raise ConfigError(f"{_in_words(first)}.", where=path, fix=_LIKE) from error


_LIKE = (
    f"write it as {PACKAGED / f'fibrosis{_ENDING}'} is, or take the file away; then start again."
)


def _own_files(folder: Path) -> list[Path]:
    """The files of a folder of diseases; another ending would leave one out without a word."""
    files = sorted(path for path in folder.glob("*") if not path.name.startswith("."))
    for path in files:
        if path.suffix != _ENDING or not path.is_file():
            raise ConfigError(
                "it is no file of a disease.", where=path,
                fix=f"call it NAME{_ENDING}, or take it away.",
            )  # fmt: skip
    return files


def _in_words(problem: Any) -> str:
    place = ".".join(str(part) for part in problem["loc"])
    if problem["loc"] == ("name",):
        return (
            f"the name of the file, {problem['input']!r}, must have 1 to {LARGEST_NAME} of a-z, "
            "0-9 and -, and begin with a letter or a digit"
        )
    if problem["type"] == "extra_forbidden":
        inner = _MODELS.get(str(problem["loc"][0])) if len(problem["loc"]) > 1 else None
        model = inner or Disease
        known = [name for name in model.model_fields if name != "name"]
        hint = did_you_mean(str(problem["loc"][-1]), known) or f"the keys are {', '.join(known)}"
        return f"{place}: there is no such key; {hint.rstrip('?')}"
    said = str(problem["msg"]).removeprefix("Value error, ")
    if problem["type"] == "missing":
        return f"{place}: it is missing"
    got = "" if problem["type"] == "value_error" else f", got {str(problem['input'])[:60]!r}"
    return f"{place}: {said}{got}"
