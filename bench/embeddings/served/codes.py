"""The form that serves vectors as codes: for each part of its vector, an id stores the number of a codebook entry.

Let d = embedding_dim and D = num_parts. A part is w = ceil(d / D) wide, and there are ceil(d / w) parts, as many as
fill the width. If all parts together are wider than d, the last part is narrower, and the ends of its entries are cut
off.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.embeddings.base import Array, Arrays, Kind, Lookups, Method, int32, places
from bench.embeddings.served.bits import pack, packed_width, unpack
from bench.errors import RequestError

MAX_CODES = 256
"""Largest number of entries of a codebook, so that a code takes at most a byte."""


def code_bits(num_codes: int) -> int:
    """Returns the bits of a number from 0 to num_codes - 1; at least 1."""
    return max(1, (num_codes - 1).bit_length())


def even_parts(embedding_dim: int, num_parts: int) -> tuple[int, int]:
    """Returns the number of parts that are made, ceil(d / w), and their width, w = ceil(d / num_parts)."""
    width = -(-embedding_dim // num_parts)
    return -(-embedding_dim // width), width


def check_codes(embedding_dim: int, num_parts: int | None, num_codes: int | None) -> None:
    """Refuses more parts than a vector has numbers, and more codes than a byte can tell apart.

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
    """Lists pairs of num_parts and num_codes, in the order in which a growing budget takes them.

    The list begins with one part and 2, 4, 8, ... codes, up to ``usual_codes``. Then the number of parts grows, up to
    one part for each number of a vector. Then the number of codes doubles, up to ``most_codes``. A given number stays.
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
    """Finds the step of a ladder with the most bytes within the budget; among steps of equal bytes, the last.

    Args:
        steps: pairs of num_parts and num_codes.
        nbytes: computes the serving bytes of a step.
        budget_bytes: the most bytes allowed.

    Returns:
        The step; if all steps take more, the step with the fewest bytes.
    """
    sizes = [nbytes(*step) for step in steps]
    fitting = [(size, place) for place, size in enumerate(sizes) if size <= budget_bytes]
    return steps[max(fitting)[1] if fitting else sizes.index(min(sizes))]


def codes_nbytes(size: int, embedding_dim: int, num_parts: int, num_codes: int) -> int:
    """Counts the bytes of ``Codes``: packed codes of every id, and float32 codebooks."""
    parts, width = even_parts(embedding_dim, num_parts)
    return size * packed_width(parts, code_bits(num_codes)) + 4 * parts * num_codes * width


def split(vectors: Any, num_parts: int, width: int, xp: Any) -> Any:
    """Cuts vectors (n, d) into parts (n, num_parts, width). Zeros fill the last part."""
    lacking = num_parts * width - vectors.shape[-1]
    if lacking:
        vectors = xp.concatenate([vectors, xp.zeros_like(vectors[:, :lacking])], axis=-1)
    return xp.reshape(vectors, (-1, num_parts, width))


def entries(codebooks: Any, codes: Any, embedding_dim: int, xp: Any) -> Any:
    """Puts the codebook entries of codes side by side.

    Args:
        codebooks: (num_parts, num_codes, width).
        codes: int32 of shape (..., num_parts).
        embedding_dim: width to which the entries are cut.
        xp: ``numpy`` or ``keras.ops``.

    Returns:
        (..., embedding_dim).
    """
    parts, count, width = codebooks.shape
    # All parts are read by one gather, from one list of entries.
    row = codes + np.arange(0, parts * count, count, dtype=np.int32)
    found = xp.take(xp.reshape(codebooks, (parts * count, width)), row, axis=0)
    joined = xp.reshape(found, (*xp.shape(codes)[:-1], parts * width))
    return joined[..., :embedding_dim]


@dataclass
class CodesSettings:
    """Settings of ``Codes``."""

    num_parts: int = 1
    """Number of parts of a vector, as ``even_parts`` makes it."""

    num_codes: int = 1
    """Number of entries of a codebook."""


class Codes(Method[CodesSettings]):
    """vector(id) = codebook_1[c_1(id)], ..., codebook_D[c_D(id)], side by side, with codes that are packed into bytes.

    The codebooks are one array, so that one gather reads the entries of all parts. Their bytes count as tables: they
    are float vectors, of which a lookup reads rows.
    """

    Settings = CodesSettings

    def resolve(self, settings: CodesSettings) -> CodesSettings:
        """Returns the settings as they are: no size is open."""
        check_codes(self.embedding_dim, settings.num_parts, settings.num_codes)
        return settings

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of the codebooks: parts, codes, width of a part."""
        parts, width = even_parts(self.embedding_dim, self.settings.num_parts)
        return parts, self.settings.num_codes, width

    def tables(self) -> tuple[Array, ...]:
        """Describes ``codes``, the packed codes of each id: uint8 (vocabulary, bytes of an id)."""
        width = packed_width(self.shape[0], code_bits(self.settings.num_codes))
        return (Array("codes", (self.vocabulary.size, width), "uint8", kind=Kind.CODES),)

    def weights(self) -> tuple[Array, ...]:
        """Describes ``codebooks``: float32 (parts, codes, width of a part)."""
        return (Array("codebooks", self.shape, trainable=False),)

    def lookups(self, ids: Any, maps: Arrays, xp: Any) -> Lookups:
        """Reads the codes whose row number is the id."""
        return {"codes": int32(ids, xp)}

    def combine(self, rows: Arrays, indices: Arrays, weights: Arrays, xp: Any, training: bool) -> Any:
        """Puts the entries of the codes side by side."""
        codes = unpack(rows["codes"], self.shape[0], code_bits(self.settings.num_codes), xp)
        return entries(weights["codebooks"], codes, self.embedding_dim, xp)

    @classmethod
    def fit(
        cls, vocabulary: Any, embedding_dim: int, settings: CodesSettings, budget_bytes: int
    ) -> CodesSettings:
        """Returns the settings as they are: the method that is trained chooses the sizes."""
        return cls(vocabulary, embedding_dim, settings).within(budget_bytes)

    def packed(self, codes: np.ndarray, codebooks: np.ndarray) -> dict[str, np.ndarray]:
        """Makes the arrays of this form.

        Args:
            codes: integers of shape (vocabulary, parts).
            codebooks: float32 (parts, codes, width of a part).
        """
        return {"codes": pack(codes, code_bits(self.settings.num_codes)), "codebooks": codebooks}


@dataclass
class TieredCodesSettings(CodesSettings):
    """Settings of ``TieredCodes``."""

    num_cold_codes: int = 1
    """Number of codes that all ids may have, the first of each codebook."""

    num_hot: int = 1
    """Number of hot ids, which may have all codes."""


class TieredCodes(Codes):
    """``Codes`` with only the first num_cold_codes codes for most ids, so that the codes of these ids take fewer bits.

    One table holds the low bits of the codes of all ids: as many bits as num_cold_codes need. Another table holds the
    high bits of the codes of hot ids. Its rows are in the order of the ascending list of hot ids. A search by halving
    finds an id in this list.
    """

    Settings = TieredCodesSettings
    settings: TieredCodesSettings

    @property
    def bits(self) -> tuple[int, int]:
        """Numbers of low bits and of high bits of a code."""
        low = code_bits(self.settings.num_cold_codes)
        return low, max(0, code_bits(self.settings.num_codes) - low)

    def tables(self) -> tuple[Array, ...]:
        """Describes ``codes`` (vocabulary, bytes of low bits) and ``high`` (num_hot, bytes of high bits); uint8."""
        parts, (low, high) = self.shape[0], self.bits
        codes = Array("codes", (self.vocabulary.size, packed_width(parts, low)), "uint8", kind=Kind.CODES)
        if not high:
            return (codes,)
        shape = (self.settings.num_hot, packed_width(parts, high))
        return codes, Array("high", shape, "uint8", kind=Kind.CODES)

    def maps(self) -> tuple[Array, ...]:
        """Describes ``hot``, the hot ids, ascending: int32 (num_hot,)."""
        return (Array("hot", (self.settings.num_hot,), "int32", kind=Kind.MAPS),) if self.bits[1] else ()

    def lookups(self, ids: Any, maps: Arrays, xp: Any) -> Lookups:
        """Reads low bits at row id, and high bits at the id's place among the hot ids; ``is_hot`` is 0 or 1."""
        ids = int32(ids, xp)
        if not self.bits[1]:
            return {"codes": ids}
        place, is_hot = find_hot(ids, maps["hot"], xp)
        return {"codes": ids, "high": place, "is_hot": is_hot}

    def combine(self, rows: Arrays, indices: Arrays, weights: Arrays, xp: Any, training: bool) -> Any:
        """Puts the entries of the codes side by side."""
        parts, (low, high) = self.shape[0], self.bits
        codes = unpack(rows["codes"], parts, low, xp)
        if high:
            above = unpack(rows["high"], parts, high, xp) * xp.expand_dims(indices["is_hot"], -1)
            codes = codes + above * np.int32(1 << low)
        return entries(weights["codebooks"], codes, self.embedding_dim, xp)

    def packed(
        self, codes: np.ndarray, codebooks: np.ndarray, hot: np.ndarray | None = None
    ) -> dict[str, np.ndarray]:
        """Makes the arrays of this form.

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
    """Finds each id in an ascending list.

    Returns:
        Two int32 arrays: the id's place (any place if the id is missing), and 1 if the id is in the list, else 0.
    """
    place = xp.minimum(places(hot, ids, xp), np.int32(hot.shape[0] - 1))
    return place, int32(xp.take(hot, place, axis=0) == ids, xp)


def tiered_nbytes(
    size: int, embedding_dim: int, num_parts: int, num_codes: int, num_cold_codes: int, num_hot: int
) -> int:
    """Counts the bytes of ``TieredCodes``: low bits of all ids, high bits of hot ids, their list, and codebooks."""
    parts, width = even_parts(embedding_dim, num_parts)
    low = code_bits(num_cold_codes)
    high = max(0, code_bits(num_codes) - low)
    hot = num_hot * (packed_width(parts, high) + 4) if high else 0
    return size * packed_width(parts, low) + hot + 4 * parts * num_codes * width
