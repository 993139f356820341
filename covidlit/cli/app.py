"""`covidlit` with all its commands; `covidlit.cli.main` is what the command itself runs."""

from __future__ import annotations

from covidlit.cli.commands import application

app = application()
