"""Product quantization after training: each part of a trained vector becomes the number of its cluster."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.embeddings.base import Method
from bench.embeddings.families.clusters import kmeans
from bench.embeddings.families.coded import Coded, InParts, PartsSettings
from bench.embeddings.families.trained import OfFull


@dataclass
class PQSettings(PartsSettings):
    """Settings of ``pq``."""

    fine_tune: bool = False
    """True trains on after the codes are found: the codebooks, and the model with them, for as many epochs again."""


class PQ(InParts[PQSettings], OfFull[PQSettings]):
    """vector(id) = centroid_1[c_1(id)], ..., centroid_D[c_D(id)], side by side.

    ``full`` is trained. Its vectors are cut into D = num_parts parts. Each part of all ids is clustered by k-means into
    num_codes clusters. An id keeps the number of its cluster in each part, in ceil(log2 num_codes) bits.

    With ``fine_tune``, the whole model goes on training from the parent's weights with these codes and centroids. The
    codes stay. The optimizer starts anew.

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

    def trained(self) -> Method[Any]:
        """Describes fixed codes and trained entries with ``fine_tune``, else the full table."""
        if not self.settings.fine_tune:
            return self.parent()
        return self._coded()

    def _coded(self) -> Coded[PartsSettings]:
        sizes = PartsSettings(self.settings.num_parts, self.settings.num_codes)
        return Coded(self.vocabulary, self.embedding_dim, sizes)

    def start(self, arrays: Mapping[str, np.ndarray], rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Clusters each part of the trained vectors."""
        return self._coded().trained(*self._clusters(arrays["table"], rng))

    def serve(self, arrays: Mapping[str, np.ndarray], rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Clusters each part of the trained vectors, unless that was done at the start."""
        if self.settings.fine_tune:
            return self._coded().serve(arrays, rng)
        return self.served().packed(*self._clusters(arrays["table"], rng))

    def _clusters(self, table: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        parts, codes, width = self.served().shape
        numbers = np.empty((self.vocabulary.size, parts), np.uint8)
        codebooks = np.empty((parts, codes, width), np.float32)
        for i in range(parts):  # one part at a time is copied; zeros fill the last
            own = table[:, i * width : (i + 1) * width]
            points = np.zeros((len(table), width), np.float32)
            points[:, : own.shape[1]] = own
            codebooks[i], numbers[:, i] = kmeans(points, codes, rng)
        return numbers, codebooks
