"""Tries on a few ids in NumPy if a method does what its description says.

The Keras layer uses the checks of single parts too. These checks read names, shapes and types, never values.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

import numpy as np

from bench.config.typed import nearest
from bench.embeddings.base import Array, Arrays, Change, Kind, Method, OverBudget, Rows, Vocabulary
from bench.errors import RequestError

SIZE, DIM = 40, 8
"""Number of ids and width of the trial."""

IDS = np.array([[0, 1, SIZE - 1], [7, 7, 20]])


def try_out(cls: type[Method[Any]]) -> None:
    """Calls the parts of a method with its default settings as a run does, without training and serving.

    Raises:
        RequestError: a part does not give what the description says; the message names the method's file.
    """
    field = Vocabulary("trial", SIZE, np.arange(SIZE, 0, -1))
    try:
        method = cls(field, DIM)
    except RequestError:
        return  # the defaults may not suit this field; a run checks them for its own fields
    _check_settings(method, "resolve", method.settings)
    check_arrays(method)
    for part, other in (("served", method.served()), ("parent", method.parent() or method)):
        if not isinstance(other, Method):
            raise RequestError(f"{_part(method, part)} gives {other!r}; give a method")
    check_arrays(method.served())
    with suppress(OverBudget):
        _check_settings(method, "fit", cls.fit(field, DIM, cls.Settings(), 4 * SIZE * DIM))
    maps = method.build_maps()
    check_values(method, "build_maps", maps, method.maps())
    indices = method.lookups(IDS, maps, np)
    check_lookups(method, indices)
    _check_rows(method, indices)
    _check_counter(method, indices)
    trained = {a.name: np.ones(a.shape, a.dtype) for a in (*method.tables(), *method.weights())}
    rows = {
        table.name: np.take(trained[table.name], indices[table.name], axis=0) for table in method.tables()
    }
    with np.errstate(all="ignore"):
        vectors = method.combine(rows, indices, {**trained, **maps}, np, False)
        check_width(method, vectors)
        if vectors.shape != (*IDS.shape, DIM):
            raise RequestError(
                f"{_part(method, 'combine')} gives the shape {vectors.shape} for ids of shape {IDS.shape} and "
                f"embedding_dim={DIM}; give {(*IDS.shape, DIM)}"
            )
        penalty = method.penalty(rows, indices, {**trained, **maps}, np)
    if penalty is not None and np.shape(penalty):
        raise RequestError(f"{_part(method, 'penalty')} gives {_described(penalty)}; give a scalar")
    _check_updates(method)


def check_arrays(method: Method[Any]) -> None:
    """Refuses descriptions that are no valid ``Array``, and a name that two arrays have.

    Raises:
        RequestError: names the part of the method.
    """
    found: list[Array] = []
    for part in ("tables", "weights", "maps"):
        arrays = getattr(method, part)()
        if not isinstance(arrays, tuple) or not all(isinstance(array, Array) for array in arrays):
            raise RequestError(
                f"{_part(method, part)} gives {type(arrays).__name__}; give a tuple of Array, of one as (Array(...),)"
            )
        found += arrays
    for array in found:
        _check_array(_part(method, "tables"), array)
    if twice := [name for name, count in Counter(array.name for array in found).items() if count > 1]:
        raise RequestError(
            f"{_part(method, 'tables')}: two arrays are called {twice[0]}; give each its own name"
        )
    for table in method.tables():
        if len(table.shape) != 2:
            raise RequestError(
                f"{_part(method, 'tables')}: {table.name} has the shape {table.shape}; give (rows, width)"
            )


def check_values(
    method: Method[Any],
    part: str,
    values: Mapping[str, np.ndarray],
    described: Iterable[Array],
    some: bool = False,
) -> None:
    """Refuses arrays that are not as described.

    Args:
        method: the method that made the arrays.
        part: the part of the method that made them.
        values: the arrays by name.
        described: their descriptions.
        some: True if arrays may be missing.

    Raises:
        RequestError: names the array, and what is wrong with it.
    """
    by_name = {array.name: array for array in described}
    if unknown := values.keys() - by_name.keys():
        name = min(unknown)
        raise RequestError(
            f"{_part(method, part)} gives {name}; its arrays are {_listed(by_name)}{nearest(name, by_name)}"
        )
    for name, array in by_name.items():
        if name not in values:
            if some:
                continue
            raise RequestError(f"{_part(method, part)} lacks {name}; it gives {_listed(values)}")
        found, wanted = (f"{np.dtype(a.dtype)} of shape {tuple(a.shape)}" for a in (values[name], array))
        if found != wanted:
            raise RequestError(f"{_part(method, part)} gives {name} as {found}; it is described as {wanted}")


def check_change(method: Method[Any], change: object) -> None:
    """Refuses a value that is not a ``Change`` of the method's arrays.

    Raises:
        RequestError: names what is wrong.
    """
    if not isinstance(change, Change):
        raise RequestError(f"{_part(method, 'change')} gives {type(change).__name__}; give a Change")
    check_values(method, "change", change.arrays, method.arrays(), some=True)
    described = {array.name: array for array in method.arrays()}
    for name, rows in change.rows.items():
        if name in change.arrays or name not in described:
            raise RequestError(
                f"{_part(method, 'change')} gives rows of {name}; give rows of arrays that are not given whole "
                f"(its arrays are {_listed(described)})"
            )
        _check_new_rows(f"{_part(method, 'change')}: rows of {name}", described[name], rows)


def _check_new_rows(where: str, array: Array, rows: Rows) -> None:
    """Refuses rows that an array does not have, a row that is given twice, and values of another shape or type."""
    count = len(rows.numbers)
    copied = rows.numbers[:0] if rows.copied is None else rows.copied
    named = np.concatenate([rows.numbers, copied])
    if named.dtype.kind not in "iu" or (count and not 0 <= named.min() <= named.max() < array.shape[0]):
        raise RequestError(f"{where}: give whole numbers from 0 to {array.shape[0] - 1}")
    if len(np.unique(rows.numbers)) < count or np.isin(copied, rows.numbers).any():
        raise RequestError(f"{where}: a row changes twice, or is copied and changes; give each once")
    if (rows.values is None) == (rows.copied is None) or len(copied) not in (0, count):
        raise RequestError(f"{where}: give values or copied, one for each of the {count} rows")
    wanted = f"{np.dtype(array.dtype)} of shape {(count, *array.shape[1:])}"
    if rows.values is not None and f"{rows.values.dtype} of shape {rows.values.shape}" != wanted:
        raise RequestError(f"{where}: {rows.values.dtype} of shape {rows.values.shape}; give {wanted}")


def check_lookups(method: Method[Any], indices: Arrays) -> None:
    """Refuses lookups that leave a table out.

    Args:
        method: the method that made the lookups.
        indices: the result of ``lookups``.

    Raises:
        RequestError: names the table.
    """
    if not isinstance(indices, dict):
        raise RequestError(
            f"{_part(method, 'lookups')} gives {type(indices).__name__}; give a dict by table name"
        )
    for table in method.tables():
        if table.name not in indices:
            raise RequestError(
                f"{_part(method, 'lookups')} gives no rows of the table {table.name}; it gives "
                f"{_listed(indices)}{nearest(table.name, indices)}"
            )


def check_width(method: Method[Any], vectors: Any) -> None:
    """Refuses vectors whose last axis is not ``embedding_dim``.

    Args:
        method: the method that made the vectors.
        vectors: the result of ``combine``.

    Raises:
        RequestError: names the shape.
    """
    shape = getattr(vectors, "shape", ())
    if not shape or shape[-1] not in (None, method.embedding_dim):
        raise RequestError(
            f"{_part(method, 'combine')} gives {_described(vectors)}; its last axis must be "
            f"embedding_dim={method.embedding_dim}"
        )


def _check_settings(method: Method[Any], part: str, settings: object) -> None:
    if not isinstance(settings, method.Settings):
        raise RequestError(f"{_part(method, part)} gives {settings!r}; give a {method.Settings.__name__}")


def _check_rows(method: Method[Any], indices: Arrays) -> None:
    for table in method.tables():
        rows = np.asarray(indices[table.name])
        where = f"{_part(method, 'lookups')}: {table.name}"
        if rows.dtype != np.int32:
            raise RequestError(
                f"{where}: row numbers of type {rows.dtype}; give int32, by bench.embeddings.base.int32"
            )
        if rows.shape[: IDS.ndim] != IDS.shape or rows.ndim > IDS.ndim + 1:
            raise RequestError(
                f"{where}: the shape {rows.shape} for ids of shape {IDS.shape}; give the ids' shape, or one "
                "axis more where an id reads several rows"
            )
        if rows.min() < 0 or rows.max() >= table.shape[0]:
            raise RequestError(
                f"{where}: row {rows.min() if rows.min() < 0 else rows.max()} of a table of {table.shape[0]} rows"
            )


def _check_counter(method: Method[Any], indices: Arrays) -> None:
    name = method.counter()
    if name is None:
        return
    found = next((array for array in method.weights() if array.name == name), None)
    if found is None or (found.dtype, found.shape[1:], found.trainable) != ("float32", (1,), False):
        raise RequestError(
            f"{_part(method, 'counter')} names {name}; give an array of weights() that is float32 (rows, 1) and "
            "has trainable=False"
        )
    rows = indices.get(name)
    if rows is None or rows.shape != IDS.shape or rows.min() < 0 or rows.max() >= found.shape[0]:
        raise RequestError(
            f"{_part(method, 'lookups')}: give row numbers of {name}, which counter() names, in the ids' shape"
        )


def _check_updates(method: Method[Any]) -> None:
    tables = {table.name: table for table in method.tables() if table.trainable}
    for name in method.rounded():
        if name not in tables:
            raise RequestError(
                f"{_part(method, 'rounded')} names {name}; the trainable tables are {_listed(tables)}"
            )
        rows = np.ones((3, tables[name].shape[1]), np.float32)
        out = method.after_update(name, rows, np.zeros_like(rows), np)
        if np.shape(out) != rows.shape:
            raise RequestError(
                f"{_part(method, 'after_update')} gives {_described(out)} for rows of shape {rows.shape}"
            )


def _check_array(where: str, array: Array) -> None:
    if not isinstance(array.kind, Kind):
        raise RequestError(
            f"{where}: {array.name}: kind={array.kind!r}; give one of bench.embeddings.base.Kind"
        )
    if not all(isinstance(length, int | np.integer) and length > 0 for length in array.shape):
        raise RequestError(f"{where}: {array.name} has the shape {array.shape}; give whole numbers above 0")


def source(method: Method[Any]) -> str:
    """Returns the file that a method is written in, as messages show it."""
    return f"{type(method).__module__.replace('.', '/')}.py"


def _part(method: Method[Any], part: str) -> str:
    return f"{source(method)}: {part}()"


def _described(value: Any) -> str:
    shape = getattr(value, "shape", None)
    return type(value).__name__ if shape is None else f"the shape {tuple(shape)}"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names) or "nothing"
