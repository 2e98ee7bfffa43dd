"""Vectors as a few small numbers: each part of a vector is an entry of a codebook, an id keeps the entries' numbers.

With embedding_dim = d and num_parts = D a part is w = ceil(d / D) wide; where D w is more than d, the last part is
narrower, and what its entries have beyond d is cut off. As few parts as that width takes are made: ceil(d / w).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.embeddings.base import Array, Arrays, Kind, Method, int32
from bench.embeddings.forms.bits import pack, packed_width, unpack
from bench.errors import RequestError

MAX_CODES = 256
"""Entries of a codebook: a code is a byte at most."""


def code_bits(num_codes: int) -> int:
    """Bits of a number from 0 to num_codes - 1; 1 at least."""
    return max(1, (num_codes - 1).bit_length())


def even_parts(embedding_dim: int, num_parts: int) -> tuple[int, int]:
    """How many parts are made of those asked for, and their width: ceil(d / w) and w = ceil(d / num_parts)."""
    width = -(-embedding_dim // num_parts)
    return -(-embedding_dim // width), width


def check_codes(embedding_dim: int, num_parts: int | None, num_codes: int | None) -> None:
    """Refuses more parts than numbers in a vector and more codes than a byte tells apart.

    Raises:
        RequestError: names the setting, its value and what would work.
    """
    if num_parts is not None and not 1 <= num_parts <= embedding_dim:
        raise RequestError(f"num_parts={num_parts}: give 1 to embedding_dim={embedding_dim}")
    if num_codes is not None and not 1 <= num_codes <= MAX_CODES:
        raise RequestError(f"num_codes={num_codes}: give 1 to {MAX_CODES}, what a byte can tell apart")


def ladder(
    embedding_dim: int, num_parts: int | None, num_codes: int | None, usual_codes: int, most_codes: int
) -> list[tuple[int, int]]:
    """Numbers of parts and of codes, in the order in which a larger budget takes them.

    What was given stays. Else: one part with 2, 4, 8, ... codes up to ``usual_codes``; then more and more parts
    with ``usual_codes``, up to as many as numbers in a vector; then twice as many codes, again and again up to
    ``most_codes``.
    """
    counts = sorted({-(-embedding_dim // width) for width in range(1, embedding_dim + 1)})
    parts = counts if num_parts is None else [num_parts]
    if num_codes is not None:
        return [(count, num_codes) for count in parts]
    powers = [1 << bits for bits in range(1, MAX_CODES.bit_length())]
    fewer = [(parts[0], codes) for codes in powers if codes < usual_codes]
    more = [(parts[-1], codes) for codes in powers if usual_codes < codes <= most_codes]
    return [*fewer, *((count, usual_codes) for count in parts), *more]


def highest(
    steps: list[tuple[int, int]], nbytes: Callable[[int, int], int], budget_bytes: int
) -> tuple[int, int]:
    """Of a ladder, the step that takes the most bytes within the budget, the later of equal ones; else the smallest.

    Args:
        steps: numbers of parts and of codes.
        nbytes: serving bytes of a step.
        budget_bytes: what it may take.
    """
    sizes = [nbytes(*step) for step in steps]
    fitting = [(size, place) for place, size in enumerate(sizes) if size <= budget_bytes]
    return steps[max(fitting)[1] if fitting else sizes.index(min(sizes))]


def codes_nbytes(size: int, embedding_dim: int, num_parts: int, num_codes: int) -> int:
    """Bytes of ``Codes``: packed codes of every id, and float32 codebooks."""
    parts, width = even_parts(embedding_dim, num_parts)
    return size * packed_width(parts, code_bits(num_codes)) + 4 * parts * num_codes * width


def split(vectors: Any, num_parts: int, width: int, xp: Any) -> Any:
    """Vectors (n, d) as parts (n, num_parts, width), zeros behind what the last one lacks."""
    lacking = num_parts * width - vectors.shape[-1]
    if lacking:
        vectors = xp.concatenate([vectors, xp.zeros_like(vectors[:, :lacking])], axis=-1)
    return xp.reshape(vectors, (-1, num_parts, width))


def entries(codebooks: Any, codes: Any, embedding_dim: int, xp: Any) -> Any:
    """The codebook entries of codes, side by side.

    Args:
        codebooks: (num_parts, num_codes, width).
        codes: int32 of shape (..., num_parts).
        embedding_dim: where the last part is cut off.
        xp: ``numpy`` or ``keras.ops``.

    Returns:
        (..., embedding_dim).
    """
    parts, count, width = codebooks.shape
    # One gather of all parts from one list of entries.
    row = codes + np.arange(0, parts * count, count, dtype=np.int32)
    found = xp.take(xp.reshape(codebooks, (parts * count, width)), row, axis=0)
    joined = xp.reshape(found, (*xp.shape(codes)[:-1], parts * width))
    return joined[..., :embedding_dim]


@dataclass
class CodesSettings:
    """Sizes of ``Codes``."""

    num_parts: int = 1
    """Parts of a vector; as many as ``even_parts`` makes."""

    num_codes: int = 1
    """Entries of a part's codebook."""


class Codes(Method[CodesSettings]):
    """vector(id) = codebook_1[c_1(id)], ..., codebook_D[c_D(id)], side by side; the codes packed into bytes.

    The codebooks count as tables: they are float vectors of which a lookup reads rows. They are held as one array,
    since one gather reads the entries of all parts.
    """

    Settings = CodesSettings

    def resolve(self, settings: CodesSettings) -> CodesSettings:
        """Nothing is left open."""
        check_codes(self.embedding_dim, settings.num_parts, settings.num_codes)
        return settings

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of the codebooks: parts, codes and width of a part."""
        parts, width = even_parts(self.embedding_dim, self.settings.num_parts)
        return parts, self.settings.num_codes, width

    def tables(self) -> tuple[Array, ...]:
        """``codes``: each id's, packed, uint8 (vocabulary, bytes of an id's codes)."""
        width = packed_width(self.shape[0], code_bits(self.settings.num_codes))
        return (Array("codes", (self.vocabulary.size, width), "uint8", kind=Kind.CODES),)

    def weights(self) -> tuple[Array, ...]:
        """``codebooks``: float32 (parts, codes, width of a part)."""
        return (Array("codebooks", self.shape, trainable=False),)

    def lookups(self, ids: Any, maps: Arrays, xp: Any) -> dict[str, Any]:
        """The id is the row of its codes."""
        return {"codes": int32(ids, xp)}

    def combine(self, rows: Arrays, indices: Arrays, weights: Arrays, xp: Any, training: bool) -> Any:
        """The entries that the codes name, side by side."""
        codes = unpack(rows["codes"], self.shape[0], code_bits(self.settings.num_codes), xp)
        return entries(weights["codebooks"], codes, self.embedding_dim, xp)

    @classmethod
    def fit(
        cls, vocabulary: Any, embedding_dim: int, settings: CodesSettings, budget_bytes: int
    ) -> CodesSettings:
        """The settings as they are: those who serve by codes choose the sizes."""
        return cls(vocabulary, embedding_dim, settings).within(budget_bytes)

    def packed(self, codes: np.ndarray, codebooks: np.ndarray) -> dict[str, np.ndarray]:
        """The arrays of this form.

        Args:
            codes: integers of shape (vocabulary, parts).
            codebooks: float32 (parts, codes, width of a part).
        """
        return {"codes": pack(codes, code_bits(self.settings.num_codes)), "codebooks": codebooks}
