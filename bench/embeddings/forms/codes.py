"""Vectors as a few small numbers: each part of a vector is an entry of a codebook, an id keeps the entries' numbers.

With embedding_dim = d and num_parts = D a part is w = ceil(d / D) wide; where D w is more than d, the last part is
narrower, and what its entries have beyond d is cut off. As few parts as that width takes are made: ceil(d / w).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.embeddings.base import Array, Arrays, Kind, Method, int32, places
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


@dataclass
class TieredCodesSettings(CodesSettings):
    """Sizes of ``TieredCodes``."""

    num_cold_codes: int = 1
    """Of ``num_codes``, those that come first and that all ids may have."""

    num_hot: int = 1
    """Ids that may have all."""


class TieredCodes(Codes):
    """``Codes`` of which most ids may have the first num_cold_codes alone: their codes take fewer bits.

    The low bits of all ids' codes are one table, as many as num_cold_codes take. The bits above, of hot ids alone, are
    another, with a row for each entry of an ascending list of hot ids. An id is found in it by halving.
    """

    Settings = TieredCodesSettings
    settings: TieredCodesSettings

    @property
    def bits(self) -> tuple[int, int]:
        """Of a code, the low bits and those above."""
        low = code_bits(self.settings.num_cold_codes)
        return low, max(0, code_bits(self.settings.num_codes) - low)

    def tables(self) -> tuple[Array, ...]:
        """``codes`` (vocabulary, bytes of the low bits) and ``high`` (hot ids, bytes of the bits above); uint8."""
        parts, (low, high) = self.shape[0], self.bits
        codes = Array("codes", (self.vocabulary.size, packed_width(parts, low)), "uint8", kind=Kind.CODES)
        if not high:
            return (codes,)
        shape = (self.settings.num_hot, packed_width(parts, high))
        return codes, Array("high", shape, "uint8", kind=Kind.CODES)

    def maps(self) -> tuple[Array, ...]:
        """``hot``: the hot ids, ascending, int32 (hot ids,)."""
        return (Array("hot", (self.settings.num_hot,), "int32", kind=Kind.MAPS),) if self.bits[1] else ()

    def lookups(self, ids: Any, maps: Arrays, xp: Any) -> dict[str, Any]:
        """The id is the row of its low bits, its place among the hot ids that of the bits above; ``is_hot`` 0 or 1."""
        ids = int32(ids, xp)
        if not self.bits[1]:
            return {"codes": ids}
        place, is_hot = find_hot(ids, maps["hot"], xp)
        return {"codes": ids, "high": place, "is_hot": is_hot}

    def combine(self, rows: Arrays, indices: Arrays, weights: Arrays, xp: Any, training: bool) -> Any:
        """The entries that the codes name, side by side."""
        parts, (low, high) = self.shape[0], self.bits
        codes = unpack(rows["codes"], parts, low, xp)
        if high:
            above = unpack(rows["high"], parts, high, xp) * xp.expand_dims(indices["is_hot"], -1)
            codes = codes + above * np.int32(1 << low)
        return entries(weights["codebooks"], codes, self.embedding_dim, xp)

    def packed(
        self, codes: np.ndarray, codebooks: np.ndarray, hot: np.ndarray | None = None
    ) -> dict[str, np.ndarray]:
        """The arrays of this form.

        Args:
            codes: integers of shape (vocabulary, parts).
            codebooks: float32 (parts, codes, width of a part).
            hot: the hot ids, ascending, int32.
        """
        low, high = self.bits
        out = {"codes": pack(codes & (1 << low) - 1, low)}
        if high:
            assert hot is not None
            out["high"] = pack(codes[hot] >> low, high)
        out["codebooks"] = codebooks
        return {**out, "hot": hot} if high and hot is not None else out


def find_hot(ids: Any, hot: Any, xp: Any) -> tuple[Any, Any]:
    """Each id's place in an ascending list, the last one where it is not there, and whether it is: 0 or 1; int32."""
    place = xp.minimum(places(hot, ids, xp), np.int32(hot.shape[0] - 1))
    return place, int32(xp.take(hot, place, axis=0) == ids, xp)


def tiered_nbytes(
    size: int, embedding_dim: int, num_parts: int, num_codes: int, num_cold_codes: int, num_hot: int
) -> int:
    """Bytes of ``TieredCodes``: low bits of all ids, high bits and numbers of hot ids, and codebooks."""
    parts, width = even_parts(embedding_dim, num_parts)
    low = code_bits(num_cold_codes)
    high = max(0, code_bits(num_codes) - low)
    hot = num_hot * (packed_width(parts, high) + 4) if high else 0
    return size * packed_width(parts, low) + hot + 4 * parts * num_codes * width
