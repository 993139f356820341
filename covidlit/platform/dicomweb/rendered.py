"""WADO-RS: frames as pictures; slices of a scan as the platform's pages draw them.

Source: DICOM PS3.18, sections 8.3.5 and 10.4.1.1.3.
"""

from __future__ import annotations

import io
from typing import NamedTuple

import numpy as np
from django.http import Http404, HttpRequest, HttpResponse
from numpy.typing import NDArray
from PIL import Image

from covidlit.platform.accounts.rights import Right
from covidlit.platform.api.authenticate import Caller
from covidlit.platform.api.problems import ApiProblem
from covidlit.platform.dicomweb.accept import choose
from covidlit.platform.dicomweb.encode import NotReadableError, header_of, picture_of
from covidlit.platform.dicomweb.gate import service
from covidlit.platform.dicomweb.retrieve import frame_indices
from covidlit.platform.dicomweb.seen import SeenInstance, instances_seen
from covidlit.platform.viewing.drawing import WINDOWS, draw
from covidlit.platform.viewing.slices import volume_of

JPEG, PNG = "image/jpeg", "image/png"
_QUALITY = 90
_MOST_PIXELS = 4096


class _Asked(NamedTuple):
    """How a picture is asked for.

    Args:
        window: lowest and highest HU.
        columns, rows: that it must fit; None: as it is.
        quality: of a JPEG.
    """

    window: tuple[float, float]
    columns: int | None
    rows: int | None
    quality: int


@service(Right.VIEW)
def rendered(
    request: HttpRequest, caller: Caller, study: str, series: str, instance: str, frame: str = "1"
) -> HttpResponse:
    """A frame as JPEG or PNG: of a scan its slice, the patient's right on the left."""
    kind = choose(request, [JPEG, PNG]).kind
    asked = _asked(request)
    (found,) = instances_seen(request, caller, study, series, instance)
    (index,) = frame_indices(found, frame)
    try:
        image = _slice(found, index, asked) if found.series.labelling is None else _image(
            found, index
        )  # fmt: skip
    except NotReadableError as error:
        raise _not_drawn() from error
    except FileNotFoundError:
        raise Http404 from None
    if asked.columns and asked.rows:
        scale = min(asked.columns / image.width, asked.rows / image.height)
        size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        image = image.resize(size)
    buffer = io.BytesIO()
    if kind == PNG:
        image.save(buffer, "PNG", compress_level=1)
    else:
        image.save(buffer, "JPEG", quality=asked.quality)
    response = HttpResponse(buffer.getvalue(), content_type=kind)
    response["Cache-Control"] = "private, max-age=60"
    return response


def _slice(found: SeenInstance, index: int, asked: _Asked) -> Image.Image:
    """The plane of the stored volume in which a frame lies."""
    volume = volume_of(found.series.scan)
    position = _position(found, index)
    place = np.linalg.solve(volume.affine, np.append(position, 1.0))[0]
    plane = volume.plane(int(np.clip(round(float(place)), 0, len(volume) - 1)))
    return Image.open(io.BytesIO(draw(plane, volume.spacing, asked.window)))


def _position(found: SeenInstance, index: int) -> NDArray[np.float64]:
    """Where the first pixel of a frame lies, mm in LPS."""
    header = header_of(found.path, None)
    try:
        groups = header.get("PerFrameFunctionalGroupsSequence")
        if groups:
            header = groups[index].PlanePositionSequence[0]
        position = np.array([float(mm) for mm in header.ImagePositionPatient])
    except Exception as error:  # pydicom may raise nearly anything on a damaged value
        raise NotReadableError(type(error).__name__) from error
    if position.shape != (3,) or not np.isfinite(position).all():
        raise NotReadableError
    return position


def _image(found: SeenInstance, index: int) -> Image.Image:
    """A colour or grey picture of eight bits, as captures are; others have no picture."""
    pixels = picture_of(found.path, index)
    shown = header_of(found.path, None).get("PhotometricInterpretation")
    if pixels.dtype != np.uint8 or shown not in ("RGB", "MONOCHROME2") or found.instance.bits != 8:
        raise _not_drawn()
    return Image.fromarray(pixels)


def _asked(request: HttpRequest) -> _Asked:
    window = WINDOWS["lung"]
    if given := request.GET.get("window"):
        parts = given.split(",")
        if len(parts) not in (2, 3) or (len(parts) == 3 and parts[2].lower() != "linear"):
            raise _wrong("window", "window=centre,width,linear")
        centre, width = (_number(each, "window") for each in parts[:2])
        if width < 1:
            raise _wrong("window", "a width of 1 at least")
        window = (centre - width / 2, centre + width / 2)
    columns = rows = None
    if given := request.GET.get("viewport"):
        sizes = [_number(each, "viewport") for each in given.split(",")]
        if len(sizes) != 2 or not all(1 <= each <= _MOST_PIXELS for each in sizes):
            raise _wrong("viewport", f"viewport=columns,rows of 1 to {_MOST_PIXELS}")
        columns, rows = (int(each) for each in sizes)
    quality = _number(request.GET.get("quality") or str(_QUALITY), "quality")
    if not 1 <= quality <= 100:
        raise _wrong("quality", "quality=1 to 100")
    return _Asked(window, columns, rows, int(quality))


def _number(text: str, where: str) -> float:
    try:
        found = float(text[:30])
    except ValueError:
        found = np.nan
    if not np.isfinite(found) or abs(found) > 1e6:
        raise _wrong(where, "a number")
    return found


def _wrong(where: str, wanted: str) -> ApiProblem:
    return ApiProblem(400, "it cannot be drawn so.", where=where, fix=f"give {wanted}.")


def _not_drawn() -> ApiProblem:
    return ApiProblem(
        406, "it has no picture.", where="the object", fix="retrieve it, or its frames."
    )
