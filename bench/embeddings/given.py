"""Rows that a training step has read, for one call of a layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bench.embeddings.base import Arrays


@dataclass
class Given:
    """The rows that ``given_rows`` hands to a call, the number of calls that have used them, and their vectors."""

    rows: Arrays
    indices: Arrays
    calls: int = 0
    vectors: Any = None
