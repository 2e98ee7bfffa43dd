"""What a server is asked to be. Nothing here imports more than the standard library."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Annotated

from bench.config.typed import Bytes, Count, Range

_TOKEN = re.compile(r"[!-~]+", re.ASCII)


@dataclass(frozen=True)
class Options:
    """The settings of a server.

    Attributes:
        run: the exported folder.
        host: name or address of the interface to listen on.
        port: the port; 0 picks a free one.
        workers: number of processes that answer.
        max_ids: most ids or rows of one request.
        max_bytes: most bytes of the body of one request.
        token: what clients have to send as ``Authorization: Bearer TOKEN``; empty for nothing.
    """

    run: str
    host: str = "127.0.0.1"
    port: Annotated[int, Range(low=0, high=65535)] = 8000
    workers: Annotated[int, Range(low=1, high=256)] = 1
    max_ids: Count = 10_000
    max_bytes: Bytes = 4_000_000
    token: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        if self.token and not _TOKEN.fullmatch(self.token):
            raise ValueError("token=: give letters, digits and signs of ASCII, without spaces")
