"""`covidlit platform`: a platform checked, kept, brought up to date, and what it holds written."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from covidlit.cli.platform_extra import PlatformDir, friendly, require_extra
from covidlit.counted import counted
from covidlit.errors import ConfigError
from covidlit.version import __version__

care = typer.Typer()


@care.command()
def verify(folder: PlatformDir) -> None:
    """Check that nobody has changed the audit trail; ends with 1 where somebody has."""
    with friendly():
        require_extra()
        from covidlit.platform.folder import PlatformFolder
        from covidlit.platform.setup import use_platform

        use_platform(PlatformFolder(folder))
        from covidlit.platform.audit.models import Entry
        from covidlit.platform.audit.trail import first_broken

        broken = first_broken()
        last = Entry.objects.order_by("-number").first()
    if broken is not None:
        typer.echo(
            f"The audit trail was changed: entry {broken} does not follow from those before."
        )
        raise typer.Exit(1)
    if last is None:
        typer.echo("The audit trail is empty.")
    else:
        typer.echo(
            f"{last.number} entries, each following from those before; the last: {last.chain}"
        )


@care.command()
def check(folder: PlatformDir) -> None:
    """Check that files and database agree, the audit trail, and what the settings name.

    Also while it is being served; ends with 1 where something is wrong.
    """
    with friendly():
        require_extra()
        from covidlit.platform.folder import PlatformFolder
        from covidlit.platform.setup import use_platform

        use_platform(PlatformFolder(folder))
        from covidlit.platform.operation.checking import problems

        found = problems()
    for line in found:
        typer.echo(line)
    if found:
        raise typer.Exit(1)
    typer.echo(f"{folder} is whole.")


@care.command()
def backup(
    folder: PlatformDir,
    out: Annotated[
        Path, typer.Option(help="A new folder for the backup, or a new file that ends in .tar.")
    ],
    since: Annotated[
        Path | None,
        typer.Option(help="An earlier backup's folder: what has not changed is linked to it."),
    ] = None,
) -> None:
    """Copy all of a platform, also while it is being served; `restore` makes it again.

    The copy holds who the patients are, and the keys: keep it as you keep the platform.
    """
    with friendly():
        require_extra()
        from covidlit.platform.folder import PlatformFolder
        from covidlit.platform.operation.backing_up import backup as back_up
        from covidlit.platform.setup import use_platform

        own = PlatformFolder(folder)
        about = back_up(own, out, since=since, say=typer.echo)
        use_platform(own)
        from covidlit.platform.audit.trail import record

        record(
            None, "backed up the platform", "backup", "",
            {"entry": about.last_entry, "files": about.n_files, "bytes": about.n_bytes},
        )  # fmt: skip
    typer.echo(
        f"{out}: {counted(about.n_files, 'file')}, {about.n_bytes / 2**20:,.1f} MiB. It holds who "
        "the patients are, and the keys of the platform: keep it where nobody else can read it."
    )
    if about.missing:
        typer.echo(f"The platform itself has lost files: {', '.join(about.missing[:10])}", err=True)
        raise typer.Exit(1)


@care.command()
def restore(
    backup: Annotated[Path, typer.Argument(help="What `covidlit platform backup` wrote.")],
    folder: Annotated[
        Path | None, typer.Argument(help="A new folder for the platform; not with --check.")
    ] = None,
    database: Annotated[
        str, typer.Option(help="An empty PostgreSQL database, for a backup of one.")
    ] = "",
    check: Annotated[bool, typer.Option("--check", help="Only check the backup.")] = False,
) -> None:
    """Make a platform from a backup, every file checked; or check a backup alone."""
    with friendly():
        require_extra()
        from covidlit.platform.operation.restoring import check_backup
        from covidlit.platform.operation.restoring import restore as bring_back

        if check == (folder is not None):
            raise ConfigError(
                "give a new folder for the platform, or --check.",
                where="covidlit platform restore",
                fix="covidlit platform restore BACKUP NEW_DIR",
            )  # fmt: skip
        if folder is None:
            about = check_backup(backup)
            typer.echo(
                f"{backup} is whole: {counted(about.n_files, 'file')}, made at {about.made_at}."
            )
            return
        done = bring_back(backup, folder, database, say=typer.echo)
    typer.echo(
        f"The platform of {done.about.made_at} is in {folder}; "
        f"{counted(done.n_jobs, 'job waits', 'jobs wait')}, and everybody has to log in again. "
        f"Start it: covidlit platform serve {folder}"
    )
    if done.n_held:
        typer.echo(
            f"{counted(done.n_held, 'job')} to send to archives or fetch from them cancelled; "
            "trying one again under Jobs begins it."
        )
    if done.missing:
        typer.echo(f"The backup does not hold: {', '.join(done.missing[:10])}", err=True)
        raise typer.Exit(1)


@care.command()
def migrate(
    folder: PlatformDir,
    out: Annotated[
        Path | None, typer.Option(help="Of the backup that is made first; by default beside it.")
    ] = None,
) -> None:
    """Bring a platform's database to this version of covidlit, after a backup.

    There is no way back but the backup, with the version of covidlit that made it.
    """
    with friendly():
        require_extra()
        from covidlit.platform.folder import PlatformFolder
        from covidlit.platform.operation.backing_up import backup as back_up
        from covidlit.platform.serving import alone
        from covidlit.platform.setup import prepare, use_platform

        own = PlatformFolder(folder)
        use_platform(own)
        from covidlit.platform.audit.trail import record
        from covidlit.platform.schema import Schema, schema_of_database

        with alone(own):
            if schema_of_database(own.root) is not Schema.OLDER:
                typer.echo(f"{folder} is of this version of covidlit already.")
                return
            moment = datetime.now().strftime("%Y%m%d-%H%M%S")
            kept = out or own.root.with_name(f"{own.root.name}-before-{__version__}-{moment}")
            back_up(own, kept, say=typer.echo)
            typer.echo(f"A backup is in {kept}.")
            prepare(own, migrate=True)
            record(None, "migrated the platform", "database", "", {"covidlit": __version__})
    typer.echo(f"{folder} is of covidlit {__version__} now.")


@care.command()
def diseases(folder: PlatformDir) -> None:
    """Check and list the diseases that patients can be followed for."""
    with friendly():
        require_extra()
        from covidlit.platform.folder import PlatformFolder

        own = PlatformFolder(folder)
        for each in own.diseases.values():
            models = own.models_of(each)
            typer.echo(
                f"{each.name}: {each.title}\n"
                f"  lesions   {', '.join(each.classes.values())}\n"
                f"  followed  {each.followed.name} ({each.followed.column})\n"
                f"  models    {models.lesions or 'none'}; severity: {models.severity or 'none'}"
            )


@care.command(name="export-manifest")
def export_manifest(
    folder: PlatformDir,
    out: Annotated[Path, typer.Option(help="The manifest to write, .csv or .parquet.")] = Path(
        "manifest.csv"
    ),
    disease: Annotated[str, typer.Option(help="That scans were graded for.")] = "covid-19",
) -> None:
    """Write the manifest of scans with their grades, as training and `quantify` read it.

    For whoever has the folder of the platform; `inclusion=slices` keeps what was approved.
    """
    with friendly():
        require_extra()
        from covidlit.platform.folder import PlatformFolder
        from covidlit.platform.setup import use_platform

        own = PlatformFolder(folder)
        use_platform(own)
        from covidlit.platform.grading.manifest import write_graded_manifest
        from covidlit.platform.registry.study_groups import check_known

        check_known(disease)
        path, n = write_graded_manifest(own.scans, out, disease)
    typer.echo(f"{counted(n, 'scan')} in {path}.")
