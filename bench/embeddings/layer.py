"""The Keras layer ``CompressedEmbedding``, which works with any method, for a model of your own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import ArrayLike

from bench.embeddings import constructors, held
from bench.embeddings.base import Array, Arrays, Method, Vocabulary
from bench.embeddings.budget import choose
from bench.embeddings.cloned import Awaited
from bench.embeddings.given import Given
from bench.embeddings.registry import find, read
from bench.embeddings.trial import check_arrays, check_lookups, check_values, check_width
from bench.errors import RequestError

EXACT_IN_FLOAT32 = 1 << 24
"""The largest vocabulary whose ids float32 can tell apart."""


@keras.saving.register_keras_serializable(package="bench")
class CompressedEmbedding(keras.layers.Layer):  # type: ignore[misc]
    """Turns integer ids into vectors, by a compression method.

    The input is integers of any shape (...). The output has the shape (..., embedding_dim) and the layer's compute
    dtype, float32 unless set otherwise.

    An id outside the vocabulary raises ValueError in eager calls. Compiled functions (``fit``, ``predict``,
    ``tf.function``) cannot check ids: XLA replaces a wrong id by the nearest valid one without an error. Check ids
    before, with ``layer.method.check_ids``.

    Floats are accepted too if they are whole numbers and exact, up to 2^24 ids. Keras makes float32 inputs if a model
    names no input type.

    If several fields share the method, ids are those of their joined vocabulary, see ``Vocabulary.ids_of``.

    Vectors are computed in the method's types and then cast, whatever the dtype policy. Quantized policies are refused.

    A saved model keeps the method, its settings and its id maps. So training frequencies are not needed to load it. A
    process that loads such a model must import ``bench.embeddings.layer`` first. A layer made from a config alone
    raises ValueError in calls if it lacks maps that come of training frequencies, or serves, until it gets weights.

    Args:
        method: the method, with its vocabulary, width and settings.
        served: True makes the form that serves in place of the one that is trained; see ``to_served``.
        seed: makes the initial values depend on this number and the names of field and array alone. None: Keras's
            global seed decides.
        **kwargs: those of every Keras layer (``name``, ``dtype``, ``trainable``).

    Attributes:
        method: as given.
        form: the form that is computed: the method, or its ``served()``.
        table_variables: the Keras variables of the tables, by the method's names for them. Empty until the layer is
            built.
        weight_variables: those of the weights.
        map_variables: those of the maps.

    Example:
        >>> import numpy as np
        >>> from bench.embeddings import CompressedEmbedding, find
        >>> from bench.embeddings.base import Vocabulary
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
        held.check_name(self.name)
        self.method, self.seed = method, seed
        self.form: Method[Any] = method.served() if served else method
        self.autocast = False  # Keras would round float ids to a narrower type before they are checked
        self.table_variables: dict[str, keras.Variable] = {}
        self.weight_variables: dict[str, keras.Variable] = {}
        self.map_variables: dict[str, keras.Variable] = {}
        self._given: Given | None = None
        self._readers: Mapping[str, Callable[[Any], Any]] = {}
        self._widened: dict[str, str] = {}
        self._awaited = Awaited()

    def build(self, input_shape: Any = None) -> None:
        """Makes the variables. Their shapes do not depend on the input's.

        Raises:
            RequestError: the method describes its arrays wrongly, or the dtype policy is a quantized one.
        """
        held.check_policy(self)
        check_arrays(self.form)
        self._widened = held.widened(self.form.arrays())
        self.table_variables = {
            a.name: self._add(a, held.initializer(self.form, a, self.seed)) for a in self.form.tables()
        }
        self.weight_variables = {
            a.name: self._add(a, held.initializer(self.form, a, self.seed)) for a in self.form.weights()
        }
        values = self.form.build_maps()
        check_values(self.form, "build_maps", values, self.form.maps())
        self.map_variables = {a.name: self._add(a, held.constant(values[a.name])) for a in self.form.maps()}

    @property
    def array_variables(self) -> dict[str, keras.Variable]:
        """The Keras variables of all arrays, by the method's names for them."""
        return {**self.table_variables, **self.weight_variables, **self.map_variables}

    def arrays(self, *names: str) -> dict[str, np.ndarray]:
        """Returns all arrays of a built layer, or some, as NumPy arrays, by the method's names for them."""
        known = self.array_variables
        return held.values({name: known[name] for name in names or known}, self._widened)

    def maps(self) -> dict[str, np.ndarray]:
        """Returns the integer arrays that lookups read, by the method's names for them."""
        return held.values(self.map_variables, self._widened)

    def set_arrays(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Gives arrays of a built layer new values.

        Args:
            arrays: new values by the method's names. Arrays that keep their values may be missing.

        Raises:
            ValueError: a name that the layer does not have, or another shape.
        """
        variables = self.array_variables
        if unknown := arrays.keys() - variables.keys():
            raise ValueError(f"layer {self.name}: no arrays {', '.join(sorted(unknown))}")
        for name, value in arrays.items():
            variables[name].assign(value)

    def to_served(self, seed: int = 0) -> CompressedEmbedding:
        """Makes a layer of the form that serves from this trained layer: codes, quantized rows, sparse rows.

        Args:
            seed: seed of all random draws, such as the starts of a clustering.
        """
        self._awaited.check(self)
        options = {"name": self.name, "dtype": self.dtype_policy}
        layer = CompressedEmbedding(self.method, served=True, seed=self.seed, **options)
        layer.build()
        arrays = self.method.serve(self.arrays(), self.method.vocabulary.generator(seed))
        check_values(self.method, "serve", arrays, layer.form.arrays())
        layer.set_arrays(arrays)
        layer.trainable = False
        return layer

    def _add(self, array: Array, initializer: Any) -> Any:
        mark = self._awaited.mark(array)
        return self.add_weight(
            shape=array.shape,
            dtype=held.dtype_of(array),
            initializer=initializer if mark is None else held.constant(mark),
            trainable=array.trainable,
            autocast=False,
            name=array.name,
        )

    @contextmanager
    def given_rows(self, rows: Arrays, indices: Arrays) -> Iterator[Given]:
        """Makes the call of the layer inside this context combine these rows. It reads neither tables nor ids.

        Args:
            rows: the rows of every table at ``indices``: (..., width), or (..., k, width) for k rows an id.
            indices: the result of the method's ``lookups``.

        Raises:
            RuntimeError: it is used inside itself.
            ValueError: rows of a table are missing, or the number of calls inside is not one.
        """
        if self._given is not None:
            raise RuntimeError(f"layer {self.name}: given_rows cannot be used inside itself")
        if missing := {table.name for table in self.form.tables()} - set(rows):
            raise ValueError(f"layer {self.name}: no rows given of {', '.join(sorted(missing))}")
        self._given = given = Given(rows, indices)
        try:
            yield given
        finally:
            self._given = None
        if given.calls != 1:
            raise ValueError(
                f"layer {self.name}: called {given.calls} times in a step, rows are given for one call; "
                "give each call a layer of its own"
            )

    @contextmanager
    def read_by(self, readers: Mapping[str, Callable[[Any], Any]]) -> Iterator[None]:
        """Makes calls of the layer inside this context read some tables by functions.

        Args:
            readers: by table, a function from positions, integers (...), to rows, (..., width).
        """
        before, self._readers = self._readers, readers
        try:
            yield
        finally:
            self._readers = before

    def call(self, ids: Any, training: bool = False) -> Any:
        """Computes the vectors.

        Args:
            ids: integers of any shape (...).
            training: True in a training step; a method may then add a penalty to the loss.

        Returns:
            Vectors of shape (..., embedding_dim).
        """
        self._awaited.check(self)
        if self._given is not None:
            self._given.calls += 1
            rows, indices = self._given.rows, self._given.indices
        else:
            ids = self._checked(ops.convert_to_tensor(ids))
            indices = self.form.lookups(ids, held.tensors(self.map_variables, self._widened), ops)
            check_lookups(self.form, indices)
            rows = {
                name: self._readers[name](indices[name])
                if name in self._readers
                else ops.take(table, indices[name], axis=0)
                for name, table in self.table_variables.items()
            }
        weights = held.tensors({**self.weight_variables, **self.map_variables}, self._widened)
        vectors = self.form.combine(rows, indices, weights, ops, bool(training))
        check_width(self.form, vectors)
        if self._given is not None:
            self._given.vectors = vectors
        penalty = self.form.penalty(rows, indices, weights, ops) if training else None
        if penalty is not None:
            self.add_loss(penalty)
        return ops.cast(vectors, self.compute_dtype)

    def _checked(self, ids: Any) -> Any:
        self._check_dtype(ids)
        if hasattr(ids, "numpy"):  # an eager tensor, whose values are known
            values = ops.convert_to_numpy(ids)
            if not np.array_equal(values, np.floor(values)):
                raise ValueError(f"layer {self.name}: ids that are not whole numbers; give integers")
            self.method.check_ids(values)
        return ids if "int" in keras.backend.standardize_dtype(ids.dtype) else ops.cast(ids, "int32")

    def _check_dtype(self, ids: Any) -> None:
        """Refuses floats that cannot tell all ids apart. Keras's own float32 inputs can, up to 2^24 ids."""
        dtype, size = keras.backend.standardize_dtype(ids.dtype), self.method.vocabulary.size
        if "int" not in dtype and not (dtype in ("float32", "float64") and size <= EXACT_IN_FLOAT32):
            raise ValueError(
                f"layer {self.name}: ids of type {dtype} for {size} ids; give integers, in a functional or "
                "sequential model by keras.Input(..., dtype='int32')"
            )

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        """Returns the ids' shape followed by embedding_dim."""
        return (*input_shape, self.method.embedding_dim)

    def compute_output_spec(self, ids: Any, training: bool = False) -> Any:
        """Returns shape and dtype of the vectors."""
        self._check_dtype(ids)
        return keras.KerasTensor(self.compute_output_shape(ids.shape), dtype=self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        """Returns all that ``from_config`` needs. Maps are among the saved weights."""
        vocabulary = self.method.vocabulary
        return {
            **super().get_config(),
            "method": self.method.name(),
            "settings": asdict(self.method.settings),
            "vocabulary": vocabulary.config(),
            "embedding_dim": self.method.embedding_dim,
            "served": self.form is not self.method,
            "seed": self.seed,
            "awaited": self._awaited.names(self.method, self.form),
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> CompressedEmbedding:
        """Makes the layer anew, without its weights."""
        values = dict(config)
        awaited = Awaited(list(values.pop("awaited", ())))
        method = find(values.pop("method"))
        settings = method.Settings(**values.pop("settings"))
        vocabulary = Vocabulary.from_config(values.pop("vocabulary"))
        layer = cls(method(vocabulary, values.pop("embedding_dim"), settings), **values)
        layer._awaited = awaited
        return layer


def Embedding(  # noqa: N802 - named like the layers it makes
    vocabulary_size: int,
    embedding_dim: int = 64,
    *,
    method: str,
    counts: ArrayLike | None = None,
    field: str = "ids",
    **settings: Any,
) -> CompressedEmbedding:
    """Makes an untrained layer of any method, from the method's name and settings.

    An entry of ``embeddings`` in a result is such settings. So ``Embedding(6040, 64, **result.embeddings["user"])``
    makes the layer that the run compressed its users with.

    Args:
        vocabulary_size: Number of ids. Valid ids are 0 to vocabulary_size - 1.
        embedding_dim: Width of the vectors.
        method: The method's name, such as ``qr``.
        counts: Training frequency of each id, integers of shape (vocabulary_size,). None: ids are sorted by falling
            frequency.
        field: Name of the field. Messages show it, and hashes depend on it.
        **settings: The method's settings; also ``seed``, ``name`` and ``dtype`` of the layer. The ``tables`` of a
            result's entry are compared with those that the layer gets. Its ``fields`` and ``table_updates`` say who
            shared them in a run, and how they were trained, and decide nothing here.

    Returns:
        A ``CompressedEmbedding``: it turns integers (...) into vectors (..., embedding_dim).

    Raises:
        RequestError: the method is unknown; a setting does not work for this vocabulary and width; the tables are not
            those of the result's entry.

    Example:
        >>> import numpy as np
        >>> from bench.embeddings import Embedding
        >>> layer = Embedding(6040, 64, method="qr", num_buckets=120)
        >>> layer(np.array([0, 6039])).shape
        TensorShape([2, 64])
    """
    of_layer = {key: settings.pop(key, None) for key in ("seed", "name", "dtype")}
    expected = settings.pop("tables", None)
    for of_a_run in ("fields", "table_updates"):
        settings.pop(of_a_run, None)
    known = None if counts is None else np.asarray(counts, np.int64)
    vocabularies = {field: Vocabulary(field, vocabulary_size, known)}
    made = choose({field: read({**settings, "method": method})}, vocabularies, embedding_dim, None)[field]
    found = {table.name: list(table.shape) for table in made.tables()}
    if expected is not None and found != {name: list(shape) for name, shape in expected.items()}:
        raise RequestError(
            f"vocabulary_size={vocabulary_size}, embedding_dim={embedding_dim}: make the tables {found}, and the "
            f"result's entry has {dict(expected)}; give the sizes of its run, or leave out tables"
        )
    return CompressedEmbedding(made, **of_layer)


def constructor(method: str) -> Callable[..., CompressedEmbedding]:
    """Makes the constructor of a method's layer, such as ``bench.embeddings.QREmbedding``.

    Its parameters and its docstring come from ``bench.embeddings.constructors``.

    Args:
        method: name of the method.
    """

    def make(
        vocabulary_size: int,
        embedding_dim: int = 64,
        *,
        counts: ArrayLike | None = None,
        field: str = "ids",
        **settings: Any,
    ) -> CompressedEmbedding:
        given = settings.pop("method", method)  # in the entry of a result
        if given != method:
            raise RequestError(
                f"method={given}: {constructors.constructor_name(method)} makes layers of {method}; call "
                "Embedding, which makes one of any method"
            )
        return Embedding(
            vocabulary_size, embedding_dim, method=method, counts=counts, field=field, **settings
        )

    make.__doc__ = constructors.docstring(method)
    make.__signature__ = constructors.signature(method)  # type: ignore[attr-defined]
    make.__name__ = make.__qualname__ = constructors.constructor_name(method)
    make.__module__ = "bench.embeddings"
    return make


def embedding_layers(model: keras.Model) -> list[CompressedEmbedding]:
    """Lists the ``CompressedEmbedding`` layers of a model, at any depth, in order, each once."""
    found = model._flatten_layers(include_self=True, recursive=True)
    return list({id(layer): layer for layer in found if isinstance(layer, CompressedEmbedding)}.values())
