"""`covidlit platform`: the web platform made, started and checked."""

from __future__ import annotations

import shutil
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from covidlit.cli.platform_extra import friendly, require_extra
from covidlit.errors import ConfigError, CovidlitError
from covidlit.version import __version__

app = typer.Typer(
    no_args_is_help=True,
    help="The web platform: log in, see patients' scans, lesions and trends; needs "
    "`pip install 'covidlit\\[platform]'`.",  # rich takes a bare [ for its own markup
)

_Folder = Annotated[Path, typer.Argument(help="Folder of the platform.")]


@app.command()
def init(
    folder: _Folder,
    title: Annotated[str, typer.Option(help="What the pages are headed with.")] = "covidlit",
    admin: Annotated[
        str, typer.Option(prompt="Name of the first administrator", help="Of the first account.")
    ] = "",
    centre: Annotated[
        str, typer.Option(prompt="Name of the first centre", help="Such as north-hospital.")
    ] = "",
    study_group: Annotated[str, typer.Option(help="The first study group.")] = "clinic",
    disease: Annotated[
        str, typer.Option(help="That its patients are followed for; see `diseases`.")
    ] = "covid-19",
    database: Annotated[
        str,
        typer.Option(
            envvar="COVIDLIT_PLATFORM_DATABASE",
            help="postgresql://user:password@host/name; else SQLite in the folder.",
        ),
    ] = "",
    password: Annotated[
        str,
        typer.Option(
            envvar="COVIDLIT_PLATFORM_PASSWORD",
            prompt="Password of at least 12 characters",
            hide_input=True,
            confirmation_prompt=True,
            help="Of the first administrator; better asked for than given here.",
        ),
    ] = "",
) -> None:
    """Make a platform: its folder, database, first centre and first administrator."""
    with friendly():
        require_extra()
        from covidlit.platform.setup import make_platform

        was_there = folder.exists()
        make_platform(folder, title, database)
        from covidlit.platform.first_account import make_first_account

        try:
            make_first_account(admin, password, centre, study_group, disease)
        except CovidlitError:
            if not was_there:  # lest the next try finds half a platform
                shutil.rmtree(folder)
            raise
    typer.echo(
        f"The platform is in {folder}. Start it: covidlit platform serve {folder}\n"
        f"Its settings: {folder / 'platform.toml'}; [models] lesions names the model that labels "
        "new scans."
    )


@app.command()
def serve(
    folder: _Folder,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 8000,
) -> None:
    """Start a platform: pages and workers; Ctrl-C ends it."""
    with friendly():
        require_extra()
        from covidlit.platform.folder import PlatformFolder
        from covidlit.platform.serving import serve as serve_platform

        address = f"http://{host}:{port}/"
        serve_platform(
            PlatformFolder(folder), host, port, lambda: typer.echo(f"The platform is at {address}")
        )


@app.command()
def work(
    folder: _Folder,
    workers: Annotated[
        int, typer.Option(min=1, max=64, help="Processes that do jobs, one each at a time.")
    ] = 1,
) -> None:
    """Do jobs of a platform that `serve` serves, until Ctrl-C: on another machine, say.

    It has to see the same folder at the same path, and the same PostgreSQL database.
    """
    with friendly():
        require_extra()
        from covidlit.platform.folder import PlatformFolder
        from covidlit.platform.serving import work as do_jobs

        said = f"{workers} worker(s) wait for jobs. Ctrl-C ends them."
        do_jobs(PlatformFolder(folder), workers, lambda: typer.echo(said))


@app.command()
def receive(
    folder: _Folder,
    centre: Annotated[str, typer.Option(help="Whom scans are received for.")] = "",
    study_group: Annotated[str, typer.Option(help="The study group they come into.")] = "",
    caller: Annotated[
        list[str] | None,
        typer.Option(help="Who may send, as AE_TITLE@ADDRESS or AE_TITLE; may be repeated."),
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "",
    port: Annotated[int | None, typer.Option(help="Port to listen on.")] = None,
    ae_title: Annotated[str, typer.Option(help="What the receiver is called.")] = "",
) -> None:
    """Receive scans by DICOM C-STORE until Ctrl-C.

    What is not given here is that of the section receiver in platform.toml; where that is set,
    `serve` receives too.
    """
    with friendly():
        require_extra()
        from covidlit.platform.folder import PlatformFolder
        from covidlit.platform.pacs.settings import receiver_with
        from covidlit.platform.setup import use_platform

        own = PlatformFolder(folder)
        given = {"centre": centre, "study_group": study_group, "host": host, "port": port}
        settings = receiver_with(own.settings.receiver, caller or [], ae_title=ae_title, **given)
        use_platform(own)
        from covidlit.platform.dicom_in.receiver import receive as receive_scans

        receive_scans(settings)


@app.command()
def demo(
    folder: Annotated[Path, typer.Argument(help="A new folder for it.")] = Path("platform-demo"),
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 8000,
) -> None:
    """Make a platform with synthetic patients and a person of each role, and start it."""
    with friendly():
        require_extra()
        from covidlit.platform.demo import make_demo
        from covidlit.platform.serving import serve as serve_platform

        own, accounts = make_demo(folder, typer.echo)

        def ready() -> None:
            typer.echo(f"The platform is at http://{host}:{port}/ (Ctrl-C ends it). Log in as:")
            for account in accounts:
                typer.echo(f"  {account.username:14} {account.password}   {account.what}")
            typer.echo("Its scans are being measured, a patient at a time.")

        serve_platform(own, host, port, ready)


@app.command()
def administrator(
    folder: _Folder,
    username: Annotated[str, typer.Argument(help="Of an account that is there, or a new one.")],
    password: Annotated[
        str,
        typer.Option(
            envvar="COVIDLIT_PLATFORM_PASSWORD",
            prompt="Password of at least 12 characters",
            hide_input=True,
            confirmation_prompt=True,
            help="The new one; better asked for than given here.",
        ),
    ] = "",
) -> None:
    """Make somebody an administrator, with a new password and without a second factor.

    For whoever has the folder, where nobody can log in any more.
    """
    with friendly():
        require_extra()
        from covidlit.platform.folder import PlatformFolder
        from covidlit.platform.setup import use_platform

        use_platform(PlatformFolder(folder))
        from covidlit.platform.accounts.access import restore_administrator

        user = restore_administrator(username, password)
    typer.echo(f"{user.username} can log in and give roles in all centres.")


@app.command()
def verify(folder: _Folder) -> None:
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


@app.command()
def check(folder: _Folder) -> None:
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


@app.command()
def backup(
    folder: _Folder,
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
        f"{out}: {about.n_files} files, {about.n_bytes / 2**20:,.1f} MiB. It holds who the "
        "patients are, and the keys of the platform: keep it where nobody else can read it."
    )
    if about.missing:
        typer.echo(f"The platform itself has lost files: {', '.join(about.missing[:10])}", err=True)
        raise typer.Exit(1)


@app.command()
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
            typer.echo(f"{backup} is whole: {about.n_files} files, made at {about.made_at}.")
            return
        done = bring_back(backup, folder, database, say=typer.echo)
    typer.echo(
        f"The platform of {done.about.made_at} is in {folder}; {done.n_jobs} jobs wait, and "
        f"everybody has to log in again. Start it: covidlit platform serve {folder}"
    )
    if done.n_held:
        typer.echo(
            f"{done.n_held} jobs that were to send to archives or fetch from them were cancelled; "
            "trying one again under Jobs begins it."
        )
    if done.missing:
        typer.echo(f"The backup does not hold: {', '.join(done.missing[:10])}", err=True)
        raise typer.Exit(1)


@app.command()
def migrate(
    folder: _Folder,
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


@app.command()
def diseases(folder: _Folder) -> None:
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


@app.command(name="export-manifest")
def export_manifest(
    folder: _Folder,
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
    typer.echo(f"{n} scan{'' if n == 1 else 's'} in {path}.")
