"""Codes found while training: a full table at first, then its clusters' centroids, trained on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from typing import Annotated

import numpy as np

from bench.config.typed import Range
from bench.embeddings.base import MAX_IDS, Array, Change, Kind, Progress
from bench.embeddings.families.clusters import kmeans
from bench.embeddings.families.coded import Coded, PartsSettings
from bench.errors import RequestError

QUARTERS = 4
"""Parts of a run of one epoch that count as epochs: on clicks, one pass is all of training."""


@dataclass
class MECSettings(PartsSettings):
    """Settings of ``mec``."""

    switch_share: Annotated[float, Range(low=0, high=1)] = 0.5
    """Share of the run's epochs that train a full table, rounded up to whole epochs, at least one. In the others the
    codebooks are trained. In a run of one epoch, its quarters count as epochs."""


class MEC(Coded[MECSettings]):
    """vector(id) = table[id] at first, then centroid_1[c_1(id)], ..., centroid_D[c_D(id)], side by side.

    A full table is trained for the first epochs. Then each part of its vectors is clustered by k-means into num_codes
    clusters, in which an id weighs max(1, log2 of its training frequency). An id keeps the number of its cluster in
    each part. The centroids take the place of the table, with moments that start anew, and are trained until the
    end. Without an epoch for them, codes are made at the end, and no centroid is trained.

    While it is trained, it takes at least the memory of a full table. Parts are ceil(embedding_dim / num_parts) wide.
    Where that does not divide, the last one is narrower.

    Example:
        >>> import numpy as np
        >>> from bench.embeddings import MECEmbedding
        >>> layer = MECEmbedding(6040, 64, num_parts=8, num_codes=64)
        >>> layer(np.array([3, 6039])).shape  # a full table at first
        TensorShape([2, 64])
        >>> layer.method.nbytes  # 6 bytes an id, and the codebooks
        52624

    Reference:
        Wang et al., "A universal framework for compressing embeddings in CTR prediction", 2025 (arXiv 2502.15355).
        There the codes come from a network over the trained table, and the model is trained anew.
    """

    Settings = MECSettings
    family = "codes"

    def resolve(self, settings: MECSettings) -> MECSettings:
        """Chooses the numbers of parts and codes."""
        chosen = super().resolve(settings)
        assert chosen.num_parts is not None
        if self.vocabulary.size * chosen.num_parts > MAX_IDS:
            raise RequestError(
                f"num_parts={chosen.num_parts}: the {self.vocabulary.size} ids of field {self.vocabulary.name} have "
                f"more than {MAX_IDS} parts; give at most {MAX_IDS // self.vocabulary.size}"
            )
        return chosen

    @property
    def num_entries(self) -> int:
        """Rows of the table for each part: one an id. Codebooks take the first num_codes of them."""
        return self.vocabulary.size

    def maps(self) -> tuple[Array, ...]:
        """Describes ``codes``, int32 (vocabulary, parts)."""
        return (Array("codes", (self.vocabulary.size, self.served().shape[0]), "int32", kind=Kind.CODES),)

    def build_maps(self) -> dict[str, np.ndarray]:
        """Gives each id entries of its own."""
        (codes,) = self.maps()
        own = np.arange(codes.shape[0], dtype=np.int32)[:, None]
        return {"codes": np.ascontiguousarray(np.broadcast_to(own, codes.shape))}

    def is_due(self, progress: Progress) -> bool:
        """Returns True at the end of the epoch of the switch, and of those after it, where nothing is left to do."""
        if progress.epochs > 1:
            epochs, number, has_ended = progress.epochs, progress.epoch, progress.epoch_ended
        else:
            epochs, number = QUARTERS, progress.step * QUARTERS // progress.steps
            has_ended = progress.passed(QUARTERS)
        return has_ended and number >= ceil(round(self.settings.switch_share * epochs, 9))

    def change(
        self, progress: Progress, arrays: Mapping[str, np.ndarray], rng: np.random.Generator
    ) -> Change:
        """Puts centroids in the place of the table, unless that has been done."""
        if self._is_coded(arrays):
            return Change({})
        return Change(self._coded(arrays, rng), reset_moments=True)

    def serve(self, arrays: Mapping[str, np.ndarray], rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Packs the codes. A table that has none yet is clustered before."""
        return super().serve(arrays if self._is_coded(arrays) else self._coded(arrays, rng), rng)

    def _is_coded(self, arrays: Mapping[str, np.ndarray]) -> bool:
        """Tells codes from the ids' own entries; with as many codes as ids, these are codes."""
        return int(arrays["codes"].max()) < self.served().shape[1]

    def _coded(self, arrays: Mapping[str, np.ndarray], rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Clusters each part of a full table."""
        size, (parts, codes, width) = self.vocabulary.size, self.served().shape
        counts = self.vocabulary.counts
        weights = None if counts is None else np.maximum(1.0, np.log2(np.maximum(counts, 1)))
        table = arrays["entries"].reshape(size, parts, width).copy()
        table[:, -1, width - (parts * width - self.embedding_dim) :] = 0  # numbers that no vector has
        numbers, books = np.empty((size, parts), np.int32), np.empty((parts, codes, width), np.float32)
        for j in range(parts):
            books[j], numbers[:, j] = kmeans(np.ascontiguousarray(table[:, j]), codes, rng, weights=weights)
        return self.trained(numbers, books)
