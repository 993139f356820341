"""Why an archive did not do what it was asked; not in its own words, which may name people."""

from __future__ import annotations

from covidlit.errors import CovidlitError


class Unreachable(CovidlitError):  # noqa: N818 (a state of the other side)
    """It does not answer, or asks to wait: worth another try later."""


class Refused(CovidlitError):  # noqa: N818
    """It said no, or something that cannot be understood: another try would end alike."""
