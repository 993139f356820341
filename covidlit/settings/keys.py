"""Keys that nothing reads, refused with what was probably meant."""

from __future__ import annotations

from collections.abc import Iterable

from covidlit.errors import ConfigError, did_you_mean


def check_keys(group: str, given: Iterable[str], known: Iterable[str]) -> None:
    """Refuse a setting that nothing reads; in a YAML file of the user's Hydra lets it pass.

    Args:
        group: the setting that they belong to, such as data.
        given: the keys found there.
        known: the keys that are read.

    Raises:
        ConfigError: names the key and suggests what was meant.
    """
    names = sorted(known)
    for key in given:
        if key not in names:
            fix = suggest(key, names, f"the settings of {group} are")
            raise ConfigError("there is no such setting.", where=f"{group}.{key}", fix=fix)


def suggest(asked: str, known: list[str], otherwise: str) -> str:
    if (suggestion := did_you_mean(asked, known, n=3)) is not None:
        return suggestion
    last = asked.rpartition(".")[2]
    if near := [name for name in known if name.rpartition(".")[2] == last][:3]:
        return f"did you mean {' or '.join(near)}?"
    return f"{otherwise} {', '.join(sorted(known)[:30])}."
