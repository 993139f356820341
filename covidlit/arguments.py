"""What single arguments must be; each function says what was given instead."""

from __future__ import annotations

from numbers import Integral, Real

from covidlit.errors import ConfigError


def require_whole_number(value: object, name: str, *, at_least: int) -> None:
    """Refuse all but a whole number of at least `at_least`.

    Raises:
        ConfigError: names the argument and what was given.
    """
    if not _is_whole(value) or int(value) < at_least:  # type: ignore[call-overload]
        raise ConfigError(
            f"must be a whole number of at least {at_least}, not {value!r}.",
            where=name,
            fix=f"give for example {name}={max(at_least, 4)}.",
        )


def require_n_jobs(value: object) -> None:
    """Refuse a number of workers that joblib does not know: 0, or no whole number.

    Raises:
        ConfigError: see above.
    """
    if not _is_whole(value) or value == 0:
        raise ConfigError(
            f"must be a whole number other than 0, not {value!r}.",
            where="n_jobs",
            fix="give the number of workers, or -1 for one per core.",
        )


MOST_PER_CORE = 8
"""Workers; more than one pays where files come over a slow network."""


def n_workers(n_jobs: int) -> int:
    """How many workers a number of jobs is on this machine, counted as joblib counts them.

    Args:
        n_jobs: 1 and more: so many; -1: one per core, -2: all cores but one, and so on.

    Raises:
        ConfigError: 0, no whole number, or more than `MOST_PER_CORE` for each core: each takes the
            memory of a scan, and starting them without end would stop the machine.
    """
    require_n_jobs(n_jobs)
    if n_jobs == 1:
        return 1
    cores = n_cores()
    if n_jobs < 0:
        return max(1, cores + 1 + n_jobs)
    if n_jobs > MOST_PER_CORE * cores:
        raise ConfigError(
            f"must be at most {MOST_PER_CORE * cores} on this machine ({MOST_PER_CORE} for each of "
            f"its {cores} cores), not {n_jobs}.",
            where="n_jobs",
            fix="give fewer, or -1 for one per core.",
        )
    return int(n_jobs)


def n_cores() -> int:
    """The CPU cores that this process may use: affinity and a container's limit count."""
    import joblib  # takes its time

    return int(joblib.cpu_count())


def is_number(value: object) -> bool:
    """Whether a value is a real number; true, false and texts are none."""
    return isinstance(value, Real) and not isinstance(value, bool)


def _is_whole(value: object) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)
