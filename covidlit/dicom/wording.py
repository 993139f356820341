"""How verdicts name files and slices."""

from __future__ import annotations

from collections.abc import Sequence

from covidlit.dicom.other_objects import kind_of_image
from covidlit.dicom.series import Frame, ImageFile
from covidlit.files import printable


def name_some(names: Sequence[str], limit: int = 3) -> str:
    """The first few of many names, and how many more there are."""
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(map(printable, names[:limit])) + more


def share(some: Sequence[object], everything: Sequence[object]) -> str:
    """How many of the files, as the start of a sentence: "2 of 24 files are"."""
    if len(everything) == 1:
        return "the file is"
    count = "all" if len(some) == len(everything) else f"{len(some)} of"
    return f"{count} {len(everything)} files are"


def files(images: Sequence[ImageFile]) -> str:
    """Some of the files, by name."""
    return name_some([image.path.name for image in images])


def slices(frames: Sequence[Frame]) -> str:
    """Some of the slices, by the names of their files."""
    return name_some([frame.name for frame in frames])


def kind_of(image: ImageFile) -> str:
    """What an image is that is no CT."""
    if (kind := kind_of_image(image)) is not None:
        return f"a {kind}"
    if image.modality != "CT":
        return f"modality {image.modality or 'unknown'}"
    return f"SOP class {image.sop_class}"
