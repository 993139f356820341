"""Numbers of workers mean what they mean to joblib."""

from __future__ import annotations

import joblib
import pytest

from covidlit.arguments import MOST_PER_CORE, n_cores, n_workers
from covidlit.errors import ConfigError


@pytest.mark.parametrize("n_jobs", [1, 2, MOST_PER_CORE, -1, -2, -3, -(10**30)])
def test_workers_are_counted_as_by_joblib(n_jobs: int) -> None:
    assert n_workers(n_jobs) == joblib.effective_n_jobs(n_jobs)


@pytest.mark.parametrize("cores", [1, 3])
def test_only_so_many_per_core_are_taken(cores: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joblib, "cpu_count", lambda: cores)
    assert n_cores() == cores
    assert n_workers(MOST_PER_CORE * cores) == MOST_PER_CORE * cores
    with pytest.raises(ConfigError, match=f"at most {MOST_PER_CORE * cores} on this machine"):
        n_workers(MOST_PER_CORE * cores + 1)


@pytest.mark.parametrize("n_jobs", [0, 1.5, True, "2", float("nan")])
def test_what_is_no_number_of_workers_is_refused(n_jobs: object) -> None:
    with pytest.raises(ConfigError, match="n_jobs"):
        n_workers(n_jobs)  # type: ignore[arg-type]
