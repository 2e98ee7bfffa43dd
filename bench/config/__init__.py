"""Settings: composing ``conf/`` with a user's overrides, and checking what comes out."""

from __future__ import annotations

import functools
from collections.abc import Sequence

from bench.config.checking import check
from bench.config.composing import CONF, Loader, options
from bench.config.messages import explained
from bench.config.schema import EarlyStopping, Schedule, Settings, Tracking, Training

__all__ = [
    "CONF",
    "EarlyStopping",
    "Loader",
    "Schedule",
    "Settings",
    "Tracking",
    "Training",
    "check",
    "compose",
    "explained",
    "loader",
    "options",
]


@functools.cache  # without a default: loader() and loader(()) would be two
def loader(config_dirs: tuple[str, ...]) -> Loader:
    """The loader over ``conf/`` and the user's own folders, one for all that ask."""
    return Loader(config_dirs)


def compose(overrides: Sequence[str] = (), by: Loader | None = None) -> Settings:
    """The settings that the command would run with, without the command.

    Example:
        ``compose(["strategy=qr", "num_buckets=120"]).method("user")``

    Args:
        overrides: as on the command line.
        by: a loader to use again, or None for a new one.

    Raises:
        RequestError: a setting is wrong; the message is one line.
    """
    by = by or Loader()
    with explained(overrides, by):
        cfg = by.compose(overrides)
    return check(cfg, cfg.hydra.runtime.choices, by)
