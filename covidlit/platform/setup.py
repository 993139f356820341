"""A platform made ready: its folder, its database and its first administrator."""

from __future__ import annotations

import os
from pathlib import Path

from covidlit.errors import ConfigError
from covidlit.platform.diseases.disease import NO_MODEL
from covidlit.platform.diseases.read import OWN
from covidlit.platform.folder import SETTINGS_FILE, VARIABLE, PlatformFolder, make_platform_folder
from covidlit.platform.named_files import MASKS
from covidlit.platform.schema import Schema, schema_of_database
from covidlit.version import __version__


def use_platform(folder: PlatformFolder) -> None:
    """Let Django work on this platform, in this process."""
    os.environ[VARIABLE] = str(folder.root)
    os.environ["DJANGO_SETTINGS_MODULE"] = "covidlit.platform.settings"
    import django  # reads the settings that were just named

    django.setup()


def prepare(folder: PlatformFolder, *, migrate: bool = False) -> None:
    """Make an empty database, and lay the pages' files ready.

    Args:
        folder: of the platform.
        migrate: bring a database of an older version to this one; there is no way back.

    Raises:
        ConfigError: the database is of an older version, or a study group follows a disease that
            is not there any more.
        CovidlitError: it is of a newer one.
    """
    _check_models(folder)
    use_platform(folder)
    from django.core.management import call_command

    if not migrate:
        _check_schema(folder)
    call_command("migrate", interactive=False, verbosity=0)
    call_command("createcachetable", verbosity=0)
    call_command("collectstatic", interactive=False, verbosity=0)
    from covidlit.platform.registry.study_groups import check_diseases

    check_diseases()


def use_served(folder: PlatformFolder) -> None:
    """Let Django work on a platform that `covidlit platform serve` has prepared.

    Raises:
        ConfigError: the database is empty or of an older version, or models are not to be had here.
        CovidlitError: it is of a newer one.
    """
    _check_models(folder)
    use_platform(folder)
    if schema_of_database(folder.root) is Schema.EMPTY:
        raise ConfigError(
            "its database is empty.", where=folder.root,
            fix=f"start covidlit platform serve {folder.root} first.",
        )  # fmt: skip
    _check_schema(folder)


def _check_schema(folder: PlatformFolder) -> None:
    if schema_of_database(folder.root) is Schema.OLDER:
        raise ConfigError(
            f"its database is of an older covidlit than this one ({__version__}).",
            where=folder.root,
            fix=f"covidlit platform migrate {folder.root} (it makes a backup first).",
        )


def _check_models(folder: PlatformFolder) -> None:
    """Refuse models that are not there, before the first scan fails by them.

    Raises:
        ConfigError: names the setting.
    """
    places = {(folder.root / SETTINGS_FILE, f"[models] {name}"): place
              for name, place in folder.settings.models}  # fmt: skip
    for each in folder.diseases.values():
        file = folder.root / OWN / f"{each.name}.yaml"
        places |= {(file, f"models.{name}"): place for name, place in each.models}
    for (file, name), place in places.items():
        path = place.removeprefix(MASKS)
        if path and path != NO_MODEL and not Path(path).exists():
            raise ConfigError(
                f"{name}: there is no {path}.", where=file,
                fix="write the path of a trained run, from the platform's folder or from /.",
            )  # fmt: skip


def make_platform(root: str | Path, title: str = "covidlit", database: str = "") -> PlatformFolder:
    """A new platform without accounts; see `make_platform_folder`."""
    folder = make_platform_folder(root, title, database)
    prepare(folder)
    return folder
