"""Figures of values over days, and the courses of factors on a patient's page."""

from __future__ import annotations

import re
from datetime import date

import pytest
from django.urls import reverse
from hypothesis import given
from hypothesis import strategies as st
from platform_world import hospital

from covidlit.platform.accounts.rights import Role
from covidlit.platform.registry.models import Labelling
from covidlit.platform.viewing.figure import BOTTOM, HEIGHT, TOP, Value, figure_of

_VALUES = st.lists(st.floats(-1e4, 1e4, allow_subnormal=False), min_size=2, max_size=6)


@given(values=_VALUES)
def test_greater_values_stand_higher_and_zero_is_in_it(values: list[float]) -> None:
    days = [date(2020, 1, n + 1) for n in range(len(values))]
    figure = figure_of([Value(day, value) for day, value in zip(days, values, strict=True)])
    assert figure is not None
    heights = [point.y for point in figure.points]
    for one, height in zip(values, heights, strict=True):
        assert TOP - 1e-6 <= height <= HEIGHT - BOTTOM + 1e-6
        for other, its in zip(values, heights, strict=True):
            assert one <= other or height <= its + 1e-6
    labels = [float(text) for _, text in figure.ticks]
    assert labels[0] <= 0 <= labels[-1]


def test_one_day_has_no_course() -> None:
    assert figure_of([Value(date(2020, 1, 1), 1.0), Value(date(2020, 1, 1), 2.0)]) is None


@pytest.mark.django_db
def test_a_patients_page_has_the_course_of_each_factor_that_is_known() -> None:
    own = hospital("north")
    for scan, volume, density in zip(own.scans, (10.0, 20.0), (-500.0, -450.0), strict=True):
        labelling = Labelling.objects.get(scan=scan)
        undefined = dict.fromkeys(labelling.factors)
        known = {"n_lesions": 2, "total_volume_ml": volume, "mean_density_hu": density}
        labelling.factors = {**undefined, **known}
        labelling.save()
    page = own.client(Role.READER).get(reverse("patient", args=[own.patient.pseudonym]))
    part = page.content.decode().partition('<section aria-labelledby="factors">')[2]
    told = re.findall(r"<figcaption>([^<]+)</figcaption>", part)
    # The volume is what the disease is followed by, in a figure of its own.
    assert told == ["number of lesions", "mean density, HU"]
