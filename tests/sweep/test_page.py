"""The page, the table and the display of a sweep say what is in the study."""

from __future__ import annotations

import io
import logging
import math
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path

import numpy as np
import optuna
import pandas as pd
import pytest
from example_studies import MODEL, RATE, WEIGHT, WIDTH, add, study, whole_study
from optuna.trial import TrialState
from rich.console import Console
from scipy import stats

from covidlit.figure_text import plain
from covidlit.sweep.page import parameter_importances, write_page
from covidlit.sweep.page_cautions import expected_best, sweep_cautions
from covidlit.sweep.page_figures import running_best
from covidlit.sweep.parameter_axis import MISSING, ParameterAxis
from covidlit.sweep.progress import SweepProgress
from covidlit.sweep.summary import short_names, summarise
from covidlit.sweep.table import print_table
from covidlit.sweep.validation_noise import validation_noise


def text_of(page: Path) -> str:
    """The words of a page, without its figures and its style."""
    html = re.sub(r"<(svg|style).*?</\1>", " ", page.read_text(), flags=re.DOTALL)
    return " ".join(re.sub("<[^>]+>", " ", html).split())


def test_the_page_is_whole_and_shows_each_kind_of_trial(tmp_path: Path) -> None:
    page = write_page(whole_study(), tmp_path)
    html = page.read_text()
    figures = re.findall(r"<svg.*?</svg>", html, re.DOTALL)
    for figure in figures:
        ElementTree.fromstring(figure)
    assert len(figures) == 4
    ids = re.findall(r'\bid="([^"]+)"', html)
    assert len(ids) == len(set(ids))
    links = re.findall(r'href="([^#"][^"]*)"', html)
    assert set(links) == {f"trial_{number}/" for number in range(18)}
    assert "src=" not in html
    text = text_of(page)
    for shown in (
        "12 finished, 4 pruned, 1 failed, 1 stopped with their sweeper",
        "0.9500", "trial 5, in its folder",
        "MemoryError: &lt;no&gt; memory &amp; more", "killed with its sweeper",
        "best of 12", "4 of 16 trials (25%) were pruned", "has seen the held-out test part",
        "experiment=quickstart", f"{RATE}=",
    ):  # fmt: skip
        assert shown in text, shown
    assert "not needed" not in text
    assert "trial 18" not in text


def nothing() -> optuna.Study:
    return study()


def all_failed() -> optuna.Study:
    made = study()
    add(made, None, reason="it broke", curve=())
    return made


def one_trial() -> optuna.Study:
    made = study()
    add(made, 0.8)
    return made


def constant() -> optuna.Study:
    made = study()
    for number in range(12):
        add(made, 0.5, {RATE: 1e-3 * (1 + number / 12), WIDTH: 4 + number})
    return made


def only_choices() -> optuna.Study:
    made = study()
    for number in range(12):
        add(made, 0.5 + number / 50, {MODEL: "csacnet" if number > 5 else "resnet3d"})
    return made


def no_parameters() -> optuna.Study:
    made = study()
    add(made, 0.5, {})
    add(made, 0.6, {})
    return made


def only_nan_reports() -> optuna.Study:
    made = study()
    add(made, None, curve=(math.nan, math.nan))
    return made


def only_running() -> optuna.Study:
    made = study()
    add(made, None, state=TrialState.RUNNING)
    made.ask()
    return made


def minimised() -> optuna.Study:
    made = study(direction="minimize")
    add(made, 0.9)
    add(made, 0.4)
    return made


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (nothing, "The study has no trial yet."),
        (all_failed, "No trial has finished, so there is no best one (1 failed)."),
        (one_trial, "too few trials: 1 of the needed 10 have finished."),
        (constant, "all finished trials have the same value."),
        (only_choices, "fewer than two parameters were varied."),
        (no_parameters, "no trial with a parameter has finished."),
        (only_nan_reports, "no finished or pruned trial has reported a value."),
        (only_running, "2 still running"),
        (minimised, "lowest validation AUC is best"),
    ],
)
def test_a_degenerate_study_is_said_plainly(
    make: Callable[[], optuna.Study], said: str, tmp_path: Path
) -> None:
    made = make()
    assert said in text_of(write_page(made, tmp_path))
    console = Console(file=io.StringIO(), width=80)
    print_table(made, console=console)
    with SweepProgress(3, console=console) as progress:
        progress.update(made, 0)


def test_the_best_follows_the_direction() -> None:
    best = summarise(minimised()).best
    assert best is not None
    assert best.number == 1
    values = np.array([0.5, 0.4, 0.7, 0.6])
    assert running_best(values, maximise=True).tolist() == [0.5, 0.5, 0.7, 0.7]
    assert running_best(values, maximise=False).tolist() == [0.5, 0.4, 0.4, 0.4]


def test_the_parameter_that_decides_is_the_most_important() -> None:
    made = study()
    rng = np.random.default_rng(0)
    for _ in range(40):
        rate, width = 10 ** rng.uniform(-4, -2), int(rng.integers(4, 17))
        add(made, 0.9 - 0.1 * abs(np.log10(rate) + 3), {RATE: rate, WIDTH: width})
    found, reason = parameter_importances(made, summarise(made))
    assert reason is None
    assert next(iter(found)) == RATE
    assert sum(found.values()) == pytest.approx(1)


def test_axes_are_logarithmic_named_or_missing() -> None:
    trials = summarise(whole_study()).finished
    rate = ParameterAxis.of(RATE, "lr", trials)
    assert rate.log
    assert [rate.place(x) for x in (1e-4, 1e-3, 1e-2)] == pytest.approx([0, 0.5, 1])
    width = ParameterAxis.of(WIDTH, "width", trials)
    assert [width.place(x) for x in (4, 10, 16)] == pytest.approx([0, 0.5, 1])
    model = ParameterAxis.of(MODEL, "model", trials)
    assert model.ticks == [(0.0, "csacnet"), (1.0, "resnet3d")]
    weight = ParameterAxis.of(WEIGHT, "weight", trials)
    assert weight.some_missing
    assert weight.place(None) == MISSING


def test_short_names_still_tell_the_parameters_apart() -> None:
    names = ["a.b.lr", "c.b.lr", "d.width", "model", "x.model"]
    assert short_names(names) == {
        "a.b.lr": "a.b.lr", "c.b.lr": "c.b.lr", "d.width": "width", "model": "model",
        "x.model": "x.model",
    }  # fmt: skip


def test_the_expected_best_of_n_is_that_of_normal_draws() -> None:
    # Expected largest of n standard normal draws: Harter 1961, table 1.
    for n, exact in ((2, 0.56419), (10, 1.53875), (30, 2.04276), (100, 2.50759)):
        assert expected_best(n) == pytest.approx(exact, abs=0.03)


@pytest.fixture
def judged(tmp_path: Path) -> tuple[optuna.Study, float]:
    """A study whose best trial left its predictions, and the standard error of its AUC."""
    from covidlit.evaluation import write_predictions

    rng = np.random.default_rng(1)
    target = np.repeat([1, 0], [30, 50])
    score = 1 / (1 + np.exp(-rng.normal(target * 1.5, 1)))
    table = pd.DataFrame({
        "part": "validation", "patient_id": [f"p{i}" for i in range(80)],
        "scan_id": [f"s{i}" for i in range(80)], "centre": "centre_1", "class_name": "x",
        "target": target, "score": score, "synthetic": True,
    })  # fmt: skip
    above = [(score[target == 0] < s).mean() for s in score[target == 1]]
    below = [(score[target == 1] > s).mean() for s in score[target == 0]]
    error = math.sqrt(np.var(above, ddof=1) / 30 + np.var(below, ddof=1) / 50)
    auc = stats.mannwhitneyu(score[target == 1], score[target == 0]).statistic / (30 * 50)
    made = study()
    add(made, auc - 0.9 * error)
    add(made, auc)
    add(made, auc - 1.1 * error)
    write_predictions(table, tmp_path / "trial_1" / "predictions.parquet")
    return made, error


def test_the_noise_of_the_best_value_is_that_of_its_validation_scans(
    judged: tuple[optuna.Study, float], tmp_path: Path
) -> None:
    made, error = judged
    best = summarise(made).best
    assert best is not None
    noise = validation_noise(best, tmp_path)
    assert noise is not None
    assert (noise.n_scans, noise.n_positive, noise.synthetic) == (80, 30, True)
    assert noise.standard_error == pytest.approx(error)
    text = text_of(write_page(made, tmp_path))
    assert f"80 validation scans (30 positive): the standard error of the best one is {error:.3f}" \
        in text  # fmt: skip
    assert "1 other finished trial within it cannot be told from it" in text
    assert "SYNTHETIC DATA" in text


def test_a_value_that_is_not_the_auc_of_the_scans_gets_no_standard_error(
    judged: tuple[optuna.Study, float], tmp_path: Path
) -> None:
    made, _ = judged
    add(made, 0.999)
    (tmp_path / "trial_1").rename(tmp_path / "trial_3")
    assert "standard error could not be computed" in text_of(write_page(made, tmp_path))


def test_folds_are_told_from_a_single_part() -> None:
    summary = summarise(one_trial())
    assert any("one validation part" in text for text in sweep_cautions(summary, None, None))
    assert not any("one validation part" in text for text in sweep_cautions(summary, None, 5))


def test_the_table_fits_a_narrow_terminal_and_begins_with_the_best() -> None:
    console = Console(file=io.StringIO(), width=80)
    print_table(whole_study(), console=console)
    assert isinstance(console.file, io.StringIO)
    lines = console.file.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    first = next(line for line in lines if "0.95" in line)
    assert "trial_5" in first
    assert "lr=0.000811" in first
    assert "Trials: 12 finished, 4 pruned, 1 failed, 1 stopped with their sweeper." in lines


def own_lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What covidlit logged."""
    return [record.message for record in caplog.records if record.name.startswith("covidlit")]


def test_without_a_terminal_each_end_is_a_line(caplog: pytest.LogCaptureFixture) -> None:
    made = study()
    add(made, 0.7)
    with (
        caplog.at_level(logging.INFO, "covidlit"),
        SweepProgress(4, console=Console(file=io.StringIO())) as progress,
    ):
        progress.update(made, 1)
        progress.update(made, 1)
        add(made, 0.8)
        add(made, None)
        add(made, None, reason="it broke")
        progress.update(made, 0)
    assert own_lines(caplog) == [
        "1 of 4 trials: best 0.7 (trial 0), 0 pruned, 0 failed, 1 running",
        "trial 1: 0.8",
        "trial 2: pruned after 3 epochs",
        "trial 3: failed: it broke",
        "3 of 4 trials: best 0.8 (trial 1), 1 pruned, 1 failed, 0 running",
    ]


def test_on_a_terminal_a_bar_shows_the_best(caplog: pytest.LogCaptureFixture) -> None:
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, width=100)
    with SweepProgress(20, console=console) as progress:
        progress.update(whole_study(), 2)
    shown = re.sub(r"\x1b\[[^A-Za-z]*[A-Za-z]", "", file.getvalue())
    assert "16/20 best 0.95 (trial 5), 4 pruned, 1 failed, 2 running" in shown
    assert not own_lines(caplog)


@pytest.mark.parametrize("name", ["$x$", r"$\frac{$", "_a^b", "<b>", "l" * 300, "非新冠"])
def test_names_of_parameters_choices_and_metrics_are_drawn_as_they_are(
    name: str, tmp_path: Path
) -> None:
    made = study()
    made.set_user_attr("metric", name)
    for number in range(12):
        made.add_trial(
            optuna.trial.create_trial(
                value=0.5 + number / 40,
                params={f"model.{name}": number / 12, "data.kind": f"{name} {number % 2}"},
                distributions={
                    f"model.{name}": optuna.distributions.FloatDistribution(0.0, 1.0),
                    "data.kind": optuna.distributions.CategoricalDistribution(
                        [f"{name} 0", f"{name} 1"]
                    ),
                },
                intermediate_values={0: 0.4, 1: 0.5 + number / 40},
                user_attrs={"overrides": [], "folder": f"trial_{number}"},
            )
        )
    figures = re.findall(r"<svg.*?</svg>", write_page(made, tmp_path).read_text(), re.DOTALL)
    assert len(figures) == 4
    texts = [
        "".join(element.itertext())
        for figure in figures
        for element in ElementTree.fromstring(figure).iter()
        if element.tag.endswith("text")
    ]
    assert plain(name) in texts
