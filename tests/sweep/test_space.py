"""Search spaces are read as Hydra's users write them, and mistakes are named."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import optuna
import pytest
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from covidlit.errors import ConfigError
from covidlit.sweep.space import SearchSpace
from covidlit.sweep.space_reading import read_space

CONF = str(Path(__file__).parent / "conf")


def draws(space: SearchSpace, n: int = 30) -> list[list[str]]:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    return [space.draw(study.ask()) for _ in range(n)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("interval(0,1)", FloatDistribution(0, 1)),
        ("tag(log,interval(1e-4,1e-2))", FloatDistribution(1e-4, 1e-2, log=True)),
        ("int(interval(2,9))", IntDistribution(2, 9)),
        ("tag(log,int(interval(2,64)))", IntDistribution(2, 64, log=True)),
        ("range(1,4)", IntDistribution(1, 4)),  # both ends, as in Hydra's Optuna plugin
        ("range(1,8,3)", IntDistribution(1, 7, step=3)),
        ("range(0.1,0.4,0.1)", FloatDistribution(0.1, 0.4, step=0.1)),
        ("choice(a,b)", CategoricalDistribution(("a", "b"))),
        ("a,b", CategoricalDistribution(("a", "b"))),
        ("choice([1,2],{a:1})", CategoricalDistribution(("[1,2]", "{a:1}"))),
        ("glob(*)", CategoricalDistribution(("large", "small"))),
    ],
)
def test_hydras_sweep_syntax_becomes_a_distribution(text: str, expected: object) -> None:
    key = "model" if text == "glob(*)" else "x"
    with initialize_config_dir(CONF, version_base="1.3"):
        from hydra.core.global_hydra import GlobalHydra

        loader = GlobalHydra.instance().config_loader()
        on_command_line = read_space([f"{key}={text}"], {}, loader=loader)
        in_yaml = read_space([], {key: text}, loader=loader)
    assert on_command_line.parameters()[0].distribution == expected
    assert in_yaml.parameters()[0].distribution == expected


def test_what_is_drawn_reaches_the_job_as_it_was_meant() -> None:
    values: list[Any] = ["x y", "a,b", "it's", [1, {"k": "v w"}], None, True, 1e-5, "${x}", ""]
    texts = [
        r"'x y'",
        r"'a,b'",
        r"'it\'s'",
        "[1,{k:'v w'}]",
        "null",
        "true",
        "1e-5",
        "'${x}'",
        "''",
    ]
    space = read_space([f"+y={','.join(texts)}"], {})
    (parameter,) = space.parameters()
    overrides = [parameter.override(option) for option in parameter.options() or ()]
    parsed = OverridesParser.create().parse_overrides(overrides)
    assert [override.value() for override in parsed] == values
    assert {override.get_key_element() for override in parsed} == {"+y"}


def test_numbers_survive_the_way_through_an_override() -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    space = read_space(["x=tag(log,interval(1e-9,1e-3))"], {})
    for _ in range(20):
        trial = study.ask()
        (override,) = space.draw(trial)
        assert OverridesParser.create().parse_override(override).value() == trial.params["x"]


def test_the_command_line_beats_yaml_in_its_place() -> None:
    conditional = [{"when": {"model": "a"}, "params": {"w": "choice(1,2)"}}]
    params = {"model": "choice(a,b)", "lr": "interval(0,1)", "depth": 3}
    space = read_space(["lr=0.5", "w=7,8", "seed=1"], params, conditional)
    assert set(space.fixed) == {"lr=0.5", "seed=1", "depth=3"}
    seen = {tuple(overrides) for overrides in draws(space)}
    assert seen == {("model=a", "w=7"), ("model=a", "w=8"), ("model=b",)}


CONDITIONAL = [
    {"when": {"model": "a"}, "params": {"depth": "range(1,2)", "act": "relu"}},
    {"when": {"model": ["a", "c"], "depth": 2}, "params": {"skip": "choice(true,false)"}},
    {"when": {"model": "b", "loss": "focal"}, "params": {"gamma": "choice(1.0,2.0)"}},
    {"when": {"model": "b", "group": "never"}, "params": {"zeta": "choice(1,2)"}},
]


def test_the_grid_has_each_combination_that_the_conditions_allow_once() -> None:
    space = read_space(
        ["loss=focal"], {"model": "choice(a,b,c)"}, CONDITIONAL, choices={"group": "other"}
    )
    points = [tuple(sorted(point.items())) for point in space.grid()]
    expected = [{"model": "a", "depth": 1}]
    expected += [{"model": "a", "depth": 2, "skip": skip} for skip in ("True", "False")]
    expected += [{"model": "b", "gamma": gamma} for gamma in ("1.0", "2.0")]
    expected += [{"model": "c"}]
    assert sorted(map(str, points)) == sorted(str(tuple(sorted(p.items()))) for p in expected)
    assert {"act=relu" in overrides for overrides in draws(space) if "model=a" in overrides} == {
        True
    }


def test_the_grid_of_independent_parameters_is_their_product() -> None:
    space = read_space([], {"a": "range(1,3)", "b": "range(0.1,0.3,0.1)", "c": "x,y"})
    found = [tuple(point.values()) for point in space.grid()]
    assert found == list(product([1, 2, 3], [0.1, 0.2, 0.3], ["x", "y"]))


def test_one_setting_may_have_a_space_per_condition() -> None:
    conditional = [
        {"when": {"model": "a"}, "params": {"w": "choice(1,2)"}},
        {"when": {"model": "b"}, "params": {"w": "choice(8,9)"}},
    ]
    space = read_space([], {"model": "a,b"}, conditional)
    seen = {tuple(overrides) for overrides in draws(space)}
    assert seen == set(product(["model=a"], ["w=1", "w=2"])) | set(
        product(["model=b"], ["w=8", "w=9"])
    )


@pytest.mark.parametrize(
    ("params", "conditional", "said"),
    [
        ({}, [], "nothing to search"),
        ({"x": 1}, [], "nothing to search"),
        ({"x": "interval(2,1)"}, [], "below the second"),
        ({"x": "tag(log,interval(0,1))"}, [], "cannot be searched"),
        ({"x": "range(3,1)"}, [], "below the second"),
        ({"x": "tag(lok,interval(1,2))"}, [], "lok"),
        ({"x": "choice(a,"}, [], "hydra.sweeper.params.x"),
        ({"model": "a,b"}, [{"when": {"modle": "a"}, "params": {"w": "1,2"}}], "mean model?"),
        ({"model": "ab,cd"}, [{"when": {"model": "abb"}, "params": {"w": "1,2"}}], "mean ab?"),
        ({"x": "interval(0,1)"}, [{"when": {"x": 0.5}, "params": {"w": "1,2"}}], "fraction"),
        ({"m": "a,b"}, [{"if": {"m": "a"}, "params": {"w": "1,2"}}], "when"),
        ({"m": "a,b", "w": "3,4"}, [{"when": {"m": "a"}, "params": {"w": "1,2"}}], "drawn here"),
    ],
)
def test_mistakes_are_named(params: dict[str, Any], conditional: list[Any], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_space([], params, conditional)
    assert said in str(caught.value)


def test_a_grid_refuses_an_interval() -> None:
    space = read_space([], {"x": "interval(0,1)"})
    with pytest.raises(ConfigError, match=r"x: a grid needs values.*range"):
        next(space.grid())


def test_examples_set_every_parameter() -> None:
    space = read_space([], {"model": "a,b,c"}, CONDITIONAL[:2])
    keys = {text.partition("=")[0] for overrides in space.examples() for text in overrides}
    assert keys == {"model", "depth", "act", "skip"}


def test_a_composed_job_gets_a_group_that_was_drawn() -> None:
    space = read_space([], {"model": "choice(large)", "x": "choice(0.5)"})
    with initialize_config_dir(CONF, version_base="1.3"):
        config = compose("config", overrides=draws(space, 1)[0])
    assert (config.model.width, config.x) == (64, 0.5)
