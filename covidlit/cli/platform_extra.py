"""What the commands of `covidlit platform` have in common."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from covidlit.errors import ConfigError, CovidlitError

PlatformDir = Annotated[Path, typer.Argument(help="Folder of the platform.")]


def require_extra() -> None:
    """Refuse where what the extra brings is not installed, or was replaced.

    Raises:
        ConfigError: it is not, or the build tool ninja (NNCF asks for it) lies over django-ninja.
    """
    try:
        import django  # noqa: F401
    except ImportError as error:
        raise ConfigError(
            "the platform's packages are not installed.", where="covidlit platform",
            fix="pip install 'covidlit[platform]'",
        ) from error  # fmt: skip
    found = find_spec("ninja")  # not imported: django-ninja wants the platform's settings
    if found is None or found.origin is None or b"NinjaAPI" not in Path(found.origin).read_bytes():
        raise ConfigError(
            "the package `ninja` is not django-ninja's: the build tool of that name, which NNCF "
            "brings, was installed over it, or it is missing.",
            where="covidlit platform",
            fix="pip uninstall -y ninja; pip install --force-reinstall --no-deps django-ninja. "
            "Keep covidlit[quantize] in an environment of its own.",
        )


class friendly:  # noqa: N801 (used as a statement)
    """Prints an error of ours as a sentence, and ends with 2."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: object) -> None:
        if isinstance(error, CovidlitError):
            typer.echo(f"error: {error}", err=True)
            raise typer.Exit(2) from error
