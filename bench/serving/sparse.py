"""Faster lookups of sparse tables, for ``bench.serving.readers``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:  # a process imports the methods that it serves, and no others
    from bench.embeddings.methods.cerp import SparseSum
    from bench.embeddings.served.sparse import Sparse


def sparse(form: Sparse, arrays: Mapping[str, np.ndarray]) -> Callable[[np.ndarray], np.ndarray]:
    """Puts the kept numbers of all ids at their places at once."""
    values, dim = arrays["values"].reshape(-1), form.embedding_dim
    if form.layout == "bitmap":
        return _by_bits(arrays, dim)
    by_rows = form.layout == "csr"
    if by_rows:
        offsets, columns = arrays["offsets"], arrays["columns"]
    else:
        offsets, columns = arrays["positions"], arrays["positions"]

    def read(rows: np.ndarray) -> np.ndarray:
        if by_rows:
            first, end = offsets.take(rows).astype(np.intp), offsets.take(rows + 1).astype(np.intp)
        else:
            begin = rows.astype(offsets.dtype) * dim
            first, end = offsets.searchsorted(begin), offsets.searchsorted(begin + dim)
        counts = end - first
        out = np.zeros((len(rows), dim), np.float32)
        starts = np.arange(0, len(rows) * dim, dim)
        if not by_rows:
            starts = starts - rows.astype(np.intp) * dim
        places = _runs(first, counts)
        out.reshape(-1)[starts.repeat(counts) + columns.take(places)] = values.take(places)
        return out

    return read


def _by_bits(arrays: Mapping[str, np.ndarray], dim: int) -> Callable[[np.ndarray], np.ndarray]:
    values, offsets, bits = arrays["values"].reshape(-1), arrays["offsets"], arrays["bits"]
    whole = bits.reshape(-1, dim // 8) if dim % 8 == 0 else None
    columns = np.arange(dim)

    def read(rows: np.ndarray) -> np.ndarray:
        if whole is not None:
            there = np.unpackbits(whole.take(rows, axis=0), axis=1, bitorder="little").astype(bool)
        else:
            position = rows.astype(np.intp)[:, None] * dim + columns
            there = (bits.take(position >> 3) >> (position & 7).astype(np.uint8) & 1).astype(bool)
        places = _runs(offsets.take(rows).astype(np.intp), there.sum(axis=1))
        out = np.zeros((len(rows), dim), np.float32)
        out[there] = values.take(places)
        return out

    return read


def sparse_sum(form: SparseSum, arrays: Mapping[str, np.ndarray]) -> Callable[[np.ndarray], np.ndarray]:
    """Adds the rows of two sparse tables."""
    from bench.embeddings.methods.cerp import digits

    first, second = (
        sparse(part, {array.name: arrays[f"{name}_{array.name}"] for array in part.arrays()})
        for name, part in form.parts.items()
    )
    size, buckets = form.vocabulary.size, form.settings.num_rows

    def read(rows: np.ndarray) -> np.ndarray:
        remainder, quotient = digits(rows, size, buckets, np)
        out = first(remainder)
        out += second(quotient)
        return out

    return read


def _runs(first: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Lists the numbers of several runs, one run after the other: first[i], first[i] + 1, ..., counts[i] in all."""
    ends = counts.cumsum()
    total = int(ends[-1]) if len(ends) else 0
    runs: np.ndarray = np.arange(total) + (first - ends + counts).repeat(counts)
    return runs
