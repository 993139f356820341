"""A platform made ready: its folder, its database and its first administrator."""

from __future__ import annotations

import os
from pathlib import Path

from covidlit.platform.folder import VARIABLE, PlatformFolder, make_platform_folder


def use_platform(folder: PlatformFolder) -> None:
    """Let Django work on this platform, in this process."""
    os.environ[VARIABLE] = str(folder.root)
    os.environ["DJANGO_SETTINGS_MODULE"] = "covidlit.platform.settings"
    import django  # reads the settings that were just named

    django.setup()


def prepare(folder: PlatformFolder) -> None:
    """Bring the database to this version of covidlit, and lay the pages' files ready."""
    use_platform(folder)
    from django.core.management import call_command

    call_command("migrate", interactive=False, verbosity=0)
    call_command("createcachetable", verbosity=0)
    call_command("collectstatic", interactive=False, verbosity=0)


def make_platform(root: str | Path, title: str = "covidlit", database: str = "") -> PlatformFolder:
    """A new platform without accounts; see `make_platform_folder`."""
    folder = make_platform_folder(root, title, database)
    prepare(folder)
    return folder
