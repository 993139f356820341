import pandas as pd
import pytest

from covidlit.cohort.series_choice import kernel_class, standing_for_study


@pytest.mark.parametrize(
    ("kernel", "expected"),
    [
        ("STANDARD", "soft"),
        ("SOFT", "soft"),
        ("LUNG", "sharp"),
        ("BONEPLUS", "sharp"),
        ("B30f", "soft"),
        ("B31s", "soft"),
        ("B70s", "sharp"),
        ("I50f", "sharp"),
        ("Br36d", "soft"),
        ("Bl57d", "sharp"),
        ("['I31f', '3']", "unknown"),
        ("FC08", "soft"),
        ("FC51", "sharp"),
        ("B", "soft"),
        ("YC", "sharp"),
        ("", "unknown"),
        (None, "unknown"),
        ("whatever", "unknown"),
    ],
)
def test_kernels_of_the_makers(kernel: str | None, expected: str) -> None:
    assert kernel_class(kernel) == expected


def series(**values: object) -> dict[str, object]:
    return {
        "study_uid": "1",
        "series_uid": "a",
        "status": "ok",
        "is_image": True,
        "is_derived": False,
        "slice_thickness_mm": 5.0,
        "kernel": "STANDARD",
        "n_slices": 60,
    } | values


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        ({}, {"status": "refused", "n_slices": 300}),
        ({"status": "refused"}, {"status": "refused", "is_image": False, "n_slices": 300}),
        ({"kernel": "LUNG"}, {"slice_thickness_mm": 8.0}),
        ({}, {"kernel": "LUNG", "n_slices": 300}),
        ({"kernel": "LUNG"}, {"is_derived": True, "n_slices": 300}),
        ({"is_derived": True}, {"slice_thickness_mm": 8.0}),
        ({}, {"kernel": None, "n_slices": 300}),
        ({"kernel": None}, {"kernel": "LUNG", "n_slices": 300}),
        ({"n_slices": 300}, {}),
    ],
)
def test_which_one_stands_for_the_study(
    better: dict[str, object], worse: dict[str, object]
) -> None:
    for names in (("a", "b"), ("b", "a")):
        table = pd.DataFrame(
            [series(series_uid=names[0], **better), series(series_uid=names[1], **worse)]
        )
        assert standing_for_study(table).tolist() == [True, False]
        assert standing_for_study(table.iloc[::-1]).tolist() == [False, True]


def test_all_keeps_every_accepted_series() -> None:
    table = pd.DataFrame(
        [
            series(series_uid="a"),
            series(series_uid="b"),
            series(series_uid="c", status="refused"),
            series(study_uid="2", series_uid="d", status="refused"),
        ]
    )
    assert standing_for_study(table, "all").tolist() == [True, True, False, True]
