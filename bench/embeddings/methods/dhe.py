"""Deep hash embeddings: a network computes the vector from many hashes of the id, without any table."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Annotated, Any, Literal

import numpy as np

from bench.config.typed import Range
from bench.embeddings import hashing
from bench.embeddings.base import (
    Array,
    Arrays,
    Initializer,
    Kind,
    Lookups,
    Vocabulary,
    check_positive,
    float32,
    int32,
    largest,
)
from bench.embeddings.families.hot import HotRows, HotSettings

DEGREE = 1
"""Degree of the hashes, as in the paper: two coefficients a hash."""

MAX_HASHES = 1024
"""Largest number of hashes that is chosen, which is the paper's."""

DEFAULT_WIDTH = 1024
"""Widest hidden layers that are chosen without a budget."""

MAX_WIDTH = 4096
"""Widest hidden layers that are chosen within a budget."""

OUTPUT_SCALE = 0.0019
"""Scale of the last kernel, with which vectors begin about as spread as U(-0.05, 0.05)."""

EPSILON = 1e-5
"""Added to the variance in the normalization, which it keeps above zero."""


@dataclass
class DHESettings(HotSettings):
    """Settings of ``dhe``."""

    num_hashes: int | None = None
    """Number of hashes of the id, which the network reads. None: eight times the width, at most 1024."""

    width: int | None = None
    """Outputs of each hidden layer. None: the most, from 1 to 1024, with which the bytes are at most a quarter of the
    full table's."""

    num_layers: int = 2
    """Number of hidden layers."""

    activation: Literal["mish", "relu"] = "mish"
    """Activation of each hidden layer: ``mish``, x tanh(ln(1 + e^x)), or ``relu``."""

    normalization: bool = True
    """True normalizes the outputs of each hidden layer over the layer, before the activation."""

    hash_seed: Annotated[int, Range(low=0)] = 0
    """Seed of the hashes."""


class DHE(HotRows[DHESettings]):
    """vector(id) = x_L W + b with x_0 = 2 h(id) / (2^31 - 2) - 1 and x_l = f(norm(x_(l-1) W_l + b_l)).

    h are num_hashes independent hashes of degree 1, so that x_0 is uniform in [-1, 1]. L is num_layers, and f the
    activation.

    norm is layer normalization, g (y - mean) / sqrt(variance + 1e-5) + o over the numbers of one id. The paper uses
    batch normalization, which needs running means: they are no function of the id. A width of 1 has no normalization,
    which would make every number zero.

    Nothing is stored for an id, so that the size does not depend on the vocabulary. Vectors begin about as spread as
    those of a full table.

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

    Settings = DHESettings
    family = "low rank, computed"

    def resolve(self, settings: DHESettings) -> DHESettings:
        """Chooses the width, then the number of hashes."""
        check_positive(num_hashes=settings.num_hashes, width=settings.width, num_layers=settings.num_layers)
        width = settings.width
        if width is None:
            quarter = self.vocabulary.size * self.embedding_dim  # of 4 bytes a number
            width = min(_widest(self.embedding_dim, settings, quarter), DEFAULT_WIDTH)
        num_hashes = settings.num_hashes or _num_hashes(width)
        return replace(self.resolve_hot(settings), width=width, num_hashes=num_hashes)

    @property
    def num_hashes(self) -> int:
        """Number of hashes that the network reads."""
        assert self.settings.num_hashes is not None
        return self.settings.num_hashes

    @property
    def width(self) -> int:
        """Outputs of each hidden layer."""
        assert self.settings.width is not None
        return self.settings.width

    @property
    def _is_normalized(self) -> bool:
        return self.settings.normalization and self.width > 1

    def tables(self) -> tuple[Array, ...]:
        """Describes hot rows, if there are any: all other arrays are read whole."""
        return self.hot_tables()

    def weights(self) -> tuple[Array, ...]:
        """Describes ``kernel_l`` and ``bias_l``; for hidden layers also ``scale_l`` and ``offset_l`` of the norm."""
        out: list[Array] = []
        layers = self.settings.num_layers
        widths = [self.num_hashes, *[self.width] * layers, self.embedding_dim]

        def add(name: str, shape: tuple[int, ...], initializer: Initializer) -> None:
            out.append(Array(name, shape, initializer=initializer, kind=Kind.NETWORKS))

        for i, shape in enumerate(pairwise(widths)):
            add(f"kernel_{i + 1}", shape, _spread(OUTPUT_SCALE if i == layers else 2.0))
            add(f"bias_{i + 1}", shape[1:], "zeros")
            if i < layers and self._is_normalized:
                add(f"scale_{i + 1}", shape[1:], "ones")
                add(f"offset_{i + 1}", shape[1:], "zeros")
        return tuple(out)

    def maps(self) -> tuple[Array, ...]:
        """Describes ``coefficients`` of the hashes: int64 (num_hashes, 2)."""
        return (hashing.array("coefficients", self.num_hashes, DEGREE), *super().maps())

    def build_maps(self) -> dict[str, np.ndarray]:
        """Draws the coefficients from hash_seed and the field's name."""
        seed, name = self.settings.hash_seed, self.vocabulary.name
        drawn = hashing.coefficients(self.num_hashes, seed, name, DEGREE)
        return {"coefficients": drawn, **super().build_maps()}

    def lookups(self, ids: Any, maps: Arrays, xp: Any) -> Lookups:
        """Returns the ids as they are. ``combine`` computes the hashes, so that they need not be stored."""
        return {"ids": int32(ids, xp), **self.hot_lookups(ids, maps, xp)}

    def combine(self, rows: Arrays, indices: Arrays, weights: Arrays, xp: Any, training: bool) -> Any:
        """Computes the outputs of the network."""
        x = self.encode(indices["ids"], weights["coefficients"], xp)
        layers = self.settings.num_layers
        for i in range(1, layers + 1):
            x = xp.matmul(x, weights[f"kernel_{i}"]) + weights[f"bias_{i}"]
            if self._is_normalized:
                x = x - xp.mean(x, axis=-1, keepdims=True)
                x = x / xp.sqrt(xp.mean(xp.square(x), axis=-1, keepdims=True) + EPSILON)
                x = x * weights[f"scale_{i}"] + weights[f"offset_{i}"]
            x = _mish(x, xp) if self.settings.activation == "mish" else xp.maximum(x, 0.0)
        vectors = xp.matmul(x, weights[f"kernel_{layers + 1}"]) + weights[f"bias_{layers + 1}"]
        return self.hot_or(vectors, rows, indices, xp)

    @staticmethod
    def encode(ids: Any, coefficients: Any, xp: Any) -> Any:
        """Computes the input of the network: hashes as numbers in [-1, 1], float32 (..., num_hashes)."""
        values = float32(hashing.hashes(ids, coefficients, xp), xp)
        return values * np.float32(2 / (hashing.PRIME - 1)) - np.float32(1)

    @classmethod
    def fit_cold(
        cls, vocabulary: Vocabulary, embedding_dim: int, settings: DHESettings, budget_bytes: int
    ) -> DHESettings:
        """Chooses the widest hidden layers within the bytes, up to 4096. An open number of hashes follows the width."""
        if settings.width is None:
            settings = replace(settings, width=_widest(embedding_dim, settings, budget_bytes))
        return cls(vocabulary, embedding_dim, settings).within(budget_bytes)


def _spread(scale: float) -> Initializer:
    """Returns an initializer with the variance scale / inputs."""
    config = {"scale": scale, "mode": "fan_in", "distribution": "uniform"}
    return {"class_name": "VarianceScaling", "config": config}


def _num_hashes(width: int) -> int:
    return min(8 * width, MAX_HASHES)


def _bytes(embedding_dim: int, settings: DHESettings, width: int) -> int:
    """Computes ``DHE.nbytes`` for a width."""
    hashes = settings.num_hashes or _num_hashes(width)
    norm = 2 * width if settings.normalization and width > 1 else 0
    hidden = settings.num_layers * (width + norm) + hashes * width + (settings.num_layers - 1) * width**2
    return 4 * (hidden + (width + 1) * embedding_dim) + 8 * (DEGREE + 1) * hashes


def _widest(embedding_dim: int, settings: DHESettings, budget_bytes: int) -> int:
    """Finds the widest hidden layers within the bytes; 1 if even that is too wide."""

    def fits(width: int) -> bool:
        return _bytes(embedding_dim, settings, width) <= budget_bytes

    return largest(1, MAX_WIDTH, fits) or 1


def _mish(x: Any, xp: Any) -> Any:
    """Computes the activation x tanh(ln(1 + e^x)), from e^x alone."""
    e = xp.exp(xp.minimum(x, 20.0))  # above 20 the result is x to the last bit
    e = e * (e + 2.0)
    return x * (e / (e + 2.0))
