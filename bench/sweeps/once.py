"""The filter for warnings that several runs of a command give. The terminal shows each once, each run's log always."""

from __future__ import annotations

import logging
from typing import ClassVar


class Once(logging.Filter):
    """Lets a warning through if no run of this command has given it before. ``conf/config.yaml`` uses this filter.

    Attributes:
        shown: the warnings that the filter has let through.
    """

    shown: ClassVar[set[str]] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        """Returns True if a log record is shown."""
        if record.levelno != logging.WARNING:
            return True
        text = record.getMessage()
        new = text not in self.shown
        self.shown.add(text)
        return new


def terminal() -> logging.Handler:
    """The handler for log lines before Hydra has set up loggers. It prints the bare messages on standard error."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(message)s"))
    handler.addFilter(Once())
    return handler
