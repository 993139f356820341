"""Mappings of clinical sources from YAML files, with errors that say what was meant."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from covidlit.cohort.clinical import mapping as schema
from covidlit.cohort.clinical.mapping import ClinicalMapping
from covidlit.errors import ConfigError, did_you_mean
from covidlit.settings.tree import config_dir


class _Loader(yaml.SafeLoader):
    """YAML 1.2: yes, no, on and off are texts, as they stand in tables."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in pairs if tag != "tag:yaml.org,2002:bool"]
    for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)


def load_mapping(name: str | Path | Mapping[str, Any]) -> ClinicalMapping:
    """Read a mapping: by name in `conf/clinical`, by the path of a YAML file, or from a mapping.

    Raises:
        ConfigError: there is none of that name, it is no YAML, or it holds what does not fit.
    """
    if isinstance(name, Mapping):
        return _validated(dict(name), "mapping")
    path = mapping_path(name)
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except (yaml.YAMLError, UnicodeDecodeError) as problem:
        raise ConfigError(f"this is no YAML: {problem}.", where=path) from problem
    if not isinstance(content, dict):
        raise ConfigError("this is no mapping of a source.", where=path,
                          fix="see conf/clinical/example_wide.yaml.")  # fmt: skip
    return _validated({"name": path.stem, **content}, path)


def mapping_path(name: str | Path) -> Path:
    """The file of a mapping, by its name in `conf/clinical` or by its path."""
    folder = config_dir() / "clinical"
    own = folder / f"{name}.yaml"
    if Path(name).suffix not in (".yaml", ".yml"):
        if own.is_file():
            return own
    elif Path(name).is_file():
        return Path(name)
    known = sorted(path.stem for path in folder.glob("*.yaml"))
    raise ConfigError(
        f"there is no mapping {str(name)!r}.",
        where="mapping",
        fix=did_you_mean(str(name), known)
        or f"give the path of a .yaml file, or one of {', '.join(known)}.",
    )


def _validated(content: dict[Any, Any], where: object) -> ClinicalMapping:
    try:
        return ClinicalMapping.model_validate(content)
    except ValidationError as problem:
        texts = [_in_words(dict(each)) for each in problem.errors()[:5]]
        more = problem.error_count() - len(texts)
        raise ConfigError(
            "; ".join(texts) + (f" (and {more} more)" if more > 0 else "") + ".",
            where=where,
            fix="correct the mapping; conf/clinical/example_wide.yaml and example_long.yaml show "
            "every key.",
        ) from problem
    except ConfigError as problem:  # an unknown unit
        raise ConfigError(problem.what, where=where, fix=problem.fix) from problem


def _in_words(problem: dict[str, Any]) -> str:
    place = ".".join(str(part) for part in problem["loc"]) or "mapping"
    if problem["type"] != "extra_forbidden":
        said = str(problem["msg"]).removeprefix("Value error, ")
        return said if place == "mapping" else f"{place}: {said}"
    model: Any = ClinicalMapping
    for part in problem["loc"][:-1]:
        model = _inner(model, part)
    known = list(getattr(model, "model_fields", {}))
    hint = did_you_mean(str(problem["loc"][-1]), known) or f"the keys are {', '.join(known)}"
    return f"{place}: there is no such key; {hint.rstrip('?')}"


def _inner(model: Any, part: Any) -> Any:
    """The model of a field, or of the values of a field that is a mapping of names."""
    fields = getattr(model, "model_fields", None)
    if fields is None or part not in fields:
        return model
    found = re.findall(r"\b(\w+)\b", str(fields[part].annotation))
    named = [getattr(schema, word, None) for word in found]
    models = [each for each in named if isinstance(each, type) and issubclass(each, BaseModel)]
    return models[0] if models else model
