"""Who is in a synthetic cohort: against Tables 1 and 2 of the CSAC-Net paper."""

from __future__ import annotations

from collections import Counter
from datetime import date

import numpy as np
import pytest
import scipy.stats

from covidlit.errors import ConfigError
from covidlit.synthetic import plan_cohort
from covidlit.synthetic.cases import Case
from covidlit.synthetic.centres import largest_remainder
from covidlit.synthetic.labs import clinical_table

# Table 1: centre -> (patients, women, mean age, SD, COVID-19, CAP, NP).
TABLE_1 = {
    "centre_1": (591, 325, 50, 17, 355, 127, 109),
    "centre_2": (495, 246, 49, 19, 0, 290, 205),
    "centre_3": (452, 237, 45, 16, 0, 165, 287),
    "centre_4": (549, 269, 46, 19, 213, 174, 162),
}


@pytest.fixture(scope="module")
def whole() -> list[Case]:
    return plan_cohort("mild", 2087, 0)


def test_the_whole_cohort_has_the_counts_of_table_1(whole: list[Case]) -> None:
    for name, (total, women, mean, sd, covid, cap, none) in TABLE_1.items():
        own = [case for case in whole if case.centre == name]
        classes = Counter(case.class_name for case in own)
        assert (len(own), classes["covid"], classes["cap"], classes["np"]) == (
            total, covid, cap, none,
        )  # fmt: skip
        assert sum(case.sex == "F" for case in own) == women
        ages = np.array([case.age for case in own])
        # Adults only: the lower tail is cut, which lifts the mean and narrows the spread a little.
        assert abs(ages.mean() - mean) < 3.5
        assert abs(ages.std() - sd) < 4.5


def test_the_whole_cohort_has_the_counts_of_table_2(whole: list[Case]) -> None:
    test = Counter(case.aetiology for case in whole if case.centre == "centre_4")
    assert test == {
        "covid": 213, "bacterial": 90, "bacterial_mycoplasma": 23, "viral": 31, "mycoplasma": 30,
        "nodule": 59, "other": 6, "healthy": 97,
    }  # fmt: skip
    rounds = Counter(
        (case.centre, case.rtpcr_round) for case in whole if case.class_name == "covid"
    )
    assert rounds == {
        ("centre_1", 1): 218, ("centre_1", 2): 116, ("centre_1", 3): 21,
        ("centre_4", 1): 132, ("centre_4", 2): 75, ("centre_4", 3): 6,
    }  # fmt: skip
    training = Counter(case.aetiology for case in whole if case.centre != "centre_4")
    for cause, share in (("bacterial", 325 / 582), ("viral", 87 / 582), ("mycoplasma", 91 / 582)):
        assert training[cause] / 582 == pytest.approx(share, abs=0.01)


@pytest.mark.parametrize("n_scans", [1, 7, 40, 160, 500])
def test_smaller_cohorts_keep_the_proportions(n_scans: int) -> None:
    cases = plan_cohort("mild", n_scans, 1)
    assert len(cases) == n_scans
    assert [case.index for case in cases] == list(range(n_scans))
    counts = Counter((case.centre, case.class_name) for case in cases)
    for name, (*_, covid, cap, none) in TABLE_1.items():
        for kind, of_paper in (("covid", covid), ("cap", cap), ("np", none)):
            # Largest remainder: never more than one from the exact share.
            assert abs(counts[name, kind] - of_paper / 2087 * n_scans) < 1
            if not of_paper:
                assert counts[name, kind] == 0


def test_largest_remainder_against_a_published_example() -> None:
    # Wikipedia, "Quota method", Hamilton's method with 10 seats.
    votes = {"yellow": 47000, "white": 16000, "red": 15800, "green": 12000, "blue": 6100,
             "pink": 3100}  # fmt: skip
    assert largest_remainder(votes, 10) == {
        "yellow": 5, "white": 2, "red": 1, "green": 1, "blue": 1, "pink": 0,
    }  # fmt: skip


def test_dates_and_tests_obey_the_label_rule(whole: list[Case]) -> None:
    for case in whole:
        assert date(2019, 1, 1) <= case.acquired <= date(2020, 5, 31)
        if case.class_name == "covid":
            assert case.acquired > date(2019, 12, 1)
            assert case.rtpcr_round is not None
            assert case.rtpcr_initial == ("positive" if case.rtpcr_round == 1 else "negative")
        else:
            assert case.rtpcr_round is None
            assert case.rtpcr_initial == "negative" or (
                case.rtpcr_initial is None and case.acquired < date(2019, 11, 30)
            )
        assert case.spo2_percent is None or case.spo2_percent >= 90


def test_lesion_volumes_of_covid_and_cap_follow_one_law(whole: list[Case]) -> None:
    volume = {
        name: [case.lesion_volume_ml for case in whole if case.class_name == name]
        for name in ("covid", "cap")
    }
    assert scipy.stats.ks_2samp(volume["covid"], volume["cap"]).pvalue > 0.05
    assert all(50 <= value <= 220 for values in volume.values() for value in values)


def test_the_scanner_does_not_depend_on_the_class_within_a_centre(whole: list[Case]) -> None:
    for name in ("centre_1", "centre_4"):
        own = [case for case in whole if case.centre == name]
        for trait in ("mas", "field_of_view_mm", "thickness_mm", "index"):
            covid = [getattr(c, trait) for c in own if c.class_name == "covid"]
            others = [getattr(c, trait) for c in own if c.class_name != "covid"]
            assert scipy.stats.mannwhitneyu(covid, others).pvalue > 0.001, (name, trait)
        table = Counter((c.scanner.model, c.class_name == "covid") for c in own)
        models = {model for model, _ in table}
        counts = [[table[model, flag] for flag in (True, False)] for model in sorted(models)]
        assert scipy.stats.chi2_contingency(counts).pvalue > 0.001


def test_seeds_differ_and_repeat() -> None:
    assert plan_cohort("mild", 30, 0) == plan_cohort("mild", 30, 0)
    first, second = plan_cohort("mild", 30, 0), plan_cohort("mild", 30, 1)
    assert not {c.series_uid for c in first} & {c.series_uid for c in second}
    assert not {c.patient_id for c in first} & {c.patient_id for c in second}


def test_repeated_scans_belong_to_one_patient_and_follow_each_other() -> None:
    cases = plan_cohort("severity", 61, 0)
    assert len(cases) == 61
    visits: dict[int, list[Case]] = {}
    for case in cases:
        visits.setdefault(case.patient, []).append(case)
    assert max(map(len, visits.values())) > 1
    for own in visits.values():
        dates = [case.acquired for case in own]
        assert dates == sorted(set(dates))
        assert len({(c.sex, c.age, c.severity, c.centre, c.patient_id) for c in own}) == 1
    assert len({case.series_uid for case in cases}) == 61
    severe = [case for case in cases if case.severe]
    others = [case for case in cases if not case.severe]
    assert {case.severity for case in others} == {"moderate"}
    assert np.median([c.lesion_volume_ml for c in severe]) > 2 * np.median(
        [c.lesion_volume_ml for c in others]
    )


# Guan et al., NEJM 2020, Table 1, severe against non-severe; PaO2 by definition of the class.
PUBLISHED_DIRECTION = {
    "lymphocytes_1e9_per_l": -1, "lymphocyte_percent": -1, "neutrophil_percent": 1,
    "neutrophils_1e9_per_l": 1, "leukocytes_1e9_per_l": 1, "platelets_1e9_per_l": -1,
    "haemoglobin_g_per_l": -1, "albumin_g_per_l": -1, "alt_u_per_l": 1, "ast_u_per_l": 1,
    "pao2_mmhg": -1, "eosinophil_percent": -1,
}  # fmt: skip


def test_labs_shift_with_severity_in_the_published_directions() -> None:
    cases = plan_cohort("severity", 700, 0)
    table = clinical_table(cases)
    severe = np.array([case.severe for case in cases])
    for name, sign in PUBLISHED_DIRECTION.items():
        one, other = table.loc[severe, name].dropna(), table.loc[~severe, name].dropna()
        shift = scipy.stats.ttest_ind(one, other, equal_var=False)
        assert np.sign(shift.statistic) == sign, name
        assert shift.pvalue < 0.05, name
        # No value alone gives severity away.
        area = scipy.stats.mannwhitneyu(one, other).statistic / (len(one) * len(other))
        assert 0.1 < area < 0.9, name


def test_differential_counts_fit_together() -> None:
    table = clinical_table(plan_cohort("severity", 60, 0))
    for cell in ("neutrophil", "lymphocyte", "monocyte", "eosinophil"):
        expected = table["leukocytes_1e9_per_l"] * table[f"{cell}_percent"] / 100
        difference = (table[f"{cell}s_1e9_per_l"] - expected).dropna()
        assert len(difference) > 40
        assert difference.abs().max() < 0.02


@pytest.mark.parametrize(("preset", "n_scans"), [("heavy", 3), ("mild", 0)])
def test_a_wrong_plan_is_refused(preset: str, n_scans: int) -> None:
    with pytest.raises(ConfigError):
        plan_cohort(preset, n_scans, 0)
