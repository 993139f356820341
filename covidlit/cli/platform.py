"""`covidlit platform`: the web platform made and started."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated

import typer

from covidlit.cli.platform_care import care
from covidlit.cli.platform_extra import PlatformDir, friendly, require_extra
from covidlit.counted import counted
from covidlit.errors import CovidlitError

app = typer.Typer(
    no_args_is_help=True,
    help="The web platform: log in, see patients' scans, lesions and trends; needs "
    "`pip install 'covidlit\\[platform]'`.",  # rich takes a bare [ for its own markup
)


@app.command()
def init(
    folder: PlatformDir,
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
    folder: PlatformDir,
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
    folder: PlatformDir,
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

        said = f"{counted(workers, 'worker waits', 'workers wait')} for jobs. Ctrl-C ends them."
        do_jobs(PlatformFolder(folder), workers, lambda: typer.echo(said))


@app.command()
def receive(
    folder: PlatformDir,
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
    """Make a platform with synthetic patients and a person of each role, and start it.

    One that is there already is started again.
    """
    with friendly():
        require_extra()
        from covidlit.platform.demo import ACCOUNTS, make_demo
        from covidlit.platform.folder import PlatformFolder
        from covidlit.platform.serving import serve as serve_platform

        is_there = (folder / ACCOUNTS).is_file()
        own = PlatformFolder(folder) if is_there else make_demo(folder, typer.echo)

        def ready() -> None:
            typer.echo(f"The platform is at http://{host}:{port}/ (Ctrl-C ends it). Log in as:")
            typer.echo((folder / ACCOUNTS).read_text(encoding="utf-8").rstrip())
            typer.echo(
                "Its scans are measured, a patient at a time, with the lesions that they were "
                "drawn with; scans of your own are shown here without lesions."
            )

        serve_platform(own, host, port, ready)


@app.command()
def administrator(
    folder: PlatformDir,
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


app.add_typer(care)
