"""``load`` opens an exported folder, and ``Tables`` answers lookups and predictions from it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.embeddings.base import Method, Vocabulary
from bench.errors import BenchError
from bench.serving import columns as raw
from bench.serving import files, keys, manifest, readers
from bench.serving.columns import Unknown
from bench.serving.errors import ServingError
from bench.serving.layout import ARRAYS, FIELDS, HEAD, IDS, Stored
from bench.serving.manifest import Entry, Manifest

if TYPE_CHECKING:
    from bench.serving import heads

VERIFIED_BYTES = 64 << 20
"""Files up to this size are compared with their SHA-256 when an export is loaded, unless asked otherwise."""

AT_ONCE = 1 << 16
"""Number of rows that are predicted at once, which bounds the memory."""

PAGE = 4096


def load(folder: str | os.PathLike[str], verify: bool | None = None) -> Tables:
    """Opens an export. NumPy is all that it needs; arrays are mapped and never copied.

    Everything that the folder says of itself is checked first: version, sizes, the digest of ``export.json``, the
    header of the arrays, the order of ids. Threads and processes share the mapping.

    Example:
        ``tables = load("shop")``, then ``tables.lookup("user", ["C000123"])``

    Args:
        folder: what ``python -m bench.export`` has written.
        verify: True compares the SHA-256 of all files, False of none, None of files up to 64 MB. A file that is
            compared is read whole.

    Raises:
        ServingError: the folder is no export, is of another version, is altered, or is not what it says.
    """
    place = Path(folder)
    described = manifest.read(place)
    if ARRAYS not in described.files:
        raise ServingError(f"export.json: files: {ARRAYS} is missing")
    forms = described.forms()
    head = head_of(described)
    wanted = stored(described, forms, head)
    own = described.files[ARRAYS]
    mapped = files.mapped(place, ARRAYS, own.nbytes)
    arrays = files.arrays(place / ARRAYS, mapped, wanted)
    _check_files(place, described, mapped, verify)
    try:
        return Tables(described, forms, head, arrays)
    except ServingError as error:
        raise ServingError(f"{place}: {error}") from None


def stored(described: Manifest, forms: Mapping[str, Method[Any]], head: heads.Head | None) -> list[Stored]:
    """Lists the arrays that an export holds, in the order of the file."""
    found = [array for name, entry in described.fields.items() for array in entry.stored(forms[name])]
    shapes = head.shapes() if head else {}
    found += [Stored(f"{HEAD}/{name}", "float32", shape) for name, shape in shapes.items()]
    if len({array.name for array in found}) != len(found):
        raise ServingError("export.json: two arrays have one name")
    return found


def head_of(described: Manifest) -> heads.Head | None:
    """Makes the head that an export describes; None if it has none.

    Raises:
        ServingError: the model has no head in NumPy, or its settings do not work.
    """
    if described.head is None:
        return None
    from bench import models
    from bench.serving import heads

    name = described.head.name
    if name not in heads.HEADS:
        raise ServingError(f"export.json: model {name[:80]!r} has no predictions in NumPy")
    sizes = heads.Sizes(
        {field: entry.size for field, entry in described.fields.items()},
        {field: entry.dim for field, entry in described.fields.items()},
        len(described.dense),
    )
    try:
        choice = models.read({"name": name, **described.head.settings})
        models.check_data(choice, described.fields, len(described.dense))
        made = heads.HEADS[name](choice.settings, sizes)
        made.shapes()
        return made
    except (BenchError, TypeError, ValueError, AttributeError) as error:
        reason = " ".join(str(error).split())[:300]
        raise ServingError(f"export.json: model {name}: its settings do not work ({reason})") from None


def _check_files(place: Path, described: Manifest, mapped: np.ndarray, verify: bool | None) -> None:
    """Compares the files with the SHA-256 in the manifest."""
    for name, own in described.files.items():
        if verify is None and name != ARRAYS:
            continue  # nothing of it is used here
        if verify is False or (verify is None and own.nbytes > VERIFIED_BYTES):
            continue
        found = files.sha256(mapped) if name == ARRAYS else files.sha256_of(place, name, own.nbytes)
        if found != own.sha256:
            raise ServingError(f"{place / name}: altered since it was written; export again")


class Tables:
    """The tables of an export, and its model.

    Args:
        described: the manifest.
        forms: the description that serves, by field.
        head: the model over the vectors; None if it is not exported.
        arrays: all arrays by name.

    Attributes:
        described: the manifest.
        fields: the fields, in the order of the model.

    Raises:
        ServingError: ids do not ascend, or a row is outside its field.
    """

    def __init__(
        self,
        described: Manifest,
        forms: Mapping[str, Method[Any]],
        head: heads.Head | None,
        arrays: Mapping[str, np.ndarray],
    ) -> None:
        self.described, self.fields = described, tuple(described.fields)
        self._head, self._arrays = head, arrays
        self._weights = _below(arrays, HEAD)
        read = {
            form.vocabulary.name: readers.reader(form, _below(arrays, f"{FIELDS}/{form.vocabulary.name}"))
            for form in forms.values()
        }
        self._tables = {
            name: _Table(entry, forms[name].vocabulary, read[forms[name].vocabulary.name], arrays)
            for name, entry in described.fields.items()
        }

    def lookup(self, field: str, ids: Any, unknown: Unknown = "error") -> np.ndarray:
        """Looks up vectors by the ids of the user's own data.

        Args:
            field: name of the field.
            ids: integers or text of any shape (...).
            unknown: what an unknown id gets: ``error``, ``oov`` for the row of all unknown ids, ``nan`` for NaN.

        Returns:
            Vectors, float32 of shape (..., embedding_dim).

        Raises:
            UnknownId: an id is not known; it is a KeyError.
            ServingError: the field is not known, or cannot answer; it is a ValueError.
        """
        table = self._table(field)
        rows = table.finder.rows(ids, unknown)
        return _or_nan(table.vectors(np.maximum(rows, 0)), rows) if unknown == "nan" else table.vectors(rows)

    def vectors(self, field: str, rows: Any) -> np.ndarray:
        """Looks up vectors by row numbers.

        Args:
            field: name of the field.
            rows: integers from 0 to the field's size - 1, of any shape (...).

        Returns:
            Vectors, float32 of shape (..., embedding_dim).

        Raises:
            ServingError: the field is not known, or the rows are no integers.
            ValueError: a row is outside the field.
        """
        table, given = self._table(field), np.asarray(rows)
        if not given.size:
            given = given.astype(np.int32)
        if given.dtype.kind not in "iu":
            raise ServingError(f"field {field!r}: rows of type {given.dtype}; give integers")
        table.check(given)
        return table.vectors(given)

    def known(self, field: str, ids: Any) -> np.ndarray:
        """Tells for each id if the field has it.

        Args:
            field: name of the field.
            ids: integers or text of any shape (...).

        Returns:
            bool of shape (...).
        """
        found: np.ndarray = self._table(field).finder.find(ids) >= 0
        return found

    def first_ids(self, field: str, count: int) -> list[int] | list[str]:
        """Gives some ids of a field as they are stored, after transforms: the smallest ones.

        Args:
            field: name of the field.
            count: how many. A field gives fewer if it has fewer, and none if its ids were not kept.
        """
        return self._table(field).finder.keys.first(count)

    def rows_of_keys(self, field: str, ids: Any) -> np.ndarray:
        """Finds the rows of ids as they are stored, after transforms: int32, -1 for an id that is not known."""
        return self._table(field).finder.keys.find(ids)

    def predict(self, columns: Mapping[str, Any], unknown: Unknown = "error") -> np.ndarray:
        """Computes the model's output for rows of raw data.

        Args:
            columns: raw columns by name, each of one value a row. Transforms and missing values are treated as in
                training.
            unknown: what an unknown id gets, as in ``lookup``; with ``nan`` the row's output is NaN.

        Returns:
            float32 (rows,).

        Raises:
            UnknownId: an id is not known.
            ServingError: the model is not in the export, or a column is missing or cannot be used.
        """
        if self._head is None:
            why = self.described.left_out.get("predict", "the export has no model")
            raise ServingError(f"no predictions: {why}")
        rows = {
            name: table.finder.rows(raw.column_of(columns, table.entry.column, name), unknown).reshape(-1)
            for name, table in self._tables.items()
        }
        dense = [
            raw.numbers(one, raw.column_of(columns, one.column, one.column)).reshape(-1)
            for one in self.described.dense
        ]
        lengths = {name: len(one) for name, one in rows.items()}
        lengths |= {one.column: len(found) for one, found in zip(self.described.dense, dense, strict=True)}
        count = next(iter(lengths.values()))
        if other := [f"{name} {length}" for name, length in lengths.items() if length != count]:
            raise ServingError(
                f"columns of unequal length: {next(iter(lengths))} {count}, {', '.join(other)[:200]}"
            )
        joined = np.stack(dense, axis=1) if dense else np.zeros((count, 0), np.float32)
        return self.scores(rows, joined)

    def scores(self, rows: Mapping[str, np.ndarray], dense: np.ndarray) -> np.ndarray:
        """Computes the model's output by row numbers.

        Args:
            rows: row numbers by field, int32 (n,); -1 makes NaN.
            dense: numeric columns as the model takes them, float32 (n, k).

        Returns:
            float32 (n,).
        """
        assert self._head is not None
        assert self.described.head is not None
        from bench.serving import heads

        out = np.empty(len(dense), np.float32)
        for begin in range(0, len(dense), AT_ONCE):
            part = {name: np.maximum(own[begin : begin + AT_ONCE], 0) for name, own in rows.items()}
            vectors = {name: self._tables[name].vectors(own) for name, own in part.items()}
            batch = heads.Batch(vectors, part, dense[begin : begin + AT_ONCE])
            score = self._head.score(batch, self._weights)
            out[begin : begin + AT_ONCE] = heads.scaled(score, self.described.head.label_range)
        for own in rows.values():
            out[own < 0] = np.nan
        return out

    def warm(self) -> int:
        """Reads every page of the arrays once, so that first lookups do not wait for the disk.

        Returns:
            The number of bytes of the arrays.
        """
        for array in self._arrays.values():
            flat = array.reshape(-1).view(np.uint8)
            flat[::PAGE].max(initial=0)
        return sum(array.nbytes for array in self._arrays.values())

    def _table(self, field: str) -> _Table:
        found = self._tables.get(field)
        if found is None:
            raise ServingError(
                f"field {str(field)[:80]!r}: not in the export; its fields are {', '.join(self.fields)}"
            )
        return found


class _Table:
    """A field: its ids, and the lookup that makes its vectors."""

    def __init__(
        self, entry: Entry, vocabulary: Vocabulary, read: readers.Reader, arrays: Mapping[str, np.ndarray]
    ) -> None:
        self.entry, self._own, self._read = entry, vocabulary.alone(entry.name), read
        self.finder = raw.Finder(entry, keys.keys_of(entry, _below(arrays, f"{IDS}/{entry.name}")))
        self._offset = vocabulary.member(entry.name).offset

    def vectors(self, rows: np.ndarray) -> np.ndarray:
        """Looks up rows of any shape that are known to be inside."""
        if self._offset:
            rows = np.add(rows, self._offset, dtype=np.int64, casting="unsafe")
        if rows.ndim == 1:
            return self._read(rows)
        return self._read(rows.reshape(-1)).reshape(*rows.shape, self.entry.dim)

    def check(self, rows: np.ndarray) -> None:
        """Refuses rows outside the field; see ``Vocabulary.check_ids``."""
        if rows.dtype.kind == "i":  # a negative number is a large one without its sign
            unsigned = rows.view(f"u{rows.dtype.itemsize}")
            if rows.size and int(np.maximum.reduce(unsigned, axis=None)) < self.entry.size:
                return
        self._own.check_ids(rows)


def _below(arrays: Mapping[str, np.ndarray], place: str) -> dict[str, np.ndarray]:
    return {name[len(place) + 1 :]: array for name, array in arrays.items() if name.startswith(f"{place}/")}


def _or_nan(vectors: np.ndarray, rows: np.ndarray) -> np.ndarray:
    if rows.size and int(rows.min()) < 0:
        vectors = vectors.copy() if not vectors.flags.writeable else vectors
        vectors[rows < 0] = np.nan
    return vectors
