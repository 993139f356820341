"""`covidlit coco`: labelled slices to and from COCO JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer


def coco(
    source: Annotated[
        Path,
        typer.Argument(
            help="A COCO file (.json); or a folder of label volumes (with --manifest) or of mask "
            "pictures (with --mask)."
        ),
    ],
    out: Annotated[Path, typer.Argument(help="Folder for the result, made if needed.")],
    to: Annotated[
        str,
        typer.Option(
            help="coco: annotations.json and slices.parquet. labels: label volumes, of a COCO file "
            "of scans. masks: mask pictures, of a COCO file."
        ),
    ] = "coco",
    manifest: Annotated[
        Path | None, typer.Option(help="Of the scans whose label volumes SOURCE holds.")
    ] = None,
    name: Annotated[
        str, typer.Option(help="Name of a scan's label volume, by the manifest's columns.")
    ] = "{scan_id}.classes.nii.gz",
    value: Annotated[
        list[str] | None,
        typer.Option(help="A value of the label volumes, such as 2=ground_glass; 3= is not used."),
    ] = None,
    mask: Annotated[
        list[str] | None,
        typer.Option(help="A class and the folder of its masks below SOURCE: lesion=masks/lesion."),
    ] = None,
    images: Annotated[
        str | None,
        typer.Option(help="Folder of the pictures; with --mask below SOURCE (default: images)."),
    ] = None,
    table: Annotated[
        Path | None,
        typer.Option(
            help="Table of the pictures: file_name (with --mask: file) and patient_id; may hold "
            "grading, spacing, and scans (path, source=scan, scan_id, slice_index)."
        ),
    ] = None,
    patient: Annotated[
        str | None,
        typer.Option(help="Instead of a table: finds the patient in file names, '([^_]+)_'."),
    ] = None,
    category: Annotated[
        list[str] | None,
        typer.Option(help="A category and our class: 'GGO=ground_glass'; 'x=' leaves x out."),
    ] = None,
    class_name: Annotated[
        list[str] | None,
        typer.Option("--class", help="Our classes, in order; default: lung and the five lesions."),
    ] = None,
    override: Annotated[
        list[str] | None,
        typer.Option(help="With --to labels, a check of the scans to switch off, by name."),
    ] = None,
    image_orientation: Annotated[
        str | None,
        typer.Option(
            help="What the axes of image files run to whose header does not say it: LPS, LAS, ..."
        ),
    ] = None,
    polygons: Annotated[
        bool,
        typer.Option(help="Write outlines instead of run lengths, where COCO can hold them."),
    ] = False,
) -> None:
    """Convert labelled slices between COCO JSON, label volumes and mask pictures.

    COCO files of common annotation tools are read: polygons and run lengths, holes, several pieces,
    crowds, categories with any ids. What is wrong in them is said with the annotation's id.
    """
    from rich.console import Console

    from covidlit.cohort.coco import read_coco
    from covidlit.cohort.slice_table import SLICES
    from covidlit.datamodules.slices.coco_export import write_label_volumes, write_mask_pictures
    from covidlit.datamodules.slices.label_volumes import CLASSES
    from covidlit.dicom import Checks
    from covidlit.errors import ConfigError, did_you_mean
    from covidlit.scans.content import CONTENT_CHECKS
    from covidlit.tables import write_table

    console = Console()
    if to not in ("coco", "labels", "masks"):
        raise ConfigError(
            f"there is nothing called {to!r} to convert to.",
            where="--to",
            fix=did_you_mean(to, ("coco", "labels", "masks")) or "use coco, labels or masks.",
        )
    categories = _pairs(category, "--category")
    classes = tuple(class_name or CLASSES)
    if to == "masks":
        _require_file(source, to)
        _check_out(out, out / "slices.csv", ("file", "file_name", "n_objects"), [source])
        found = read_coco(source, classes, categories)
        write_table(write_mask_pictures(found, out), out / "slices.csv")
        console.print(f"Masks of {len(found.images)} images: {out}", soft_wrap=True)
        return
    inputs = [path for path in (source, manifest, table) if path is not None]
    _check_out(out, out / SLICES, ("slice_id", "slice_index", "source"), inputs)
    written = _slices(
        source, out, to, manifest=manifest, name=name, values=_pairs(value, "--value"),
        masks=_pairs(mask, "--mask"), images=images, table=table, patient=patient,
        categories=categories, classes=class_name,
    )  # fmt: skip
    if polygons:
        _as_polygons(written)
    if to == "labels":
        # What a scan shows is no matter here: its geometry alone is needed.
        checks = Checks(1, frozenset([*CONTENT_CHECKS, *(override or ())]), image_orientation)
        volumes = write_label_volumes(written, out, checks)
        console.print(f"Label volumes of {len(volumes)} scans: {out}", soft_wrap=True)
        return
    console.print(f"Annotations and table of slices: {written.parent}", soft_wrap=True)


def _slices(source: Path, out: Path, to: str, **given: Any) -> Path:
    """Contract 11 of the source, in `out`."""
    from covidlit.datamodules.slices.coco_source import coco_slices
    from covidlit.datamodules.slices.label_volumes import label_volumes
    from covidlit.datamodules.slices.mask_images import mask_images
    from covidlit.errors import ConfigError

    if not source.exists():
        raise ConfigError("there is no such file or folder.", where=source, fix="check the path.")
    text = {k: None if v is None else str(v) for k, v in given.items() if isinstance(v, Path | str)}
    if source.is_file() or to == "labels":
        _require_file(source, to)
        return coco_slices(
            str(source), given["images"], text.get("table"), given["patient"],
            given["categories"], given["classes"], out=str(out),
        )  # fmt: skip
    if given["masks"]:
        return mask_images(
            str(source), given["masks"], text.get("table") or "slices.csv",
            given["images"] or "images", out=str(out),
        )  # fmt: skip
    if given["manifest"] is None:
        raise ConfigError(
            "is a folder, and whether of label volumes or of mask pictures is not said.",
            where=source,
            fix="give --manifest M.csv for label volumes, --mask lesion=FOLDER for pictures, or a "
            ".json file.",
        )
    return label_volumes(
        text["manifest"] or "", str(source), name=given["name"], values=given["values"] or None,
        out=str(out),
    )  # fmt: skip


def _check_out(out: Path, table: Path, columns: tuple[str, ...], inputs: list[Path]) -> None:
    """Refuse a folder that holds anything but what this command has written, or what it reads."""
    from covidlit.errors import CovidlitError
    from covidlit.tables import check_own_table

    check_own_table(table, columns, "covidlit coco", inputs)
    inside = [path for path in inputs if out.resolve() in (path.resolve(), *path.resolve().parents)]
    if inside or (out.is_dir() and not table.exists() and any(out.iterdir())):
        raise CovidlitError(
            f"the folder holds {inside[0].name}, which is read here."
            if inside
            else "the folder is not empty, and `covidlit coco` has not made it.",
            where=out,
            fix="choose a new or empty folder.",
        )


def _as_polygons(path: Path) -> None:
    from covidlit.cohort.coco import write_coco
    from covidlit.cohort.slice_table import ANNOTATIONS, read_labelled_slices

    _, coco = read_labelled_slices(path)
    write_coco(coco, path.parent / ANNOTATIONS, polygons=True)


def _require_file(source: Path, to: str) -> None:
    from covidlit.errors import ConfigError

    if not source.is_file():
        raise ConfigError(
            "is no file." if source.exists() else "there is no such file.",
            where=source,
            fix=f"give a COCO file (.json) for --to {to}.",
        )


def _pairs(texts: list[str] | None, option: str) -> dict[str, str | None]:
    from covidlit.errors import ConfigError

    found: dict[str, str | None] = {}
    for text in texts or ():
        key, sign, value = text.partition("=")
        if not sign or not key.strip():
            raise ConfigError(
                f"{text!r} is no pair.", where=option, fix=f"write {option} NAME=VALUE."
            )
        found[key.strip()] = value.strip() or None
    return found
