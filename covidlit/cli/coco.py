"""`covidlit coco`: labelled slices to and from COCO JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from covidlit.counted import counted


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
        str | None,
        typer.Option(
            help="Name of a scan's label volume, by the manifest's columns (default: "
            "'{scan_id}.classes.nii.gz')."
        ),
    ] = None,
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
        typer.Option(
            help="Folder of the pictures; with --mask below SOURCE (default: the table's column "
            "path, without one images)."
        ),
    ] = None,
    table: Annotated[
        Path | None,
        typer.Option(
            help="Table of the pictures: file_name (with --mask: file) and patient_id; may hold "
            "grading, spacing, and scans (path, source=scan, scan_id, slice_index). Default: the "
            "slices.parquet beside an annotations.json; with --mask slices.csv in SOURCE."
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
        typer.Option(
            "--class",
            help="Our classes, in order; default: lung and the five lesions. With --mask a class "
            "that is almost one of these and meant.",
        ),
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
    from covidlit.cli.coco_options import check_options
    from covidlit.cohort.slice_table import ANNOTATIONS, SLICES
    from covidlit.datamodules.slices.coco_export import write_label_volumes
    from covidlit.dicom import Checks
    from covidlit.errors import ConfigError, did_you_mean
    from covidlit.scans.content import CONTENT_CHECKS
    from covidlit.terminal import plain_console

    console = plain_console()
    if to not in ("coco", "labels", "masks"):
        raise ConfigError(
            f"there is nothing called {to!r} to convert to.",
            where="--to",
            fix=did_you_mean(to, ("coco", "labels", "masks")) or "use coco, labels or masks.",
        )
    values, masks, categories = (
        _pairs(value, "--value"), _pairs(mask, "--mask"), _pairs(category, "--category"),
    )  # fmt: skip
    _check_source(source, to, manifest=manifest, mask=mask)
    check_options(
        {
            "manifest": manifest, "name": name, "value": value, "mask": mask, "images": images,
            "table": table, "patient": patient, "category": category, "class": class_name,
            "override": override, "image-orientation": image_orientation, "polygons": polygons,
        },
        "file" if source.is_file() else "masks" if mask else "labels", to,
    )  # fmt: skip
    beside = source.parent / SLICES
    if table is None and patient is None and source.name == ANNOTATIONS and beside.is_file():
        table = beside
    inputs = [path for path in (source, manifest, table) if path is not None]
    if to == "masks":
        _check_out(out, out / "slices.csv", ("file", "file_name", "n_objects"), inputs)
        said = _write_masks(source, out, images, table, patient, categories, class_name)
        console.print(said, soft_wrap=True)
        return
    _check_out(out, out / SLICES, ("slice_id", "slice_index", "source"), inputs)
    written = _slices(
        source, out, manifest=manifest, name=name, values=values, masks=masks, images=images,
        table=table, patient=patient, categories=categories, classes=class_name,
    )  # fmt: skip
    if polygons:
        _as_polygons(written)
    if to == "labels":
        # What a scan shows is no matter here: its geometry alone is needed.
        checks = Checks(1, frozenset([*CONTENT_CHECKS, *(override or ())]), image_orientation)
        volumes = write_label_volumes(written, out, checks)
        console.print(f"Label volumes of {counted(len(volumes), 'scan')}: {out}", soft_wrap=True)
        return
    console.print(f"Annotations and table of slices: {written.parent}", soft_wrap=True)


def _check_source(source: Path, to: str, *, manifest: Path | None, mask: list[str] | None) -> None:
    from covidlit.errors import ConfigError

    if to in ("labels", "masks") and not source.is_file():
        raise ConfigError(
            "is no file." if source.exists() else "there is no such file.",
            where=source,
            fix=f"give a COCO file (.json) for --to {to}.",
        )
    if not source.exists():
        raise ConfigError("there is no such file or folder.", where=source, fix="check the path.")
    if source.is_dir() and not mask and manifest is None:
        raise ConfigError(
            "is a folder, and whether of label volumes or of mask pictures is not said.",
            where=source,
            fix="give --manifest M.csv for label volumes, --mask lesion=FOLDER for pictures, or a "
            ".json file.",
        )


def _slices(source: Path, out: Path, **given: Any) -> Path:
    """Contract 11 of the source, in `out`."""
    from covidlit.datamodules.slices.coco_source import coco_slices
    from covidlit.datamodules.slices.label_volumes import label_volumes
    from covidlit.datamodules.slices.mask_images import check_classes, mask_images

    text = {k: None if v is None else str(v) for k, v in given.items() if isinstance(v, Path | str)}
    if source.is_file():
        return coco_slices(
            str(source), given["images"], text.get("table"), given["patient"],
            given["categories"], given["classes"], out=str(out),
        )  # fmt: skip
    if given["masks"]:
        meant = given["classes"] or []
        check_classes(given["masks"], meant, "--mask", "--class")
        return mask_images(
            str(source), given["masks"], text.get("table") or "slices.csv", given["images"],
            out=str(out), classes=meant,
        )  # fmt: skip
    named = {"name": given["name"]} if given["name"] else {}
    return label_volumes(
        text["manifest"] or "", str(source), values=given["values"] or None, out=str(out), **named
    )


def _write_masks(
    source: Path, out: Path, images: str | None, table: Path | None, patient: str | None,
    categories: dict[str, str | None], classes: list[str] | None,
) -> str:  # fmt: skip
    """Write mask pictures and their table; returns what to say of it."""
    import pandas as pd

    from covidlit.cohort.coco import read_coco
    from covidlit.datamodules.slices.coco_export import write_mask_pictures
    from covidlit.datamodules.slices.coco_source import pictures_of, rows_of_images
    from covidlit.datamodules.slices.label_volumes import CLASSES
    from covidlit.tables import write_table

    found = read_coco(source, classes or CLASSES, categories)
    place = source.parent if images is None else Path(images)
    known = table is not None or patient is not None
    if known:
        rows = rows_of_images(found, None if table is None else str(table), patient, place)
    else:
        rows = pd.DataFrame({"path": pictures_of(found, place), "source": "image"})
        if not all(Path(path).is_file() for path in rows["path"]):
            rows = rows.drop(columns=["path", "source"])
    write_table(write_mask_pictures(found, out, rows), out / "slices.csv")
    said = f"Masks of {counted(len(found.images), 'image')}: {out}"
    if known:
        return said
    return (
        f"{said}\nslices.csv does not say whose they are: give --table or --patient, or fill a "
        "column patient_id before these masks are read again."
    )


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
