"""All scans at a path: measured one after the other, resumable, the refused ones listed."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from covidlit.cohort.factor_definitions import definitions_markdown
from covidlit.cohort.scan_sources import ScanSource, find_scans, refusal_reason
from covidlit.dicom import Checks
from covidlit.errors import ConfigError, CovidlitError
from covidlit.files import write_text
from covidlit.lesions import FACTORS_SCHEMA, LESIONS_SCHEMA, validate_factors, validate_lesions
from covidlit.preprocess.conversion import scan_name
from covidlit.preprocess.index import Signatures
from covidlit.progress import progress_bar
from covidlit.quantify.identity import Identity, identify
from covidlit.quantify.labeller import Labeller
from covidlit.quantify.records import finished, keep, made_from, remove_pages_of_others
from covidlit.quantify.reports import REPORTS, write_report
from covidlit.quantify.scan import Quantified, quantify_scan
from covidlit.tables import check_own_table, write_table
from covidlit.version import __version__

FACTORS_TABLE, LESIONS_TABLE = "factors.parquet", "lesions.parquet"
SCANS_TABLE, DEFINITIONS = "scans.csv", "factors.md"
SCAN_COLUMNS = (
    "scan_id", "path", "patient_id", "acquisition_date", "status", "reason", "notes", "labelled_by",
)  # fmt: skip


@dataclass(frozen=True)
class Results:
    """The tables of a call.

    Args:
        factors, lesions: contract 8, of the scans that could be measured.
        scans: a row for each scan that was found: `SCAN_COLUMNS`, `status` "ok" or "refused".
        n_known: scans that an earlier call had done.
    """

    factors: pd.DataFrame
    lesions: pd.DataFrame
    scans: pd.DataFrame
    n_known: int


def quantify(
    path: str | Path,
    labeller: Labeller,
    out_dir: str | Path,
    *,
    checks: Checks = Checks(),  # noqa: B008 (frozen)
    dicom: bool = True,
    absent_as_empty: bool = False,
    report: bool = True,
    progress: bool = False,
) -> Results:
    """Label and measure every scan at a path.

    A patient's scans are taken by date, so that each is compared with the one before. A scan that
    is finished is left alone by a later call with the same files and settings. Memory: one scan
    with its labels.

    Args:
        path: a folder with DICOM series or images, one of these, or a manifest.
        labeller: of lungs and lesions.
        out_dir: gets `labels/`, `dicom/<scan>/`, `reports/<patient>.html`, `factors.parquet`,
            `lesions.parquet`, `scans.csv` and `factors.md`.
        checks: which scans are refused.
        dicom: write DICOM objects of scans that are DICOM series.
        absent_as_empty: take a birth date and the like that DICOM headers lack for unknown.
        report: write a page per patient.
        progress: show a bar.

    Raises:
        CovidlitError: no such path, no scan there, a folder that cannot be written.
    """
    out = Path(out_dir)
    _check_out(out, Path(path))
    out.mkdir(parents=True, exist_ok=True)
    settings = {"labels": labeller.settings(), "dicom": dicom, "version": __version__}
    settings |= {"report": report, "absent": absent_as_empty}
    rows: list[dict[str, Any]] = []
    done: list[Quantified] = []
    n_known = 0
    names: set[str] = set()
    of_patient: dict[str, list[_Done]] = {}
    ordered = _by_patient_and_date(find_scans(path, checks), out)
    labeller.look_at([source for source, _ in ordered])
    patient_of = {source.scan_id: who.patient_id for source, who in ordered if source.scan_id}
    remove_pages_of_others(out, REPORTS, patient_of)
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
                        source, identity, labeller, out, checks, dicom, absent_as_empty,
                        _earlier(before, identity), names,
                    )  # fmt: skip
                    if report:
                        found = write_report(
                            found, _of_patient(done, found), out, labeller.algorithm.name
                        )
                    if key is not None:
                        keep(out, str(found.factors["scan_id"]), key, found)
                else:
                    n_known += 1
                found = replace(found, scan=None, labels=None)
                done.append(found)
                names.add(str(found.factors["scan_id"]))
                row |= {"scan_id": found.factors["scan_id"], "status": "ok"}
                row |= {"notes": "; ".join(found.notes) or None, "labelled_by": found.labelled_by}
                if identity.patient_id:
                    own = of_patient.setdefault(identity.patient_id, [])
                    own.append(_Done(identity.date, key, found))
            except Exception as error:
                row |= {"status": "refused", "reason": refusal_reason(error)}
            rows.append(row)
            bar.advance()
    return _written(done, rows, n_known, out)


def _check_out(out: Path, path: Path) -> None:
    """Refuse a folder in which results would lie among the scans, or over other tables."""
    place, scans = out.resolve(), path.resolve()
    if path.is_dir() and (place == scans or scans in place.parents):
        raise ConfigError(
            "the results would lie among the scans, and be found as scans by the next call.",
            where=out,
            fix=f"give a folder beside {path}: --out {path.absolute().parent / 'quantified'}.",
        )
    for name, columns in (
        (FACTORS_TABLE, FACTORS_SCHEMA.columns),
        (LESIONS_TABLE, LESIONS_SCHEMA.columns),
        (SCANS_TABLE, SCAN_COLUMNS[:-1]),  # earlier ones lack the last
    ):
        check_own_table(out / name, columns, "covidlit quantify", [path])


def _by_patient_and_date(
    sources: Iterable[ScanSource], out: Path
) -> list[tuple[ScanSource, Identity]]:
    """The scans of a patient together, from the earliest on; those without a date come last."""
    found = [(source, identify(source, out)) for source in sources]
    return sorted(
        found,
        key=lambda one: (one[1].patient_id, one[1].date or "~", one[0].scan_id, one[0].path),
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
    return [one.found for one in before if days and one.date == max(days)]


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
    dicom: bool,
    absent_as_empty: bool,
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
        dicom=dicom,
        absent_as_empty=absent_as_empty,
        before=before,
    )


def _of_patient(done: Iterable[Quantified], found: Quantified) -> list[dict[str, Any]]:
    """The rows of factors of the same patient, by date, that of `found` last."""
    patient = found.factors["patient_id"]
    return [
        *(one.factors for one in done if one.factors["patient_id"] == patient),
        found.factors,
    ]


def _written(
    done: list[Quantified], rows: list[dict[str, Any]], n_known: int, out: Path
) -> Results:
    factors = pd.DataFrame([one.factors for one in done], columns=_columns(done))
    tables = [one.lesions for one in done if len(one.lesions)]
    lesions = (
        pd.concat(tables, ignore_index=True)
        if tables
        else pd.DataFrame(columns=list(LESIONS_SCHEMA.columns))
    )
    scans = pd.DataFrame(rows, columns=list(SCAN_COLUMNS))
    if done:
        factors = validate_factors(factors)
        lesions = validate_lesions(lesions)
        write_table(factors, out / FACTORS_TABLE)
        write_table(lesions, out / LESIONS_TABLE)
        write_text(out / DEFINITIONS, definitions_markdown())
    else:  # lest those of a former call stand beside a list in which all scans are refused
        (out / FACTORS_TABLE).unlink(missing_ok=True)
        (out / LESIONS_TABLE).unlink(missing_ok=True)
    write_table(scans, out / SCANS_TABLE)
    return Results(factors, lesions, scans, n_known)


def _columns(done: Iterable[Quantified]) -> list[str]:
    """Those of contract 8 first, then further ones in the order in which they come."""
    further: Iterator[str] = (name for one in done for name in one.factors)
    return list(dict.fromkeys([*FACTORS_SCHEMA.columns, *further]))
