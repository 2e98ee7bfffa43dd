"""Functions that turn overrides into checked settings, for one run and for a job of a sweep."""

from __future__ import annotations

from collections.abc import Sequence

from omegaconf import DictConfig

from bench.config.checking import check, judged
from bench.config.composing import Loader
from bench.config.messages import explained
from bench.config.schema import Settings


def compose(overrides: Sequence[str] = (), by: Loader | None = None) -> Settings:
    """The settings that the command would run with, without the command.

    Example:
        ``compose(["strategy=qr", "num_buckets=120"]).method("user")``

    Args:
        overrides: the overrides as on the command line.
        by: a loader to use again, or None for a new one.

    Raises:
        RequestError: a setting is wrong. The message is one line.
    """
    by = by or Loader()
    with explained(overrides, by):
        cfg = by.compose(overrides)
    return check(cfg, cfg.hydra.runtime.choices, by)


def check_job(sweep: DictConfig, overrides: Sequence[str], by: Loader) -> Settings:
    """The checked settings of a job of a sweep.

    The check takes under two milliseconds if jobs differ only in values. Jobs are launched with the configuration of
    ``by.load_sweep_config``, which holds the same settings and takes longer.

    Args:
        sweep: the sweep's configuration.
        overrides: the job's overrides, as the sweeper gives them.
        by: the loader that composed the sweep.

    Raises:
        RequestError: a setting is wrong. The message is one line.
    """
    with explained(overrides, by):
        composed = by.job(sweep, overrides)
    return judged(composed, by)
