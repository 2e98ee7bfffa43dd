"""Bytes: of embeddings by formula, of the process as the system counts them."""

from __future__ import annotations

import contextlib
import resource
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

KINDS = ("tables", "networks", "maps", "codes", "other")
"""What the bytes of embeddings are counted as."""

FLOAT32 = 4


PROCESS_BYTES = 1200 << 20
"""What a run takes whatever it trains: TensorFlow and a compiled program, and MLflow in a process of its own."""

COPIES = 6
"""How often trainable numbers are held at the peak: as weights, working copy, gradient, Adam's two moments, and once
more while they are put together."""

ROW_BYTES = 64
"""For a row of data: its columns, and its place in the order of an epoch."""


class Sized(Protocol):
    """The size of a field."""

    @property
    def size(self) -> int:
        """How many ids it has."""


class Serving(Protocol):
    """A field's compression, as far as bytes are concerned."""

    @property
    def vocabulary(self) -> Sized:
        """The field that is compressed."""

    @property
    def embedding_dim(self) -> int:
        """Width of the vectors."""

    def serving_bytes(self) -> Mapping[Any, int]:
        """Bytes that must be resident to answer lookups, by kind (one of ``KINDS``)."""


def embedding_memory(methods: Mapping[str, Serving]) -> dict[str, Any]:
    """What it takes to serve all fields' embeddings from integer ids, and what full tables would take.

    Args:
        methods: each field's compression.

    Returns:
        ``bytes`` (by kind, every kind named), ``embedding_bytes`` (their sum), ``full_embedding_bytes``
        (float32 tables of vocabulary size by ``embedding_dim``), ``compression_ratio`` (full / compressed;
        above 1 is smaller).

    Raises:
        ValueError: no field, or a method that serves from no bytes.
    """
    by_kind = dict.fromkeys(KINDS, 0)
    for method in methods.values():
        for kind, size in method.serving_bytes().items():
            by_kind[str(kind)] += size
    total = sum(by_kind.values())
    full = sum(method.vocabulary.size * method.embedding_dim * FLOAT32 for method in methods.values())
    if not total:
        raise ValueError(f"fields {sorted(methods)}: no bytes to serve from, so no compression ratio")
    return {
        "embedding_bytes": total,
        "full_embedding_bytes": full,
        "compression_ratio": full / total,
        "bytes": by_kind,
    }


def expected_peak_bytes(trainable_bytes: int, rows: int) -> int:
    """Bytes that a run will take at most, MLflow's process included: known before anything is built.

    Args:
        trainable_bytes: of all trainable numbers.
        rows: of the data set.
    """
    return PROCESS_BYTES + COPIES * trainable_bytes + ROW_BYTES * rows


def peak_rss_bytes() -> int:
    """The highest resident memory that the process has had, in bytes."""
    # Linux's ru_maxrss counts what the process was before exec: its parent's memory
    with contextlib.suppress(OSError, StopIteration):
        lines = Path("/proc/self/status").read_text().splitlines()
        return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # macOS counts bytes, all others KiB
