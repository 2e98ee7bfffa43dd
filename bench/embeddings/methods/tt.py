"""Tensor train: the table as a product of two or three small cores."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from math import isqrt, prod
from typing import Annotated, Any

from bench.config.typed import Range
from bench.embeddings.base import Array, Arrays, Lookups, Vocabulary, check_positive, int32, largest
from bench.embeddings.families.hot import HotRows, HotSettings
from bench.errors import RequestError

START_VARIANCE = 0.05**2 / 3
"""Variance of U(-0.05, 0.05), the start of a full table."""


@dataclass
class TTSettings(HotSettings):
    """Settings of ``tt``."""

    rank: int | None = None
    """Length of the axis that neighbouring cores sum over. None: 16. Each rank is at most as long as it is of use: as
    the numbers (rows times widths) on either side of it."""

    num_cores: Annotated[int, Range(low=2, high=3)] = 3
    """Number of cores, 2 or 3."""


class TT(HotRows[TTSettings]):
    """vector(id) = G_1[i_1] G_2[i_2] G_3[i_3], with the digits i_1, i_2, i_3 of the id.

    G_k[i_k] is a matrix of r_(k-1) x d_k r_k numbers, with r_0 = r_3 = 1. The product sums over the ranks: number
    (j_1, j_2, j_3) of the vector is the product of the three matrices G_k[i_k][:, j_k, :]. Digits are those in the
    mixed base n_1, n_2, n_3; the last one counts single ids.

    The n_k are near equal, and their product is at least the vocabulary: the first is the k-th root rounded up, and the
    rest is factored in the same way. The product of the d_k is at least embedding_dim. Of all such factors, those with
    the smallest sum are taken, and of these those with the smallest product: 64 = 4 x 4 x 4, 50 = 5 x 2 x 5, and
    7 < 2 x 2 x 2, where the last number is cut off. The middle core has two ranks, so it takes the smallest factors.

    All cores begin with the same standard deviation. It makes vectors as spread as those of a full table.

    Example:
        >>> import numpy as np
        >>> from bench.embeddings import TTEmbedding
        >>> layer = TTEmbedding(6040, 64, rank=16)
        >>> layer(np.array([3, 6039])).shape
        TensorShape([2, 64])
        >>> layer.method.nbytes
        83200

    Reference:
        Yin et al., "TT-Rec: tensor train compression for deep learning recommendation models", 2021 (arXiv 2101.11714).
        Hrinchuk et al., "Tensorized embedding layers", 2020 (arXiv 1901.10787).
    """

    Settings = TTSettings
    family = "low rank, computed"

    def resolve(self, settings: TTSettings) -> TTSettings:
        """Chooses the rank. Numbers of cores other than 2 and 3 are refused."""
        if settings.num_cores not in (2, 3):
            raise RequestError(f"num_cores={settings.num_cores}: give 2 or 3")
        rank = 16 if settings.rank is None else settings.rank
        check_positive(rank=rank)
        bounds = _bounds(self.vocabulary.size, self.embedding_dim, settings.num_cores)
        return replace(self.resolve_hot(settings), rank=min(rank, max(bounds)))

    @property
    def num_rows(self) -> tuple[int, ...]:
        """Rows of each core: n_1, n_2, ..."""
        return _factors(self.vocabulary.size, self.embedding_dim, self.settings.num_cores)[0]

    @property
    def widths(self) -> tuple[int, ...]:
        """Factors of the width, one a core: d_1, d_2, ..."""
        return _factors(self.vocabulary.size, self.embedding_dim, self.settings.num_cores)[1]

    @property
    def ranks(self) -> tuple[int, ...]:
        """Ranks r_0, r_1, ...; those at both ends are 1."""
        assert self.settings.rank is not None
        sizes = self.vocabulary.size, self.embedding_dim, self.settings.num_cores
        return _ranks(*sizes, self.settings.rank)

    def tables(self) -> tuple[Array, ...]:
        """Describes ``core_1``, ``core_2``, ...: (n_k, r_(k-1) d_k r_k), and hot rows.

        Each row of a core is a matrix in row-major order.
        """
        ranks, widths = self.ranks, self.widths
        deviation = (START_VARIANCE / prod(ranks)) ** (0.5 / len(widths))
        normal = {"class_name": "RandomNormal", "config": {"stddev": deviation}}
        cores = (
            Array(f"core_{k + 1}", (n, ranks[k] * widths[k] * ranks[k + 1]), initializer=normal)
            for k, n in enumerate(self.num_rows)
        )
        return (*cores, *self.hot_tables())

    def lookups(self, ids: Any, maps: Arrays, xp: Any) -> Lookups:
        """Reads the rows whose numbers are the digits of the id."""
        rest = int32(ids, xp)
        out = {}
        for k, n in reversed(list(enumerate(self.num_rows))):
            above = rest // n
            out[f"core_{k + 1}"] = rest - above * n
            rest = above
        return {**out, **self.hot_lookups(ids, maps, xp)}

    def combine(self, rows: Arrays, indices: Arrays, weights: Arrays, xp: Any, training: bool) -> Any:
        """Multiplies the cores from the first to the last, and cuts the product to the width."""
        ranks, widths = self.ranks, self.widths
        vectors = rows["core_1"]
        shape, width = tuple(xp.shape(vectors)[:-1]), widths[0]
        for k in range(1, len(widths)):
            left = xp.reshape(vectors, (*shape, width, ranks[k]))
            right = xp.reshape(rows[f"core_{k + 1}"], (*shape, ranks[k], widths[k] * ranks[k + 1]))
            vectors, width = xp.matmul(left, right), width * widths[k]
        vectors = xp.reshape(vectors, (*shape, width))[..., : self.embedding_dim]
        return self.hot_or(vectors, rows, indices, xp)

    @classmethod
    def fit_cold(
        cls, vocabulary: Vocabulary, embedding_dim: int, settings: TTSettings, budget_bytes: int
    ) -> TTSettings:
        """Chooses the largest rank within the bytes."""
        if settings.rank is None:
            sizes = (
                vocabulary.size,
                embedding_dim,
                cls(vocabulary, embedding_dim, settings).settings.num_cores,
            )
            numbers = [n * d for n, d in zip(*_factors(*sizes), strict=True)]

            def fits(rank: int) -> bool:
                ranks = _ranks(*sizes, rank)
                return 4 * sum(ranks[k] * x * ranks[k + 1] for k, x in enumerate(numbers)) <= budget_bytes

            settings = replace(settings, rank=largest(1, max(_bounds(*sizes)), fits) or 1)
        return cls(vocabulary, embedding_dim, settings).within(budget_bytes)


@lru_cache(maxsize=256)
def _factors(size: int, embedding_dim: int, num_cores: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Returns rows and widths of the cores, in their order."""
    return _middle_last(factor_rows(size, num_cores)), _middle_last(factor_width(embedding_dim, num_cores))


def _bounds(size: int, embedding_dim: int, num_cores: int) -> list[int]:
    """Returns the largest rank that is of use between each core and the next."""
    numbers = [n * d for n, d in zip(*_factors(size, embedding_dim, num_cores), strict=True)]
    return [min(prod(numbers[:k]), prod(numbers[k:])) for k in range(1, num_cores)]


def _ranks(size: int, embedding_dim: int, num_cores: int, rank: int) -> tuple[int, ...]:
    """Returns r_0 = 1, r_1, ..., and 1 at the end."""
    return 1, *(min(rank, bound) for bound in _bounds(size, embedding_dim, num_cores)), 1


def factor_rows(size: int, count: int) -> tuple[int, ...]:
    """Returns ``count`` near equal factors, falling, whose product is at least ``size``: roots rounded up."""
    if count == 1:
        return (size,)
    first = isqrt(size - 1) + 1 if count == 2 else round(size ** (1 / count)) + 1
    while count > 2 and (first - 1) ** count >= size:
        first -= 1
    return first, *factor_rows(-(-size // first), count - 1)


def factor_width(width: int, count: int) -> tuple[int, ...]:
    """Returns ``count`` factors, falling, whose product is at least ``width``.

    They have the smallest sum, and of equal sums the smallest product.
    """
    if count == 1:
        return (width,)
    found = []
    for first in range(1, width + 1):
        found.append((first, *factor_width(-(-width // first), count - 1)))
        if first**count >= width:
            break  # the smallest factor is at most the root
    best = min(found, key=lambda factors: (sum(factors), prod(factors)))
    return tuple(sorted(best, reverse=True))


def _middle_last(falling: tuple[int, ...]) -> tuple[int, ...]:
    """Puts the smallest of falling factors into the middle and the largest last."""
    return (falling[1], *falling[2:], falling[0])
