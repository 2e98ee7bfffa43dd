"""The models over the vectors, in NumPy: for each, the arrays that it needs and how it makes scores of vectors."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Shapes = dict[str, tuple[int, ...]]
Weights = Mapping[str, np.ndarray]

NORM_EPSILON = 1e-5
"""What batch normalization adds to variances, as in ``bench.models.layers.BatchNorm``."""


@dataclass(frozen=True)
class Sizes:
    """What a head is made for.

    Attributes:
        rows: number of rows by field, in order.
        dims: width of the vectors by field.
        dense: number of numeric columns.
    """

    rows: Mapping[str, int]
    dims: Mapping[str, int]
    dense: int

    @property
    def dim(self) -> int:
        """Width of the first field's vectors."""
        return next(iter(self.dims.values()))

    @property
    def count(self) -> int:
        """Number of vectors: one a field and one a numeric column."""
        return len(self.dims) + self.dense


@dataclass(frozen=True)
class Batch:
    """The rows that are scored at once.

    Attributes:
        vectors: by field, float32 (n, width).
        rows: row numbers by field, int32 (n,).
        dense: numeric columns, float32 (n, k).
    """

    vectors: Mapping[str, np.ndarray]
    rows: Mapping[str, np.ndarray]
    dense: np.ndarray

    @property
    def listed(self) -> list[np.ndarray]:
        """The fields' vectors, in order."""
        return [*self.vectors.values()]


class Head(ABC):
    """A model over vectors.

    Args:
        settings: the model's settings.
        sizes: what it is made for.
    """

    def __init__(self, settings: Any, sizes: Sizes) -> None:
        self.settings, self.sizes = settings, sizes

    @abstractmethod
    def shapes(self) -> Shapes:
        """Gives the shape of each array, by the path of the Keras variable. All are float32."""

    @abstractmethod
    def score(self, batch: Batch, weights: Weights) -> np.ndarray:
        """Computes scores before the output's scale, float32 (n,)."""


class Dot(Head):
    """The dot product of two vectors."""

    def shapes(self) -> Shapes:
        """Needs nothing."""
        return {}

    def score(self, batch: Batch, weights: Weights) -> np.ndarray:
        """Multiplies the two vectors."""
        u, v = batch.listed
        return np.asarray(np.sum(u * v, axis=-1))


class DotBias(Head):
    """The dot product of two vectors, and a bias of each id."""

    def shapes(self) -> Shapes:
        """Gives a table of one number an id for each field, and one bias."""
        return {**{f"{name}_bias/table": (n, 1) for name, n in self.sizes.rows.items()}, "bias/bias": ()}

    def score(self, batch: Batch, weights: Weights) -> np.ndarray:
        """Adds the biases to the product."""
        u, v = batch.listed
        total = np.sum(u * v, axis=-1)
        for name, rows in batch.rows.items():
            total = total + weights[f"{name}_bias/table"][rows, 0]
        return np.asarray(total + weights["bias/bias"])


class Bias(Head):
    """The sum of all numbers of all vectors."""

    def shapes(self) -> Shapes:
        """Gives one bias."""
        return {"bias/bias": ()}

    def score(self, batch: Batch, weights: Weights) -> np.ndarray:
        """Adds up."""
        total: Any = sum(np.sum(vectors, axis=-1) for vectors in batch.listed)
        return np.asarray(total + weights["bias/bias"])


class LR(Head):
    """Logistic regression: one number a field, and weighted numeric columns."""

    def shapes(self) -> Shapes:
        """Gives the weights of numeric columns, and one bias."""
        dense = {"linear_columns/kernel": (self.sizes.dense, 1)} if self.sizes.dense else {}
        return {**dense, "bias/bias": ()}

    def score(self, batch: Batch, weights: Weights) -> np.ndarray:
        """Adds up."""
        parts = [*batch.listed, *_weighted(batch, weights)]
        return np.asarray(np.sum(_joined(parts), axis=-1) + weights["bias/bias"])


class NeuMF(Head):
    """A product of one half of the vectors, beside a network over the other."""

    @property
    def half(self) -> int:
        """Width of the part that is multiplied."""
        return min(self.sizes.dims.values()) // 2

    def shapes(self) -> Shapes:
        """Gives the kernels and biases of the network and of the score."""
        width = sum(dim - self.half for dim in self.sizes.dims.values()) + self.sizes.dense
        found, width = _network("hidden", width, self.settings.hidden_units, False)
        return {**found, **_linear("score", width + self.half, 1)}

    def score(self, batch: Batch, weights: Weights) -> np.ndarray:
        """Joins the product and the network's last layer."""
        half, vectors = self.half, batch.listed
        before = vectors[0][:, :half]
        product = np.zeros_like(before)
        for vector in vectors[1:]:
            product = product + before * vector[:, :half]
            before = before + vector[:, :half]
        hidden = _joined(
            [*(vector[:, half:] for vector in vectors), *([batch.dense] if self.sizes.dense else [])]
        )
        hidden = _through("hidden", hidden, len(self.settings.hidden_units), weights)
        return _scored(_joined([product, hidden]), weights)


class FM(Head):
    """A linear part and the products of all pairs of vectors."""

    def shapes(self) -> Shapes:
        """Gives the linear part, the vectors of numeric columns, and one bias."""
        return {**_numeric(self.sizes), **_linear_part(self.settings, self.sizes), "bias/bias": ()}

    def score(self, batch: Batch, weights: Weights) -> np.ndarray:
        """Adds both, and the bias."""
        read = _read(batch, weights)
        return np.asarray(
            _sum_linear(self.settings, batch, read, weights) + _pairs(read) + weights["bias/bias"]
        )


class WideDeep(Head):
    """A linear part beside a network over the vectors."""

    pairs = False
    """True adds the products of all pairs of vectors."""

    def shapes(self) -> Shapes:
        """Gives the linear part, the vectors of numeric columns, the network and the score."""
        width = self.sizes.count * self.sizes.dim
        hidden, width = _network("hidden", width, self.settings.hidden_units, self.settings.batch_norm)
        linear = _linear_part(self.settings, self.sizes)
        return {**_numeric(self.sizes), **hidden, **_linear("score", width, 1), **linear}

    def score(self, batch: Batch, weights: Weights) -> np.ndarray:
        """Adds the parts."""
        read = _read(batch, weights)
        hidden = _through("hidden", _joined(read), len(self.settings.hidden_units), weights)
        total = _scored(hidden, weights)
        if self.pairs:
            total = total + _pairs(read)
        return np.asarray(total + _sum_linear(self.settings, batch, read, weights))


class DeepFM(WideDeep):
    """A factorization machine beside a network."""

    pairs = True


class DCNV2(Head):
    """Cross layers beside a network, or before it."""

    def shapes(self) -> Shapes:
        """Gives the cross layers, the network, the score, and the vectors of numeric columns."""
        width = self.sizes.count * self.sizes.dim
        found = _numeric(self.sizes)
        for number in range(self.settings.cross_layers):
            found |= _linear(f"cross_{number}", width, width)
        hidden, last = _network("hidden", width, self.settings.hidden_units, self.settings.batch_norm)
        last = last if self.settings.structure == "stacked" else last + width
        return {**found, **hidden, **_linear("score", last, 1)}

    def score(self, batch: Batch, weights: Weights) -> np.ndarray:
        """Crosses x0 * (W x + b) + x, and scores."""
        first = crossed = _joined(_read(batch, weights))
        for number in range(self.settings.cross_layers):
            crossed = first * _times(f"cross_{number}", crossed, weights) + crossed
        count = len(self.settings.hidden_units)
        if self.settings.structure == "stacked":
            return _scored(_through("hidden", crossed, count, weights), weights)
        return _scored(_joined([crossed, _through("hidden", first, count, weights)]), weights)


class DLRM(Head):
    """A network of the numeric columns, products of all pairs of vectors, a network over them."""

    def shapes(self) -> Shapes:
        """Gives both networks, the bottom vector and the score."""
        found: Shapes = {}
        dims, norm, has = [*self.sizes.dims.values()], self.settings.batch_norm, bool(self.sizes.dense)
        if has:
            bottom, width = _network("bottom", self.sizes.dense, self.settings.bottom_units, norm)
            found = {**bottom, **_linear("bottom_vector", width, self.sizes.dim)}
            dims = [self.sizes.dim, *dims]
        if self.settings.interaction == "cat":
            width = sum(dims)
        else:
            width = len(dims) * (len(dims) - 1) // 2 + has * self.sizes.dim
        hidden, width = _network("hidden", width, self.settings.hidden_units, norm)
        return {**found, **hidden, **_linear("score", width, 1)}

    def score(self, batch: Batch, weights: Weights) -> np.ndarray:
        """Scores the products."""
        bottom = []
        if self.sizes.dense:
            hidden = _through("bottom", batch.dense, len(self.settings.bottom_units), weights)
            bottom = [_relu(_times("bottom_vector", hidden, weights))]
        vectors = [*bottom, *batch.listed]
        if self.settings.interaction == "cat":
            top = _joined(vectors)
        else:
            stacked = np.stack(vectors, axis=1)
            products = stacked @ stacked.transpose(0, 2, 1)
            left, right = np.triu_indices(len(vectors), 1)
            top = _joined([products[:, left, right], *bottom])
        return _scored(_through("hidden", top, len(self.settings.hidden_units), weights), weights)


HEADS: Mapping[str, type[Head]] = {
    "bias": Bias, "dcn_v2": DCNV2, "deepfm": DeepFM, "dlrm": DLRM, "dot": Dot, "dot_bias": DotBias, "fm": FM,
    "lr": LR, "neumf": NeuMF, "wide_deep": WideDeep,
}  # fmt: skip
"""The head of each model that has one in NumPy."""


def scaled(score: np.ndarray, label_range: tuple[float, float] | None) -> np.ndarray:
    """Gives lo + (hi - lo) * sigmoid(score), with lo = min(0, smallest label); the score itself without a range."""
    if label_range is None:
        return score
    low, high = min(0.0, label_range[0]), label_range[1]
    with np.errstate(over="ignore"):
        part = np.float32(1) / (np.float32(1) + np.exp(-score.astype(np.float32)))
    return np.asarray(np.float32(low) + np.float32(high - low) * part, np.float32)


def _linear(name: str, inputs: int, outputs: int) -> Shapes:
    return {f"{name}/kernel": (inputs, outputs), f"{name}/bias": (outputs,)}


def _network(name: str, width: int, units: Sequence[int], norm: bool) -> tuple[Shapes, int]:
    """Gives the arrays of hidden layers, and the width of the last."""
    found: Shapes = {}
    for number, wide in enumerate(units):
        found |= _linear(f"{name}_{number}", width, wide)
        if norm:
            own = f"{name}_{number}_norm"
            found |= {
                f"{own}/{part}": (wide,) for part in ("gamma", "beta", "moving_mean", "moving_variance")
            }
        width = wide
    return found, width


def _numeric(sizes: Sizes) -> Shapes:
    return {"numeric_vectors/vectors": (sizes.dense, sizes.dim)} if sizes.dense else {}


def _linear_part(settings: Any, sizes: Sizes) -> Shapes:
    if settings.linear == "projected":
        return {"linear/kernel": (sizes.count * sizes.dim, 1)}
    tables: Shapes = {f"{name}_linear/table": (rows, 1) for name, rows in sizes.rows.items()}
    return {**tables, **({"linear_columns/kernel": (sizes.dense, 1)} if sizes.dense else {})}


def _joined(parts: Sequence[np.ndarray]) -> np.ndarray:
    return np.concatenate(list(parts), axis=-1) if len(parts) > 1 else parts[0]


def _relu(values: np.ndarray) -> np.ndarray:
    return np.asarray(np.maximum(values, np.float32(0)))


def _times(name: str, values: np.ndarray, weights: Weights) -> np.ndarray:
    found: np.ndarray = values @ weights[f"{name}/kernel"] + weights[f"{name}/bias"]
    return found


def _scored(hidden: np.ndarray, weights: Weights) -> np.ndarray:
    return _times("score", hidden, weights)[:, 0]


def _through(name: str, hidden: np.ndarray, count: int, weights: Weights) -> np.ndarray:
    """Passes values through hidden layers: linear, batch normalization where there is one, ReLU."""
    for number in range(count):
        own = f"{name}_{number}"
        hidden = _times(own, hidden, weights)
        if f"{own}_norm/gamma" in weights:
            gamma, beta, mean, variance = (
                weights[f"{own}_norm/{part}"] for part in ("gamma", "beta", "moving_mean", "moving_variance")
            )
            hidden = (hidden - mean) * (gamma / np.sqrt(variance + np.float32(NORM_EPSILON))) + beta
        hidden = _relu(hidden)
    return hidden


def _read(batch: Batch, weights: Weights) -> list[np.ndarray]:
    """Gives the fields' vectors, and those of numeric columns: number times a trained vector."""
    found = batch.listed
    if batch.dense.shape[1]:
        vectors = weights["numeric_vectors/vectors"]
        found += [batch.dense[:, number, None] * vectors[number] for number in range(len(vectors))]
    return found


def _weighted(batch: Batch, weights: Weights) -> list[np.ndarray]:
    return [batch.dense @ weights["linear_columns/kernel"]] if batch.dense.shape[1] else []


def _sum_linear(settings: Any, batch: Batch, read: Sequence[np.ndarray], weights: Weights) -> np.ndarray:
    if settings.linear == "projected":
        projected: np.ndarray = (_joined(read) @ weights["linear/kernel"])[:, 0]
        return projected
    own = [weights[f"{name}_linear/table"][rows] for name, rows in batch.rows.items()]
    return np.asarray(np.sum(_joined([*own, *_weighted(batch, weights)]), axis=-1))


def _pairs(read: Sequence[np.ndarray]) -> np.ndarray:
    stacked = np.stack(list(read), axis=1)
    square_of_sum = np.square(np.sum(stacked, axis=1))
    sum_of_squares = np.sum(np.square(stacked), axis=1)
    return np.asarray(np.float32(0.5) * np.sum(square_of_sum - sum_of_squares, axis=-1))
