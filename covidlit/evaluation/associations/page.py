"""`associations.csv`, `table1.csv`, `heatmap.png` and `associations.html`."""

from __future__ import annotations

from pathlib import Path

from covidlit.errors import CovidlitError
from covidlit.evaluation.associations.heatmap import write_heatmap
from covidlit.evaluation.associations.results import MEASURES, Associations
from covidlit.evaluation.estimate import format_level
from covidlit.evaluation.report import page_template
from covidlit.files import check_own_page, check_replaceable, write_text
from covidlit.tables import check_own_table, write_table

_GENERATOR = "covidlit associations"
_TITLES = {
    "pearson": "Pearson's r",
    "spearman": "Spearman's rho",
    "hedges_g": "Hedges' g",
    "cliffs_delta": "Cliff's delta",
    "auc": "AUC",
    "risk_difference": "Risk difference",
    "odds_ratio": "Odds ratio",
}


def check_own_associations(out_dir: str | Path, inputs: tuple[Path, ...] = ()) -> None:
    """Make sure that `write_associations` writes over nothing but its own earlier files.

    Raises:
        CovidlitError: another file lies there, or the folder cannot be written.
    """
    folder = Path(out_dir)
    page = check_own_page(folder / "associations.html", _GENERATOR)
    own = ("feature", "kind", "pearson", "group_p_holm")
    check_own_table(folder / "associations.csv", own, _GENERATOR, inputs=inputs)
    check_own_table(folder / "table1.csv", ("feature", "test", "p_holm"), _GENERATOR, inputs=inputs)
    # A picture does not say who made it: it is ours where our page lies beside it.
    check_replaceable(folder / "heatmap.png", lambda path: page.is_file(), _GENERATOR)


def write_associations(
    found: Associations,
    out_dir: str | Path,
    *,
    source: str = "",
    command: str | None = None,
) -> Path:
    """Write tables, figure and page into `out_dir`; returns the page.

    Args:
        found: of `covidlit.evaluation.associations.associations`.
        out_dir: folder, made if needed.
        source: what the table is called on the page.
        command: the command line, for the record.

    Raises:
        CovidlitError: the folder cannot be written.
    """
    folder = Path(out_dir)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CovidlitError(f"it cannot be made: {error}.", where=folder) from error
    write_table(found.table(), folder / "associations.csv")
    write_table(found.table1(), folder / "table1.csv")
    heatmap = write_heatmap(found, folder / "heatmap.png")
    used = [name for name in MEASURES if any(name in r.measures for r in found.results)]
    page = page_template("associations.html.j2", "covidlit.evaluation.associations").render(
        found=found,
        results=found.results,
        correlations=[name for name in used if name in ("pearson", "spearman")],
        effects=[name for name in used if name not in ("pearson", "spearman")],
        titles=_TITLES,
        heatmap=heatmap.read_bytes(),
        sizes=[int((found.outcome.codes == i).sum()) for i in range(len(found.outcome.groups))],
        synthetic=found.synthetic,
        level=format_level(found.confidence),
        alpha=f"{1 - found.confidence:.10g}",
        source=source,
        command=command,
        figures={},
    )
    return write_text(folder / "associations.html", page)
