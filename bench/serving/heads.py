"""The models over the vectors, in NumPy: for each, the arrays that it needs and how it makes scores of vectors.

As methods do, they use ``xp``: ``numpy``, or another module with its functions, which builds a graph of them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.embeddings.numbers import float32

Shapes = dict[str, tuple[int, ...]]
Weights = Mapping[str, Any]
"""Arrays by name: NumPy's, or those of ``xp``."""

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
        xp: ``numpy``, or a module with its functions.
    """

    vectors: Mapping[str, Any]
    rows: Mapping[str, Any]
    dense: Any
    xp: Any = np

    @property
    def listed(self) -> list[Any]:
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
    def score(self, batch: Batch, weights: Weights) -> Any:
        """Computes scores before the output's scale, float32 (n,), from the arrays of ``shapes()``."""


class Dot(Head):
    """The dot product of two vectors."""

    def shapes(self) -> Shapes:
        """Needs nothing."""
        return {}

    def score(self, batch: Batch, weights: Weights) -> Any:
        """Multiplies the two vectors."""
        xp = batch.xp
        u, v = batch.listed
        return xp.sum(u * v, axis=-1)


class DotBias(Head):
    """The dot product of two vectors, and a bias of each id."""

    def shapes(self) -> Shapes:
        """Gives a table of one number an id for each field, and one bias."""
        return {**{f"{name}_bias/table": (n, 1) for name, n in self.sizes.rows.items()}, "bias/bias": ()}

    def score(self, batch: Batch, weights: Weights) -> Any:
        """Adds the biases to the product."""
        xp = batch.xp
        u, v = batch.listed
        total = xp.sum(u * v, axis=-1)
        for name, rows in batch.rows.items():
            total = total + xp.take(weights[f"{name}_bias/table"], rows, axis=0)[:, 0]
        return total + weights["bias/bias"]


class Bias(Head):
    """The sum of all numbers of all vectors."""

    def shapes(self) -> Shapes:
        """Gives one bias."""
        return {"bias/bias": ()}

    def score(self, batch: Batch, weights: Weights) -> Any:
        """Adds up."""
        xp = batch.xp
        total: Any = sum(xp.sum(vectors, axis=-1) for vectors in batch.listed)
        return total + weights["bias/bias"]


class LR(Head):
    """Logistic regression: one number a field, and weighted numeric columns."""

    def shapes(self) -> Shapes:
        """Gives the weights of numeric columns, and one bias."""
        dense = {"linear_columns/kernel": (self.sizes.dense, 1)} if self.sizes.dense else {}
        return {**dense, "bias/bias": ()}

    def score(self, batch: Batch, weights: Weights) -> Any:
        """Adds up."""
        xp = batch.xp
        parts = [*batch.listed, *_weighted(batch, weights)]
        return xp.sum(_joined(parts, xp), axis=-1) + weights["bias/bias"]


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

    def score(self, batch: Batch, weights: Weights) -> Any:
        """Joins the product and the network's last layer."""
        xp = batch.xp
        half, vectors = self.half, batch.listed
        before = vectors[0][:, :half]
        product = xp.zeros_like(before)
        for vector in vectors[1:]:
            product = product + before * vector[:, :half]
            before = before + vector[:, :half]
        hidden = _joined(
            [*(vector[:, half:] for vector in vectors), *([batch.dense] if self.sizes.dense else [])], xp
        )
        hidden = _through("hidden", hidden, len(self.settings.hidden_units), weights, xp)
        return _scored(_joined([product, hidden], xp), weights, xp)


class FM(Head):
    """A linear part and the products of all pairs of vectors."""

    def shapes(self) -> Shapes:
        """Gives the linear part, the vectors of numeric columns, and one bias."""
        return {**_numeric(self.sizes), **_linear_part(self.settings, self.sizes), "bias/bias": ()}

    def score(self, batch: Batch, weights: Weights) -> Any:
        """Adds both, and the bias."""
        xp = batch.xp
        read = _read(batch, weights)
        return _sum_linear(self.settings, batch, read, weights) + _pairs(read, xp) + weights["bias/bias"]


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

    def score(self, batch: Batch, weights: Weights) -> Any:
        """Adds the parts."""
        xp = batch.xp
        read = _read(batch, weights)
        hidden = _through("hidden", _joined(read, xp), len(self.settings.hidden_units), weights, xp)
        total = _scored(hidden, weights, xp)
        if self.pairs:
            total = total + _pairs(read, xp)
        return total + _sum_linear(self.settings, batch, read, weights)


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

    def score(self, batch: Batch, weights: Weights) -> Any:
        """Crosses x0 * (W x + b) + x, and scores."""
        xp = batch.xp
        first = crossed = _joined(_read(batch, weights), xp)
        for number in range(self.settings.cross_layers):
            crossed = first * _times(f"cross_{number}", crossed, weights, xp) + crossed
        count = len(self.settings.hidden_units)
        if self.settings.structure == "stacked":
            return _scored(_through("hidden", crossed, count, weights, xp), weights, xp)
        return _scored(_joined([crossed, _through("hidden", first, count, weights, xp)], xp), weights, xp)


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

    def score(self, batch: Batch, weights: Weights) -> Any:
        """Scores the products."""
        xp = batch.xp
        bottom = []
        if self.sizes.dense:
            hidden = _through("bottom", batch.dense, len(self.settings.bottom_units), weights, xp)
            bottom = [_relu(_times("bottom_vector", hidden, weights, xp), xp)]
        vectors = [*bottom, *batch.listed]
        if self.settings.interaction == "cat":
            top = _joined(vectors, xp)
        else:
            stacked = xp.stack(vectors, axis=1)
            products = xp.matmul(stacked, xp.transpose(stacked, (0, 2, 1)))
            left, right = np.triu_indices(len(vectors), 1)
            flat = xp.reshape(products, (-1, len(vectors) ** 2))
            top = _joined([xp.take(flat, left * len(vectors) + right, axis=1), *bottom], xp)
        return _scored(_through("hidden", top, len(self.settings.hidden_units), weights, xp), weights, xp)


HEADS: Mapping[str, type[Head]] = {
    "bias": Bias, "dcn_v2": DCNV2, "deepfm": DeepFM, "dlrm": DLRM, "dot": Dot, "dot_bias": DotBias, "fm": FM,
    "lr": LR, "neumf": NeuMF, "wide_deep": WideDeep,
}  # fmt: skip
"""The head of each model that has one in NumPy."""


def scaled(score: Any, label_range: tuple[float, float] | None, xp: Any = np) -> Any:
    """Gives lo + (hi - lo) * sigmoid(score), with lo = min(0, smallest label); the score itself without a range."""
    if label_range is None:
        return score
    low, high = min(0.0, label_range[0]), label_range[1]
    with np.errstate(over="ignore"):
        part = np.float32(1) / (np.float32(1) + xp.exp(-float32(score, xp)))
    return float32(np.float32(low) + np.float32(high - low) * part, xp)


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


def _joined(parts: Sequence[Any], xp: Any) -> Any:
    return xp.concatenate(list(parts), axis=-1) if len(parts) > 1 else parts[0]


def _relu(values: Any, xp: Any) -> Any:
    return xp.maximum(values, np.float32(0))


def _times(name: str, values: Any, weights: Weights, xp: Any) -> Any:
    return xp.matmul(values, weights[f"{name}/kernel"]) + weights[f"{name}/bias"]


def _scored(hidden: Any, weights: Weights, xp: Any) -> Any:
    return _times("score", hidden, weights, xp)[:, 0]


def _through(name: str, hidden: Any, count: int, weights: Weights, xp: Any) -> Any:
    """Passes values through hidden layers: linear, batch normalization where there is one, ReLU."""
    for number in range(count):
        own = f"{name}_{number}"
        hidden = _times(own, hidden, weights, xp)
        if f"{own}_norm/gamma" in weights:
            gamma, beta, mean, variance = (
                weights[f"{own}_norm/{part}"] for part in ("gamma", "beta", "moving_mean", "moving_variance")
            )
            hidden = (hidden - mean) * (gamma / xp.sqrt(variance + np.float32(NORM_EPSILON))) + beta
        hidden = _relu(hidden, xp)
    return hidden


def _read(batch: Batch, weights: Weights) -> list[Any]:
    """Gives the fields' vectors, and those of numeric columns: number times a trained vector."""
    found = batch.listed
    if batch.dense.shape[1]:
        vectors = weights["numeric_vectors/vectors"]
        found += [batch.dense[:, number : number + 1] * vectors[number] for number in range(vectors.shape[0])]
    return found


def _weighted(batch: Batch, weights: Weights) -> list[Any]:
    return [batch.xp.matmul(batch.dense, weights["linear_columns/kernel"])] if batch.dense.shape[1] else []


def _sum_linear(settings: Any, batch: Batch, read: Sequence[Any], weights: Weights) -> Any:
    xp = batch.xp
    if settings.linear == "projected":
        return xp.matmul(_joined(read, xp), weights["linear/kernel"])[:, 0]
    own = [xp.take(weights[f"{name}_linear/table"], rows, axis=0) for name, rows in batch.rows.items()]
    return xp.sum(_joined([*own, *_weighted(batch, weights)], xp), axis=-1)


def _pairs(read: Sequence[Any], xp: Any) -> Any:
    stacked = xp.stack(list(read), axis=1)
    square_of_sum = xp.square(xp.sum(stacked, axis=1))
    sum_of_squares = xp.sum(xp.square(stacked), axis=1)
    return np.float32(0.5) * xp.sum(square_of_sum - sum_of_squares, axis=-1)
