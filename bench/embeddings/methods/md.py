"""Mixed-dimension embeddings: wide vectors for popular ids, narrow ones for rare ids."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import pairwise
from math import ceil, floor, inf, isfinite, log2
from typing import Annotated, Any

import numpy as np

from bench.config.typed import Range
from bench.embeddings.base import Array, Arrays, Clipped, Kind, Lookups, Method, Vocabulary, as_typed, largest
from bench.errors import RequestError


@dataclass
class MDSettings:
    """Settings of ``md``."""

    block_splits: list[float] = field(default_factory=lambda: [0.108, 0.4587])
    """The cuts that divide the ids, sorted by falling training frequency, into blocks. Each cut is a count of ids,
    or a share of the vocabulary if it is below 1. Give them ascending."""

    block_dims: list[int] | None = None
    """Width of each block, one more than there are cuts. None: by ``alpha``. Where that is None too, the first block
    has embedding_dim columns and each block half of those before (64, 32, 16)."""

    alpha: Annotated[float, Range(low=0)] | None = None
    """Widths by the power rule: embedding_dim times (p / smallest p) ** -alpha, with p = rows of the block / share of
    the training rows that read it. 0 gives equal widths."""

    power_of_two: bool = True
    """True rounds the widths of the power rule to powers of two. Used with ``alpha`` only."""

    projection_bias: bool = True
    """True gives the projections of narrow blocks a bias."""

    def __post_init__(self) -> None:
        _check_splits(self.block_splits)


class MD(Method[MDSettings]):
    """vector(id) = block_b[r] K_b + c_b, with b the block of the id and r its row there.

    Blocks as wide as the vectors have no projection. Ids are ranked by falling training frequency, equally frequent
    ones by id. A share s cuts at s * vocabulary, rounded to the nearest (a half up) and at least 1. Cuts beyond the
    vocabulary lie at its end. A block without ids is left out, together with its width. The resolved settings hold the
    blocks that remain.

    Row 0 of every block is an out-of-vocabulary row, in addition to one row an id. An id reads row 0 of the blocks that
    it is not in, and these rows are masked out.

    Example:
        >>> import numpy as np
        >>> from bench.embeddings import MDEmbedding
        >>> counts = np.random.default_rng(0).zipf(1.2, 3706)  # how often each id is trained on
        >>> layer = MDEmbedding(3706, 64, counts=counts, block_splits=[400, 1700], block_dims=[64, 32, 16])
        >>> layer(np.array([3, 3705])).shape
        TensorShape([2, 64])
        >>> layer.method.nbytes
        425256

    Reference:
        Ginart et al., "Mixed dimension embeddings with application to memory-efficient recommendation systems", 2019
        (arXiv 1909.11810), on the popularity blocks of one field.
    """

    Settings = MDSettings
    family = "by popularity"

    def resolve(self, settings: MDSettings) -> MDSettings:
        """Turns the cuts into counts of ids, and chooses a width for each block."""
        return self._sized(self.vocabulary, self.embedding_dim, settings, self.embedding_dim)

    @classmethod
    def _sized(
        cls, vocabulary: Vocabulary, embedding_dim: int, settings: MDSettings, base: int
    ) -> MDSettings:
        """Chooses blocks and widths; the widest block has ``base`` columns."""
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

    def clipped(self, given: MDSettings) -> list[Clipped]:
        """Lists the cuts that leave a block without ids in this field. The default cuts are not judged."""
        if given.block_splits == MDSettings().block_splits:
            return []
        size = self.vocabulary.size
        edges = _edges(self.vocabulary, given.block_splits)
        found = []
        for split, before, cut in zip(given.block_splits, edges, edges[1:], strict=False):
            if cut >= size:
                most = size - 1 if split >= 1 else floor(1000 * (size - 1) / size) / 1000
                why, limit = "too large for", f"at most {most}"
            elif cut == before:
                least = cut + 1 if split >= 1 else ceil(1000 * (cut + 1) / size) / 1000
                why, limit = "too close to the cut before it for", f"at least {least}"
            else:
                continue
            found.append(Clipped("block_splits", split, limit, why, "the cut is left out there"))
        return found

    @property
    def edges(self) -> list[int]:
        """Ranks at which blocks begin, then the vocabulary's size."""
        return [0, *map(int, self.settings.block_splits), self.vocabulary.size]

    @property
    def dims(self) -> list[int]:
        """Width of each block."""
        assert self.settings.block_dims is not None
        return self.settings.block_dims

    def tables(self) -> tuple[Array, ...]:
        """Describes ``block_0``, ``block_1``, ...: (ids of the block + 1, width of the block)."""
        sizes = [b - a for a, b in pairwise(self.edges)]
        return tuple(
            Array(f"block_{i}", (n + 1, d)) for i, (n, d) in enumerate(zip(sizes, self.dims, strict=True))
        )

    def weights(self) -> tuple[Array, ...]:
        """Describes ``kernel_i`` (width, embedding_dim) and ``bias_i`` of each block narrower than the vectors."""
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
        """Describes ``rank``, each id's place by popularity: int32 (vocabulary,). Block and row follow from it."""
        return (Array("rank", (self.vocabulary.size,), "int32", kind=Kind.MAPS),)

    def build_maps(self) -> dict[str, np.ndarray]:
        """Ranks the ids by falling training frequency, equally frequent ones by id."""
        rank = np.empty(self.vocabulary.size, np.int32)
        rank[self.vocabulary.by_frequency()] = np.arange(self.vocabulary.size, dtype=np.int32)
        return {"rank": rank}

    def lookups(self, ids: Any, maps: Arrays, xp: Any) -> Lookups:
        """Reads row 1 + the id's place in its block, and row 0 of all other blocks."""
        rank = xp.take(maps["rank"], ids, axis=0)
        out = {}
        for i, (first, end) in enumerate(pairwise(self.edges)):
            inside = xp.logical_and(rank >= first, rank < end)
            out[f"block_{i}"] = xp.where(inside, rank - (first - 1), 0)
        return out

    def combine(self, rows: Arrays, indices: Arrays, weights: Arrays, xp: Any, training: bool) -> Any:
        """Masks out the rows of other blocks, and projects the id's row.

        All projections are one product: the masked rows side by side, times the stacked kernels.
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
        """Chooses the widest blocks within the bytes.

        The width of the widest block is searched from 1 to embedding_dim. The other widths follow from it, by halves or
        by alpha. The cuts stay.
        """

        def sized(base: int) -> MD:
            return cls(vocabulary, embedding_dim, cls._sized(vocabulary, embedding_dim, settings, base))

        top = sized(embedding_dim)
        # At full width a block has no projection, so that it may take fewer bytes than the next narrower one.
        if settings.block_dims is not None or embedding_dim == 1 or top.nbytes <= budget_bytes:
            return top.within(budget_bytes)
        best = largest(1, embedding_dim - 1, lambda base: sized(base).nbytes <= budget_bytes)
        if best is None:
            return min(sized(1), top, key=lambda method: method.nbytes).within(budget_bytes)
        return sized(best).settings


def _check_splits(splits: list[float]) -> None:
    shown = as_typed(list(splits))
    wrong = [s for s in splits if not (0 < s < inf) or (s >= 1 and s != int(s))]
    if wrong:
        raise RequestError(
            f"block_splits={shown}: {wrong[0]} is no share between 0 and 1 and no whole count of ids"
        )
    if any(a >= b for a, b in pairwise(splits)):
        raise RequestError(f"block_splits={shown}: give ascending cut points")


def _edges(vocabulary: Vocabulary, splits: list[float]) -> list[int]:
    """Returns the ranks at which blocks begin, then the vocabulary's size; blocks may be without ids."""
    _check_splits(splits)
    size = vocabulary.size
    cuts = [max(1, int(s * size + 0.5)) if s < 1 else min(int(s), size) for s in splits]
    if any(a > b for a, b in pairwise(cuts)):
        raise RequestError(
            f"block_splits={as_typed(list(splits))}: of the {size} ids of {vocabulary.name} that is {cuts}, which does "
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
    """Computes widths base * (p_b / min p) ** -alpha, rounded, from 1 to base, with p_b = rows / share of reads."""
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
