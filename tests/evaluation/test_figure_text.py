"""Texts of tables in figures: drawn as they are, whatever they hold, and none left out."""

from __future__ import annotations

import re
import warnings
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from covidlit.evaluation import compare, evaluate, write_comparison, write_report
from covidlit.evaluation.figures import MAX_CLASSES, score_figure, training_figure
from covidlit.figure_text import plain

Predictions = Callable[..., pd.DataFrame]

HOSTILE = (
    "$x$",
    "$",
    "cost $5 or $6",
    r"$\frac{1}{$",
    r"back\slash \n",
    "_hidden",
    "x^2_1",
    "<b>bold</b>",
    'quote" id="x',
    "a & b",
    "非新冠肺炎 🦠",
    "two\nlines",
    "bell \x07 and \x1b[31m",
    "long " * 60,
    "l" * 300,
    "{name}%s",
)


@pytest.fixture(autouse=True)
def style_of_the_user() -> Iterator[None]:
    """A user's matplotlibrc must not bring mathematics back."""
    with mpl.rc_context({"text.parse_math": True}):
        yield


def texts(page: str) -> list[str]:
    """The texts of all figures of a page, each of which must be well-formed XML."""
    figures = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    assert figures
    return [
        "".join(element.itertext())
        for figure in figures
        for element in ElementTree.fromstring(figure).iter()
        if element.tag.endswith("text")
    ]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_report_draws_every_class_name_as_it_is(
    name: str, predictions: Predictions, tmp_path: Path
) -> None:
    table = predictions()
    for column, old in (("class_name", "covid"), ("centre", "3"), ("sex", "F")):
        table[column] = table[column].replace({old: name})
    table["model"] = table["run_id"] = name
    curve = pd.DataFrame({"epoch": [0, 1], f"loss {name}": [1.0, 0.5]})
    from covidlit.evaluation import ReportContext

    context = ReportContext(title=name, training_curve=curve)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        page = write_report(
            table, tmp_path, context=context, evaluation=evaluate(table, n_bootstrap=100)
        ).read_text()
    drawn = texts(page)
    assert any(text.startswith(f"{plain(name)} (positive, n = 48)") for text in drawn)
    assert any(plain(f"loss {name.replace('_', ' ')}", 34) == text for text in drawn)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_comparison_draws_every_model_name_as_it_is(
    name: str, predictions: Predictions, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    first = predictions().assign(model=name, seed=1)
    second = first.assign(seed=2, score=(first["score"] + rng.random(len(first))) / 2)
    third = second.assign(model="other")
    comparison = compare([first, second, third], n_bootstrap=100)
    drawn = texts(write_comparison(comparison, tmp_path).read_text())
    shown = plain(name, 34)
    assert any(text.startswith(f"{shown}, AUC ") for text in drawn)
    assert drawn.count(shown) == 2  # beside the difference and beside the seeds


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=400), st.integers(8, 60))
def test_a_plain_text_is_one_printable_line_of_that_length(text: str, limit: int) -> None:
    line = plain(text, limit)
    assert line.replace("\u2060", "").isprintable()
    assert len(line) <= limit + 1
    assert not line.startswith("_")
    assert plain(line, limit + 1) == line
    short = " ".join(text.split())
    if short.isprintable() and len(short) <= limit and not short.startswith("_"):
        assert line == short


def test_long_names_stay_apart_by_their_ends() -> None:
    names = [f"resnet3d-{'x' * 80}-seed{seed}" for seed in (1, 2)]
    assert len({plain(name, 34) for name in names}) == 2
    assert all(plain(name, 34).startswith("resnet3d-") for name in names)


@pytest.mark.parametrize("n_classes", [2, 7, MAX_CLASSES, 40])
def test_every_scan_is_in_a_histogram(n_classes: int) -> None:
    rng = np.random.default_rng(0)
    size = np.arange(n_classes) + 3
    index = np.repeat(np.arange(n_classes), size)
    table = pd.DataFrame(
        {
            "class_name": [f"class {i}" for i in index],
            "target": (index % 3 == 0).astype(int),
            "score": rng.random(len(index)),
        }
    )
    drawn = texts(score_figure(table, np.array([0.5])))
    titles = [re.search(r"\((positive|negative), n = (\d+)\)", text) for text in drawn]
    counts = [int(title[2]) for title in titles if title]
    assert sum(counts) == len(table)
    assert len(counts) == min(n_classes, MAX_CLASSES)
    further = [text for text in drawn if "further" in text]
    if n_classes > MAX_CLASSES:
        assert sum(int(text.split()[0]) for text in further) == n_classes - MAX_CLASSES + 2
    else:
        assert further == []


def test_every_logged_loss_and_score_has_a_line() -> None:
    columns = {f"{kind}_{part}{n}": [0.1, 0.2] for n in range(9)
               for kind, part in (("val", "auc"), ("train", "loss"))}  # fmt: skip
    drawn = texts(training_figure(pd.DataFrame({"epoch": [0, 1], **columns})) or "")
    for number in range(9):
        assert f"train loss{number}" in drawn
        assert f"validation AUC{number}" in drawn
