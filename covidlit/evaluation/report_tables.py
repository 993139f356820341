"""Tables of the report's page: from a data frame, and how they fold up on a phone."""

from __future__ import annotations

import re
from typing import Any

import pandas as pd
from markupsafe import Markup, escape

STACKED_FROM = 4
"""Tables with this many columns or more show their rows one below the other on a phone."""

TITLES = {
    "centre": "Centre",
    "class_name": "Class",
    "rtpcr_initial": "First RT-PCR",
    "rtpcr_round": "RT-PCR round that was positive",
    "sex": "Sex",
    "age": "Age, years",
    "aetiology": "Aetiology",
    "severity": "Severity",
    "manufacturer": "Scanner manufacturer",
    "kernel": "Reconstruction kernel",
    "slice_thickness_mm": "Slice thickness, mm",
    "quality_grade": "Image quality grade",
}
"""What the columns of a manifest are called on the page; others keep their names."""

_CELL = re.compile(r"<(t[dh])\b([^>]*)>(.*?)</\1>", re.DOTALL)
_TAG = re.compile(r"<[^>]*>")


def column_title(name: str) -> str:
    """What a column of the manifest is called on the page."""
    return TITLES.get(name, name)


def label_cells(table: Markup) -> Markup:
    """The table with its column's heading as `data-label` in every cell of its body.

    The style sheet writes the labels beside the values where the page is narrow. Cells that span
    columns get none, nor do tables of fewer than `STACKED_FROM` columns, which fit, nor confusion
    matrices, which are read as a square.

    Args:
        table: one or more `<table>` elements, each with one row of headings.
    """
    return Markup(re.sub(r"<table.*?</table>", _labelled, str(table), flags=re.DOTALL))


def _labelled(match: re.Match[str]) -> str:
    head, body, end = match.group().partition("</thead>")
    labels = [_label(cell) for cell in _CELL.finditer(head)]
    opening = head[: head.index(">")]
    if len(labels) < STACKED_FROM or "confusion" in opening:
        return head + body + end
    kind = 'class="stack ' if "class=" in opening else '<table class="stack"'
    opening = re.sub('class="|<table$', kind, opening, count=1)

    def row(found: re.Match[str]) -> str:
        waiting = iter(labels)
        return _CELL.sub(lambda cell: _with_label(cell, next(waiting, "")), found.group())

    rows = re.sub(r"<tr.*?</tr>", row, end, flags=re.DOTALL)
    return opening + head[head.index(">") :] + body + rows


def _label(heading: re.Match[str]) -> str:
    """A heading's own `data-label`, else its text."""
    own = re.search(r'data-label="([^"]*)"', heading[2])
    return own[1] if own else " ".join(_TAG.sub(" ", heading[3]).split())


def _with_label(cell: re.Match[str], label: str) -> str:
    tag, attributes, content = cell.groups()
    if not label or "colspan" in attributes:
        return cell.group()
    # Headings are markup already: only the quotes could end the attribute.
    label = label.replace('"', "&#34;")
    return f'<{tag}{attributes} data-label="{label}">{content}</{tag}>'


def table_html(table: pd.DataFrame, limit: int = 200) -> Markup:
    """A table of the context as HTML: escaped, numbers short, missing values as a dash."""
    shown = table.head(limit)
    if isinstance(shown.index, pd.MultiIndex):
        shown = shown.reset_index()
    elif shown.index.name is not None or not isinstance(shown.index, pd.RangeIndex):
        shown = shown.reset_index(names=shown.index.name or "")
    numeric = [pd.api.types.is_numeric_dtype(kind) for kind in shown.dtypes]
    head = Markup("").join(
        Markup("<th{}>{}</th>").format(_number(is_number), _heading(str(column)))
        for column, is_number in zip(shown.columns, numeric, strict=True)
    )
    body = Markup("").join(
        Markup("<tr>{}</tr>").format(
            Markup("").join(
                Markup("<td{}>{}</td>").format(_number(is_number), _cell(value))
                for value, is_number in zip(row, numeric, strict=True)
            )
        )
        for row in shown.itertuples(index=False)
    )
    more = ""
    if len(table) > limit:
        more = Markup("<p>The first {} of {} rows.</p>").format(limit, len(table))
    return Markup("<table><thead><tr>{}</tr></thead><tbody>{}</tbody></table>{}").format(
        head, body, more
    )


def _heading(name: str) -> str:
    """`rtpcr_positive_initial` as "RT-PCR positive initial"."""
    return name.replace("rtpcr", "RT-PCR").replace("_", " ")


def _number(is_number: bool) -> Markup:
    return Markup(' class="n"') if is_number else Markup("")


def _cell(value: Any) -> Markup:
    if value is None or (pd.api.types.is_scalar(value) and pd.isna(value)):
        return Markup("–")
    if isinstance(value, float):
        return escape(f"{value:g}" if abs(value) < 1e5 else f"{value:,.0f}")
    return escape(value)
