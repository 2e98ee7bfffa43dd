"""Compressed embeddings: one file a method, and one Keras layer for all of them.

``CompressedEmbedding``, a constructor for each method (``FullEmbedding``, ``QREmbedding``, ``MDEmbedding``, ...) and
``Embedding``, which makes a layer of any method, are imported from here. Keras is imported when the first of them is
used.
"""

# Written by python -m bench.embeddings.stubs: change the methods, not this file.

from collections.abc import Sequence
from typing import Any, Literal

from numpy.typing import ArrayLike

from bench.config.files import choices
from bench.embeddings.layer import CompressedEmbedding, Embedding
from bench.embeddings.registry import find, names, read, settings_class

__all__ = [
    "AdaEmbedEmbedding",
    "AdaptEmbedding",
    "AlptEmbedding",
    "AutoSrhEmbedding",
    "BloomEmbedding",
    "CAFEEmbedding",
    "CCEEmbedding",
    "CEEmbedding",
    "CERPEmbedding",
    "CompressedEmbedding",
    "DHEEmbedding",
    "DPQEmbedding",
    "DQRMEmbedding",
    "DeepLightEmbedding",
    "Embedding",
    "Float16Embedding",
    "Float8Embedding",
    "FullEmbedding",
    "HashEmbedding",
    "HashEmbeddingEmbedding",
    "HashedNetEmbedding",
    "Int16Embedding",
    "Int8Embedding",
    "LowRankEmbedding",
    "MDEmbedding",
    "MECEmbedding",
    "MGQEEmbedding",
    "PEPEmbedding",
    "PQEmbedding",
    "PTQInt2Embedding",
    "PTQInt4Embedding",
    "PTQInt8Embedding",
    "PruneEmbedding",
    "QREmbedding",
    "ROBEEmbedding",
    "RecJPQEmbedding",
    "SVDEmbedding",
    "SparseCodingEmbedding",
    "TTEmbedding",
    "TrainedFloat8Embedding",
    "choices",
    "find",
    "names",
    "read",
    "settings_class",
]

def AdaEmbedEmbedding(
    vocabulary_size: int,
    embedding_dim: int = 64,
    *,
    counts: ArrayLike | None = None,
    field: str = "ids",
    seed: int | None = None,
    name: str | None = None,
    dtype: Any = None,
    num_hot: int | None = None,
    num_checks: int = 40,
    change_end: float = 0.9,
    decay: float = 0.9,
    advantage: float = 1.0,
    min_change: float = 0.05,
) -> CompressedEmbedding:
    """AdaEmbed: rows for the ids that matter, which are found while training; all other vectors are zero.

    vector(id) = table[r] for an id with row r, and zero for all others.

    At first the num_hot most frequent ids of the training rows have rows. A step adds to the score of every id that it
    reads the norm of the gradient at its vector, over the mean norm of the batch: also where the vector is zero. At the
    first end of a chunk after each of num_checks equal parts of the run, up to ``change_end``, the num_hot highest
    scores are found. If more than ``min_change`` of the rows would go to other ids, they do: such rows become zero, and
    their moments start anew.

    Training holds one row more, which ids without a row read, and one score an id. Where all ids have rows the method
    is ``full``.

    Args:
        vocabulary_size: Number of ids. Valid ids are 0 to vocabulary_size - 1.
        embedding_dim: Width of the vectors.
        counts: Training frequency of each id, integers of shape (vocabulary_size,). None: ids are
            sorted by falling frequency.
        field: Name of the field. Messages show it, and hashes depend on it.
        seed: Makes the initial values depend on this number and the field's name alone. None: Keras's
            global seed decides.
        name: Name of the layer.
        dtype: Type of the vectors, or a Keras dtype policy. None: Keras's default.
        num_hot: Number of ids with a row, at least 1. None: a tenth of the vocabulary.
        num_checks: The hot ids are chosen anew at the first end of a chunk after each of num_checks
            equal parts of the run. A run that reads few ids beside those that there are has fewer
            parts: 2 for as many reads as ids, and at least 2.
        change_end: Share of the run's steps after which the hot ids stay.
        decay: Factor that multiplies all scores at each check.
        advantage: Factor that multiplies the scores of hot ids, only to be compared.
        min_change: Share of the hot ids. If no more of them would change, all stay.

    Returns:
        A ``CompressedEmbedding``: it turns integers (...) into vectors (..., embedding_dim).

    Raises:
        RequestError: a setting does not work for this vocabulary and width.

    Example:
        >>> import numpy as np
        >>> from bench.embeddings import AdaEmbedEmbedding
        >>> layer = AdaEmbedEmbedding(6040, 64, num_hot=600)
        >>> layer(np.array([3, 6039])).shape
        TensorShape([2, 64])
        >>> layer.method.nbytes
        156000

    Reference:
        Lai et al., "AdaEmbed: adaptive embedding for large-scale recommendation models", 2023 (OSDI). The rows of its
        first ids are not defined there.
    """

def AdaptEmbedding(
    vocabulary_size: int,
    embedding_dim: int = 64,
    *,
    counts: ArrayLike | None = None,
    field: str = "ids",
    seed: int | None = None,
    name: str | None = None,
    dtype: Any = None,
    num_hot: int | None = None,
    num_cold: int | None = None,
) -> CompressedEmbedding:
    """Hot and cold ids: own rows for the most frequent ids, shared rows for the rest.

    vector(id) = table[p] for the p-th hot id, and table[num_hot + j mod num_cold] for the j-th cold id.

    The hot ids are the most frequent in training, of equally frequent ones the smallest. p and j count from 0 in the
    order of ids. The only map is the ascending list of hot ids: the number of them below an id gives both p and j.
    Where all ids are hot, or all are cold, there is no list.

    Args:
        vocabulary_size: Number of ids. Valid ids are 0 to vocabulary_size - 1.
        embedding_dim: Width of the vectors.
        counts: Training frequency of each id, integers of shape (vocabulary_size,). None: ids are
            sorted by falling frequency.
        field: Name of the field. Messages show it, and hashes depend on it.
        seed: Makes the initial values depend on this number and the field's name alone. None: Keras's
            global seed decides.
        name: Name of the layer.
        dtype: Type of the vectors, or a Keras dtype policy. None: Keras's default.
        num_hot: Number of hot ids, the most frequent in training: each has its own row. None: just
            under half of a tenth of the vocabulary, or a twentieth of it where num_cold is given.
        num_cold: Number of rows that all other ids share. None: the rest of a tenth of the vocabulary,
            or a tenth of the cold ids where num_hot is given; at least 1.

    Returns:
        A ``CompressedEmbedding``: it turns integers (...) into vectors (..., embedding_dim).

    Raises:
        RequestError: a setting does not work for this vocabulary and width.

    Example:
        >>> import numpy as np
        >>> from bench.embeddings import AdaptEmbedding
        >>> counts = np.random.default_rng(0).zipf(1.2, 6040)  # how often each id is trained on
        >>> layer = AdaptEmbedding(6040, 64, counts=counts, num_hot=300, num_cold=300)
        >>> layer(np.array([3, 6039])).shape
        TensorShape([2, 64])
        >>> layer.method.nbytes
        154800

    Reference:
        Zhang et al., "Model size reduction using frequency based double hashing for recommender systems", 2020 (arXiv
        2007.14523), with one remainder in place of the double hash.
    """

def AlptEmbedding(
    vocabulary_size: int,
    embedding_dim: int = 64,
    *,
    counts: ArrayLike | None = None,
    field: str = "ids",
    seed: int | None = None,
    name: str | None = None,
    dtype: Any = None,
    bits: int | None = None,
    scale: float | None = None,
    scale_rate: float = 2.0,
) -> CompressedEmbedding:
    """Adaptive low-precision training: a table of small integers with a learned scale a row.

    vector(id) = s k, with a scale s for each id and integers k of ``bits`` bits.

    A row of the trained table holds embedding_dim numbers w and a further number t, with s = scale exp(scale_rate t).
    So row and scale are read and updated together, and the scale has its own learning rate. After each update w becomes
    s floor(w / s + u), clipped to the range of the integers, with u drawn from U[0, 1) for each number.

    In the forward pass, k = clip(round(w / s)). By straight-through, the gradient of s k by w is 1 inside the range and
    0 outside. By s it is k - w / s inside the range, and the end of the range outside. The paper computes the gradient
    of the scale in a second pass, at rows that are updated and not yet rounded. Here one pass computes both: between a
    row's roundings, momentum moves it off the grid, and the gradient of the scale sees that.

    Args:
        vocabulary_size: Number of ids. Valid ids are 0 to vocabulary_size - 1.
        embedding_dim: Width of the vectors.
        counts: Training frequency of each id, integers of shape (vocabulary_size,). None: ids are
            sorted by falling frequency.
        field: Name of the field. Messages show it, and hashes depend on it.
        seed: Makes the initial values depend on this number and the field's name alone. None: Keras's
            global seed decides.
        name: Name of the layer.
        dtype: Type of the vectors, or a Keras dtype policy. None: Keras's default.
        bits: Bits of an integer, from 2 to 8. None: 8; under a budget, as many as fit.
        scale: Scale of every row at the start. None: 0.08 / 2^(bits / 2), which is 0.005 for 8 bits and
            0.02 for 4.
        scale_rate: Learning rate of the logarithm of the scales, as a multiple of the vectors'. 0 keeps
            the scales constant.

    Returns:
        A ``CompressedEmbedding``: it turns integers (...) into vectors (..., embedding_dim).

    Raises:
        RequestError: a setting does not work for this vocabulary and width.

    Example:
        >>> import numpy as np
        >>> from bench.embeddings import AlptEmbedding
        >>> layer = AlptEmbedding(6040, 64, bits=4)
        >>> layer(np.array([3, 6039])).shape
        TensorShape([2, 64])
        >>> layer.method.nbytes  # 32 bytes of integers and 4 of the scale an id
        217440

    Reference:
        Li, Guo, Hou, Zhang, Tang, Tang, Zhang and Li, "Adaptive low-precision training for embeddings in click-through
        rate prediction", 2023 (arXiv 2212.05735). Esser et al., "Learned step size quantization", 2020 (arXiv
        1902.08153): the gradient of the scale.
    """

def AutoSrhEmbedding(
    vocabulary_size: int,
    embedding_dim: int = 64,
    *,
    counts: ArrayLike | None = None,
    field: str = "ids",
    seed: int | None = None,
    name: str | None = None,
    dtype: Any = None,
    nnz: int | None = None,
    density: float | None = None,
    num_groups: int = 6,
    search_share: float = 0.5,
    gate_l1: float = 1e-05,
) -> CompressedEmbedding:
    """AutoSrh: trained gates by popularity and column find the weights of a full table to keep.

    vector(id)[j] = table[id, j] gates[group(id), j], with a gate from 0 to 1 for each group of ids and column.

    Ids are in groups by their training frequency: of the ids, sorted by rising frequency, each group has an equal part,
    and equally frequent ids are in one group. All gates begin at 1. They are trained with the table, and clipped to
    [0, 1] after each update.

    After ``search_share`` of the run's steps, the ``nnz`` products with the largest magnitudes are kept, of equal ones
    the first. The table becomes these products, and the rest of the run trains it without gates and with all other
    weights 0. The optimizer's moments stay.

    The paper trains the gates on validation rows, which no method here may read, and trains again from the start.

    Training holds one byte a weight in addition to ``full``'s table with its moments.

    Args:
        vocabulary_size: Number of ids. Valid ids are 0 to vocabulary_size - 1.
        embedding_dim: Width of the vectors.
        counts: Training frequency of each id, integers of shape (vocabulary_size,). None: ids are
            sorted by falling frequency.
        field: Name of the field. Messages show it, and hashes depend on it.
        seed: Makes the initial values depend on this number and the field's name alone. None: Keras's
            global seed decides.
        name: Name of the layer.
        dtype: Type of the vectors, or a Keras dtype policy. None: Keras's default.
        nnz: Number of weights that are kept. None: by ``density``; under a budget, as many as fit.
        density: Share of the weights that is kept. None: by ``nnz`` or the budget; without both 0.1.
        num_groups: Number of groups of ids with about equally many ids, by how often they are trained
            on. At most 256.
        search_share: Share of the run's steps in which gates look for the weights to keep. The rest
            trains these.
        gate_l1: Factor of the sum of an id's gates, which is added to the loss as its mean over a
            batch.

    Returns:
        A ``CompressedEmbedding``: it turns integers (...) into vectors (..., embedding_dim).

    Raises:
        RequestError: a setting does not work for this vocabulary and width.

    Example:
        >>> import numpy as np
        >>> from bench.embeddings import AutoSrhEmbedding
        >>> layer = AutoSrhEmbedding(6040, 64, density=0.05)
        >>> layer(np.array([3, 6039])).shape
        TensorShape([2, 64])
        >>> layer.method.nbytes
        120804

    Reference:
        Kong, Cheng, Shen and Huang, "AutoSrh: an embedding dimensionality search framework for tabular data
        prediction", 2022 (IEEE Transactions on Knowledge and Data Engineering).
    """

def BloomEmbedding(
    vocabulary_size: int,
    embedding_dim: int = 64,
    *,
    counts: ArrayLike | None = None,
    field: str = "ids",
    seed: int | None = None,
    name: str | None = None,
    dtype: Any = None,
    num_rows: int | None = None,
    num_hashes: int = 2,
    hash_seed: int = 0,
    num_hot: int = 0,
    hot_share: float = 0.0,
) -> CompressedEmbedding:
    """Bloom embeddings: a vector is the mean of a few hashed rows of one table.

    vector(id) = (table[h_1(id)] + ... + table[h_k(id)]) / k, with k independent hashes h_j to num_rows rows.

    Two ids share a vector only where all their k rows are the same. Rows begin sqrt(k) times as spread as those of a
    full table. So their means begin as spread as its rows.

    Args:
        vocabulary_size: Number of ids. Valid ids are 0 to vocabulary_size - 1.
        embedding_dim: Width of the vectors.
        counts: Training frequency of each id, integers of shape (vocabulary_size,). None: ids are
            sorted by falling frequency.
        field: Name of the field. Messages show it, and hashes depend on it.
        seed: Makes the initial values depend on this number and the field's name alone. None: Keras's
            global seed decides.
        name: Name of the layer.
        dtype: Type of the vectors, or a Keras dtype policy. None: Keras's default.
        num_rows: Rows of the table, at most one an id. None: a tenth of the vocabulary.
        num_hashes: Number k of hashes: how many rows a vector is the mean of.
        hash_seed: Seed of the hashes. With another one, other ids share a row.
        num_hot: Number of hot ids, the most frequent in training: each has its own row, in front of the
            method. 0: none; under a budget, by hot_share.
        hot_share: Share of a budget that hot rows take, with the list of their ids; the method takes
            the rest. 0: by num_hot.

    Returns:
        A ``CompressedEmbedding``: it turns integers (...) into vectors (..., embedding_dim).

    Raises:
        RequestError: a setting does not work for this vocabulary and width.

    Example:
        >>> import numpy as np
        >>> from bench.embeddings import BloomEmbedding
        >>> layer = BloomEmbedding(6040, 64, num_rows=604, num_hashes=3)
        >>> layer(np.array([3, 6039])).shape
        TensorShape([2, 64])
        >>> layer.method.nbytes
        154720

    Reference:
        Serra and Karatzoglou, "Getting deep recommenders fit: Bloom embeddings for sparse binary input/output
        networks", 2017 (arXiv 1706.03993).
    """

def CAFEEmbedding(
    vocabulary_size: int,
    embedding_dim: int = 64,
    *,
    counts: ArrayLike | None = None,
    field: str = "ids",
    seed: int | None = None,
    name: str | None = None,
    dtype: Any = None,
    num_hot: int | None = None,
    num_checks: int = 40,
    change_end: float = 0.9,
    decay: float = 0.9974,
    advantage: float = 1.1,
    min_change: float = 0.0,
    num_cold: int | None = None,
    hot_share: float = 0.5,
    hash_seed: int = 0,
) -> CompressedEmbedding:
    """CAFE: ids that matter are found while training and get rows of their own, the rest share rows.

    vector(id) = table[r] for a hot id with row r, and table[num_hot + h(id)] for all others.

    h is a hash to num_cold rows. No id is hot at first. A step adds to the score of an id the norm of the gradient at
    its vector, over the mean norm of the batch. At the first end of a chunk after each of num_checks equal parts of the
    run, up to ``change_end``, the ids with the num_hot highest scores become hot: of equal scores the smallest ids, and
    at the first check, of ids not read so far, the most frequent. An id that becomes hot begins with a copy of its
    shared row, so that its vector stays, and with new moments. An id that is hot no longer goes back to its shared row;
    its own values are lost.

    Scores are exact, one number an id while it is trained. The published sketch in place of them keeps scores of some
    ids alone, and a threshold decides in place of a rank.

    The list of hot ids is served as in ``adapt``. Where all ids are hot the method is ``full``, and where none is
    ``hash``.

    Args:
        vocabulary_size: Number of ids. Valid ids are 0 to vocabulary_size - 1.
        embedding_dim: Width of the vectors.
        counts: Training frequency of each id, integers of shape (vocabulary_size,). None: ids are
            sorted by falling frequency.
        field: Name of the field. Messages show it, and hashes depend on it.
        seed: Makes the initial values depend on this number and the field's name alone. None: Keras's
            global seed decides.
        name: Name of the layer.
        dtype: Type of the vectors, or a Keras dtype policy. None: Keras's default.
        num_hot: Number of hot ids, each with its own row. None: as many as hot_share gives, of a tenth
            of the vocabulary or of the budget; where num_cold is given without a budget, a twentieth of
            the vocabulary.
        num_checks: The hot ids are chosen anew at the first end of a chunk after each of num_checks
            equal parts of the run. A run that reads few ids beside those that there are has fewer
            parts: 2 for as many reads as ids, and at least 2.
        change_end: Share of the run's steps after which the hot ids stay.
        decay: Factor that multiplies all scores at each check.
        advantage: Factor that multiplies the scores of hot ids, only to be compared: it keeps ids of
            near equal scores where they are.
        min_change: Share of the hot ids. If no more of them would change, all stay.
        num_cold: Number of rows that all other ids share. None: the rest of the rows; where num_hot is
            given without a budget, a tenth of the other ids; at least 1.
        hot_share: Share of the bytes of rows and list that hot ids take, where neither number is given.
        hash_seed: Seed of the hash. With another one, other ids share a row.

    Returns:
        A ``CompressedEmbedding``: it turns integers (...) into vectors (..., embedding_dim).

    Raises:
        RequestError: a setting does not work for this vocabulary and width.

    Example:
        >>> import numpy as np
        >>> from bench.embeddings import CAFEEmbedding
        >>> layer = CAFEEmbedding(6040, 64, num_hot=300, num_cold=300)
        >>> layer(np.array([3, 6039])).shape
        TensorShape([2, 64])
        >>> layer.method.nbytes
        154832

    Reference:
        Zhang et al., "CAFE: towards compact, adaptive, and fast embedding for large-scale recommendation models", 2024
        (arXiv 2312.03256).
    """

def CCEEmbedding(
    vocabulary_size: int,
    embedding_dim: int = 64,
    *,
    counts: ArrayLike | None = None,
    field: str = "ids",
    seed: int | None = None,
    name: str | None = None,
    dtype: Any = None,
    num_rows: int | None = None,
    num_chunks: int | None = None,
    clustering_end: float = 0.75,
    hash_seed: int = 0,
) -> CompressedEmbedding:
    """Clustered compositional embeddings: a vector is the sum of a hashed row and the row of a learned cluster.

    Chunk i of vector(id) = T0_i[pointer(id, i)] + T1_i[h_i(id)].

    At first the pointers are hashes too. At the end of an epoch, chunk i of all ids is clustered by k-means into
    num_rows clusters. The centroids become T0, and the pointer of an id is its cluster. h_i is drawn anew. In each of
    its buckets, T1 becomes the mean difference between vectors and centroids; an empty bucket is zero. The optimizer's
    moments of both tables start anew.

    A pointer is stored for each id and chunk, in the smallest of uint8, uint16 and int32 that holds num_rows. Of h_i
    the coefficients are stored. Chunks are ceil(embedding_dim / num_chunks) wide; where that does not divide, the last
    one is narrower.

    Args:
        vocabulary_size: Number of ids. Valid ids are 0 to vocabulary_size - 1.
        embedding_dim: Width of the vectors.
        counts: Training frequency of each id, integers of shape (vocabulary_size,). None: ids are
            sorted by falling frequency.
        field: Name of the field. Messages show it, and hashes depend on it.
        seed: Makes the initial values depend on this number and the field's name alone. None: Keras's
            global seed decides.
        name: Name of the layer.
        dtype: Type of the vectors, or a Keras dtype policy. None: Keras's default.
        num_rows: Rows of each of the two tables, in each chunk, at most one an id. None: vocabulary //
            20, and at least the square root of the vocabulary, rounded up; under a budget, as many as
            fit.
        num_chunks: Chunks of a vector. Each has its own rows, clusters and hash. None: 4, at most
            embedding_dim; under a budget, the most of 4, 2 and 1 with which the tables take at least as
            many bytes as the pointers.
        clustering_end: Ids are clustered at the end of each epoch whose number is below this share of
            the epochs; never after the last.
        hash_seed: Seed of the hashes that training begins with.

    Returns:
        A ``CompressedEmbedding``: it turns integers (...) into vectors (..., embedding_dim).

    Raises:
        RequestError: a setting does not work for this vocabulary and width.

    Example:
        >>> import numpy as np
        >>> from bench.embeddings import CCEEmbedding
        >>> layer = CCEEmbedding(6040, 64, num_rows=200)
        >>> layer(np.array([3, 6039])).shape
        TensorShape([2, 64])
        >>> layer.method.nbytes  # two tables, a byte an id and chunk, four hashes
        126688

    Reference:
        Tsang and Ahle, "Clustering the sketch: dynamic compression for embedding tables", 2023 (arXiv 2210.05974).
    """

def CEEmbedding(
    vocabulary_size: int,
    embedding_dim: int = 64,
    *,
    counts: ArrayLike | None = None,
    field: str = "ids",
    seed: int | None = None,
    name: str | None = None,
    dtype: Any = None,
    num_rows: int | None = None,
    num_chunks: int | None = None,
    one_table: bool = False,
    hash_seed: int = 0,
) -> CompressedEmbedding:
    """Compositional embeddings: a vector is a few hashed pieces side by side.

    vector(id) = table[h_0(id), 0], ..., table[h_{k-1}(id), k-1], side by side.

    h_c are k = num_chunks independent hashes to num_rows rows. Two ids share a whole vector only where all k hashes
    agree: num_rows ** k vectors can be told apart.

    With one_table, all chunks have one table of num_chunks num_rows rows, which each hash reaches as a whole. For all
    fields of the data (``share=all``) that is the unified embedding. One chunk is ``hash``.

    A chunk is ceil(embedding_dim / num_chunks) wide. There are only as many chunks as fill embedding_dim, and the
    columns of the last one beyond it are cut off. A width of 50 is 4 chunks of 13, with 2 columns of the last unused. A
    width of 5 is 3 chunks of 2. The resolved settings hold the number of chunks.

    Args:
        vocabulary_size: Number of ids. Valid ids are 0 to vocabulary_size - 1.
        embedding_dim: Width of the vectors.
        counts: Training frequency of each id, integers of shape (vocabulary_size,). None: ids are
            sorted by falling frequency.
        field: Name of the field. Messages show it, and hashes depend on it.
        seed: Makes the initial values depend on this number and the field's name alone. None: Keras's
            global seed decides.
        name: Name of the layer.
        dtype: Type of the vectors, or a Keras dtype policy. None: Keras's default.
        num_rows: Rows that each chunk has, at most one an id. None: a tenth of the vocabulary.
        num_chunks: Number of pieces of a vector. None: 4, or 2 with one_table. Where it does not divide
            the width, see ``CE``.
        one_table: True lets all chunks read the rows of all, as the unified embedding does: the same
            bytes, and one table.
        hash_seed: Seed of the hashes. With another one, other ids share a row.

    Returns:
        A ``CompressedEmbedding``: it turns integers (...) into vectors (..., embedding_dim).

    Raises:
        RequestError: a setting does not work for this vocabulary and width.

    Example:
        >>> import numpy as np
        >>> from bench.embeddings import CEEmbedding
        >>> layer = CEEmbedding(6040, 64, num_rows=604, num_chunks=4)
        >>> layer(np.array([3, 6039])).shape
        TensorShape([2, 64])
        >>> layer.method.nbytes
        154752

    Reference:
        Shi et al., "Compositional embeddings using complementary partitions for memory-efficient recommendation
        systems", 2019 (arXiv 1909.02107): its concatenation, with independent hashes as partitions. one_table: Coleman
        et al., "Unified embedding: battle-tested feature representations for web-scale ML systems", 2023 (arXiv
        2305.12102).
    """

def CERPEmbedding(
    vocabulary_size: int,
    embedding_dim: int = 64,
    *,
    counts: ArrayLike | None = None,
    field: str = "ids",
    seed: int | None = None,
    name: str | None = None,
    dtype: Any = None,
    num_rows: int | None = None,
    density: float = 0.5,
    search_share: float = 0.3,
    threshold: float = 0.02,
    threshold_rate: float = 100.0,
    reward: float = 1.0,
) -> CompressedEmbedding:
    """CERP: an id's vector is the sum of rows of two small tables, which are pruned while they are trained.

    vector(id) = P[id mod b] + Q[id // ceil(vocabulary / b)], with b = num_rows and two sparse tables.

    No two ids read the same two rows, because b * b is at least the vocabulary.

    During the search, each weight v is shrunk to sign(v) max(|v| - s, 0), with the threshold s of its table and column;
    see ``pep``. To the loss is added - gamma mean(tanh(100 vector)^2), a reward for sums without zeros. So the zeros of
    one table fall where the other has none. gamma falls from ``reward`` to 0 by the end of the search.

    Then the weights with the largest |v| - s are kept, the same number in each table, and of equal ones the first. The
    tables and their moments start anew from U(-0.05, 0.05), and the rest of the run trains the weights that are kept.
    Where the search lasts to the end of the run, they stay as the search has left them.

    The paper has a threshold for each weight, adds up the reward over a batch, halves gamma in each epoch, and begins
    anew from the first values.

    Args:
        vocabulary_size: Number of ids. Valid ids are 0 to vocabulary_size - 1.
        embedding_dim: Width of the vectors.
        counts: Training frequency of each id, integers of shape (vocabulary_size,). None: ids are
            sorted by falling frequency.
        field: Name of the field. Messages show it, and hashes depend on it.
        seed: Makes the initial values depend on this number and the field's name alone. None: Keras's
            global seed decides.
        name: Name of the layer.
        dtype: Type of the vectors, or a Keras dtype policy. None: Keras's default.
        num_rows: Rows b of each table, at most one an id. None: vocabulary // 50, and at least the
            smallest number that tells all ids apart; under a budget, as many as fit.
        density: Share of the weights of each table that is kept.
        search_share: Share of the run's steps in which thresholds look for the weights to keep. The
            rest trains these.
        threshold: Thresholds at the start, in units of the weights, which begin below 0.05.
        threshold_rate: Learning rate of the thresholds, as a multiple of the run's.
        reward: Weight of the reward for sums without zeros at the start. It falls to 0 by the end of
            the search.

    Returns:
        A ``CompressedEmbedding``: it turns integers (...) into vectors (..., embedding_dim).

    Raises:
        RequestError: a setting does not work for this vocabulary and width.

    Example:
        >>> import numpy as np
        >>> from bench.embeddings import CERPEmbedding
        >>> layer = CERPEmbedding(6040, 64, num_rows=120)
        >>> layer(np.array([3, 6039])).shape
        TensorShape([2, 64])
        >>> layer.method.nbytes  # of each table: 3,840 numbers, a bit for each place, and where each row begins
        33600

    Reference:
        Liang, Chen, Nguyen, Li and Yin, "Learning compact compositional embeddings via regularized pruning for
        recommendation", 2023 (arXiv 2309.03518).
    """

def DHEEmbedding(
    vocabulary_size: int,
    embedding_dim: int = 64,
    *,
    counts: ArrayLike | None = None,
    field: str = "ids",
    seed: int | None = None,
    name: str | None = None,
    dtype: Any = None,
    num_hashes: int | None = None,
    width: int | None = None,
    num_layers: int = 2,
    activation: Literal["mish", "relu"] = "mish",
    normalization: bool = True,
    hash_seed: int = 0,
    num_hot: int = 0,
    hot_share: float = 0.0,
) -> CompressedEmbedding:
    """Deep hash embeddings: a network computes the vector from many hashes of the id, without any table.

    vector(id) = x_L W + b with x_0 = 2 h(id) / (2^31 - 2) - 1 and x_l = f(norm(x_(l-1) W_l + b_l)).

    h are num_hashes independent hashes of degree 1, so that x_0 is uniform in [-1, 1]. L is num_layers, and f the
    activation.

    norm is layer normalization, g (y - mean) / sqrt(variance + 1e-5) + o over the numbers of one id. The paper uses
    batch normalization, which needs running means: they are no function of the id. A width of 1 has no normalization,
    which would make every number zero.

    Nothing is stored for an id, so that the size does not depend on the vocabulary. Vectors begin about as spread as
    those of a full table.

    Args:
        vocabulary_size: Number of ids. Valid ids are 0 to vocabulary_size - 1.
        embedding_dim: Width of the vectors.
        counts: Training frequency of each id, integers of shape (vocabulary_size,). None: ids are
            sorted by falling frequency.
        field: Name of the field. Messages show it, and hashes depend on it.
        seed: Makes the initial values depend on this number and the field's name alone. None: Keras's
            global seed decides.
        name: Name of the layer.
        dtype: Type of the vectors, or a Keras dtype policy. None: Keras's default.
        num_hashes: Number of hashes of the id, which the network reads. None: eight times the width, at
            most 1024.
        width: Outputs of each hidden layer. None: the most, from 1 to 1024, with which the bytes are at
            most a quarter of the full table's.
        num_layers: Number of hidden layers.
        activation: Activation of each hidden layer: ``mish``, x tanh(ln(1 + e^x)), or ``relu``.
        normalization: True normalizes the outputs of each hidden layer over the layer, before the
            activation.
        hash_seed: Seed of the hashes.
        num_hot: Number of hot ids, the most frequent in training: each has its own row, in front of the
            method. 0: none; under a budget, by hot_share.
        hot_share: Share of a budget that hot rows take, with the list of their ids; the method takes
            the rest. 0: by num_hot.

    Returns:
        A ``CompressedEmbedding``: it turns integers (...) into vectors (..., embedding_dim).

    Raises:
        RequestError: a setting does not work for this vocabulary and width.

    Example:
        >>> import numpy as np
        >>> from bench.embeddings import DHEEmbedding
        >>> layer = DHEEmbedding(6040, 64, num_hashes=256, width=64)
        >>> layer(np.array([3, 6039])).shape
        TensorShape([2, 64])
        >>> layer.method.nbytes
        104192

    Reference:
        Kang et al., "Learning to embed categorical features without embedding tables for recommendation", 2021 (arXiv
        2010.10784).
    """

def DPQEmbedding(
    vocabulary_size: int,
    embedding_dim: int = 64,
    *,
    counts: ArrayLike | None = None,
    field: str = "ids",
    seed: int | None = None,
    name: str | None = None,
    dtype: Any = None,
    num_parts: int | None = None,
    num_codes: int | None = None,
    form: Literal["vq", "softmax"] = "vq",
    penalty_weight: float = 1.0,
) -> CompressedEmbedding:
    """Differentiable product quantization: codes and codebooks that are learned with the model.

    vector(id) = value_1[c_1(id)], ..., value_D[c_D(id)], with c_j(id) the key of part j that fits query[id] best.

    A full table of queries is trained together with the keys of each part. With ``vq``, the best key is the nearest,
    and the keys are the values. With ``softmax``, the best key has the highest product with the query, and the values
    are a codebook of their own. The codes and the values serve.

    The choice of a key has no gradient. With ``vq``, the query gets the gradient of the vector (straight through), and
    the key its own; penalty_weight |sg(query) - key|^2 is added to the loss, as a mean over the batch, where sg stops
    the gradient. With ``softmax``, the gradient is that of the mean of all values, weighted by the softmax of the
    scores.

    The paper normalizes scores by the statistics of batches. That needs state, which a method does not have. ``vq`` is
    not normalized here. ``softmax`` normalizes the scores of each query over the keys, which changes no choice.

    Args:
        vocabulary_size: Number of ids. Valid ids are 0 to vocabulary_size - 1.
        embedding_dim: Width of the vectors.
        counts: Training frequency of each id, integers of shape (vocabulary_size,). None: ids are
            sorted by falling frequency.
        field: Name of the field. Messages show it, and hashes depend on it.
        seed: Makes the initial values depend on this number and the field's name alone. None: Keras's
            global seed decides.
        name: Name of the layer.
        dtype: Type of the vectors, or a Keras dtype policy. None: Keras's default.
        num_parts: Number D of parts of a vector, each with its own codebook. None: 8, at most
            embedding_dim; under a budget, as many as fit.
        num_codes: Entries of a codebook, at most 256 and the vocabulary. None: 32.
        form: The choice of codes. ``vq``: the key nearest to the query, which is also what serves.
            ``softmax``: the key with the highest product with the query; a value of its own serves.
        penalty_weight: Weight in the loss of the squared distance between queries and their keys. Used
            by ``vq`` only.

    Returns:
        A ``CompressedEmbedding``: it turns integers (...) into vectors (..., embedding_dim).

    Raises:
        RequestError: a setting does not work for this vocabulary and width.

    Example:
        >>> import numpy as np
        >>> from bench.embeddings import DPQEmbedding
        >>> layer = DPQEmbedding(6040, 64, num_parts=8, num_codes=32)
        >>> layer(np.array([3, 6039])).shape
        TensorShape([2, 64])
        >>> layer.method.nbytes  # 5 bytes an id, and the codebooks; the queries do not serve
        38392

    Reference:
        Chen, Li and Sun, "Differentiable product quantization for end-to-end embedding compression", 2020 (arXiv
        1908.09756).
    """

def DQRMEmbedding(
    vocabulary_size: int,
    embedding_dim: int = 64,
    *,
    counts: ArrayLike | None = None,
    field: str = "ids",
    seed: int | None = None,
    name: str | None = None,
    dtype: Any = None,
    bits: int | None = None,
    granularity: Literal["row", "table"] = "row",
) -> CompressedEmbedding:
    """DQRM: a table whose rows are read as small integers while it is trained in float32.

    vector(id) = s k(id), with integers k = clip(round(table[id] / s)) of ``bits`` bits and a step s.

    The table is trained in float32. Only what a step reads is rounded, and the gradient passes the rounding unchanged,
    also where it clips.

    s = max |table[id]| / (2^(bits - 1) - 1), with the maximum as float16, as it serves. With ``granularity=table`` the
    maximum is that of the whole table, as float32. It is taken after the first chunk of steps and 20 times in the run;
    before, it is 0.05, the bound of the numbers at the start.

    Args:
        vocabulary_size: Number of ids. Valid ids are 0 to vocabulary_size - 1.
        embedding_dim: Width of the vectors.
        counts: Training frequency of each id, integers of shape (vocabulary_size,). None: ids are
            sorted by falling frequency.
        field: Name of the field. Messages show it, and hashes depend on it.
        seed: Makes the initial values depend on this number and the field's name alone. None: Keras's
            global seed decides.
        name: Name of the layer.
        dtype: Type of the vectors, or a Keras dtype policy. None: Keras's default.
        bits: Bits of an integer, from 2 to 8. None: 8; under a budget, as many as fit.
        granularity: The numbers that share a step. ``row``: those of an id. ``table``: all, as
            published.

    Returns:
        A ``CompressedEmbedding``: it turns integers (...) into vectors (..., embedding_dim).

    Raises:
        RequestError: a setting does not work for this vocabulary and width.

    Example:
        >>> import numpy as np
        >>> from bench.embeddings import DQRMEmbedding
        >>> layer = DQRMEmbedding(6040, 64, bits=4)
        >>> layer(np.array([3, 6039])).shape
        TensorShape([2, 64])
        >>> layer.method.nbytes  # 32 bytes of integers and 2 of the step an id
        205360

    Reference:
        Zhou, Dong, Chan, Kalamkar, Marculescu and Keutzer, "DQRM: deep quantized recommendation models", 2024 (arXiv
        2410.20046).
    """

def DeepLightEmbedding(
    vocabulary_size: int,
    embedding_dim: int = 64,
    *,
    counts: ArrayLike | None = None,
    field: str = "ids",
    seed: int | None = None,
    name: str | None = None,
    dtype: Any = None,
    nnz: int | None = None,
    density: float | None = None,
    warmup_share: float = 0.0,
    damping: float = 0.001,
) -> CompressedEmbedding:
    """DeepLight: a full table that is pruned little by little while it is trained.

    vector(id) = table[id], where at the end all weights but the ``nnz`` with the largest magnitudes are zero.

    The share of the weights that is zero grows during training. With e = ``damping``, and u from 0 at the end of the
    warm-up to 1 at the end of the run, it is

        (1 - density) (1 - e^u) / (1 - e)

    Weights are set to zero at the ends of chunks of steps, those with the smallest magnitudes first. They may grow
    again: the table, its gradients and the optimizer's moments stay whole. The paper prunes every 10 steps, and a chunk
    has hundreds. So a weight that grows again counts as zero until it is as large as the smallest weight that was kept.
    Before the end of training, more than ``nnz`` weights are nonzero; the ``nnz`` largest of them serve.

    Args:
        vocabulary_size: Number of ids. Valid ids are 0 to vocabulary_size - 1.
        embedding_dim: Width of the vectors.
        counts: Training frequency of each id, integers of shape (vocabulary_size,). None: ids are
            sorted by falling frequency.
        field: Name of the field. Messages show it, and hashes depend on it.
        seed: Makes the initial values depend on this number and the field's name alone. None: Keras's
            global seed decides.
        name: Name of the layer.
        dtype: Type of the vectors, or a Keras dtype policy. None: Keras's default.
        nnz: Number of weights that are kept. None: by ``density``; under a budget, as many as fit.
        density: Share of the weights that is kept. None: by ``nnz`` or the budget; without both 0.1.
        warmup_share: Share of the run's steps before the first weight is pruned.
        damping: Value of the damping factor D^k at the end of the run. A smaller one prunes more
            weights early. The published 0.99^(step / 100) reaches the default after 68,700 steps.

    Returns:
        A ``CompressedEmbedding``: it turns integers (...) into vectors (..., embedding_dim).

    Raises:
        RequestError: a setting does not work for this vocabulary and width.

    Example:
        >>> import numpy as np
        >>> from bench.embeddings import DeepLightEmbedding
        >>> layer = DeepLightEmbedding(6040, 64, density=0.05)
        >>> layer(np.array([3, 6039])).shape
        TensorShape([2, 64])
        >>> layer.method.nbytes
        120804

    Reference:
        Deng, Pan, Zhou, Kong, Flores and Lin, "DeepLight: deep lightweight feature interactions for accelerating CTR
        predictions in ad serving", 2021 (arXiv 2002.06987).
    """

def Float16Embedding(
    vocabulary_size: int,
    embedding_dim: int = 64,
    *,
    counts: ArrayLike | None = None,
    field: str = "ids",
    seed: int | None = None,
    name: str | None = None,
    dtype: Any = None,
) -> CompressedEmbedding:
    """Half precision: a trained full table, kept as float16.

    vector(id) = float32(float16(table[id])), with a trained full table.

    Half precision has 11 significant bits. Numbers from 6.1e-5 to 65,504 change by at most 1 part in 2,048.

    Args:
        vocabulary_size: Number of ids. Valid ids are 0 to vocabulary_size - 1.
        embedding_dim: Width of the vectors.
        counts: Training frequency of each id, integers of shape (vocabulary_size,). None: ids are
            sorted by falling frequency.
        field: Name of the field. Messages show it, and hashes depend on it.
        seed: Makes the initial values depend on this number and the field's name alone. None: Keras's
            global seed decides.
        name: Name of the layer.
        dtype: Type of the vectors, or a Keras dtype policy. None: Keras's default.

    Returns:
        A ``CompressedEmbedding``: it turns integers (...) into vectors (..., embedding_dim).

    Raises:
        RequestError: a setting does not work for this vocabulary and width.

    Example:
        >>> import numpy as np
        >>> from bench.embeddings import Float16Embedding
        >>> layer = Float16Embedding(6040, 64)
        >>> layer(np.array([3, 6039])).shape  # trained as a full table
        TensorShape([2, 64])
        >>> layer.to_served()(np.array([3, 6039])).shape
        TensorShape([2, 64])
        >>> layer.method.nbytes
        773120

    Reference:
        IEEE 754, "Standard for floating-point arithmetic", 2008: binary16.
    """

def Float8Embedding(
    vocabulary_size: int,
    embedding_dim: int = 64,
    *,
    counts: ArrayLike | None = None,
    field: str = "ids",
    seed: int | None = None,
    name: str | None = None,
    dtype: Any = None,
    kind: Literal["fp8", "nfp8"] = "nfp8",
    scaled: bool = True,
) -> CompressedEmbedding:
    """Floating-point numbers of eight bits: a trained full table, each number as a byte.

    vector(id)[j] = the float8 number nearest to table[id, j], with a trained full table.

    Float8 has four significant bits: numbers that are not near 0 change by at most 1 part in 16. See
    ``bench.embeddings.served.eight_bits``. All 256 numbers are stored once, as 1,024 bytes.

    Args:
        vocabulary_size: Number of ids. Valid ids are 0 to vocabulary_size - 1.
        embedding_dim: Width of the vectors.
        counts: Training frequency of each id, integers of shape (vocabulary_size,). None: ids are
            sorted by falling frequency.
        field: Name of the field. Messages show it, and hashes depend on it.
        seed: Makes the initial values depend on this number and the field's name alone. None: Keras's
            global seed decides.
        name: Name of the layer.
        dtype: Type of the vectors, or a Keras dtype policy. None: Keras's default.
        kind: The numbers. ``fp8``: the largest is 240. ``nfp8``: the largest exponent is used too, up
            to 448.
        scaled: Whether the table is divided by a power of two: the smallest with which its largest
            magnitude is in range. It costs no bytes, because the 256 numbers are stored with it. False:
            numbers beyond the range become its ends.

    Returns:
        A ``CompressedEmbedding``: it turns integers (...) into vectors (..., embedding_dim).

    Raises:
        RequestError: a setting does not work for this vocabulary and width.

    Example:
        >>> import numpy as np
        >>> from bench.embeddings import Float8Embedding
        >>> layer = Float8Embedding(6040, 64)
        >>> layer(np.array([3, 6039])).shape  # trained as a full table
        TensorShape([2, 64])
        >>> layer.to_served()(np.array([3, 6039])).shape
        TensorShape([2, 64])
        >>> layer.method.nbytes  # a byte a number, and the list of all numbers
        387584

    Reference:
        Micikevicius et al., "FP8 formats for deep learning", 2022 (arXiv 2209.05433).
    """

def FullEmbedding(
    vocabulary_size: int,
    embedding_dim: int = 64,
    *,
    counts: ArrayLike | None = None,
    field: str = "ids",
    seed: int | None = None,
    name: str | None = None,
    dtype: Any = None,
    initializer: Literal["uniform", "normal", "tiny", "glorot_uniform", "glorot_normal", "zeros"] = "uniform",
) -> CompressedEmbedding:
    """The uncompressed table: one row an id.

    vector(id) = table[id], with a table of vocabulary x embedding_dim float32 numbers.

    All other methods are compared with it.

    Args:
        vocabulary_size: Number of ids. Valid ids are 0 to vocabulary_size - 1.
        embedding_dim: Width of the vectors.
        counts: Training frequency of each id, integers of shape (vocabulary_size,). None: ids are
            sorted by falling frequency.
        field: Name of the field. Messages show it, and hashes depend on it.
        seed: Makes the initial values depend on this number and the field's name alone. None: Keras's
            global seed decides.
        name: Name of the layer.
        dtype: Type of the vectors, or a Keras dtype policy. None: Keras's default.
        initializer: The Keras initializer of the table; ``uniform`` is U(-0.05, 0.05), ``tiny`` N(0,
            0.0001^2).

    Returns:
        A ``CompressedEmbedding``: it turns integers (...) into vectors (..., embedding_dim).

    Raises:
        RequestError: a setting does not work for this vocabulary and width.

    Example:
        >>> import numpy as np
        >>> from bench.embeddings import FullEmbedding
        >>> layer = FullEmbedding(6040, 64)
        >>> layer(np.array([3, 6039])).shape
        TensorShape([2, 64])
        >>> layer.method.nbytes
        1546240

    Reference:
        The layer is ``keras.layers.Embedding`` with the checks and the size of the others.
    """

def HashEmbedding(
    vocabulary_size: int,
    embedding_dim: int = 64,
    *,
    counts: ArrayLike | None = None,
    field: str = "ids",
    seed: int | None = None,
    name: str | None = None,
    dtype: Any = None,
    num_rows: int | None = None,
    hash_seed: int = 0,
    num_hot: int = 0,
    hot_share: float = 0.0,
) -> CompressedEmbedding:
    """The hashing trick: ids share the rows of one small table.

    vector(id) = table[h(id)], with a random hash h to num_rows rows.

    Ids with the same row share their vector.

    Args:
        vocabulary_size: Number of ids. Valid ids are 0 to vocabulary_size - 1.
        embedding_dim: Width of the vectors.
        counts: Training frequency of each id, integers of shape (vocabulary_size,). None: ids are
            sorted by falling frequency.
        field: Name of the field. Messages show it, and hashes depend on it.
        seed: Makes the initial values depend on this number and the field's name alone. None: Keras's
            global seed decides.
        name: Name of the layer.
        dtype: Type of the vectors, or a Keras dtype policy. None: Keras's default.
        num_rows: Rows of the table, at most one an id. None: a tenth of the vocabulary.
        hash_seed: Seed of the hashes. With another one, other ids share a row.
        num_hot: Number of hot ids, the most frequent in training: each has its own row, in front of the
            method. 0: none; under a budget, by hot_share.
        hot_share: Share of a budget that hot rows take, with the list of their ids; the method takes
            the rest. 0: by num_hot.

    Returns:
        A ``CompressedEmbedding``: it turns integers (...) into vectors (..., embedding_dim).

    Raises:
        RequestError: a setting does not work for this vocabulary and width.

    Example:
        >>> import numpy as np
        >>> from bench.embeddings import HashEmbedding
        >>> layer = HashEmbedding(6040, 64, num_rows=604)
        >>> layer(np.array([3, 6039])).shape
        TensorShape([2, 64])
        >>> layer.method.nbytes  # 604 rows of 64 float32 numbers, and the hash
        154656

    Reference:
        Weinberger et al., "Feature hashing for large scale multitask learning", 2009 (arXiv 0902.2206).
    """

def HashEmbeddingEmbedding(
    vocabulary_size: int,
    embedding_dim: int = 64,
    *,
    counts: ArrayLike | None = None,
    field: str = "ids",
    seed: int | None = None,
    name: str | None = None,
    dtype: Any = None,
    num_rows: int | None = None,
    num_weight_rows: int | None = None,
    num_hashes: int = 2,
    hash_seed: int = 0,
) -> CompressedEmbedding:
    """Hash embeddings: a few hashed rows of one table, weighted by importances that are learned.

    vector(id) = w_1 table[h_1(id)] + ... + w_k table[h_k(id)], with w = importance[g(id)].

    h_j are k independent hashes to num_rows rows, and g is a hash to num_weight_rows rows. Where every id has its own
    row of importances, g(id) = id.

    Importances begin at 1. Rows begin such that their sums are as spread as the rows of a full table.

    By default num_weight_rows is the vocabulary or num_rows * embedding_dim // k, whichever is smaller, and at least
    1. Importances take k numbers an id. They tell apart the ids that share their rows, and take at most half of the
    bytes.

    Args:
        vocabulary_size: Number of ids. Valid ids are 0 to vocabulary_size - 1.
        embedding_dim: Width of the vectors.
        counts: Training frequency of each id, integers of shape (vocabulary_size,). None: ids are
            sorted by falling frequency.
        field: Name of the field. Messages show it, and hashes depend on it.
        seed: Makes the initial values depend on this number and the field's name alone. None: Keras's
            global seed decides.
        name: Name of the layer.
        dtype: Type of the vectors, or a Keras dtype policy. None: Keras's default.
        num_rows: Rows of the table of vectors, at most one an id. None: a tenth of the vocabulary.
        num_weight_rows: Rows of the table of importances, at most one an id. None: one an id; where
            that takes more numbers than the table of vectors, as many as take no more.
        num_hashes: Number k of hashes: how many rows of the table of vectors an id reads.
        hash_seed: Seed of the hashes. With another one, other ids share a row.

    Returns:
        A ``CompressedEmbedding``: it turns integers (...) into vectors (..., embedding_dim).

    Raises:
        RequestError: a setting does not work for this vocabulary and width.

    Example:
        >>> import numpy as np
        >>> from bench.embeddings import HashEmbeddingEmbedding
        >>> layer = HashEmbeddingEmbedding(6040, 64, num_rows=604)
        >>> layer(np.array([3, 6039])).shape
        TensorShape([2, 64])
        >>> layer.method.nbytes
        203040

    Reference:
        Svenstrup, Hansen and Winther, "Hash embeddings for efficient word representations", 2017 (arXiv 1709.03933).
    """

def HashedNetEmbedding(
    vocabulary_size: int,
    embedding_dim: int = 64,
    *,
    counts: ArrayLike | None = None,
    field: str = "ids",
    seed: int | None = None,
    name: str | None = None,
    dtype: Any = None,
    num_weights: int | None = None,
    signs: bool = False,
    hash_seed: int = 0,
) -> CompressedEmbedding:
    """Hashed networks: every number of a virtual full table is hashed into one array.

    vector(id)[j] = s(id, j) M[h(id, j)], with an array M of num_weights numbers.

    s is 1, or with ``signs`` 1 or -1.

    The hashes have two levels, so that a few coefficients make embedding_dim of them. First u = f(id), with f of degree
    3. Then v_j = (b_j + a_j u) mod p, with a_j = f_a(j) and b_j = f_b(j). h is v_j scaled to num_weights, and s its
    lowest bit. The places of any two numbers of the virtual table are independent, except for ids with the same u: 1
    pair in 2^31.

    Args:
        vocabulary_size: Number of ids. Valid ids are 0 to vocabulary_size - 1.
        embedding_dim: Width of the vectors.
        counts: Training frequency of each id, integers of shape (vocabulary_size,). None: ids are
            sorted by falling frequency.
        field: Name of the field. Messages show it, and hashes depend on it.
        seed: Makes the initial values depend on this number and the field's name alone. None: Keras's
            global seed decides.
        name: Name of the layer.
        dtype: Type of the vectors, or a Keras dtype policy. None: Keras's default.
        num_weights: Numbers in the array, at most those of a full table. None: a tenth of these.
        signs: True multiplies each number by 1 or -1, by its hash, as in the paper. Products of vectors
            with random signs have no common mean, so that a model that scores by such products learns
            late or not at all.
        hash_seed: Seed of the hashes. With another one, other numbers are shared.

    Returns:
        A ``CompressedEmbedding``: it turns integers (...) into vectors (..., embedding_dim).

    Raises:
        RequestError: a setting does not work for this vocabulary and width.

    Example:
        >>> import numpy as np
        >>> from bench.embeddings import HashedNetEmbedding
        >>> layer = HashedNetEmbedding(6040, 64, num_weights=38_656)
        >>> layer(np.array([3, 6039])).shape
        TensorShape([2, 64])
        >>> layer.method.nbytes
        154720

    Reference:
        Chen, Wilson, Tyree, Weinberger and Chen, "Compressing neural networks with the hashing trick", 2015 (arXiv
        1504.04788), for the weights of an embedding.
    """

def Int16Embedding(
    vocabulary_size: int,
    embedding_dim: int = 64,
    *,
    counts: ArrayLike | None = None,
    field: str = "ids",
    seed: int | None = None,
    name: str | None = None,
    dtype: Any = None,
    scale: float = 0.0001,
) -> CompressedEmbedding:
    """A table of 16-bit integers, trained as such by stochastic rounding.

    vector(id) = scale codes[id], with integers of 16 bits.

    The table is trained as float32 numbers, which are rounded stochastically after each update: see
    ``bench.embeddings.families.rounded``.

    Args:
        vocabulary_size: Number of ids. Valid ids are 0 to vocabulary_size - 1.
        embedding_dim: Width of the vectors.
        counts: Training frequency of each id, integers of shape (vocabulary_size,). None: ids are
            sorted by falling frequency.
        field: Name of the field. Messages show it, and hashes depend on it.
        seed: Makes the initial values depend on this number and the field's name alone. None: Keras's
            global seed decides.
        name: Name of the layer.
        dtype: Type of the vectors, or a Keras dtype policy. None: Keras's default.
        scale: Distance of neighbouring numbers. The default reaches from about -3.27 to 3.27.

    Returns:
        A ``CompressedEmbedding``: it turns integers (...) into vectors (..., embedding_dim).

    Raises:
        RequestError: a setting does not work for this vocabulary and width.

    Example:
        >>> import numpy as np
        >>> from bench.embeddings import Int16Embedding
        >>> layer = Int16Embedding(6040, 64)
        >>> layer(np.array([3, 6039])).shape
        TensorShape([2, 64])
        >>> layer.method.nbytes
        773120

    Reference:
        Gupta, Agrawal, Gopalakrishnan and Narayanan, "Deep learning with limited numerical precision", 2015 (arXiv
        1502.02551).
    """

def Int8Embedding(
    vocabulary_size: int,
    embedding_dim: int = 64,
    *,
    counts: ArrayLike | None = None,
    field: str = "ids",
    seed: int | None = None,
    name: str | None = None,
    dtype: Any = None,
    scale: float = 0.005,
) -> CompressedEmbedding:
    """A table of 8-bit integers, trained as such by stochastic rounding.

    vector(id) = scale codes[id], with integers of 8 bits.

    The table is trained as float32 numbers, which are rounded stochastically after each update: see
    ``bench.embeddings.families.rounded``.

    Args:
        vocabulary_size: Number of ids. Valid ids are 0 to vocabulary_size - 1.
        embedding_dim: Width of the vectors.
        counts: Training frequency of each id, integers of shape (vocabulary_size,). None: ids are
            sorted by falling frequency.
        field: Name of the field. Messages show it, and hashes depend on it.
        seed: Makes the initial values depend on this number and the field's name alone. None: Keras's
            global seed decides.
        name: Name of the layer.
        dtype: Type of the vectors, or a Keras dtype policy. None: Keras's default.
        scale: Distance of neighbouring numbers. The default reaches from about -0.64 to 0.64.

    Returns:
        A ``CompressedEmbedding``: it turns integers (...) into vectors (..., embedding_dim).

    Raises:
        RequestError: a setting does not work for this vocabulary and width.

    Example:
        >>> import numpy as np
        >>> from bench.embeddings import Int8Embedding
        >>> layer = Int8Embedding(6040, 64)
        >>> layer(np.array([3, 6039])).shape
        TensorShape([2, 64])
        >>> layer.method.nbytes
        386560

    Reference:
        Gupta, Agrawal, Gopalakrishnan and Narayanan, "Deep learning with limited numerical precision", 2015 (arXiv
        1502.02551).
    """

def LowRankEmbedding(
    vocabulary_size: int,
    embedding_dim: int = 64,
    *,
    counts: ArrayLike | None = None,
    field: str = "ids",
    seed: int | None = None,
    name: str | None = None,
    dtype: Any = None,
    rank: int | None = None,
) -> CompressedEmbedding:
    """Low rank: a narrow table and one projection to the width of the vectors.

    vector(id) = table[id] P, with a table of vocabulary x rank and a projection P of rank x embedding_dim.

    The table begins as U(-0.05, 0.05) / 4, and P with a standard deviation of 4 / sqrt(rank). So vectors begin as
    spread as those of a full table, and a step of the table moves them four times as far. Without that factor the
    product of two small matrices would grow too slowly at the learning rate that suits a full table.

    The rank of a table of n rows is at most n. So a rank above the vocabulary is of no use.

    Args:
        vocabulary_size: Number of ids. Valid ids are 0 to vocabulary_size - 1.
        embedding_dim: Width of the vectors.
        counts: Training frequency of each id, integers of shape (vocabulary_size,). None: ids are
            sorted by falling frequency.
        field: Name of the field. Messages show it, and hashes depend on it.
        seed: Makes the initial values depend on this number and the field's name alone. None: Keras's
            global seed decides.
        name: Name of the layer.
        dtype: Type of the vectors, or a Keras dtype policy. None: Keras's default.
        rank: Width of the table, at most embedding_dim and the vocabulary. None: embedding_dim // 4,
            and at least 1.

    Returns:
        A ``CompressedEmbedding``: it turns integers (...) into vectors (..., embedding_dim).

    Raises:
        RequestError: a setting does not work for this vocabulary and width.

    Example:
        >>> import numpy as np
        >>> from bench.embeddings import LowRankEmbedding
        >>> layer = LowRankEmbedding(6040, 64, rank=16)
        >>> layer(np.array([3, 6039])).shape
        TensorShape([2, 64])
        >>> layer.method.nbytes
        390656

    Reference:
        Lan et al., "ALBERT: a lite BERT for self-supervised learning of language representations", 2019 (arXiv
        1909.11942), section 3.1.
    """

def MDEmbedding(
    vocabulary_size: int,
    embedding_dim: int = 64,
    *,
    counts: ArrayLike | None = None,
    field: str = "ids",
    seed: int | None = None,
    name: str | None = None,
    dtype: Any = None,
    block_splits: Sequence[float] = [0.108, 0.4587],
    block_dims: Sequence[int] | None = None,
    alpha: float | None = None,
    power_of_two: bool = True,
    projection_bias: bool = True,
) -> CompressedEmbedding:
    """Mixed-dimension embeddings: wide vectors for popular ids, narrow ones for rare ids.

    vector(id) = block_b[r] K_b + c_b, with b the block of the id and r its row there.

    Blocks as wide as the vectors have no projection. Ids are ranked by falling training frequency, equally frequent
    ones by id. A share s cuts at s * vocabulary, rounded to the nearest (a half up) and at least 1. Cuts beyond the
    vocabulary lie at its end. A block without ids is left out, together with its width. The resolved settings hold the
    blocks that remain.

    Row 0 of every block is an out-of-vocabulary row, in addition to one row an id. An id reads row 0 of the blocks that
    it is not in, and these rows are masked out.

    Args:
        vocabulary_size: Number of ids. Valid ids are 0 to vocabulary_size - 1.
        embedding_dim: Width of the vectors.
        counts: Training frequency of each id, integers of shape (vocabulary_size,). None: ids are
            sorted by falling frequency.
        field: Name of the field. Messages show it, and hashes depend on it.
        seed: Makes the initial values depend on this number and the field's name alone. None: Keras's
            global seed decides.
        name: Name of the layer.
        dtype: Type of the vectors, or a Keras dtype policy. None: Keras's default.
        block_splits: The cuts that divide the ids, sorted by falling training frequency, into blocks.
            Each cut is a count of ids, or a share of the vocabulary if it is below 1. Give them
            ascending.
        block_dims: Width of each block, one more than there are cuts. None: by ``alpha``. Where that is
            None too, the first block has embedding_dim columns and each block half of those before (64,
            32, 16).
        alpha: Widths by the power rule: embedding_dim times (p / smallest p) ** -alpha, with p = rows
            of the block / share of the training rows that read it. 0 gives equal widths.
        power_of_two: True rounds the widths of the power rule to powers of two. Used with ``alpha``
            only.
        projection_bias: True gives the projections of narrow blocks a bias.

    Returns:
        A ``CompressedEmbedding``: it turns integers (...) into vectors (..., embedding_dim).

    Raises:
        RequestError: a setting does not work for this vocabulary and width.

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

def MECEmbedding(
    vocabulary_size: int,
    embedding_dim: int = 64,
    *,
    counts: ArrayLike | None = None,
    field: str = "ids",
    seed: int | None = None,
    name: str | None = None,
    dtype: Any = None,
    num_parts: int | None = None,
    num_codes: int | None = None,
    switch_share: float = 0.5,
) -> CompressedEmbedding:
    """Codes found while training: a full table at first, then its clusters' centroids, trained on.

    vector(id) = table[id] at first, then centroid_1[c_1(id)], ..., centroid_D[c_D(id)], side by side.

    A full table is trained for the first epochs. Then each part of its vectors is clustered by k-means into num_codes
    clusters, in which an id weighs max(1, log2 of its training frequency). An id keeps the number of its cluster in
    each part. The centroids take the place of the table, with moments that start anew, and are trained until the
    end. Without an epoch for them, codes are made at the end, and no centroid is trained.

    While it is trained, it takes at least the memory of a full table. Parts are ceil(embedding_dim / num_parts) wide.
    Where that does not divide, the last one is narrower.

    Args:
        vocabulary_size: Number of ids. Valid ids are 0 to vocabulary_size - 1.
        embedding_dim: Width of the vectors.
        counts: Training frequency of each id, integers of shape (vocabulary_size,). None: ids are
            sorted by falling frequency.
        field: Name of the field. Messages show it, and hashes depend on it.
        seed: Makes the initial values depend on this number and the field's name alone. None: Keras's
            global seed decides.
        name: Name of the layer.
        dtype: Type of the vectors, or a Keras dtype policy. None: Keras's default.
        num_parts: Number D of parts of a vector, each with its own codebook. None: 8, at most
            embedding_dim; under a budget, as many as fit.
        num_codes: Entries of a codebook, at most 256 and the vocabulary. None: the largest power of two
            up to vocabulary / 64, from 16 to 256.
        switch_share: Share of the run's epochs that train a full table, rounded up to whole epochs, at
            least one. In the others the codebooks are trained. In a run of one epoch, its quarters
            count as epochs.

    Returns:
        A ``CompressedEmbedding``: it turns integers (...) into vectors (..., embedding_dim).

    Raises:
        RequestError: a setting does not work for this vocabulary and width.

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

def MGQEEmbedding(
    vocabulary_size: int,
    embedding_dim: int = 64,
    *,
    counts: ArrayLike | None = None,
    field: str = "ids",
    seed: int | None = None,
    name: str | None = None,
    dtype: Any = None,
    num_parts: int | None = None,
    num_codes: int | None = None,
    num_cold_codes: int | None = None,
    hot_fraction: float = 0.1,
    penalty_weight: float = 1.0,
) -> CompressedEmbedding:
    """Multi-granular quantized embeddings: product quantization with more codes for popular ids than for rare ones.

    vector(id) = key_1[c_1(id)], ..., key_D[c_D(id)], with c_j(id) the key of part j nearest to query[id].

    It is trained as ``dpq`` with ``form=vq``, except that rare ids choose among the first num_cold_codes keys only. The
    hot ids are the round(hot_fraction vocabulary) ids (a half up) with the highest training frequency, of equally
    frequent ones the smallest.

    What serves are the low bits of all codes, log2 num_cold_codes a part; the list of hot ids with their high bits; and
    the keys.

    Args:
        vocabulary_size: Number of ids. Valid ids are 0 to vocabulary_size - 1.
        embedding_dim: Width of the vectors.
        counts: Training frequency of each id, integers of shape (vocabulary_size,). None: ids are
            sorted by falling frequency.
        field: Name of the field. Messages show it, and hashes depend on it.
        seed: Makes the initial values depend on this number and the field's name alone. None: Keras's
            global seed decides.
        name: Name of the layer.
        dtype: Type of the vectors, or a Keras dtype policy. None: Keras's default.
        num_parts: Number D of parts of a vector, each with its own codebook. None: 4, at most
            embedding_dim; under a budget, as many as fit.
        num_codes: Entries of a codebook, at most 256 and the vocabulary. None: the largest power of two
            up to vocabulary / 16, from 16 to 256, and at least num_cold_codes.
        num_cold_codes: Number of entries that rare ids may have, the first of each codebook. None: a
            quarter.
        hot_fraction: Share of the ids that may have all codes, the most frequent in training; at least
            one id.
        penalty_weight: Weight in the loss of the squared distance between queries and their keys.

    Returns:
        A ``CompressedEmbedding``: it turns integers (...) into vectors (..., embedding_dim).

    Raises:
        RequestError: a setting does not work for this vocabulary and width.

    Example:
        >>> import numpy as np
        >>> from bench.embeddings import MGQEEmbedding
        >>> counts = np.random.default_rng(0).zipf(1.2, 6040)  # how often each id is trained on
        >>> layer = MGQEEmbedding(6040, 64, counts=counts, num_parts=4, num_codes=256, num_cold_codes=64)
        >>> layer(np.array([3, 6039])).shape
        TensorShape([2, 64])
        >>> layer.method.nbytes
        86676

    Reference:
        Kang et al., "Learning multi-granular quantized embeddings for large-vocab categorical features in recommender
        systems", 2020 (arXiv 2002.08530).
    """

def PEPEmbedding(
    vocabulary_size: int,
    embedding_dim: int = 64,
    *,
    counts: ArrayLike | None = None,
    field: str = "ids",
    seed: int | None = None,
    name: str | None = None,
    dtype: Any = None,
    nnz: int | None = None,
    density: float | None = None,
    granularity: Literal["global", "dimension", "feature", "feature_dimension"] = "dimension",
    search_share: float = 0.2,
    threshold: float = 0.02,
    threshold_rate: float = 100.0,
    retrain: Literal["anew", "learned"] = "anew",
) -> CompressedEmbedding:
    """PEP: each weight is shrunk by a threshold that is trained with it, and pruned where it is below.

    vector(id)[j] = sign(v) max(|v| - s, 0) during the search, with v = table[id, j] and its threshold s.

    s = sigmoid(t) with t = logit(threshold) + threshold_rate * x. The trained number x begins at 0, so that the
    learning rate of t is a multiple of the run's. The published start t = -150 is 0 in float32 and stays there.

    The search ends once no more than ``nnz`` weights are above their thresholds, or when ``search_share`` of the run's
    steps are done. Then the ``nnz`` weights with the largest |v| - s are kept, of equal ones the first. The table and
    its moments start anew from U(-0.05, 0.05). The rest of the run trains vector(id)[j] = table[id, j] where the weight
    is kept, and 0 elsewhere. With ``retrain=learned``, and where the search lasts to the end of the run, the table
    goes on from the shrunk weights.

    Training holds one byte a weight and the thresholds with their moments, in addition to ``full``'s table with its
    moments. With ``feature_dimension`` that is twice as much.

    Args:
        vocabulary_size: Number of ids. Valid ids are 0 to vocabulary_size - 1.
        embedding_dim: Width of the vectors.
        counts: Training frequency of each id, integers of shape (vocabulary_size,). None: ids are
            sorted by falling frequency.
        field: Name of the field. Messages show it, and hashes depend on it.
        seed: Makes the initial values depend on this number and the field's name alone. None: Keras's
            global seed decides.
        name: Name of the layer.
        dtype: Type of the vectors, or a Keras dtype policy. None: Keras's default.
        nnz: Number of weights that are kept. None: by ``density``; under a budget, as many as fit.
        density: Share of the weights that is kept. None: by ``nnz`` or the budget; without both 0.1.
        granularity: The weights that share a threshold. ``global``: all. ``dimension``: those of a
            column. ``feature``: those of an id. ``feature_dimension``: each weight has its own.
        search_share: Share of the run's steps after which the search for the weights to keep ends at
            the latest. It ends earlier where no more than ``nnz`` weights are above their thresholds.
        threshold: Thresholds at the start, in units of the weights, which begin below 0.05.
        threshold_rate: Learning rate of the thresholds, as a multiple of the run's.
        retrain: The weights from which training begins after the search. ``anew``: random weights, as
            published. ``learned``: the kept weights, as the search has left them.

    Returns:
        A ``CompressedEmbedding``: it turns integers (...) into vectors (..., embedding_dim).

    Raises:
        RequestError: a setting does not work for this vocabulary and width.

    Example:
        >>> import numpy as np
        >>> from bench.embeddings import PEPEmbedding
        >>> layer = PEPEmbedding(6040, 64, density=0.05, granularity="feature")
        >>> layer(np.array([3, 6039])).shape
        TensorShape([2, 64])
        >>> layer.method.nbytes
        120804

    Reference:
        Liu, Gao, Chen, Jin and Li, "Learnable embedding sizes for recommender systems", 2021 (arXiv 2101.07577).
    """

def PQEmbedding(
    vocabulary_size: int,
    embedding_dim: int = 64,
    *,
    counts: ArrayLike | None = None,
    field: str = "ids",
    seed: int | None = None,
    name: str | None = None,
    dtype: Any = None,
    num_parts: int | None = None,
    num_codes: int | None = None,
    fine_tune: bool = False,
) -> CompressedEmbedding:
    """Product quantization after training: each part of a trained vector becomes the number of its cluster.

    vector(id) = centroid_1[c_1(id)], ..., centroid_D[c_D(id)], side by side.

    ``full`` is trained. Its vectors are cut into D = num_parts parts. Each part of all ids is clustered by k-means into
    num_codes clusters. An id keeps the number of its cluster in each part, in ceil(log2 num_codes) bits.

    With ``fine_tune``, the whole model goes on training from the parent's weights with these codes and centroids. The
    codes stay. The optimizer starts anew.

    Parts are ceil(embedding_dim / num_parts) wide. Where that does not divide, the last one is narrower.

    Args:
        vocabulary_size: Number of ids. Valid ids are 0 to vocabulary_size - 1.
        embedding_dim: Width of the vectors.
        counts: Training frequency of each id, integers of shape (vocabulary_size,). None: ids are
            sorted by falling frequency.
        field: Name of the field. Messages show it, and hashes depend on it.
        seed: Makes the initial values depend on this number and the field's name alone. None: Keras's
            global seed decides.
        name: Name of the layer.
        dtype: Type of the vectors, or a Keras dtype policy. None: Keras's default.
        num_parts: Number D of parts of a vector, each with its own codebook. None: 8, at most
            embedding_dim; under a budget, as many as fit.
        num_codes: Entries of a codebook, at most 256 and the vocabulary. None: the largest power of two
            up to vocabulary / 64, from 16 to 256.
        fine_tune: True trains on after the codes are found: the codebooks, and the model with them, for
            as many epochs again.

    Returns:
        A ``CompressedEmbedding``: it turns integers (...) into vectors (..., embedding_dim).

    Raises:
        RequestError: a setting does not work for this vocabulary and width.

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

def PTQInt2Embedding(
    vocabulary_size: int,
    embedding_dim: int = 64,
    *,
    counts: ArrayLike | None = None,
    field: str = "ids",
    seed: int | None = None,
    name: str | None = None,
    dtype: Any = None,
    range_dtype: Literal["float32", "float16"] = "float16",
    clipping: Literal["none", "greedy"] = "none",
) -> CompressedEmbedding:
    """Post-training quantization to two bits: a trained full table, each row on a range of its own.

    vector(id) = step(id) code(id) + offset(id), with codes of two bits.

    ``full`` is trained, and each row of its table is quantized: see ``bench.embeddings.served.quantized``. Four numbers
    stand for all of a row. So the largest magnitudes cost the others much, and the greedy search may give up half of
    the range, where the paper's, for four bits, gives up 16%.

    Args:
        vocabulary_size: Number of ids. Valid ids are 0 to vocabulary_size - 1.
        embedding_dim: Width of the vectors.
        counts: Training frequency of each id, integers of shape (vocabulary_size,). None: ids are
            sorted by falling frequency.
        field: Name of the field. Messages show it, and hashes depend on it.
        seed: Makes the initial values depend on this number and the field's name alone. None: Keras's
            global seed decides.
        name: Name of the layer.
        dtype: Type of the vectors, or a Keras dtype policy. None: Keras's default.
        range_dtype: Type of the step and the offset that each row keeps.
        clipping: The choice of a row's range. ``none``: from its smallest number to its largest.
            ``greedy``: by a search that narrows this range, to half of it at most, for the smallest
            squared error.

    Returns:
        A ``CompressedEmbedding``: it turns integers (...) into vectors (..., embedding_dim).

    Raises:
        RequestError: a setting does not work for this vocabulary and width.

    Example:
        >>> import numpy as np
        >>> from bench.embeddings import PTQInt2Embedding
        >>> layer = PTQInt2Embedding(6040, 64, clipping="greedy")
        >>> layer(np.array([3, 6039])).shape  # trained as a full table
        TensorShape([2, 64])
        >>> layer.to_served()(np.array([3, 6039])).shape
        TensorShape([2, 64])
        >>> layer.method.nbytes
        120800

    Reference:
        Guan, Malevich, Yang, Park and Yuen, "Post-training 4-bit quantization on embedding tables", 2019 (arXiv
        1911.02079).
    """

def PTQInt4Embedding(
    vocabulary_size: int,
    embedding_dim: int = 64,
    *,
    counts: ArrayLike | None = None,
    field: str = "ids",
    seed: int | None = None,
    name: str | None = None,
    dtype: Any = None,
    range_dtype: Literal["float32", "float16"] = "float16",
    clipping: Literal["none", "greedy"] = "none",
) -> CompressedEmbedding:
    """Post-training quantization to four bits: a trained full table, each row on a range of its own.

    vector(id) = step(id) code(id) + offset(id), with codes of four bits.

    ``full`` is trained, and each row of its table is quantized: see ``bench.embeddings.served.quantized``.

    Args:
        vocabulary_size: Number of ids. Valid ids are 0 to vocabulary_size - 1.
        embedding_dim: Width of the vectors.
        counts: Training frequency of each id, integers of shape (vocabulary_size,). None: ids are
            sorted by falling frequency.
        field: Name of the field. Messages show it, and hashes depend on it.
        seed: Makes the initial values depend on this number and the field's name alone. None: Keras's
            global seed decides.
        name: Name of the layer.
        dtype: Type of the vectors, or a Keras dtype policy. None: Keras's default.
        range_dtype: Type of the step and the offset that each row keeps.
        clipping: The choice of a row's range. ``none``: from its smallest number to its largest.
            ``greedy``: by a search that narrows this range, for the smallest squared error.

    Returns:
        A ``CompressedEmbedding``: it turns integers (...) into vectors (..., embedding_dim).

    Raises:
        RequestError: a setting does not work for this vocabulary and width.

    Example:
        >>> import numpy as np
        >>> from bench.embeddings import PTQInt4Embedding
        >>> layer = PTQInt4Embedding(6040, 64, clipping="greedy")
        >>> layer(np.array([3, 6039])).shape  # trained as a full table
        TensorShape([2, 64])
        >>> layer.to_served()(np.array([3, 6039])).shape
        TensorShape([2, 64])
        >>> layer.method.nbytes
        217440

    Reference:
        Guan, Malevich, Yang, Park and Yuen, "Post-training 4-bit quantization on embedding tables", 2019 (arXiv
        1911.02079).
    """

def PTQInt8Embedding(
    vocabulary_size: int,
    embedding_dim: int = 64,
    *,
    counts: ArrayLike | None = None,
    field: str = "ids",
    seed: int | None = None,
    name: str | None = None,
    dtype: Any = None,
    range_dtype: Literal["float32", "float16"] = "float32",
    clipping: Literal["none", "greedy"] = "none",
) -> CompressedEmbedding:
    """Post-training quantization to eight bits: a trained full table, each row on a range of its own.

    vector(id) = step(id) code(id) + offset(id), with codes of eight bits.

    ``full`` is trained, and each row of its table is quantized: see ``bench.embeddings.served.quantized``.

    Args:
        vocabulary_size: Number of ids. Valid ids are 0 to vocabulary_size - 1.
        embedding_dim: Width of the vectors.
        counts: Training frequency of each id, integers of shape (vocabulary_size,). None: ids are
            sorted by falling frequency.
        field: Name of the field. Messages show it, and hashes depend on it.
        seed: Makes the initial values depend on this number and the field's name alone. None: Keras's
            global seed decides.
        name: Name of the layer.
        dtype: Type of the vectors, or a Keras dtype policy. None: Keras's default.
        range_dtype: Type of the step and the offset that each row keeps.
        clipping: The choice of a row's range. ``none``: from its smallest number to its largest.
            ``greedy``: by a search that narrows this range, for the smallest squared error.

    Returns:
        A ``CompressedEmbedding``: it turns integers (...) into vectors (..., embedding_dim).

    Raises:
        RequestError: a setting does not work for this vocabulary and width.

    Example:
        >>> import numpy as np
        >>> from bench.embeddings import PTQInt8Embedding
        >>> layer = PTQInt8Embedding(6040, 64, clipping="greedy")
        >>> layer(np.array([3, 6039])).shape  # trained as a full table
        TensorShape([2, 64])
        >>> layer.to_served()(np.array([3, 6039])).shape
        TensorShape([2, 64])
        >>> layer.method.nbytes
        434880

    Reference:
        Guan, Malevich, Yang, Park and Yuen, "Post-training 4-bit quantization on embedding tables", 2019 (arXiv
        1911.02079).
    """

def PruneEmbedding(
    vocabulary_size: int,
    embedding_dim: int = 64,
    *,
    counts: ArrayLike | None = None,
    field: str = "ids",
    seed: int | None = None,
    name: str | None = None,
    dtype: Any = None,
    nnz: int | None = None,
    density: float | None = None,
) -> CompressedEmbedding:
    """Magnitude pruning of a trained full table.

    vector(id)[j] = table[id, j] where that is one of the ``nnz`` largest magnitudes, and 0 elsewhere.

    ``full`` is trained, and gives the table. Of equal magnitudes the first are kept.

    Args:
        vocabulary_size: Number of ids. Valid ids are 0 to vocabulary_size - 1.
        embedding_dim: Width of the vectors.
        counts: Training frequency of each id, integers of shape (vocabulary_size,). None: ids are
            sorted by falling frequency.
        field: Name of the field. Messages show it, and hashes depend on it.
        seed: Makes the initial values depend on this number and the field's name alone. None: Keras's
            global seed decides.
        name: Name of the layer.
        dtype: Type of the vectors, or a Keras dtype policy. None: Keras's default.
        nnz: Number of weights that are kept. None: by ``density``; under a budget, as many as fit.
        density: Share of the weights that is kept. None: by ``nnz`` or the budget; without both 0.1.

    Returns:
        A ``CompressedEmbedding``: it turns integers (...) into vectors (..., embedding_dim).

    Raises:
        RequestError: a setting does not work for this vocabulary and width.

    Example:
        >>> import numpy as np
        >>> from bench.embeddings import PruneEmbedding
        >>> layer = PruneEmbedding(6040, 64, density=0.5)
        >>> layer(np.array([3, 6039])).shape  # trained as a full table
        TensorShape([2, 64])
        >>> layer.to_served()(np.array([3, 6039])).shape
        TensorShape([2, 64])
        >>> layer.method.nbytes
        845600

    Reference:
        Han et al., "Learning both weights and connections for efficient neural networks", 2015 (arXiv 1506.02626): the
        first pruning step, without training afterwards.
    """

def QREmbedding(
    vocabulary_size: int,
    embedding_dim: int = 64,
    *,
    counts: ArrayLike | None = None,
    field: str = "ids",
    seed: int | None = None,
    name: str | None = None,
    dtype: Any = None,
    num_buckets: int | None = None,
    num_partitions: int = 2,
    quotient_rows: Literal["recipe", "needed"] = "recipe",
    combine: Literal["product", "sum", "concat"] = "product",
) -> CompressedEmbedding:
    """Quotient-remainder embeddings: a few small tables in place of one large table.

    vector(id) = quotient[id // b] (*) remainder[id mod b], with b = num_buckets.

    (*) is the product, the sum or the concatenation of two rows, as ``combine`` says.

    With k = num_partitions above 2, vector(id) = partition_0[a_0] (*) ... (*) partition_{k-1}[a_{k-1}]. The a_j are the
    digits of the id in base b, the most significant first. For k = 2 the tables have the names that the paper gives.

    No two ids read the same rows where b ** k is at least the vocabulary. A smaller b is refused. Buckets beyond the
    vocabulary are never read.

    ``concat`` needs an even embedding_dim for 2 tables. For more tables, the last embedding_dim mod k of them are one
    column wider than the others.

    Args:
        vocabulary_size: Number of ids. Valid ids are 0 to vocabulary_size - 1.
        embedding_dim: Width of the vectors.
        counts: Training frequency of each id, integers of shape (vocabulary_size,). None: ids are
            sorted by falling frequency.
        field: Name of the field. Messages show it, and hashes depend on it.
        seed: Makes the initial values depend on this number and the field's name alone. None: Keras's
            global seed decides.
        name: Name of the layer.
        dtype: Type of the vectors, or a Keras dtype policy. None: Keras's default.
        num_buckets: Rows of the remainder table, at most one an id. None: vocabulary // 50, and at
            least the smallest number that tells all ids apart.
        num_partitions: Number of tables. An id reads one row of each, by its digits in base
            num_buckets. 2: quotient and remainder.
        quotient_rows: Rows of the table of the most significant digit. ``recipe``: as many as buckets.
            ``needed``: as many as are read, ceil(vocabulary / num_buckets ** (num_partitions - 1)).
        combine: The operation that makes a vector of the rows. ``product`` and ``sum``: number by
            number. ``concat``: side by side, each row a part of embedding_dim; the parts are as even as
            possible.

    Returns:
        A ``CompressedEmbedding``: it turns integers (...) into vectors (..., embedding_dim).

    Raises:
        RequestError: a setting does not work for this vocabulary and width.

    Example:
        >>> import numpy as np
        >>> from bench.embeddings import QREmbedding
        >>> layer = QREmbedding(6040, 64, num_buckets=120)
        >>> layer(np.array([3, 6039])).shape
        TensorShape([2, 64])
        >>> layer.method.nbytes  # two tables of 120 rows
        61440

    Reference:
        Shi et al., "Compositional embeddings using complementary partitions for memory-efficient recommendation
        systems", 2019 (arXiv 1909.02107).
    """

def ROBEEmbedding(
    vocabulary_size: int,
    embedding_dim: int = 64,
    *,
    counts: ArrayLike | None = None,
    field: str = "ids",
    seed: int | None = None,
    name: str | None = None,
    dtype: Any = None,
    num_weights: int | None = None,
    block_size: int = 8,
    signs: bool = False,
    hash_seed: int = 0,
    num_hot: int = 0,
    hot_share: float = 0.0,
) -> CompressedEmbedding:
    """Random offset block embeddings: the blocks of a vector begin anywhere in one flat array that all ids share.

    vector(id)[c Z + i] = s_c(id) M[(h_c(id) + i) mod P], with Z = block_size and M of P = num_weights numbers.

    h_c are independent hashes to P, one for each block. s_c is 1, or with ``signs`` 1 or -1. Where Z does not divide
    embedding_dim, the end of the last block is cut off.

    M is stored in rows of one number. Blocks begin anywhere, so that wider rows would have to be cut; XLA is faster at
    reading and adding single numbers.

    Args:
        vocabulary_size: Number of ids. Valid ids are 0 to vocabulary_size - 1.
        embedding_dim: Width of the vectors.
        counts: Training frequency of each id, integers of shape (vocabulary_size,). None: ids are
            sorted by falling frequency.
        field: Name of the field. Messages show it, and hashes depend on it.
        seed: Makes the initial values depend on this number and the field's name alone. None: Keras's
            global seed decides.
        name: Name of the layer.
        dtype: Type of the vectors, or a Keras dtype policy. None: Keras's default.
        num_weights: P, the numbers in the flat array, at most those of a full table. None: a tenth of
            these.
        block_size: Z, the neighbouring numbers of the array that are one block, at most embedding_dim.
        signs: True multiplies each block of an id by 1 or -1, by its hash.
        hash_seed: Seed of the hashes. With another one, other ids share numbers.
        num_hot: Number of hot ids, the most frequent in training: each has its own row, in front of the
            method. 0: none; under a budget, by hot_share.
        hot_share: Share of a budget that hot rows take, with the list of their ids; the method takes
            the rest. 0: by num_hot.

    Returns:
        A ``CompressedEmbedding``: it turns integers (...) into vectors (..., embedding_dim).

    Raises:
        RequestError: a setting does not work for this vocabulary and width.

    Example:
        >>> import numpy as np
        >>> from bench.embeddings import ROBEEmbedding
        >>> layer = ROBEEmbedding(6040, 64, num_weights=38_656, block_size=16)
        >>> layer(np.array([3, 6039])).shape
        TensorShape([2, 64])
        >>> layer.method.nbytes
        154752

    Reference:
        Desai, Chou and Shrivastava, "Random offset block embedding (ROBE) for compressed embedding tables in deep
        learning recommendation systems", 2022 (arXiv 2108.02191).
    """

def RecJPQEmbedding(
    vocabulary_size: int,
    embedding_dim: int = 64,
    *,
    counts: ArrayLike | None = None,
    field: str = "ids",
    seed: int | None = None,
    name: str | None = None,
    dtype: Any = None,
    num_parts: int | None = None,
    num_codes: int | None = None,
    code_source: Literal["svd", "random"] = "svd",
    code_seed: int = 0,
) -> CompressedEmbedding:
    """Joint product quantization: codes from which ids occur together, fixed before training; codebooks learned.

    vector(id) = entry_1[c_1(id)], ..., entry_D[c_D(id)], side by side, with codes c_j that training does not change.

    A is a matrix of 0 and 1 with a row for each id and a column for each id of the other field, of several the one with
    the most ids: 1 where the two occur in a training row. U are its first D left singular vectors. Ids are ranked by
    their number in column j of U, and c_j(id) = floor(num_codes rank / n). So ids that occur with the same others have
    the same codes, and every code of a part has equally many ids. Equal numbers are ranked by a draw.

    Ids without a training row get random codes, and so do all ids in parts beyond the rank of A. A layer made without
    data has random codes only; ``Vocabulary.pairs`` gives the rows.

    Parts are ceil(embedding_dim / num_parts) wide. Where that does not divide, the last one is narrower.

    Args:
        vocabulary_size: Number of ids. Valid ids are 0 to vocabulary_size - 1.
        embedding_dim: Width of the vectors.
        counts: Training frequency of each id, integers of shape (vocabulary_size,). None: ids are
            sorted by falling frequency.
        field: Name of the field. Messages show it, and hashes depend on it.
        seed: Makes the initial values depend on this number and the field's name alone. None: Keras's
            global seed decides.
        name: Name of the layer.
        dtype: Type of the vectors, or a Keras dtype policy. None: Keras's default.
        num_parts: Number D of parts of a vector, each with its own codebook. None: 8, at most
            embedding_dim; under a budget, as many as fit.
        num_codes: Entries of a codebook, at most 256 and the vocabulary. None: the largest power of two
            up to vocabulary / 64, from 16 to 256.
        code_source: Where codes come from. ``svd``: singular vectors of the training rows. ``random``:
            a draw.
        code_seed: Seed of the codes: of draws among equal numbers, and of the codes that are drawn.

    Returns:
        A ``CompressedEmbedding``: it turns integers (...) into vectors (..., embedding_dim).

    Raises:
        RequestError: a setting does not work for this vocabulary and width.

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

def SVDEmbedding(
    vocabulary_size: int,
    embedding_dim: int = 64,
    *,
    counts: ArrayLike | None = None,
    field: str = "ids",
    seed: int | None = None,
    name: str | None = None,
    dtype: Any = None,
    rank: int | None = None,
    row_weights: Literal["none", "counts"] = "none",
    fine_tune: bool = False,
) -> CompressedEmbedding:
    """Truncated singular value decomposition of a trained full table.

    vector(id) = factors[id] projection: the table of that rank that is nearest to a trained full table.

    ``full`` is trained, and gives the table A (vocabulary x d). With the weights w of the ids, V are the first ``rank``
    eigenvectors of A^T diag(w) A. Then factors = A V and projection = V^T. For equal weights that is the truncated SVD
    U S V^T, with factors U S.

    With ``fine_tune``, the whole model goes on training from the parent's weights with these factors and this
    projection, as ``lowrank`` trains them. The optimizer starts anew.

    Args:
        vocabulary_size: Number of ids. Valid ids are 0 to vocabulary_size - 1.
        embedding_dim: Width of the vectors.
        counts: Training frequency of each id, integers of shape (vocabulary_size,). None: ids are
            sorted by falling frequency.
        field: Name of the field. Messages show it, and hashes depend on it.
        seed: Makes the initial values depend on this number and the field's name alone. None: Keras's
            global seed decides.
        name: Name of the layer.
        dtype: Type of the vectors, or a Keras dtype policy. None: Keras's default.
        rank: Number of singular vectors that are kept, at most embedding_dim and the vocabulary. None:
            embedding_dim // 4, and at least 1.
        row_weights: Weight of each id's squared error. ``none``: 1. ``counts``: 1 + its training
            frequency, so that the vectors of popular ids are kept best.
        fine_tune: True trains on from the factors and the projection, and the model with them, for as
            many epochs again.

    Returns:
        A ``CompressedEmbedding``: it turns integers (...) into vectors (..., embedding_dim).

    Raises:
        RequestError: a setting does not work for this vocabulary and width.

    Example:
        >>> import numpy as np
        >>> from bench.embeddings import SVDEmbedding
        >>> layer = SVDEmbedding(6040, 64, rank=16)
        >>> layer(np.array([3, 6039])).shape  # trained as a full table
        TensorShape([2, 64])
        >>> layer.to_served()(np.array([3, 6039])).shape
        TensorShape([2, 64])
        >>> layer.method.nbytes
        390656

    Reference:
        Eckart and Young, "The approximation of one matrix by another of lower rank", 1936: no table of that rank has a
        smaller squared error. Srebro and Jaakkola, "Weighted low-rank approximations", 2003: the weights, here one a
        row, where the solution is still in closed form.
    """

def SparseCodingEmbedding(
    vocabulary_size: int,
    embedding_dim: int = 64,
    *,
    counts: ArrayLike | None = None,
    field: str = "ids",
    seed: int | None = None,
    name: str | None = None,
    dtype: Any = None,
    num_atoms: int | None = None,
    num_terms: int | None = None,
) -> CompressedEmbedding:
    """Sparse coding after training: each trained vector becomes the sum of a few atoms of a learned dictionary.

    vector(id) = a_1 dictionary[p_1] + ... + a_k dictionary[p_k], with own factors a and pointers p for each id.

    ``full`` is trained. K-SVD learns a dictionary from its vectors, in 10 passes over at most 65,536 of them.
    Orthogonal matching pursuit then finds pointers and factors of all vectors. Factors are stored in eight bits, with
    one float16 scale an id. With as many atoms as ids, each vector is an atom and is kept exactly.

    Memory beyond the table and its codes is bounded. The time grows with the vocabulary times num_atoms times
    num_terms.

    Args:
        vocabulary_size: Number of ids. Valid ids are 0 to vocabulary_size - 1.
        embedding_dim: Width of the vectors.
        counts: Training frequency of each id, integers of shape (vocabulary_size,). None: ids are
            sorted by falling frequency.
        field: Name of the field. Messages show it, and hashes depend on it.
        seed: Makes the initial values depend on this number and the field's name alone. None: Keras's
            global seed decides.
        name: Name of the layer.
        dtype: Type of the vectors, or a Keras dtype policy. None: Keras's default.
        num_atoms: Atoms of the dictionary, at most one an id. None: vocabulary // 20, and at least 16;
            under a budget, as many as fit, at most 4096.
        num_terms: Atoms in the sum of a vector, at most embedding_dim and num_atoms. None: 4; under a
            budget, the most of 4, 2 and 1 with which the dictionary takes at least as many bytes as the
            rest; up to 16 if the dictionary is at its limit.

    Returns:
        A ``CompressedEmbedding``: it turns integers (...) into vectors (..., embedding_dim).

    Raises:
        RequestError: a setting does not work for this vocabulary and width.

    Example:
        >>> import numpy as np
        >>> from bench.embeddings import SparseCodingEmbedding
        >>> layer = SparseCodingEmbedding(6040, 64, num_atoms=256, num_terms=4)
        >>> layer(np.array([3, 6039])).shape  # trained as a full table
        TensorShape([2, 64])
        >>> layer.to_served()(np.array([3, 6039])).shape
        TensorShape([2, 64])
        >>> layer.method.nbytes  # 10 bytes an id, and the dictionary
        125936

    Reference:
        Aharon, Elad and Bruckstein, "K-SVD: an algorithm for designing overcomplete dictionaries for sparse
        representation", IEEE Transactions on Signal Processing 54(11), 2006. Rubinstein, Zibulevsky and Elad,
        "Efficient implementation of the K-SVD algorithm using batch orthogonal matching pursuit", 2008.
    """

def TTEmbedding(
    vocabulary_size: int,
    embedding_dim: int = 64,
    *,
    counts: ArrayLike | None = None,
    field: str = "ids",
    seed: int | None = None,
    name: str | None = None,
    dtype: Any = None,
    rank: int | None = None,
    num_cores: int = 3,
    num_hot: int = 0,
    hot_share: float = 0.0,
) -> CompressedEmbedding:
    """Tensor train: the table as a product of two or three small cores.

    vector(id) = G_1[i_1] G_2[i_2] G_3[i_3], with the digits i_1, i_2, i_3 of the id.

    G_k[i_k] is a matrix of r_(k-1) x d_k r_k numbers, with r_0 = r_3 = 1. The product sums over the ranks: number
    (j_1, j_2, j_3) of the vector is the product of the three matrices G_k[i_k][:, j_k, :]. Digits are those in the
    mixed base n_1, n_2, n_3; the last one counts single ids.

    The n_k are near equal, and their product is at least the vocabulary: the first is the k-th root rounded up, and the
    rest is factored in the same way. The product of the d_k is at least embedding_dim. Of all such factors, those with
    the smallest sum are taken, and of these those with the smallest product: 64 = 4 x 4 x 4, 50 = 5 x 2 x 5, and
    7 < 2 x 2 x 2, where the last number is cut off. The middle core has two ranks, so it takes the smallest factors.

    All cores begin with the same standard deviation. It makes vectors as spread as those of a full table.

    Args:
        vocabulary_size: Number of ids. Valid ids are 0 to vocabulary_size - 1.
        embedding_dim: Width of the vectors.
        counts: Training frequency of each id, integers of shape (vocabulary_size,). None: ids are
            sorted by falling frequency.
        field: Name of the field. Messages show it, and hashes depend on it.
        seed: Makes the initial values depend on this number and the field's name alone. None: Keras's
            global seed decides.
        name: Name of the layer.
        dtype: Type of the vectors, or a Keras dtype policy. None: Keras's default.
        rank: Length of the axis that neighbouring cores sum over. None: 16. Each rank is at most as
            long as it is of use: as the numbers (rows times widths) on either side of it.
        num_cores: Number of cores, 2 or 3.
        num_hot: Number of hot ids, the most frequent in training: each has its own row, in front of the
            method. 0: none; under a budget, by hot_share.
        hot_share: Share of a budget that hot rows take, with the list of their ids; the method takes
            the rest. 0: by num_hot.

    Returns:
        A ``CompressedEmbedding``: it turns integers (...) into vectors (..., embedding_dim).

    Raises:
        RequestError: a setting does not work for this vocabulary and width.

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

def TrainedFloat8Embedding(
    vocabulary_size: int,
    embedding_dim: int = 64,
    *,
    counts: ArrayLike | None = None,
    field: str = "ids",
    seed: int | None = None,
    name: str | None = None,
    dtype: Any = None,
    kind: Literal["fp8", "nfp8"] = "nfp8",
) -> CompressedEmbedding:
    """A table of floating-point numbers of eight bits, trained as such by stochastic rounding.

    vector(id)[j] = 2^-5 times a float8 number, with a table that is rounded after each update.

    The optimizer updates a row in float32. Then each number becomes one of its two neighbours among the float8 numbers
    times 2^-5, by chance, so that the expectation stays and small updates are not lost. In the forward pass a row is
    rounded to the nearest numbers, because initial values and momentum are between them. The gradient passes this
    rounding unchanged.

    Args:
        vocabulary_size: Number of ids. Valid ids are 0 to vocabulary_size - 1.
        embedding_dim: Width of the vectors.
        counts: Training frequency of each id, integers of shape (vocabulary_size,). None: ids are
            sorted by falling frequency.
        field: Name of the field. Messages show it, and hashes depend on it.
        seed: Makes the initial values depend on this number and the field's name alone. None: Keras's
            global seed decides.
        name: Name of the layer.
        dtype: Type of the vectors, or a Keras dtype policy. None: Keras's default.
        kind: The numbers. ``fp8``: the largest is 7.5. ``nfp8``: the largest exponent is used too, up
            to 14.

    Returns:
        A ``CompressedEmbedding``: it turns integers (...) into vectors (..., embedding_dim).

    Raises:
        RequestError: a setting does not work for this vocabulary and width.

    Example:
        >>> import numpy as np
        >>> from bench.embeddings import TrainedFloat8Embedding
        >>> layer = TrainedFloat8Embedding(6040, 64)
        >>> layer(np.array([3, 6039])).shape
        TensorShape([2, 64])
        >>> layer.method.nbytes  # a byte a number, and the list of all numbers
        387584

    Reference:
        Micikevicius et al., "FP8 formats for deep learning", 2022 (arXiv 2209.05433). Gupta et al., "Deep learning with
        limited numerical precision", 2015 (arXiv 1502.02551): stochastic rounding.
    """
