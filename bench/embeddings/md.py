"""Mixed-dimension embeddings: wide vectors for popular ids, narrow ones for rare ids.

Ginart et al., "Mixed dimension embeddings with application to memory-efficient recommendation systems", 2019
(arXiv 1909.11810), on the popularity blocks of one field.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import pairwise
from math import inf, isfinite, log2
from typing import Annotated, Any

import numpy as np

from bench.embeddings.base import Array, Arrays, Kind, Method, Vocabulary, largest
from bench.errors import RequestError
from bench.settings import Range


@dataclass
class MDSettings:
    """Settings of ``md``."""

    block_splits: list[float] = field(default_factory=lambda: [0.108, 0.4587])
    """Where the ids, by falling training frequency, are cut into blocks: ascending counts of ids or, below 1,
    shares of the vocabulary."""

    block_dims: list[int] | None = None
    """Width of each block, one more than there are cuts. None: by ``alpha``, or where that is None too,
    embedding_dim and each block half as wide as the one before (64, 32, 16)."""

    alpha: Annotated[float, Range(low=0)] | None = None
    """Width by the power rule: embedding_dim times (p / smallest p) ** -alpha, where p = rows / share of the
    training rows that read the block. 0 gives equal widths."""

    power_of_two: bool = True
    """Round the power rule's widths to powers of two; only with ``alpha``."""

    projection_bias: bool = True
    """Whether the projections of narrow blocks to embedding_dim have a bias."""


class MD(Method[MDSettings]):
    """The vector of an id is table_b[r] K_b + c_b, with b its block and r its row there.

    Blocks as wide as the vectors have no projection. Ids are ranked by falling training frequency, equal ones
    by id. A share s is cut at s * vocabulary, rounded to the nearest (a half up) and at least 1; cuts beyond
    the vocabulary are at its end; a block left without ids vanishes together with its width. The resolved
    settings hold the blocks that remain.

    Every block has one row more than ids, row 0, as an out-of-vocabulary row. An id reads row 0 of the blocks
    that it is not in, and what comes of that is masked out.
    """

    Settings = MDSettings

    def resolve(self, settings: MDSettings) -> MDSettings:
        """Cuts as counts, and a width for each block."""
        return self._sized(self.vocabulary, self.embedding_dim, settings, self.embedding_dim)

    @classmethod
    def _sized(
        cls, vocabulary: Vocabulary, embedding_dim: int, settings: MDSettings, base: int
    ) -> MDSettings:
        """The settings with blocks and widths chosen, the widest block being ``base`` wide."""
        edges = _edges(vocabulary, settings.block_splits)
        kept = [i for i, (a, b) in enumerate(pairwise(edges)) if a < b]
        if settings.block_dims is not None:
            _check_dims(settings, embedding_dim)
            dims = [settings.block_dims[i] for i in kept]
        elif settings.alpha is not None:
            dims = _power_rule(vocabulary, settings, [0, *(edges[i + 1] for i in kept)], base)
        else:
            dims = [max(1, base >> i) for i in kept]
        cuts: list[float] = [edges[i + 1] for i in kept[:-1]]
        return replace(settings, block_splits=cuts, block_dims=dims, alpha=None)

    @property
    def edges(self) -> list[int]:
        """Ranks where blocks begin, and the vocabulary's size."""
        return [0, *map(int, self.settings.block_splits), self.vocabulary.size]

    @property
    def dims(self) -> list[int]:
        """The width of each block."""
        assert self.settings.block_dims is not None
        return self.settings.block_dims

    def tables(self) -> tuple[Array, ...]:
        """``block_0``, ``block_1``, ...: (ids of the block + 1, width of the block)."""
        sizes = [b - a for a, b in pairwise(self.edges)]
        return tuple(
            Array(f"block_{i}", (n + 1, d)) for i, (n, d) in enumerate(zip(sizes, self.dims, strict=True))
        )

    def weights(self) -> tuple[Array, ...]:
        """For each block narrower than the vectors, ``kernel_i`` (width, embedding_dim) and ``bias_i``."""
        out = []
        for i, width in enumerate(self.dims):
            if width == self.embedding_dim:
                continue
            shape = (width, self.embedding_dim)
            out.append(Array(f"kernel_{i}", shape, initializer="glorot_uniform", kind=Kind.NETWORKS))
            if self.settings.projection_bias:
                out.append(Array(f"bias_{i}", shape[1:], initializer="zeros", kind=Kind.NETWORKS))
        return tuple(out)

    def maps(self) -> tuple[Array, ...]:
        """``rank``: each id's place by popularity, int32 (vocabulary,); block and row follow from it."""
        return (Array("rank", (self.vocabulary.size,), "int32", kind=Kind.MAPS),)

    def build_maps(self) -> dict[str, np.ndarray]:
        """Ranks by falling training frequency, equal ones by id."""
        rank = np.empty(self.vocabulary.size, np.int32)
        rank[self.vocabulary.by_frequency()] = np.arange(self.vocabulary.size, dtype=np.int32)
        return {"rank": rank}

    def lookups(self, ids: Any, maps: Arrays, xp: Any) -> dict[str, Any]:
        """In the id's block, 1 + its place there; 0 in all others."""
        rank = xp.take(maps["rank"], ids, axis=0)
        out = {}
        for i, (first, end) in enumerate(pairwise(self.edges)):
            inside = xp.logical_and(rank >= first, rank < end)
            out[f"block_{i}"] = xp.where(inside, rank - (first - 1), 0)
        return out

    def combine(self, rows: Arrays, indices: Arrays, weights: Arrays, xp: Any, training: bool) -> Any:
        """The id's row, projected; the rows of other blocks are masked out before.

        All projections are one product: masked rows side by side, times the kernels stacked.
        """
        total: Any = 0.0
        narrow: list[Any] = []
        kernels: list[Any] = []
        for i, width in enumerate(self.dims):
            inside = xp.expand_dims(indices[f"block_{i}"] > 0, -1)
            vectors = xp.where(inside, rows[f"block_{i}"], 0.0)
            if width == self.embedding_dim:
                total = total + vectors
                continue
            narrow.append(vectors)
            kernels.append(weights[f"kernel_{i}"])
            if f"bias_{i}" in weights:
                total = total + xp.where(inside, weights[f"bias_{i}"], 0.0)
        if narrow:
            total = total + xp.matmul(xp.concatenate(narrow, axis=-1), xp.concatenate(kernels, axis=0))
        return total

    @classmethod
    def fit(
        cls, vocabulary: Vocabulary, embedding_dim: int, settings: MDSettings, budget_bytes: int
    ) -> MDSettings:
        """The widest blocks within the bytes.

        Widths keep the proportions of the rule that chooses them (halves, or alpha); the widest block's is
        searched from 1 to embedding_dim. The cuts stay.
        """

        def sized(base: int) -> MD:
            return cls(vocabulary, embedding_dim, cls._sized(vocabulary, embedding_dim, settings, base))

        top = sized(embedding_dim)
        # At full width blocks lose their projection, so that it may take less than the next narrower.
        if settings.block_dims is not None or embedding_dim == 1 or top.nbytes <= budget_bytes:
            return top.within(budget_bytes)
        best = largest(1, embedding_dim - 1, lambda base: sized(base).nbytes <= budget_bytes)
        if best is None:
            return min(sized(1), top, key=lambda method: method.nbytes).within(budget_bytes)
        return sized(best).settings


def _edges(vocabulary: Vocabulary, splits: list[float]) -> list[int]:
    """Ranks where blocks begin, and the vocabulary's size; not falling."""
    wrong = [s for s in splits if not (0 < s < inf) or (s >= 1 and s != int(s))]
    if wrong:
        raise RequestError(
            f"block_splits={list(splits)}: {wrong[0]} is no share between 0 and 1 and no whole count of ids"
        )
    if any(a >= b for a, b in pairwise(splits)):
        raise RequestError(f"block_splits={list(splits)}: give ascending cut points")
    size = vocabulary.size
    cuts = [max(1, int(s * size + 0.5)) if s < 1 else min(int(s), size) for s in splits]
    if any(a > b for a, b in pairwise(cuts)):
        raise RequestError(
            f"block_splits={list(splits)}: of the {size} ids of {vocabulary.name} that is {cuts}, which does "
            "not ascend; give counts only or shares only"
        )
    return [0, *cuts, size]


def _check_dims(settings: MDSettings, embedding_dim: int) -> None:
    dims, blocks = settings.block_dims or [], len(settings.block_splits) + 1
    if settings.alpha is not None:
        raise RequestError(
            f"alpha={settings.alpha} chooses the widths that block_dims={dims} gives: give one of them"
        )
    if len(dims) != blocks:
        raise RequestError(f"block_dims={dims}: {len(settings.block_splits)} cut points make {blocks} blocks")
    if wrong := [d for d in dims if not 1 <= d <= embedding_dim]:
        raise RequestError(f"block_dims={dims}: {wrong[0]} is not from 1 to embedding_dim={embedding_dim}")


def _power_rule(vocabulary: Vocabulary, settings: MDSettings, edges: list[int], base: int) -> list[int]:
    """Widths base * (p_b / min p) ** -alpha, rounded, from 1 to base, with p_b = rows / share of reads."""
    alpha = settings.alpha
    assert alpha is not None
    if not (isfinite(alpha) and alpha >= 0):
        raise RequestError(f"alpha={alpha}: give 0 or more")
    read = vocabulary.training_rows(edges)
    if read is None or not sum(read):
        raise RequestError(
            f"alpha={alpha}: the training frequencies of {vocabulary.name} are not known; give block_dims"
        )
    p = [(b - a) / n if n else inf for (a, b), n in zip(pairwise(edges), read, strict=True)]
    dims = []
    for ratio in (x / min(p) for x in p):
        width = base * ratio**-alpha if ratio < inf or alpha == 0 else 0.0
        if settings.power_of_two and ratio > 1:
            width = 2.0 ** int(log2(max(1.0, width)) + 0.5)
        dims.append(min(base, max(1, int(width + 0.5))))
    return dims
