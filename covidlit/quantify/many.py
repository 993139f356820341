"""All scans at a path: measured one after the other, resumable, the refused ones listed."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple

from covidlit.cohort.scan_sources import ScanSource, find_scans, refusal_reason
from covidlit.dicom import Checks
from covidlit.dicom.other_objects import OtherObject
from covidlit.errors import ConfigError, CovidlitError
from covidlit.files import make_folder
from covidlit.lesions.report import CorrectionMade
from covidlit.preprocess.cache import scan_name
from covidlit.preprocess.index import Signatures
from covidlit.progress import progress_bar
from covidlit.quantify.identity import Identity, identify
from covidlit.quantify.labeller import Labeller
from covidlit.quantify.records import finished, keep, made_from, remove_old_pages
from covidlit.quantify.reports import REPORTS, write_report
from covidlit.quantify.results import Results, check_own_tables, written
from covidlit.quantify.scan import LABELS, Quantified, quantify_scan
from covidlit.quantify.severity import SeverityModel, key_of, with_severity
from covidlit.quantify.writing import BINARY, Writing
from covidlit.scans.lesion_labels import read_labels
from covidlit.version import __version__


def quantify(
    path: str | Path,
    labeller: Labeller,
    out_dir: str | Path,
    *,
    checks: Checks = Checks(),  # noqa: B008 (frozen)
    dicom: bool = True,
    segmentation: str = BINARY,
    absent_as_empty: bool = False,
    report: bool = True,
    spread: bool = False,
    severity: SeverityModel | None = None,
    corrections: Sequence[CorrectionMade] = (),
    progress: bool = False,
) -> Results:
    """Label and measure every scan at a path.

    A patient's scans are taken by date, so that each is compared with the one before. A scan that
    is finished is left alone by a later call with the same files and settings. Pages of scans that
    are no longer at the path, or are refused now, are removed; their labels and DICOM objects stay.
    Memory: one scan with its labels.

    Args:
        path: a folder with DICOM series or images, one of these, or a manifest.
        labeller: of lungs and lesions.
        out_dir: gets `labels/`, `dicom/<scan>/`, `reports/<patient>.html` and `.pdf`,
            `factors.parquet`, `lesions.parquet`, `scans.csv`, `factors.md`, `trend.csv` and
            `lesion_changes.csv`.
        checks: which scans are refused.
        dicom, segmentation, absent_as_empty, report: see `Writing`.
        spread: write the factors under other published definitions too, `spread.parquet`.
        severity: scores each scan from its factors: `severity.csv`, and a section of the page. By
            another model a scan that is finished is scored again, and not measured again.
        corrections: of the scans by people, as far as labels come from them; said in the reports.
        progress: show a bar.

    Raises:
        CovidlitError: no such path, no scan there, a folder that cannot be written.
    """
    writing = Writing(dicom, segmentation, absent_as_empty, report, spread)
    out = Path(out_dir)
    _check_out(out, Path(path))
    make_folder(out)
    settings = {"labels": labeller.settings(), "writing": asdict(writing), "version": __version__}
    rows: list[dict[str, Any]] = []
    done: list[Quantified] = []
    n_known = 0
    names: set[str] = set()
    written_anew: set[str] = set()
    of_patient: dict[str, list[_Done]] = {}
    others: list[OtherObject] = []
    ordered = _by_patient_and_date(find_scans(path, checks, others), out)
    labeller.look_at([source for source, _ in ordered])
    patient_of = {source.scan_id: who.patient_id for source, who in ordered if source.scan_id}
    places = {_place(source) for source, _ in ordered}
    refused: set[tuple[str, ...]] = set()
    dropped = remove_old_pages(out, REPORTS, patient_of, places)
    known, signatures = finished(out), Signatures(checks)
    with progress_bar("Quantifying scans", len(ordered), show=progress) as bar:
        for source, identity in ordered:
            row = {"scan_id": source.scan_id, "path": source.path, **_who(identity)}
            before = of_patient.get(identity.patient_id, [])
            key = _key(source, identity, labeller, settings, signatures, before)
            found = None if key is None else known.get(key)
            try:
                if found is None:
                    found = _measure(
                        source, identity, labeller, out, checks, writing,
                        _earlier(before, identity), names,
                    )  # fmt: skip
                    is_new = True
                else:
                    n_known += 1
                    is_new = found.severity_key != key_of(severity) or (
                        found.factors["patient_id"] in written_anew  # its page is of the last scan
                    )
                    if is_new and report:
                        found = _read_again(found, source, out)
                if is_new:
                    written_anew.add(found.factors["patient_id"])
                    found = with_severity(found, severity)
                    if report:
                        drawn_by = labeller.algorithm_of(source).name
                        found = write_report(
                            found, _of_patient(done, found), out, drawn_by, corrections
                        )
                    if key is not None:
                        name = str(found.factors["scan_id"])
                        keep(out, name, key, _place(source), found)
                found = replace(found, scan=None, labels=None)
                done.append(found)
                names.add(str(found.factors["scan_id"]))
                row |= {"scan_id": found.factors["scan_id"], "status": "ok"}
                row |= {"notes": "; ".join(found.notes) or None, "labelled_by": found.labelled_by}
                if identity.patient_id:
                    own = of_patient.setdefault(identity.patient_id, [])
                    own.append(_Done(identity.date, key, found))
            except Exception as error:
                row |= {"status": "refused", "reason": _with_fix(refusal_reason(error), error)}
                refused.add(_place(source))
            rows.append(row)
            bar.advance()
    # A scan that was measured once and is refused now is the last on its patient's page.
    if remove_old_pages(out, REPORTS, patient_of, places - refused) and any(
        not (out / file).is_file() for one in done for file in one.files
    ):
        again = quantify(
            path, labeller, out, checks=checks, severity=severity, corrections=corrections,
            progress=progress, **asdict(writing),
        )  # fmt: skip
        return replace(again, dropped=tuple(dropped))
    results = written(done, rows, out)
    return replace(results, n_known=n_known, dropped=tuple(dropped), others=tuple(others))


def _with_fix(reason: str, error: Exception) -> str:
    """A reason with what can be done about it, where that is known."""
    fix = error.fix if isinstance(error, CovidlitError) else ""
    return f"{reason} Fix: {fix}" if fix and fix not in reason else reason


def _check_out(out: Path, path: Path) -> None:
    """Refuse a folder in which results would lie among the scans, or over other tables."""
    place, scans = out.resolve(), path.resolve()
    if path.is_dir() and (place == scans or scans in place.parents):
        raise ConfigError(
            "the results would lie among the scans, and be found as scans by the next call.",
            where=out,
            fix=f"give a folder beside {path}: --out {path.absolute().parent / 'quantified'}.",
        )
    check_own_tables(out, path)


def _by_patient_and_date(
    sources: Iterable[ScanSource], out: Path
) -> list[tuple[ScanSource, Identity]]:
    """The scans of a patient together, by date; those without one first, since the page is of the
    last."""
    found = [(source, identify(source, out)) for source in sources]
    return sorted(
        found,
        key=lambda one: (one[1].patient_id, one[1].date, one[0].scan_id, one[0].path),
    )


def _who(identity: Identity) -> dict[str, str | None]:
    return {
        "patient_id": identity.patient_id or None,
        "acquisition_date": identity.date or None,
    }


class _Done(NamedTuple):
    """A scan that is finished: its day, the hash of what it was made from, and its results."""

    date: str
    key: str | None
    found: Quantified


def _earlier(before: Sequence[_Done], identity: Identity) -> list[Quantified]:
    """The patient's scans of the last earlier day, by scan_id; none without a date."""
    days = [one.date for one in before if one.date and one.date < identity.date]
    found = [one.found for one in before if days and one.date == max(days)]
    return sorted(found, key=lambda one: str(one.factors["scan_id"]))


def _place(source: ScanSource) -> tuple[str, str, str]:
    """What tells a scan of a path from the others, before it is read."""
    return (source.scan_id, str(source.location), source.series_uid)


def _key(
    source: ScanSource,
    identity: Identity,
    labeller: Labeller,
    settings: Any,
    signatures: Signatures,
    before: Sequence[_Done],
) -> str | None:
    """Hash of what the results are made from; None where that is unknown."""
    if source.location is None or any(one.key is None for one in before):
        return None
    try:
        files = signatures.of(source.location, source.series_uid or None)
        labels = labeller.made_from(source)
    except (OSError, CovidlitError):
        return None  # said when it is read
    # The scans before give change and identifiers, and stand on the patient's page.
    place = [source.scan_id, str(source.location), files, [one.key for one in before]]
    return made_from(settings, [*place, list(identity)], labels)


def _measure(
    source: ScanSource,
    identity: Identity,
    labeller: Labeller,
    out: Path,
    checks: Checks,
    writing: Writing,
    before: Sequence[Quantified],
    names: Collection[str],
) -> Quantified:
    if source.read is None:
        raise CovidlitError(source.reason)
    scan = source.read()
    name = scan_name(source.scan_id, scan)
    if name in names:
        raise CovidlitError(
            f"it is called {name}, as another scan of this call (or is a copy of it).",
            fix="give each scan once.",
        )
    return quantify_scan(
        source,
        name,
        scan,
        identity,
        labeller,
        out,
        checks=checks,
        writing=writing,
        before=before,
    )


def _read_again(found: Quantified, source: ScanSource, out: Path) -> Quantified:
    """A finished scan with its volume and the labels of before, for its page."""
    if source.read is None:
        raise CovidlitError(source.reason)
    labels = read_labels(out / LABELS, str(found.factors["scan_id"]))
    return replace(found, scan=source.read(), labels=labels)


def _of_patient(done: Iterable[Quantified], found: Quantified) -> list[dict[str, Any]]:
    """The rows of factors of the same patient, by date, that of `found` last."""
    patient = found.factors["patient_id"]
    return [
        *(one.factors for one in done if one.factors["patient_id"] == patient),
        found.factors,
    ]
