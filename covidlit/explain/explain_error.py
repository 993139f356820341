"""What goes wrong with heatmaps that the user can mend."""

from __future__ import annotations

from covidlit.errors import CovidlitError


class ExplainError(CovidlitError):
    """A network, layer or method that heatmaps cannot be made with."""
