"""The commands of `covidlit`, all or some of them in one application."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable
from functools import wraps
from importlib import import_module
from inspect import signature
from io import TextIOWrapper
from typing import Annotated, Any, get_args, get_type_hints

import typer
from typer.models import OptionInfo

from covidlit.cli.several_values import WithCommas
from covidlit.errors import CovidlitError, machine_trouble
from covidlit.process import check_address_space, collect_less, let_waiting_threads_sleep
from covidlit.version import __version__

COMMANDS = (
    "train", "inspect", "manifest", "prepare", "evaluate", "compare", "paper", "export", "predict",
    "explain", "quantify", "trend", "clinical", "associations", "convert", "coco", "cards",
    "synthesize", "sweep", "platform",
)  # fmt: skip
"""In the order of the help."""


def _friendly(command: Callable[..., None]) -> Callable[..., None]:
    """Print a user's error as a sentence and exit with 2, instead of a traceback."""

    @wraps(command)
    def call(*args: Any, **kwargs: Any) -> None:
        _show_any_name()
        let_waiting_threads_sleep()
        collect_less()
        try:
            check_address_space()
            command(*args, **kwargs)
        except CovidlitError as error:
            raise _exit(_in_options(error, command)) from error
        except (OSError, MemoryError, RuntimeError, ImportError, SystemError) as error:
            if (trouble := machine_trouble(error)) is None:
                raise
            raise _exit(trouble) from error

    return call


def _show_any_name() -> None:
    """Let the terminal show what its encoding lacks, such as bytes of old file names, escaped."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _exit(error: CovidlitError) -> typer.Exit:
    typer.echo(f"error: {error}", err=True)
    return typer.Exit(2)


def _in_options(error: CovidlitError, command: Callable[..., None]) -> CovidlitError:
    """The error in the command's words, where it is about an argument that an option stands for."""
    options = {"n_jobs": "--jobs"} if "jobs" in signature(command).parameters else {}
    for name, hint in get_type_hints(command, include_extras=True).items():
        said = next((each for each in get_args(hint) if isinstance(each, OptionInfo)), None)
        if said is not None:
            long = [each for each in said.param_decls or () if each.startswith("--")]
            options[name] = long[0] if long else f"--{name.replace('_', '-')}"
    if error.where not in options:
        return error
    option = options[error.where]
    what = re.sub(rf"^{error.where}:? ", "", error.what)
    fix = error.fix and re.sub(rf"\b{error.where}=", f"{option} ", error.fix)
    return CovidlitError(what, where=option, fix=fix)


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(f"covidlit {__version__}")
        raise typer.Exit


def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Show the version and exit.", callback=_show_version, is_eager=True
        ),
    ] = False,
) -> None:
    pass


def _train(context: typer.Context) -> None:
    """Train and evaluate a model; the same as `python train.py`.

    Takes Hydra overrides, such as `covidlit train model=csacnet seed=1`; `covidlit train --help`
    lists them.
    """
    from covidlit.cli import train

    # Hydra reads the arguments there, and the report says which command it was.
    sys.argv = [train.__file__, *context.args]
    train.main()


def application(names: Iterable[str] = COMMANDS) -> typer.Typer:
    """`covidlit` with some of its commands.

    Args:
        names: of `COMMANDS`; no file of another is imported.
    """
    names = tuple(names)
    app = typer.Typer(
        name="covidlit",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        help="COVID-19 and pneumonia on chest CT: from DICOM folders to an evaluated network.\n\n"
        "In order: inspect a folder, make a manifest, train (which prepares and evaluates), "
        "compare, predict.",
    )
    app.callback()(_options)
    for name in names:
        if name == "train":
            app.command(
                name,
                context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
                add_help_option=False,
            )(_train)
        elif name == "platform":
            from covidlit.cli.platform import app as platform

            app.add_typer(platform, name=name)
        else:
            module = import_module(f"covidlit.cli.{name}")
            app.command(name, cls=WithCommas)(_friendly(getattr(module, name)))
    return app
