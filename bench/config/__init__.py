"""Settings: composes ``conf/`` with a user's overrides, and checks the result.

A name that is imported from here is loaded when it is first used. Every method reads the types of settings
(``bench.config.typed``), which need only the standard library.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bench.config.checking import check
    from bench.config.composing import Loader, loader
    from bench.config.files import CONF, options
    from bench.config.jobs import check_job, compose
    from bench.config.messages import explained
    from bench.config.schema import EarlyStopping, Schedule, Settings, Tracking, Training

_HOMES = {  # the module of each name
    "check": "checking",
    "CONF": "files",
    "Loader": "composing",
    "check_job": "jobs",
    "compose": "jobs",
    "explained": "messages",
    "loader": "composing",
    "options": "files",
    "EarlyStopping": "schema",
    "Schedule": "schema",
    "Settings": "schema",
    "Tracking": "schema",
    "Training": "schema",
}

__all__ = [
    "CONF",
    "EarlyStopping",
    "Loader",
    "Schedule",
    "Settings",
    "Tracking",
    "Training",
    "check",
    "check_job",
    "compose",
    "explained",
    "loader",
    "options",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
