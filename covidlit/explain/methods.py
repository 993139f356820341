"""How heat is computed, by name."""

from __future__ import annotations

from covidlit.errors import did_you_mean
from covidlit.explain.explain_error import ExplainError

METHODS = ("guided", "layercam", "gradcam", "activation")
"""How heat is computed; the first is the default, since its map is as fine as the image. Which of
them lies on lesions best depends on the network: `covidlit explain --method M --truth MASKS`."""


def check_method(method: str) -> str:
    """The method, if it is one of `METHODS`.

    Raises:
        ExplainError: it is not.
    """
    if method not in METHODS:
        raise ExplainError(
            f"there is no method {method!r}.",
            where="method",
            fix=did_you_mean(method, METHODS) or f"use one of {', '.join(METHODS)}.",
        )
    return method
