"""Measures what compression has changed of a table: errors of its numbers, angles of its rows, nearest neighbours."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from bench.compressing.reading import blocks

NEIGHBOURS = 10
"""Number of nearest neighbours of a row that are compared."""

SAMPLE_SEED = 0
"""Seed of the sample of rows. So equal tables are measured on equal rows."""

SCORES = 1 << 22
"""Number of scores that are in memory at once."""

LARGE = 2.0**40
"""Magnitude from which numbers are made smaller before they are multiplied, and its inverse for tiny ones."""

SHORTEST = 1e-30
"""Length of a row up to which it counts as a row of zeros."""

Rows = Callable[[np.ndarray], np.ndarray]
"""Gives rows by their numbers: float32 (n, width) from int32 (n,)."""


@dataclass(frozen=True)
class Quality:
    """What compression has changed of a table. None stands for what is not defined or was not asked for.

    Let A be the table, B the table that is served, and both n x d.

    Attributes:
        rmse: sqrt(mean (A - B)^2), of all n d numbers.
        relative_error: |A - B| / |A|, by the Frobenius norm.
        cosine_mean: mean of the cosines between row i of A and row i of B. Rows of A that are zero are left out; where
            only that of B is zero, the cosine is 0.
        cosine_p1: first percentile of these cosines: one row of a hundred has a smaller one.
        zero_rows: number of rows of A that are zero.
        queries: number of rows whose neighbours were looked for.
        neighbours: number of neighbours of each, 10, or n - 1 where the table has fewer other rows.
        recall_inner_product: mean share of the neighbours of a row in A that are its neighbours in B too, by the inner
            product of the row with all others.
        recall_cosine: the same by the cosine.
    """

    rmse: float
    relative_error: float | None
    cosine_mean: float | None
    cosine_p1: float | None
    zero_rows: int
    queries: int
    neighbours: int
    recall_inner_product: float | None
    recall_cosine: float | None


def measure(table: np.ndarray, served: Rows, sample: int) -> Quality:
    """Compares a table with what is served in its place.

    Args:
        table: float32 (rows, width), finite.
        served: gives rows of what is served.
        sample: number of rows whose neighbours are looked for; all rows if there are fewer.
    """
    count, width = table.shape
    errors = squares = 0.0
    cosines = np.full(count, np.nan, np.float32)
    largest = 0.0
    for block in blocks(count, 4 * width):
        before = table[block].astype(np.float64)
        after = served(_numbers(block)).astype(np.float64)
        largest = max(largest, np.abs(before).max(), np.abs(after).max())
        own = np.einsum("ij,ij->i", before, before)
        lengths = np.sqrt(own) * np.sqrt(np.einsum("ij,ij->i", after, after))
        products = np.einsum("ij,ij->i", before, after)
        found = np.divide(products, lengths, out=np.zeros_like(own), where=lengths > 0)
        cosines[block] = np.where(own > 0, np.clip(found, -1, 1), np.nan)
        squares += own.sum()
        before -= after
        errors += np.einsum("ij,ij->", before, before)
    filled = np.flatnonzero(~np.isnan(cosines))
    kept = cosines[filled]
    neighbours = min(NEIGHBOURS, count - 1)
    queries = np.zeros(0, np.int32)
    if neighbours and len(filled):
        drawn = np.random.default_rng(SAMPLE_SEED).choice(filled, min(sample, len(filled)), replace=False)
        queries = np.sort(drawn).astype(np.int32)
    by_product, by_cosine = _recalls(table, served, queries, neighbours, largest)
    return Quality(
        rmse=math.sqrt(errors / (count * width)),
        relative_error=math.sqrt(errors / squares) if squares else None,
        cosine_mean=float(kept.mean(dtype=np.float64)) if len(kept) else None,
        cosine_p1=float(np.percentile(kept, 1)) if len(kept) else None,
        zero_rows=count - len(filled),
        queries=len(queries),
        neighbours=neighbours,
        recall_inner_product=by_product,
        recall_cosine=by_cosine,
    )


def _recalls(
    table: np.ndarray, served: Rows, queries: np.ndarray, neighbours: int, largest: float
) -> tuple[float | None, float | None]:
    if not len(queries):
        return None, None
    # Small and large numbers are multiplied by a power of two, so that no product is lost that need not be.
    scale = 1.0 if 1 / LARGE <= largest <= LARGE else 2.0 ** -math.frexp(largest)[1]

    def scaled(rows: Rows) -> Rows:
        if scale == 1:
            return rows
        return lambda numbers: (rows(numbers).astype(np.float64) * scale).astype(np.float32)

    before = nearest(len(table), scaled(lambda rows: table[rows]), queries, neighbours)
    after = nearest(len(table), scaled(served), queries, neighbours)
    shares = []
    for one, other in zip(before, after, strict=True):
        both = np.sort(np.concatenate([one, other], axis=1), axis=1)
        shares.append(float((both[:, 1:] == both[:, :-1]).sum() / one.size))
    return shares[0], shares[1]


def nearest(count: int, rows: Rows, queries: np.ndarray, neighbours: int) -> tuple[np.ndarray, np.ndarray]:
    """Finds the nearest other rows of some rows, by an exact search over all rows, block by block.

    Args:
        count: number of rows.
        rows: gives rows by their numbers.
        queries: numbers of the rows that neighbours are looked for, int32 (q,).
        neighbours: number of neighbours of each, smaller than ``count``.

    Returns:
        Numbers of the nearest rows by the inner product, and by the cosine, int64 (q, neighbours), ascending. Of
        equally near rows the first are taken. The cosine with a row of zeros is 0.
    """
    vectors = rows(queries)
    by_product, by_cosine = _Best(len(queries), neighbours), _Best(len(queries), neighbours)
    step = max(NEIGHBOURS, SCORES // len(queries))
    for begin in range(0, count, step):
        block = slice(begin, min(begin + step, count))
        own = rows(_numbers(block))
        scores = vectors @ own.T
        here = np.flatnonzero((queries >= block.start) & (queries < block.stop))
        scores[here, queries[here] - begin] = -np.inf  # a row is no neighbour of itself
        by_product.add(scores, begin)
        scores[here, queries[here] - begin] = 0
        lengths = np.sqrt(np.einsum("ij,ij->i", own, own, dtype=np.float64))
        # the length of the other vector is the same for all of its neighbours
        shares = np.divide(1, lengths, out=np.zeros_like(lengths), where=lengths > SHORTEST)
        scores *= shares.astype(np.float32)
        scores[here, queries[here] - begin] = -np.inf
        by_cosine.add(scores, begin)
    return by_product.rows, by_cosine.rows


class _Best:
    """The rows with the highest scores so far.

    Args:
        queries: number of lists.
        most: length of each.

    Attributes:
        rows: row numbers, int64 (queries, most), ascending; -1 for none yet.
    """

    def __init__(self, queries: int, most: int) -> None:
        self.rows = np.full((queries, most), -1, np.int64)
        self._scores = np.full((queries, most), -np.inf, np.float32)
        self._most = most

    def add(self, scores: np.ndarray, first: int) -> None:
        """Takes the scores of further rows, float32 (queries, rows), the first of which has the number ``first``."""
        higher = np.flatnonzero(scores > self._scores.min(axis=1)[:, None])  # soon few; 2-d nonzero is slower
        if not len(higher):
            return
        lists, places = np.divmod(higher, scores.shape[1])
        changed, begins, counts = np.unique(lists, return_index=True, return_counts=True)
        at = np.repeat(np.arange(len(changed)), counts), np.arange(len(lists)) - np.repeat(begins, counts)
        new = np.full((len(changed), counts.max()), -np.inf, np.float32)
        numbers = np.full(new.shape, -1, np.int64)
        new[at], numbers[at] = scores[lists, places], first + places
        joined = np.concatenate([self._scores[changed], new], axis=1)
        numbers = np.concatenate([self.rows[changed], numbers], axis=1)
        last = np.partition(joined, -self._most, axis=1)[:, -self._most, None]
        above, equal = joined > last, joined == last
        lacking = self._most - above.sum(axis=1, keepdims=True)
        kept = above | (equal & (np.cumsum(equal, axis=1) <= lacking))
        self._scores[changed] = joined[kept].reshape(-1, self._most)
        self.rows[changed] = numbers[kept].reshape(-1, self._most)


def _numbers(block: slice) -> np.ndarray:
    return np.arange(block.start, block.stop, dtype=np.int32)
