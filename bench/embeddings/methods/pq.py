"""Product quantization after training: each part of a trained vector becomes the number of its cluster."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from bench.embeddings.base import Vocabulary
from bench.embeddings.families.clusters import kmeans
from bench.embeddings.families.trained import OfFull
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
class PQSettings:
    """Settings of ``pq``."""

    num_parts: int | None = None
    """Number D of parts of a vector, each with its own codebook. None: 8, at most embedding_dim; under a budget, as
    many as fit."""

    num_codes: int | None = None
    """Entries of a codebook, at most 256 and the vocabulary. None: the largest power of two up to vocabulary / 64, from
    16 to 256."""


class PQ(OfFull[PQSettings]):
    """vector(id) = centroid_1[c_1(id)], ..., centroid_D[c_D(id)], side by side.

    ``full`` is trained. Its vectors are cut into D = num_parts parts. Each part of all ids is clustered by k-means into
    num_codes clusters. An id keeps the number of its cluster in each part, in ceil(log2 num_codes) bits.

    Parts are ceil(embedding_dim / num_parts) wide. Where that does not divide, the last one is narrower.

    Example:
        >>> import numpy as np
        >>> from bench.embeddings import PQEmbedding
        >>> layer = PQEmbedding(6040, 64, num_parts=8, num_codes=64)
        >>> layer(np.array([3, 6039])).shape  # trained as a full table
        TensorShape([2, 64])
        >>> layer.to_served()(np.array([3, 6039])).shape
        TensorShape([2, 64])
        >>> layer.method.nbytes  # 6 bytes an id, and the codebooks
        52624

    Reference:
        Jégou, Douze and Schmid, "Product quantization for nearest neighbor search", IEEE Transactions on Pattern
        Analysis and Machine Intelligence 33(1), 2011.
    """

    Settings = PQSettings
    family = "codes"

    def resolve(self, settings: PQSettings) -> PQSettings:
        """Chooses the numbers of parts and codes."""
        check_codes(self.embedding_dim, settings.num_parts, settings.num_codes)
        asked = min(USUAL_PARTS, self.embedding_dim) if settings.num_parts is None else settings.num_parts
        parts, _ = even_parts(self.embedding_dim, asked)
        codes = settings.num_codes or usual_codes(self.vocabulary.size)
        return replace(settings, num_parts=parts, num_codes=min(codes, self.vocabulary.size))

    def served(self) -> Codes:
        """Describes packed codes and the centroids."""
        parts, codes = self.settings.num_parts, self.settings.num_codes
        assert parts is not None and codes is not None
        return Codes(self.vocabulary, self.embedding_dim, CodesSettings(parts, codes))

    def serve(self, arrays: Mapping[str, np.ndarray], rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Clusters each part of the trained vectors."""
        form = self.served()
        parts, codes, width = form.shape
        table, numbers = arrays["table"], np.empty((self.vocabulary.size, parts), np.uint8)
        codebooks = np.empty((parts, codes, width), np.float32)
        for i in range(parts):  # one part at a time is copied; zeros fill the last
            own = table[:, i * width : (i + 1) * width]
            points = np.zeros((len(table), width), np.float32)
            points[:, : own.shape[1]] = own
            codebooks[i], numbers[:, i] = kmeans(points, codes, rng)
        return form.packed(numbers, codebooks)

    @classmethod
    def fit(
        cls, vocabulary: Vocabulary, embedding_dim: int, settings: PQSettings, budget_bytes: int
    ) -> PQSettings:
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


def usual_codes(size: int) -> int:
    """Returns the largest power of two up to size / 64, from 16 to 256; at most ``size``."""
    power = 1 << max(4, (size // 64).bit_length() - 1)
    return min(power, MAX_CODES, size)
