"""Troubles that others met in public, one input each: what becomes of them here, and is it right?

    python benchmarks/cases.py          needs ../shared/cases; writes results/cases.json

Every case writes a small input whose HU are a function of millimetres, so that each voxel of what
is read can be checked at the place where the affine puts it. `tests/test_cases.py` holds the same.
"""

from __future__ import annotations

import argparse
import runpy
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from typer.testing import CliRunner

from covidlit.cli.app import app
from covidlit.cohort.scan_reader import load_scan
from covidlit.cohort.scan_sources import find_scans
from covidlit.dicom import Checks, find_series
from covidlit.errors import CovidlitError
from covidlit.scans.scan import Scan

ROOT = Path(__file__).parents[1]
CASES = ROOT.parent / "shared" / "cases"
COMMAND = "python benchmarks/cases.py"
OUTCOMES = ("read", "told", "refused")
"""Read without a word on the trouble, read with a note that tells it, refused by its true cause."""


@dataclass(frozen=True)
class Case:
    """One input and what is right.

    Args:
        number: of the case.
        part: of its files; "" for all.
        outcome: of `OUTCOMES`.
        words: that the note or the reason must hold.
        checks: settings of the reading.
        exact: how many HU a voxel may differ from the phantom; None: not compared.
        placed: whether the file says where the image lies; else the phantom's own corner is taken.
    """

    number: str
    part: str
    outcome: str
    words: tuple[str, ...] = ()
    checks: Checks = Checks()  # noqa: RUF009 (immutable)
    exact: float | None = 0.5
    placed: bool = True

    @property
    def name(self) -> str:
        """The case with its part and setting, such as "07 half, several_acquisitions:2"."""
        setting = [*self.checks.override, self.checks.image_orientation or ""]
        return ", ".join(filter(None, [f"{self.number} {self.part}".strip(), *setting]))


def _with(override: str) -> Checks:
    return Checks(override=frozenset({override}))


CORNER = (-177.5, -157.5, -400.0)
"""Of the phantom's first voxel, LPS mm."""
SEVERAL = ("several_acquisitions", "AcquisitionNumber 1", "AcquisitionNumber 2")
NO_CODES = ("no_orientation", "image_orientation")
# fmt: off
READ = (
    Case("01", "", "told", ("BitsStored differs",)),
    Case("07", "half", "refused", SEVERAL),
    Case("07", "odd", "refused", SEVERAL),
    Case("07", "half", "told", ("AcquisitionNumber 1",), _with("several_acquisitions:1")),
    Case("07", "follows", "told", ("AcquisitionNumber 1", "AcquisitionNumber 2"), exact=None),
    Case("08", "coarse", "told", ("0.05 mm off even steps",), exact=None),
    Case("08", "tenth", "told", ("0.05 mm off even steps",), exact=None),
    Case("08", "jitter", "told", ("off even steps",), exact=None),
    Case("08", "hundredth", "read", exact=None),
    Case("10", "ct", "told", ("IM0099.dcm", "left out")),
    Case("10", "sc", "told", ("IM0099.dcm", "left out")),
    Case("15", "comma", "refused", ("PixelSpacing '0,75", "comma")),
    Case("15", "separator", "refused", ("PixelSpacing '0.75,0.75'", "comma")),
    Case("16", "", "refused", ("no SeriesInstanceUID", "damaged_series_uid")),
    Case("16", "", "told", ("SeriesInstanceUID",), _with("damaged_series_uid")),
    *(Case("18", part, "read") for part in
      ("explicit", "implicit", "implicitmeta", "big", "bigmeta", "deflated")),
    Case("19", "", "refused", ("all 24 slices carry one ImagePositionPatient",)),
    Case("21", "empty", "told", ("RescaleSlope", "air is -1000")),
    Case("21", "raw", "refused", ("not_hu", "RescaleIntercept missing")),
    Case("22", "z_eff", "refused", ("RescaleType is Z_EFF",)),
    Case("22", "iodine", "refused", ("RescaleType is MGML",)),
    Case("27", "zip", "refused", ("unzip study.zip",)),
    Case("27", "gz", "refused", ("gunzip",)),
    Case("29", "", "refused", ("replaced file by file", "damaged_series_uid")),
    Case("29", "", "told", ("SeriesInstanceUID",), _with("damaged_series_uid")),
    *(Case("31", part, "refused", NO_CODES) for part in ("las", "lps", "ras", "analyze")),
    Case("31", "las", "told", ("stated as LAS",), Checks(image_orientation="LAS"), placed=False),
    Case("31", "lps", "told", ("stated as LPS",), Checks(image_orientation="LPS"), placed=False),
    Case("31", "ras", "told", ("stated as RAS",), Checks(image_orientation="RAS"), placed=False),
    Case("33", "offset1024", "refused", ("not_hu", "HU + 1024")),
    Case("33", "offset8192", "refused", ("not_hu", "HU + 8192")),
    Case("33", "grey", "refused", ("not_hu", "grey values")),
    Case("33", "unit", "refused", ("not_hu", "between 0 and 1")),
    Case("34", "", "told", ("not finite", "air"), exact=None),
    Case("35", "rounded", "told", ("degrees off a right angle",), exact=None),
    Case("35", "tilt", "refused", ("sheared", "15.0 degrees")),
    Case("35", "unitless", "refused", ("sform", "pixdim")),
    *(Case("41", part, "read") for part in ("plain", "gzipped", "twice")),
    *(Case("48", part, "told", ("by the sform, which was taken",)) for part in
      ("half", "ones", "zero")),
)
# fmt: on


def write_case(number: str, out: Path) -> Callable[..., Any] | None:
    """Write a case's files below a folder; returns its phantom, HU at LPS millimetres."""
    (script,) = CASES.glob(f"{number}_*.py")
    with mock.patch.object(sys, "argv", [str(script), str(out)]):
        found = runpy.run_path(str(script), run_name="case")
    return found.get("phantom")


def problem_of(case: Case, folder: Path, phantom: Callable[..., Any] | None) -> str:
    """What is wrong with what becomes of a case's files; empty where it is right."""
    path = folder / case.part
    try:
        scan = _read(path, case.checks)
    except CovidlitError as error:
        outcome, said, scan = "refused", str(error), None
    else:
        outcome, said = "told", "; ".join(scan.notes)
    if case.outcome == "read" and outcome == "told":
        outcome = "read"
    if outcome != case.outcome:
        return f"{case.name}: {outcome} instead of {case.outcome}: {said}"
    missing = [word for word in case.words if word not in said]
    if missing:
        return f"{case.name}: says nothing of {', '.join(missing)}: {said}"
    if scan is not None and case.exact is not None and phantom is not None:
        return _wrong_voxels(case, scan, phantom)
    return ""


def _read(path: Path, checks: Checks) -> Scan:
    """The only scan at a path, as every command finds it."""
    sources = list(find_scans(path, checks))
    if len(sources) == 1 and sources[0].read is not None:
        return sources[0].read()
    if sources:
        raise CovidlitError(sources[0].reason)
    return load_scan(path, checks=checks)


def _wrong_voxels(case: Case, scan: Scan, phantom: Callable[..., Any]) -> str:
    indices = np.indices(scan.hu.shape).reshape(3, -1)
    corner = scan.affine[:3, 3:] if case.placed else np.array(CORNER)[:, None]
    x, y, z = scan.affine[:3, :3] @ indices + corner
    wanted = phantom(x, y, z).reshape(scan.hu.shape)
    # At an edge of the phantom the rounding of a coordinate decides.
    wrong = float(np.mean(np.abs(scan.hu - np.rint(wanted)) > case.exact))
    return f"{case.name}: {wrong:.2%} of the voxels are wrong" if wrong > 0.001 else ""


def labels_problem(folder: Path, table: str) -> str:
    """Case 45: a table of labels as spreadsheets write it; zeros that are gone are named."""
    command = ["manifest", str(folder / "dicom"), "--labels", str(folder / table),
               "--out", str(folder / f"{table}.manifest.csv"), "--no-inclusion",
               "--label-rule", "by-class"]  # fmt: skip
    done = CliRunner().invoke(app, command)
    said = " ".join((done.output + done.stderr).split())
    if table == "excel.csv":
        return "" if done.exit_code and "zero" in said else f"45 {table}: {said}"
    return "" if done.exit_code == 0 else f"45 {table}: {said}"


def patients_problem(folder: Path) -> str:
    """Case 42: two patients stay two."""
    for part in ("missing", "misspelt", "wrong"):
        patients = [series.patient_id for series in find_series(folder / part).series]
        if len(patients) != 2 or len(set(patients)) != 2:
            return f"42 {part}: {len(set(patients))} patients of {len(patients)} series"
    return ""


def main() -> None:
    """Go through the cases, print what is wrong, write the table."""
    from record import write_results

    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    counts: Counter[str] = Counter()
    rows: list[tuple[str, str]] = []
    with tempfile.TemporaryDirectory() as temporary:
        folders: dict[str, tuple[Path, Any]] = {}
        for number in sorted({case.number for case in READ} | {"42", "45"}):
            out = Path(temporary, number)
            folders[number] = (out, write_case(number, out))
        rows += [(case.outcome, problem_of(case, *folders[case.number])) for case in READ]
        rows.append(("told", patients_problem(folders["42"][0])))
        for table in ("kept.csv", "bom.csv", "semicolon.csv", "excel.csv"):
            kind = "refused" if table == "excel.csv" else "read"
            rows.append((kind, labels_problem(folders["45"][0], table)))
    for outcome, problem in rows:
        counts["wrong" if problem else outcome] += 1
        if problem:
            print("wrong:", problem)
    targets = {"wrong": "0"}
    names = {"read": "read, exact", "told": "read and told", "refused": "refused by its true cause"}
    figures = [
        {"figure": names.get(kind, kind), "value": counts[kind], "unit": "inputs",
         "target": targets.get(kind), "peer": None, "command": COMMAND}
        for kind in (*OUTCOMES, "wrong")
    ]  # fmt: skip
    for figure in figures:
        print(f"{figure['figure']}: {figure['value']}")
    print(write_results("cases", figures))


if __name__ == "__main__":
    main()
