"""What a platform holds of what people handed in, as JSON: `faults_rows.py NOTES`.

NOTES names a JSON file of `drawn` and `asked`, see `faults_people`. What is counted is wrong, but
for `corrections` and `sendings`, which are rows.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from covidlit.platform.folder import current_folder
from covidlit.platform.setup import use_platform

use_platform(current_folder())

import numpy as np  # noqa: E402
from django.conf import settings  # noqa: E402
from pydicom import dcmread  # noqa: E402

from covidlit.platform.audit.models import Entry  # noqa: E402
from covidlit.platform.correcting.labels import VALUE_OF, planes_of  # noqa: E402
from covidlit.platform.correcting.models import Correction  # noqa: E402
from covidlit.platform.registry.files import label_planes  # noqa: E402
from covidlit.platform.registry.models import Labelling, Scan  # noqa: E402
from covidlit.platform.sending.dicom_objects import objects_of  # noqa: E402
from covidlit.platform.sending.models import Sending, SentObject, SentState  # noqa: E402
from covidlit.platform.viewing.planes import AXES, Planes, path_of  # noqa: E402

MODALITIES = {"SEG", "SR", "DOC"}
"""That the objects of a labelling have at least."""


def corrections(drawn: list[dict[str, Any]]) -> dict[str, int]:
    """Corrections that were handed in beside the versions that there are."""
    rows = Correction.objects.filter(saved_at__isnull=False).select_related("corrects", "labelling")
    found = Counter((row.scan_id, row.corrects.version) for row in rows)
    wanted = {(each["scan"], each["version"]): each for each in drawn}
    otherwise = 0
    for row in rows:
        each = wanted.get((row.scan_id, row.corrects.version))
        if each is not None and row.labelling is not None:
            is_next = row.labelling.version == each["version"] + 1
            otherwise += not (is_next and _is_as_drawn(row.corrects, row.labelling, each))
    became = {(row.scan_id, row.corrects.version) for row in rows if row.labelling is not None}
    noted = Entry.objects.filter(action="saved a correction").count()
    return {
        "corrections": len(rows),
        "lost": sum(key not in became for key in wanted),
        "doubled": sum(found.values()) - len(found) + sum(key not in wanted for key in found),
        "otherwise": otherwise,
        "drafts": Correction.objects.filter(saved_at__isnull=True).count(),
        "corrections_noted": abs(noted - len(rows)),
    }


def _is_as_drawn(before: Labelling, after: Labelling, drawn: dict[str, Any]) -> bool:
    """Whether a version is the one before with what was drawn, voxel by voxel."""
    old, new = planes_of(before), planes_of(after)
    if len(old) != len(new):
        return False
    x0, y0, x1, y1 = drawn["box"]
    for index in range(len(old)):
        classes, instances = (np.array(each) for each in old.plane(index))
        if index == drawn["slice_index"]:
            classes[y0:y1, x0:x1] = VALUE_OF[drawn["class_name"]]
            instances[y0:y1, x0:x1] = drawn["lesion"]
        if not all(map(np.array_equal, new.plane(index), (classes, instances))):
            return False
    return True


def versions() -> dict[str, int]:
    """Versions that are half, numbers that do not follow each other, scans measured twice."""
    gaps = 0
    for scan in Scan.objects.all():
        numbers = sorted(scan.labellings.values_list("version", flat=True))
        gaps += numbers != list(range(1, len(numbers) + 1))
    own = Counter(Labelling.objects.filter(correction=None).values_list("scan", flat=True))
    return {
        "half": sum(not _is_whole(each) for each in Labelling.objects.select_related("scan")),
        "gaps": gaps,
        "measured_twice": sum(own.values()) - len(own),
    }


def _is_whole(labelling: Labelling) -> bool:
    """Whether planes, lesions and objects of a version are all there and can be read."""
    planes: set[int] = set()
    for axis in AXES:
        own = Planes(path_of(label_planes(labelling), axis))
        for index in range(len(own)):
            _, instances = own.plane(index)
            planes |= set(np.unique(instances).tolist()) if axis == AXES[0] else set()
    rows = set(labelling.lesions.values_list("number", flat=True))
    folder = settings.FOLDER.results / labelling.folder / "dicom"
    written = sorted(path.name for path in folder.iterdir())
    objects = objects_of(labelling)
    modalities = {str(dcmread(each.path).Modality) for each in objects}
    is_all = written == [each.name for each in objects] and modalities >= MODALITIES
    return planes - {0} == rows and is_all


def sendings(asked: list[dict[str, Any]]) -> dict[str, int]:
    """Sendings that were asked for beside those that there are."""
    found = Counter(Sending.objects.values_list("labelling", flat=True))
    wanted = {each["labelling"]: each for each in asked}
    sent = Entry.objects.filter(action="sent").count()
    parts = SentObject.objects.all()
    return {
        "sendings": sum(found.values()),
        "sendings_lost": sum(key not in found for key in wanted),
        "sendings_doubled": sum(n > 1 for n in found.values()) + len(set(found) - set(wanted)),
        "not_sent": parts.exclude(state=SentState.SENT).count()
        + Sending.objects.exclude(job__state="done").count(),
        "objects": parts.count(),
        "sent_noted": abs(sent - parts.filter(state=SentState.SENT).count()),
    }


notes = json.loads(Path(sys.argv[1]).read_text())
counted = corrections(notes["drawn"]) | versions() | sendings(notes["asked"])
sys.stdout.write(json.dumps(counted))
