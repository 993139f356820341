"""What part of the body a series says it shows (DICOM 0018,0015, BodyPartExamined)."""

from __future__ import annotations

import re
from collections.abc import Iterable

_CHEST = ("CHEST", "THORAX", "TORAX", "LUNG", "PULMO", "THORAC", "TRUNK", "WHOLE", "BODY")
_ELSEWHERE = (
    "HEAD", "SKULL", "BRAIN", "CRANI", "CEREB", "NEURO", "FACE", "FACIAL", "ORBIT", "EYE", "SINUS",
    "TEMPORAL", "PETROUS", "MASTOID", "NOSE", "NASAL", "JAW", "MANDIB", "MAXILL", "DENT", "TEETH",
    "TONGUE", "PITUIT", "SELLA", "PELVIS", "BLADDER", "PROSTATE", "HIP", "UTERUS", "RECTUM", "LEG",
    "KNEE", "ANKLE", "FOOT", "TOE", "THIGH", "FEMUR", "TIBIA", "FIBULA", "CALF", "EXTREM", "HAND",
    "WRIST", "FINGER", "ELBOW", "FOREARM", "LSPINE", "LUMBAR", "SSPINE", "SACRUM", "COCCYX",
)  # fmt: skip
_SHORT = ("EAR", "IAC", "ARM", "IAM")  # whole words only: "HEART" holds "EAR"


def part_without_lungs(body_parts: Iterable[str]) -> str:
    """The body part that a series names, where it is one that holds no lung at all.

    Parts beside the chest (neck, abdomen, shoulder, heart, spine as a whole), and words that are
    not known, are left to the check that looks for the lungs: headers name them for chests, too.

    Args:
        body_parts: of the files.

    Returns:
        As the files have it; empty where any of them may show a chest.
    """
    named = list(dict.fromkeys(part.strip().upper() for part in body_parts if part.strip()))
    if not named or not all(_is_elsewhere(part) for part in named):
        return ""
    return ", ".join(named)


def _is_elsewhere(part: str) -> bool:
    if any(word in part for word in _CHEST):
        return False
    words = re.split(r"[^A-Z]+", part)
    joined = "".join(words)
    return any(word in joined for word in _ELSEWHERE) or any(word in _SHORT for word in words)
