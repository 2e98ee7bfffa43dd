"""Errors of serving. Nothing here imports more than the standard library."""

from __future__ import annotations

from bench.errors import BenchError


class ServingError(BenchError, ValueError):
    """An export that cannot be trusted or read, or a request that it cannot answer. The message is one line."""

    exit_code = 2


class UnknownId(KeyError):  # noqa: N818 - named as what it says
    """An id that the field does not have. Its text is a plain line, where that of ``KeyError`` is quoted."""

    def __str__(self) -> str:
        return str(self.args[0])
