"""What every model shares that is fitted at once."""

from __future__ import annotations

from covidlit.errors import ConfigError


def require_no_checkpoint(name: str, ckpt_path: str | None) -> None:
    """Refuse a checkpoint to go on from.

    Args:
        name: of the model.
        ckpt_path: that a run was given.

    Raises:
        ConfigError: there is one.
    """
    if ckpt_path is not None:
        raise ConfigError(
            f"{name} is fitted at once, so that no run goes on from a checkpoint.",
            where="ckpt_path",
            fix="leave ckpt_path out.",
        )
