"""Bytes: of embeddings by formula, of the process as the system counts them."""

from __future__ import annotations

import contextlib
import resource
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import psutil

KINDS = ("tables", "networks", "maps", "codes", "other")
"""The kinds of bytes of embeddings."""

FLOAT32 = 4

CGROUP = Path("/sys/fs/cgroup")

OWN_CGROUP = Path("/proc/self/cgroup")

_NAMES = (
    ("memory.max", "memory.current", ("inactive_file", "active_file")),
    ("memory.limit_in_bytes", "memory.usage_in_bytes", ("total_inactive_file", "total_active_file")),
)
"""Files of a control group of version 2 and of version 1: its limit, what it uses; and the lines of file caches."""

PROCESS_BYTES = 1200 << 20
"""Bytes that every run takes: TensorFlow and a compiled program, and MLflow in a process of its own."""

COPIES = 6
"""Copies of the trainable numbers at the peak: weights, working copy, gradient, Adam's two moments, and one
while they are put together."""

ROW_BYTES = 64
"""Bytes of a row of data: its columns, and its place in the order of an epoch."""


class Sized(Protocol):
    """The size of a field."""

    @property
    def size(self) -> int:
        """The number of ids."""


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
    """Counts the bytes that serve all fields' embeddings from integer ids, and those of full tables.

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


def free_bytes(cgroup: Path = CGROUP, own: Path = OWN_CGROUP) -> int:
    """The free memory in bytes: that of the system, or the rest of a limit that holds for this process if it is less.

    Limits are those of the process's control group and of all groups above it, as a container, a job of SLURM or a
    service has them.

    Args:
        cgroup: where control groups are mounted.
        own: the file that names the process's group.
    """
    free = int(psutil.virtual_memory().available)
    for folder in _groups(cgroup, own):
        for limit, used, caches in _NAMES:
            with contextlib.suppress(OSError, ValueError):  # no such group, or a group without a limit
                most = int((folder / limit).read_text())
                stat = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
                cached = sum(int(stat.get(cache, 0)) for cache in caches)  # can be freed
                free = min(free, most - int((folder / used).read_text()) + cached)
    return max(free, 0)


def _groups(cgroup: Path, own: Path) -> Iterator[Path]:
    """Gives the folders of the control groups that hold for this process: its own and those above it."""
    yield cgroup
    yield cgroup / "memory"
    with contextlib.suppress(OSError):
        for line in own.read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            root = cgroup if not controllers else cgroup / "memory"
            if controllers in ("", "memory"):
                names = path.strip("/").split("/")
                yield from (root.joinpath(*names[:depth]) for depth in range(1, len(names) + 1))
