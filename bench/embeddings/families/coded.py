"""Methods that serve ``Codes``: how their sizes are chosen, and the form that trains entries under codes that stay."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np

from bench.embeddings.base import Array, Arrays, Kind, Lookups, Method, Vocabulary, int32
from bench.embeddings.families.rows import joined
from bench.embeddings.served.codes import (
    MAX_CODES,
    Codes,
    CodesSettings,
    check_codes,
    codes_nbytes,
    even_parts,
    highest,
    ladder,
)

USUAL_PARTS = 8
"""Parts of a vector without a budget."""


@dataclass
class PartsSettings:
    """Settings of methods that serve ``Codes``."""

    num_parts: int | None = None
    """Number D of parts of a vector, each with its own codebook. None: 8, at most embedding_dim; under a budget, as
    many as fit."""

    num_codes: int | None = None
    """Entries of a codebook, at most 256 and the vocabulary. None: the largest power of two up to vocabulary / 64, from
    16 to 256."""


P = TypeVar("P", bound=PartsSettings)


class InParts(Method[P]):
    """A method that serves ``Codes``, with two sizes to choose: parts of a vector and entries of a codebook."""

    def resolve(self, settings: P) -> P:
        """Chooses the numbers of parts and codes."""
        check_codes(self.embedding_dim, settings.num_parts, settings.num_codes)
        asked = min(USUAL_PARTS, self.embedding_dim) if settings.num_parts is None else settings.num_parts
        parts, _ = even_parts(self.embedding_dim, asked)
        codes = settings.num_codes or usual_codes(self.vocabulary.size)
        return replace(settings, num_parts=parts, num_codes=min(codes, self.vocabulary.size))

    def served(self) -> Codes:
        """Describes packed codes and codebooks."""
        parts, codes = self.settings.num_parts, self.settings.num_codes
        assert parts is not None and codes is not None
        return Codes(self.vocabulary, self.embedding_dim, CodesSettings(parts, codes))

    @classmethod
    def fit(cls, vocabulary: Vocabulary, embedding_dim: int, settings: P, budget_bytes: int) -> P:
        """Chooses the most parts within the bytes, with fewer or more codes if the parts are at their limit."""
        check_codes(embedding_dim, settings.num_parts, settings.num_codes)
        size = vocabulary.size
        given = None if settings.num_codes is None else min(settings.num_codes, size)
        steps = ladder(embedding_dim, settings.num_parts, given, usual_codes(size), min(MAX_CODES, size))
        parts, codes = highest(
            steps, lambda parts, codes: codes_nbytes(size, embedding_dim, parts, codes), budget_bytes
        )
        chosen = replace(settings, num_parts=parts, num_codes=codes)
        return cls(vocabulary, embedding_dim, chosen).within(budget_bytes)


class Coded(InParts[P]):
    """vector(id) = entry_1[c_1(id)], ..., entry_D[c_D(id)], side by side; the entries are trained, the codes are not.

    The entries of all parts are one table: row ``c D + j`` is entry c of part j.
    """

    Settings = PartsSettings

    @property
    def num_entries(self) -> int:
        """Rows of the table for each part."""
        assert self.settings.num_codes is not None
        return self.settings.num_codes

    def tables(self) -> tuple[Array, ...]:
        """Describes ``entries``, (num_entries parts, width of a part)."""
        parts, _, width = self.served().shape
        return (Array("entries", (self.num_entries * parts, width)),)

    def maps(self) -> tuple[Array, ...]:
        """Describes ``codes``, uint8 (vocabulary, parts)."""
        return (Array("codes", (self.vocabulary.size, self.served().shape[0]), "uint8", kind=Kind.CODES),)

    def lookups(self, ids: Any, maps: Arrays, xp: Any) -> Lookups:
        """Reads the entry of each part's code."""
        parts = np.int32(self.served().shape[0])
        codes = int32(xp.take(maps["codes"], ids, axis=0), xp)
        return {"entries": codes * parts + np.arange(parts, dtype=np.int32)}

    def combine(self, rows: Arrays, indices: Arrays, weights: Arrays, xp: Any, training: bool) -> Any:
        """Puts the entries side by side."""
        return joined(rows["entries"], self.embedding_dim, xp)

    def serve(self, arrays: Mapping[str, np.ndarray], rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Packs the codes, and cuts the entries into codebooks."""
        form = self.served()
        parts, codes, width = form.shape
        books = arrays["entries"][: codes * parts].reshape(codes, parts, width).transpose(1, 0, 2)
        return form.packed(arrays["codes"].astype(np.uint8), np.ascontiguousarray(books))

    def trained(self, codes: np.ndarray, codebooks: np.ndarray) -> dict[str, np.ndarray]:
        """Makes the arrays of this form.

        Args:
            codes: integers of shape (vocabulary, parts).
            codebooks: float32 (parts, codes, width of a part).
        """
        (table,), (numbers,) = self.tables(), self.maps()
        entries = np.zeros(table.shape, np.float32)
        rows = np.ascontiguousarray(codebooks.transpose(1, 0, 2)).reshape(-1, table.shape[1])
        entries[: len(rows)] = rows
        return {"entries": entries, "codes": codes.astype(numbers.dtype)}


def usual_codes(size: int) -> int:
    """Returns the largest power of two up to size / 64, from 16 to 256; at most ``size``."""
    power = 1 << max(4, (size // 64).bit_length() - 1)
    return min(power, MAX_CODES, size)
