from typing import Any

import pandas as pd
import pytest

from covidlit.cohort import ByClass, ByColumn, LabelRule, MultiClass
from covidlit.errors import ManifestError


@pytest.mark.parametrize(
    ("name", "initial", "turn", "date", "target", "reason"),
    [
        ("covid", "positive", 1, "2020-02-01", 1, None),
        ("covid", "positive", None, "2020-02-01", 1, None),
        ("covid", "negative", 2, "2020-02-01", 1, None),
        ("covid", "negative", 3, "2020-02-01", 1, None),
        ("cap", "negative", None, "2020-02-01", 0, None),
        ("np", None, None, "2019-11-29", 0, None),
        ("np", "negative", None, "2019-11-30", 0, None),
        # The paper's label date is 30 November, its inclusion date 1 December.
        ("np", None, None, "2019-11-30", None, "no RT-PCR result and not before 2019-11-30"),
        ("np", None, None, None, None, "no RT-PCR result and not before 2019-11-30"),
        ("covid", "negative", None, "2020-02-01", None, "class is positive but RT-PCR is negative"),
        ("covid", None, None, "2019-01-01", None, "class is positive but there is no RT-PCR"),
        ("cap", "positive", 1, "2020-02-01", None, "RT-PCR is positive but the class is not"),
        ("cap", "negative", 2, "2020-02-01", None, "RT-PCR is positive but the class is not"),
        (None, "negative", None, "2020-02-01", None, "no class_name"),
    ],
)
def test_the_papers_rule(
    name: str | None,
    initial: str | None,
    turn: int | None,
    date: str | None,
    target: int | None,
    reason: str | None,
) -> None:
    rows = pd.DataFrame(
        {
            "class_name": [name, "np"],
            "rtpcr_initial": [initial, "negative"],
            "rtpcr_round": pd.array([turn, None], dtype="Int64"),
            "acquisition_date": [date, "2020-01-01"],
        }
    )
    found = LabelRule().explain(rows).iloc[0]
    assert (found["target"] if pd.notna(found["target"]) else None) == target
    assert pd.isna(found["reason"]) if reason is None else found["reason"].startswith(reason)
    assert LabelRule().apply(rows).dtype == "Int64"


@pytest.mark.parametrize(
    ("date", "moved"),
    [("2018-05-01", True), ("1950-01-01", False), ("1971-09-30", None), ("2190-01-01", None)],
)
def test_a_date_that_cannot_be_believed_makes_no_negative(date: str, moved: bool | None) -> None:
    rows = pd.DataFrame(
        {
            "class_name": ["np", "np", "cap"],
            "rtpcr_initial": [None, None, "negative"],
            "acquisition_date": [date, "2018-05-01", date],
            "acquisition_date_moved": pd.array([moved, False, moved], dtype="boolean"),
        }
    )
    found = LabelRule().explain(rows)
    assert pd.isna(found["target"][0])
    assert "cannot be believed" in found["reason"][0]
    assert "state it in the labels" in found["reason"][0]
    assert found["target"].tolist()[1:] == [0, 0]  # a tested scan needs no date


def test_the_papers_rule_gives_the_papers_numbers(paper_manifest: pd.DataFrame) -> None:
    target = LabelRule().apply(paper_manifest)
    assert target.value_counts().to_dict() == {1: 568, 0: 763 + 756}


def test_untested_scans_can_be_left_out(paper_manifest: pd.DataFrame) -> None:
    target = LabelRule(untested_before=None).apply(paper_manifest)
    assert target.isna().sum() == paper_manifest["rtpcr_initial"].isna().sum() > 0


def test_without_rtpcr_columns_the_error_tells_of_the_other_rule() -> None:
    table = pd.DataFrame({"class_name": ["covid", "np"]})
    with pytest.raises(ManifestError, match=r"no row gets a target.*label_rule=by_class"):
        LabelRule().apply(table)


def test_by_class() -> None:
    table = pd.DataFrame({"class_name": ["covid", "cap", "np", "tumour", None]})
    assert ByClass().apply(table).tolist() == [1, 0, 0, 0, pd.NA]
    assert ByClass(["covid"], ["np"]).apply(table).tolist() == [1, pd.NA, 0, pd.NA, pd.NA]
    assert ByClass(["cap", "covid"]).apply(table).tolist() == [1, 1, 0, 0, pd.NA]
    with pytest.raises(ManifestError, match=r"both positive and negative"):
        ByClass(["covid"], ["covid", "np"])
    with pytest.raises(ManifestError, match=r"no class is named"):
        ByClass([])


@pytest.mark.parametrize(
    ("rule", "fix"),
    [
        (ByClass(["covdi"]), "did you mean 'covid'"),
        (ByClass(["covid", "influenza"]), "holds: cap"),
        (ByClass(["covid"], ["Np"]), "did you mean 'np'"),
        (LabelRule(["covid19"]), "did you mean 'covid'"),
        (MultiClass(["np", "cap", "covd"]), "did you mean 'covid'"),
    ],
)
def test_a_class_that_no_row_has_is_refused(
    rule: ByClass | LabelRule | MultiClass, fix: str
) -> None:
    table = pd.DataFrame({"class_name": ["covid", "cap", "np", None], "rtpcr_initial": "positive"})
    with pytest.raises(ManifestError, match=r"no row has the class '\w+', which") as caught:
        rule.apply(table)
    assert fix in str(caught.value)


def test_a_hospital_may_lack_a_known_class() -> None:
    table = pd.DataFrame({"class_name": ["cap", "tumour"]})
    assert ByClass().apply(table).tolist() == [0, 0]
    with pytest.raises(ManifestError, match=r"did you mean 'Covid19'"):
        ByClass().apply(pd.DataFrame({"class_name": ["cap", "Covid19"]}))


def test_multi_class_counts_in_the_given_order() -> None:
    rule = MultiClass(["np", "cap", "covid"])
    table = pd.DataFrame({"class_name": ["covid", "cap", "np", "tumour", None]})
    assert rule.apply(table).tolist() == [2, 1, 0, pd.NA, pd.NA]
    assert rule.n_classes == 3
    assert rule.explain(table)["reason"].isna().tolist() == [True, True, True, False, False]
    with pytest.raises(ManifestError, match=r"no row gets a target.*np, cap"):
        MultiClass(["np", "cap"]).apply(pd.DataFrame({"class_name": ["covid"]}))


@pytest.mark.parametrize("classes", [["covid", "np"], ["np", "covid"]])
def test_of_two_classes_the_class_of_interest_is_the_positive_one(classes: list[str]) -> None:
    table = pd.DataFrame({"class_name": ["covid", "np", "cap"]})
    assert MultiClass(classes).apply(table).tolist() == [1, 0, pd.NA]
    assert MultiClass(["np", "cap"]).apply(table).tolist() == [pd.NA, 0, 1]


def test_a_wrong_date_is_named() -> None:
    with pytest.raises(ManifestError, match=r"'30.11.2019' is not a date"):
        LabelRule(untested_before="30.11.2019")


def test_any_column_gives_a_target() -> None:
    table = pd.DataFrame(
        {
            "outcome": ["died", "survived", "Died", "transferred", None],
            "icu": pd.array([True, False, None, True, False], dtype="boolean"),
            "grade": [1.0, 2.0, 3.0, 3.0, 1.0],
        }
    )
    rule = ByColumn("outcome", ["died"], ["survived"])
    assert rule.apply(table).tolist() == [1, 0, 1, pd.NA, pd.NA]
    assert rule.explain(table)["reason"].tolist()[3:] == [
        "a value of outcome that the label rule does not name", "no outcome",
    ]  # fmt: skip
    assert ByColumn("outcome", ["died"]).apply(table).tolist() == [1, 0, 1, 0, pd.NA]
    assert ByColumn("icu", [True]).apply(table).tolist() == [1, 0, pd.NA, 1, 0]
    assert ByColumn("grade", [3, 2]).apply(table).tolist() == [0, 1, 1, 1, 0]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("outcom", ["died"]), "did you mean outcome"),
        (("outcome", ["dyed"]), "did you mean died"),
        (("outcome", ["gone"], ["away"]), "no row gets a target"),
    ],
)
def test_a_column_or_value_that_is_not_there(arguments: tuple[Any, ...], said: str) -> None:
    table = pd.DataFrame({"outcome": ["died", "survived"]})
    with pytest.raises(ManifestError, match=said):
        ByColumn(*arguments).apply(table)


def test_a_value_on_both_sides() -> None:
    with pytest.raises(ManifestError, match="both positive and negative"):
        ByColumn("outcome", ["died"], ["Died"])
