"""The one Keras layer: any method, as a layer for a model of one's own."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from bench.embeddings import find, read
from bench.embeddings.base import Array, Method, Vocabulary

EXACT_IN_FLOAT32 = 1 << 24


@dataclass
class _Given:
    rows: Mapping[str, Any]
    indices: Mapping[str, Any]
    calls: int = 0


@keras.saving.register_keras_serializable(package="bench")
class CompressedEmbedding(keras.layers.Layer):  # type: ignore[misc]
    """Turns integer ids into vectors, by a compression method.

    Call it with integers of any shape (...); it gives (..., embedding_dim) in the layer's compute dtype,
    float32 unless set otherwise. An id outside the vocabulary raises ValueError in eager calls. In a compiled
    function (``fit``, ``predict``, ``tf.function``) ids are not known when the check would have to be made:
    check them before (``layer.method.check_ids``), for XLA clamps what is out of range and says nothing.

    Floats that are whole numbers are taken as well while they are exact, up to 2^24 ids: Keras makes float32
    inputs where a model names no input type.

    A saved model keeps the method, its settings and its id maps, so that training frequencies are not needed
    to load it. A process that loads one must import ``bench.embeddings.layer`` first.

    Args:
        method: what to compute.
        served: makes the form that serves instead of the one that is trained; see ``to_served``.
        seed: makes the initial values depend on it, the field's and the array's name alone; None for Keras's
            global seed.
        **kwargs: of every Keras layer (``name``, ``dtype``, ``trainable``).

    Attributes:
        method: as given.
        form: what is computed: the method, or what it is ``served()`` by.
        table_variables: Keras variables by the method's names for them, as are ``weight_variables`` and
            ``map_variables``; empty until the layer is built.

    Example:
        >>> method = find("qr")(Vocabulary("user", 6040), 64)
        >>> CompressedEmbedding(method)(np.array([[0, 6039]])).shape
        TensorShape([1, 2, 64])
    """

    def __init__(
        self, method: Method[Any], *, served: bool = False, seed: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        if not isinstance(method, Method):
            raise TypeError(f"method={method!r}: give a bench.embeddings.base.Method")
        self.method, self.seed = method, seed
        self.form: Method[Any] = method.served() if served else method
        self.autocast = False  # ids that come as floats are judged as they come
        self.table_variables: dict[str, Any] = {}
        self.weight_variables: dict[str, Any] = {}
        self.map_variables: dict[str, Any] = {}
        self._given: _Given | None = None

    def build(self, input_shape: Any = None) -> None:
        """Makes the variables; their shapes do not depend on the input's."""
        self.table_variables = {a.name: self._add_array(a) for a in self.form.tables()}
        self.weight_variables = {a.name: self._add_array(a) for a in self.form.weights()}
        values = self.form.build_maps()
        self.map_variables = {a.name: self._add_map(a, values[a.name]) for a in self.form.maps()}

    @property
    def array_variables(self) -> dict[str, Any]:
        """The Keras variables of all arrays, by the method's names for them."""
        return {**self.table_variables, **self.weight_variables, **self.map_variables}

    def arrays(self) -> dict[str, np.ndarray]:
        """All arrays of a built layer as NumPy's, by the method's names for them."""
        return {name: ops.convert_to_numpy(variable) for name, variable in self.array_variables.items()}

    def set_arrays(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Gives a built layer's arrays new values, by the method's names for them; those that stay may be missing.

        Raises:
            ValueError: an array that the layer has not, or of another shape.
        """
        variables = self.array_variables
        if unknown := arrays.keys() - variables.keys():
            raise ValueError(f"layer {self.name}: no arrays {', '.join(sorted(unknown))}")
        for name, value in arrays.items():
            variables[name].assign(value)

    def to_served(self, seed: int = 0) -> CompressedEmbedding:
        """A layer of the form that serves, made of this trained layer's arrays: codes, quantized or sparse rows.

        Args:
            seed: of what is drawn on the way (the starts of a clustering).
        """
        config = {key: self.get_config()[key] for key in ("name", "dtype")}
        layer = CompressedEmbedding(self.method, served=True, **config)
        layer.build()
        names = self.method.vocabulary.name.encode()
        rng = np.random.default_rng([seed, zlib.crc32(names)])
        layer.set_arrays(self.method.serve(self.arrays(), rng))
        layer.trainable = False
        return layer

    def _add_array(self, array: Array) -> Any:
        initializer = keras.initializers.get(array.initializer if array.trainable else "zeros")
        config = initializer.get_config()
        if self.seed is not None and "seed" in config:
            names = f"{self.method.vocabulary.name}/{array.name}".encode()
            config["seed"] = zlib.crc32(names, self.seed & 0xFFFFFFFF) & 0x7FFFFFFF
            initializer = type(initializer).from_config(config)
        return self.add_weight(
            shape=array.shape,
            dtype=array.dtype,
            initializer=initializer,
            trainable=array.trainable,
            name=array.name,
        )

    def _add_map(self, array: Array, value: np.ndarray) -> Any:
        # A function, so that building inside a traced function makes no assignment there.
        def initial(shape: Any, dtype: Any) -> Any:
            return ops.convert_to_tensor(value, dtype)

        return self.add_weight(
            shape=array.shape, dtype=array.dtype, initializer=initial, trainable=False, name=array.name
        )

    @contextmanager
    def given_rows(self, rows: Mapping[str, Any], indices: Mapping[str, Any]) -> Iterator[None]:
        """Within it, calls read no table and no id: they combine these rows.

        Args:
            rows: of every table, what ``indices`` say of it: (..., width), or (..., k, width) for k rows an
                id.
            indices: what the method's ``lookups`` returned.

        Raises:
            RuntimeError: used inside itself.
            ValueError: a table without rows, or other than one call inside.
        """
        if self._given is not None:
            raise RuntimeError(f"layer {self.name}: given_rows cannot be used inside itself")
        if missing := {table.name for table in self.form.tables()} - set(rows):
            raise ValueError(f"layer {self.name}: no rows given of {', '.join(sorted(missing))}")
        self._given = given = _Given(rows, indices)
        try:
            yield
        finally:
            self._given = None
        if given.calls != 1:
            raise ValueError(
                f"layer {self.name}: called {given.calls} times in a step, rows are given for one call; "
                "give each call a layer of its own"
            )

    def call(self, ids: Any, training: bool = False) -> Any:
        """Vectors (..., embedding_dim) for ids (...)."""
        if self._given is not None:
            self._given.calls += 1
            rows, indices = self._given.rows, self._given.indices
        else:
            ids = self._checked(ops.convert_to_tensor(ids))
            indices = self.form.lookups(ids, _tensors(self.map_variables), ops)
            rows = {
                name: ops.take(table, indices[name], axis=0) for name, table in self.table_variables.items()
            }
        weights = _tensors({**self.weight_variables, **self.map_variables})
        vectors = self.form.combine(rows, indices, weights, ops, bool(training))
        penalty = self.form.penalty(rows, indices, weights, ops) if training else None
        if penalty is not None:
            self.add_loss(penalty)
        return ops.cast(vectors, self.compute_dtype)

    def _checked(self, ids: Any) -> Any:
        self._check_dtype(ids)
        if hasattr(ids, "numpy"):  # an eager tensor: its values are known
            values = ops.convert_to_numpy(ids)
            if not np.array_equal(values, np.floor(values)):
                raise ValueError(f"layer {self.name}: ids that are not whole numbers; give integers")
            self.method.check_ids(values)
        return ids if "int" in keras.backend.standardize_dtype(ids.dtype) else ops.cast(ids, "int32")

    def _check_dtype(self, ids: Any) -> None:
        """Refuses floats that cannot tell all ids apart; Keras's own float32 inputs can, up to 2^24 ids."""
        dtype, size = keras.backend.standardize_dtype(ids.dtype), self.method.vocabulary.size
        if "int" not in dtype and not (dtype in ("float32", "float64") and size <= EXACT_IN_FLOAT32):
            raise ValueError(
                f"layer {self.name}: ids of type {dtype} for {size} ids; give integers, in a functional or "
                "sequential model by keras.Input(..., dtype='int32')"
            )

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        """The ids' shape and embedding_dim behind it."""
        return (*input_shape, self.method.embedding_dim)

    def compute_output_spec(self, ids: Any, training: bool = False) -> Any:
        """Shape and dtype of the vectors."""
        self._check_dtype(ids)
        return keras.KerasTensor(self.compute_output_shape(ids.shape), dtype=self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        """All that ``from_config`` needs; maps are among the saved weights."""
        vocabulary = self.method.vocabulary
        return {
            **super().get_config(),
            "method": self.method.name(),
            "settings": asdict(self.method.settings),
            "vocabulary": {"name": vocabulary.name, "size": vocabulary.size},
            "embedding_dim": self.method.embedding_dim,
            "served": self.form is not self.method,
            "seed": self.seed,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> CompressedEmbedding:
        """The layer as it was, without its weights."""
        config = dict(config)
        method = find(config.pop("method"))
        settings = method.Settings(**config.pop("settings"))
        vocabulary = Vocabulary(**config.pop("vocabulary"))
        return cls(method(vocabulary, config.pop("embedding_dim"), settings), **config)


def _tensors(variables: Mapping[str, Any]) -> dict[str, Any]:
    return {name: ops.convert_to_tensor(variable) for name, variable in variables.items()}


def constructor(method: str) -> Callable[..., CompressedEmbedding]:
    """The layer's constructor with the method chosen: ``bench.embeddings.QREmbedding`` and its like."""

    def make(
        vocabulary_size: int,
        embedding_dim: int = 64,
        *,
        counts: np.ndarray | None = None,
        field: str = "ids",
        seed: int | None = None,
        name: str | None = None,
        dtype: Any = None,
        **settings: Any,
    ) -> CompressedEmbedding:
        chosen, values = read({"method": method, **settings})
        known = None if counts is None else np.asarray(counts, np.int64)
        vocabulary = Vocabulary(field, vocabulary_size, known)
        return CompressedEmbedding(
            chosen(vocabulary, embedding_dim, values), seed=seed, name=name, dtype=dtype
        )

    make.__doc__ = f"""A ``CompressedEmbedding`` by ``{method}``.

        Args:
            vocabulary_size: how many ids there are; valid ids are 0 to vocabulary_size - 1.
            embedding_dim: width of the vectors.
            counts: training frequency of each id; None where ids are sorted by it, the most frequent first.
            field: the field's name, for messages.
            seed: of the initial values.
            name: the layer's name.
            dtype: the layer's dtype or dtype policy.
            **settings: of ``bench.embeddings.{method}.Settings``.
        """
    make.__name__ = make.__qualname__ = find(method).__name__ + "Embedding"
    return make


def embedding_layers(model: keras.Model) -> list[CompressedEmbedding]:
    """All ``CompressedEmbedding`` layers of a model, at any depth, in order, each once."""
    found = model._flatten_layers(include_self=True, recursive=True)
    return list({id(layer): layer for layer in found if isinstance(layer, CompressedEmbedding)}.values())
