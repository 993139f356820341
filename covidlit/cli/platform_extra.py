"""What the commands of `covidlit platform` have in common."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from covidlit.errors import ConfigError, CovidlitError

PlatformDir = Annotated[Path, typer.Argument(help="Folder of the platform.")]


def require_extra() -> None:
    """Refuse where what the extra brings is not installed.

    Raises:
        ConfigError: it is not.
    """
    try:
        import django  # noqa: F401
    except ImportError as error:
        raise ConfigError(
            "the platform's packages are not installed.", where="covidlit platform",
            fix="pip install 'covidlit[platform]'",
        ) from error  # fmt: skip


class friendly:  # noqa: N801 (used as a statement)
    """Prints an error of ours as a sentence, and ends with 2."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: object) -> None:
        if isinstance(error, CovidlitError):
            typer.echo(f"error: {error}", err=True)
            raise typer.Exit(2) from error
