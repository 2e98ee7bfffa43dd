"""Joint product quantization: codes from which ids occur together, fixed before training; codebooks learned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np

from bench.config.typed import Range
from bench.embeddings.base import Pairs
from bench.embeddings.families.coded import Coded, PartsSettings

POWER_ITERATIONS = 5
"""Power iterations of the randomized singular value decomposition."""


@dataclass
class RecJPQSettings(PartsSettings):
    """Settings of ``recjpq``."""

    code_source: Literal["svd", "random"] = "svd"
    """Where codes come from. ``svd``: singular vectors of the training rows. ``random``: a draw."""

    code_seed: Annotated[int, Range(low=0)] = 0
    """Seed of the codes: of draws among equal numbers, and of the codes that are drawn."""


class RecJPQ(Coded[RecJPQSettings]):
    """vector(id) = entry_1[c_1(id)], ..., entry_D[c_D(id)], side by side, with codes c_j that training does not change.

    A is a matrix of 0 and 1 with a row for each id and a column for each id of the other field, of several the one with
    the most ids: 1 where the two occur in a training row. U are its first D left singular vectors. Ids are ranked by
    their number in column j of U, and c_j(id) = floor(num_codes rank / n). So ids that occur with the same others have
    the same codes, and every code of a part has equally many ids. Equal numbers are ranked by a draw.

    Ids without a training row get random codes, and so do all ids in parts beyond the rank of A. A layer made without
    data has random codes only; ``Vocabulary.pairs`` gives the rows.

    Parts are ceil(embedding_dim / num_parts) wide. Where that does not divide, the last one is narrower.

    Example:
        >>> import numpy as np
        >>> from bench.embeddings import RecJPQEmbedding
        >>> layer = RecJPQEmbedding(6040, 64, num_parts=8, num_codes=256)
        >>> layer(np.array([3, 6039])).shape
        TensorShape([2, 64])
        >>> layer.method.nbytes  # 8 bytes an id, and the codebooks
        113856

    Reference:
        Petrov and Macdonald, "RecJPQ: training large-catalogue sequential recommenders", WSDM 2024 (arXiv 2312.06165).
        There the numbers get noise in place of a draw among equal ones.
    """

    Settings = RecJPQSettings
    family = "codes"

    def build_maps(self) -> dict[str, np.ndarray]:
        """Ranks the ids in each part."""
        size, (parts, codes, _) = self.vocabulary.size, self.served().shape
        rng = self.vocabulary.generator(self.settings.code_seed)
        numbers = rng.random((size, parts), np.float32)
        seen = np.zeros(size, bool)
        pairs = self.vocabulary.pairs
        found = pairs() if pairs is not None and self.settings.code_source == "svd" else ()
        if found:
            widest = max(found, key=lambda one: one.size)
            seen[widest.ids] = True
            vectors = singular_vectors(widest, size, parts, rng)
            numbers[:, : vectors.shape[1]] = np.where(seen[:, None], vectors, numbers[:, : vectors.shape[1]])
        out = np.empty((size, parts), np.uint8)
        for group in (seen, ~seen):
            out[group] = quantiles(numbers[group], codes, rng)
        return {"codes": out}


def singular_vectors(pairs: Pairs, size: int, count: int, rng: np.random.Generator) -> np.ndarray:
    """Computes the first left singular vectors of the matrix that is 1 where two ids occur in a training row, else 0.

    They are found by a randomized decomposition (Halko, Martinsson and Tropp, 2011).

    Args:
        pairs: the training rows.
        size: number of ids.
        count: number of vectors. If the matrix has fewer rows or columns, there are as many vectors as these.
        rng: draws the starts.

    Returns:
        float32 (size, vectors).
    """
    from scipy.sparse import coo_matrix
    from sklearn.utils.extmath import randomized_svd
    from threadpoolctl import threadpool_limits

    ones = np.ones(len(pairs.ids), np.float32)
    matrix = coo_matrix((ones, (pairs.ids, pairs.others)), shape=(size, pairs.size)).tocsr()
    matrix.data[:] = 1  # rows that occur twice have been added up
    start = int(rng.integers(2**31))
    # One thread: the order in which several threads add changes the last bit.
    with threadpool_limits(1):
        vectors, _, _ = randomized_svd(
            matrix, min(count, *matrix.shape), n_iter=POWER_ITERATIONS, random_state=start
        )
    return np.asarray(vectors, np.float32)


def quantiles(numbers: np.ndarray, num_codes: int, rng: np.random.Generator) -> np.ndarray:
    """Cuts each column into ranges of equally many numbers: floor(num_codes rank / n).

    Args:
        numbers: float32 (n, columns).
        num_codes: number of ranges, at most 256.
        rng: draws the order of equal numbers.

    Returns:
        The number of the range, uint8 (n, columns).
    """
    count = len(numbers)
    out = np.empty(numbers.shape, np.uint8)
    ranges = (np.arange(count) * num_codes // max(1, count)).astype(np.uint8)
    for j, column in enumerate(numbers.T):
        out[np.lexsort((rng.random(count), column)), j] = ranges
    return out
