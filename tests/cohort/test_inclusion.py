import pandas as pd
import pytest

from covidlit.cohort import InclusionCriteria
from covidlit.errors import ManifestError


def test_the_papers_arithmetic(paper_manifest: pd.DataFrame) -> None:
    """2,946 exams of 2,575 patients -> 2,087 of as many; the steps between are ours."""
    thick = another(paper_manifest, 100, "thick", slice_thickness_mm=7.0)
    severe = another(paper_manifest, 200, "severe", spo2_percent=85.0)
    untested = another(
        paper_manifest, 188, "untested", rtpcr_initial=None, rtpcr_round=pd.NA,
        acquisition_date=pd.Timestamp("2019-12-01"),
    )  # fmt: skip
    repeated = (
        paper_manifest.query("class_name == 'covid'")
        .iloc[:371]
        .assign(
            scan_id=[f"again{i}" for i in range(371)],
            acquisition_date=pd.Timestamp("2020-05-01"),
            path=[f"again/{i}" for i in range(371)],
        )
    )
    exams = pd.concat([paper_manifest, thick, severe, untested, repeated], ignore_index=True)
    assert (len(exams), exams["patient_id"].nunique()) == (2946, 2575)

    included, flow = InclusionCriteria().apply(exams)

    assert set(included["scan_id"]) == set(paper_manifest["scan_id"])
    table = flow.to_frame()
    assert table["n_excluded"].tolist() == [0, 100, 200, 188, 371]
    assert table["n_left"].tolist() == [2946, 2846, 2646, 2458, 2087]
    assert table["n_patients"].tolist() == [2575, 2475, 2275, 2087, 2087]
    assert table["n_not_assessed"].sum() == 0
    assert len(flow.excluded) == 2946 - 2087
    later = {scan for scan, criterion in flow.excluded if criterion == "the patient's initial scan"}
    assert later == {f"again{i}" for i in range(371)}


def another(manifest: pd.DataFrame, n: int, name: str, **values: object) -> pd.DataFrame:
    """CAP exams of n further patients that break one criterion."""
    rows = manifest[manifest["class_name"] == "cap"].iloc[:n].copy()
    for column in ("patient_id", "scan_id", "path"):
        rows[column] = [f"{name}{i}" for i in range(n)]
    return rows.assign(**values)


def row(**values: object) -> dict[str, object]:
    return {
        "patient_id": "p",
        "scan_id": "s",
        "class_name": "covid",
        "slice_thickness_mm": 5.0,
        "spo2_percent": 95.0,
        "rtpcr_initial": "positive",
        "acquisition_date": pd.Timestamp("2020-02-01"),
        "n_slices": 60,
    } | values


@pytest.mark.parametrize(
    ("values", "stays"),
    [
        ({}, True),
        ({"slice_thickness_mm": 5.0000001}, True),
        ({"slice_thickness_mm": 5.01}, False),
        ({"spo2_percent": 90.0}, True),
        ({"spo2_percent": 89.9}, False),
        ({"spo2_percent": 89.9, "class_name": "cap"}, False),
        ({"spo2_percent": 80.0, "class_name": "np"}, True),  # for COVID-19 and CAP only
        ({"rtpcr_initial": None}, False),
        ({"rtpcr_initial": None, "acquisition_date": pd.Timestamp("2019-11-30")}, True),
        ({"rtpcr_initial": None, "acquisition_date": pd.Timestamp("2019-12-01")}, False),
    ],
)
def test_limits(values: dict[str, object], stays: bool) -> None:
    included, _ = InclusionCriteria().apply(pd.DataFrame([row(**values)]))
    assert len(included) == stays


def test_each_criterion_can_be_switched_off() -> None:
    table = pd.DataFrame(
        [
            row(slice_thickness_mm=9.0, spo2_percent=50.0, rtpcr_initial=None),
            row(scan_id="t", acquisition_date=pd.Timestamp("2020-03-01")),
        ]
    )
    off = InclusionCriteria(None, None, tested_or_before=None, initial_scan_only=False)
    included, flow = off.apply(table)
    assert len(included) == 2
    assert len(flow.steps) == 1


def test_of_several_scans_on_the_first_day_the_one_with_most_slices_stays() -> None:
    table = pd.DataFrame(
        [
            row(scan_id="a", n_slices=60),
            row(scan_id="b", n_slices=300),
            row(scan_id="c", n_slices=500, acquisition_date=pd.Timestamp("2020-02-02")),
        ]
    )
    included, _ = InclusionCriteria().apply(table)
    assert included["scan_id"].tolist() == ["b"]


def test_of_several_scans_on_the_first_day_the_soft_kernel_stays() -> None:
    table = pd.DataFrame(
        [
            row(scan_id="a", n_slices=60, kernel="B30f"),
            row(scan_id="b", n_slices=300, kernel="B70s"),
            row(scan_id="c", n_slices=500, kernel="B30f", status="refused"),
        ]
    )
    included, _ = InclusionCriteria().apply(table)
    assert included["scan_id"].tolist() == ["a"]


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("tested_or_before", "soon", "'soon' is not a date"),
        ("max_slice_thickness_mm", "thin", "'thin' is not a number"),
    ],
)
def test_a_criterion_of_another_type_is_named(name: str, value: str, problem: str) -> None:
    with pytest.raises(ManifestError, match=f"inclusion.{name}: {problem}"):
        InclusionCriteria(**{name: value})


def test_a_patient_whose_initial_scan_falls_out_is_not_represented_by_a_later_one() -> None:
    table = pd.DataFrame(
        [
            row(scan_id="a", slice_thickness_mm=8.0),
            row(scan_id="b", acquisition_date=pd.Timestamp("2020-02-09")),
        ]
    )
    included, flow = InclusionCriteria().apply(table)
    assert included.empty
    assert [step.n_excluded for step in flow.steps] == [0, 1, 0, 0, 1]


def test_what_cannot_be_assessed_is_counted_and_treated_as_asked() -> None:
    table = pd.DataFrame([row(scan_id="a", patient_id="p"), row(scan_id="b", patient_id="q")])
    table.loc[1, "spo2_percent"] = None
    kept, flow = InclusionCriteria().apply(table)
    assert (len(kept), flow.steps[2].n_not_assessed, flow.steps[2].n_excluded) == (2, 1, 0)
    left, flow = InclusionCriteria(on_missing="exclude").apply(table)
    assert left["scan_id"].tolist() == ["a"]
    with pytest.raises(ManifestError, match=r"1 scan cannot be assessed for 'SpO2.*such as b"):
        InclusionCriteria(on_missing="error").apply(table)
    with pytest.raises(ManifestError, match=r"on_missing cannot be 'maybe'"):
        InclusionCriteria(on_missing="maybe")  # type: ignore[arg-type]


def test_missing_columns_are_not_passed_in_silence() -> None:
    table = pd.DataFrame([row()])[["patient_id", "scan_id", "class_name"]]
    kept, flow = InclusionCriteria().apply(table)
    assert len(kept) == 1
    assert [step.n_not_assessed for step in flow.steps] == [0, 1, 1, 1, 0]


def test_undated_scans_of_a_patient_with_several_cannot_be_assessed() -> None:
    table = pd.DataFrame(
        [row(scan_id="a"), row(scan_id="b", acquisition_date=pd.NaT), row(patient_id="q")]
    )
    kept, flow = InclusionCriteria().apply(table)
    assert (len(kept), flow.steps[4].n_not_assessed) == (3, 1)


def test_the_missing_column_is_named_with_what_can_be_done() -> None:
    table = pd.DataFrame(
        [row(scan_id="a"), row(scan_id="b", patient_id="q", class_name="np")]
    ).drop(columns="spo2_percent")
    with pytest.raises(ManifestError) as error:
        InclusionCriteria(on_missing="error").apply(table)
    for said in ("there is no column spo2_percent", "inclusion.min_spo2_percent=null"):
        assert said in str(error.value)
    criteria = InclusionCriteria(on_missing="exclude")
    left, flow = criteria.apply(table)
    assert left["scan_id"].tolist() == ["b"]
    named = flow.to_frame()["criterion"].str.contains("there is no column spo2_percent")
    assert named.tolist() == [False, False, True, False, False]
    ((scan, why),) = flow.excluded
    assert (scan, why.endswith("not assessed: there is no column spo2_percent")) == ("a", True)
    (note,) = criteria.notes(flow)
    assert note.startswith("1 scan fell out since 'SpO2 of at least 90 %")
    assert "complete spo2_percent, switch the criterion off with inclusion.min_spo2_per" in note
    kept, flow = InclusionCriteria().apply(table)
    assert (len(kept), InclusionCriteria().notes(flow)) == (2, [])


@pytest.mark.parametrize(
    ("values", "dropped", "step", "missing"),
    [
        ({"slice_thickness_mm": None}, [], 1, "slice_thickness_mm is empty"),
        ({}, ["slice_thickness_mm"], 1, "there is no column slice_thickness_mm"),
        ({"spo2_percent": None}, [], 2, "spo2_percent is empty"),
        ({}, ["rtpcr_initial"], 3, "there is no column rtpcr_initial"),
        (
            {"rtpcr_initial": None, "acquisition_date": pd.NaT}, [], 3,
            "acquisition_date is empty",
        ),
        (
            {}, ["rtpcr_initial", "acquisition_date"], 3,
            "there is no column rtpcr_initial, there is no column acquisition_date",
        ),
    ],
)  # fmt: skip
def test_each_criterion_says_what_it_lacks(
    values: dict[str, object], dropped: list[str], step: int, missing: str
) -> None:
    table = pd.DataFrame([row(**values)]).drop(columns=dropped)
    _, flow = InclusionCriteria().apply(table)
    assert [one.missing for one in flow.steps if one.missing] == [missing]
    assert flow.steps[step].missing == missing


def test_a_scan_that_fails_is_not_said_to_lack_a_value() -> None:
    table = pd.DataFrame([row(scan_id="a", spo2_percent=80.0), row(scan_id="b", patient_id="q")])
    table.loc[1, "spo2_percent"] = None
    _, flow = InclusionCriteria(on_missing="exclude").apply(table)
    assert ["not assessed" in why for _, why in flow.excluded] == [False, True]


def test_a_moved_date_tells_nothing_of_an_untested_scan() -> None:
    rows = pd.DataFrame(
        {
            "scan_id": ["a", "b", "c"],
            "patient_id": ["a", "b", "c"],
            "class_name": "np",
            "rtpcr_initial": [None, None, "negative"],
            "acquisition_date": "2018-05-01",
            "acquisition_date_moved": pd.array([True, False, True], dtype="boolean"),
        }
    )
    criteria = InclusionCriteria(None, None, initial_scan_only=False, on_missing="exclude")
    left, flow = criteria.apply(rows)
    assert left["scan_id"].tolist() == ["b", "c"]
    (note,) = criteria.notes(flow)
    assert "acquisition_date cannot be believed" in note
