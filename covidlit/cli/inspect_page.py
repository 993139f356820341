"""The pages of `covidlit inspect --html`: what lies in a folder, what a network sees."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    import pandas as pd

    from covidlit.dicom import Checks, Found, Verdict

GENERATOR = "covidlit inspect"
"""What the pages of this command are known by."""

_PREPARED = (("prepared.csv", "volumes"), ("config.yaml", "split.json"))
"""What a cache of prepared volumes and a run's folder hold."""


def shows_prepared(folder: Path, html: Path | None) -> bool:
    """Write the page of a run or of a cache, where the folder is one."""
    from covidlit.errors import ConfigError

    if not any(all((folder / name).exists() for name in names) for names in _PREPARED):
        return False
    if html is None:
        raise ConfigError(
            "this is a run, or a cache of prepared volumes, which --html PAGE shows.",
            where=folder,
            fix=f"covidlit inspect {folder} --html prepared.html",
        )
    write_prepared_page(html, folder)
    return True


def write_prepared_page(html: Path, folder: Path, table: pd.DataFrame | None = None) -> None:
    """Write the page of a cache or a run; see `covidlit.montage.prepared.prepared_page`."""
    from covidlit.files import write_text
    from covidlit.montage.prepared import prepared_page
    from covidlit.progress import progress_bar

    with progress_bar("Drawing volumes", None) as bar:
        page = prepared_page(folder, GENERATOR, table, done=bar.advance, expect=bar.expect)
    typer.echo(f"Page: {write_text(html, page)}")


def write_page(
    html: Path,
    folder: Path,
    root: Path,
    found: Found,
    verdicts: list[Verdict],
    checks: Checks,
) -> None:
    """Draw every series and image file once, and say which image has which name on the page."""
    from covidlit.dicom.facts import says_synthetic
    from covidlit.files import write_text
    from covidlit.montage.page import montage_page
    from covidlit.montage.series import looks_of_images, looks_of_series
    from covidlit.progress import progress_bar
    from covidlit.scans.images import image_files, is_image_file, read_image

    files = list(image_files(folder)) if folder.is_dir() else [folder] * is_image_file(folder)
    with progress_bar("Drawing scans", len(found.series) + len(files)) as bar:
        looks = looks_of_series(found.series, verdicts, checks, bar.advance)

        def read(file: Path) -> Any:
            return read_image(file, checks.override, checks.image_orientation)

        names = []
        for file, look in looks_of_images(files, read):
            looks.append(look)
            names.append(f"{look.name}: {_relative(file, root)}")
            bar.advance()
    looks.sort(key=lambda look: not look.accepted)
    page = montage_page(
        looks,
        title="What lies in the folder",
        about="Every CT series and image that was found, and whether covidlit can use it. Series "
        "have the scan_id that manifests give them; `covidlit inspect DIR --csv TABLE` says in "
        "which folder each lies.",
        generator=GENERATOR,
        others=[_kind(problem.reason) for problem in found.problems],
        synthetic=any(map(says_synthetic, found.series)),
    )
    write_text(html, page)
    for line in names:
        typer.echo(line)
    typer.echo(f"Page: {html}")


def _kind(reason: str) -> str:
    """A problem of a file without what follows a colon, which may quote the file or its name."""
    return reason.partition(":")[0]


def _relative(path: Path, root: Path) -> str:
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)
