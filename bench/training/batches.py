"""Batches, prepared on the host for a whole chunk of steps at once, while the device runs the chunk before.

A chunk is a number of consecutive batches that are handed to the compiled loop in one call.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NotRequired, TypedDict

import numpy as np

from bench.data.interactions import Part
from bench.embeddings.base import Method
from bench.errors import RequestError
from bench.training.order import Order, order

CHUNK_EXAMPLES = 1 << 16
"""Examples in a chunk: some 40 ms of work at the recipe's size, and little memory at any."""


@dataclass(frozen=True)
class Reader:
    """One embedding layer's lookups, done on the host.

    Attributes:
        key: a name for the layer, unique in the model.
        method: computes the row numbers from the ids of its vocabulary's fields.
        maps: the method's integer arrays. When they change within an epoch, ``Batches.renew`` must be called.
        by_rows: tables that are updated by rows, so that repeated rows of a batch must be found.
    """

    key: str
    method: Method[Any]
    maps: dict[str, np.ndarray]
    by_rows: frozenset[str]


class Arrays(TypedDict):
    """The arrays of a chunk's batches. The first axis of each is that of the steps.

    Attributes:
        ids: int32 (steps, batch) by field.
        labels: float32 (steps, batch).
        counts: int32 (steps,), how many rows of each batch are data; the rest fills it up.
        dense: float32 (steps, batch, width); missing where the data has no dense columns.
        indices: int32 (steps, batch, ...) by layer and by the names of its method's ``lookups``.
        first: int32 (steps, rows read) by layer and table: for each row that a batch reads, the first place in the
            batch that reads the same row.
    """

    ids: dict[str, np.ndarray]
    labels: np.ndarray
    counts: np.ndarray
    dense: NotRequired[np.ndarray]
    indices: dict[str, dict[str, np.ndarray]]
    first: dict[str, dict[str, np.ndarray]]


@dataclass(frozen=True)
class Chunk:
    """Consecutive batches of one epoch.

    Attributes:
        steps: how many of the batches are data; the rest only keeps the shapes the same.
        examples: rows of data in them.
        arrays: the batches.
    """

    steps: int
    examples: int
    arrays: Arrays


def check_ids(part: Part, sizes: Mapping[str, int], name: str) -> None:
    """Refuses ids outside their vocabulary: XLA would clamp them and say nothing."""
    for field, ids in part.ids.items():
        if not len(ids):
            continue
        low, high = int(ids.min()), int(ids.max())
        if low < 0 or high >= sizes[field]:
            wrong = low if low < 0 else high
            raise RequestError(
                f"{name} rows: field {field} has id {wrong}, outside its vocabulary of {sizes[field]} "
                f"(0 to {sizes[field] - 1})"
            )


def first_occurrence(rows: np.ndarray) -> np.ndarray:
    """For every element of a batch, the position of its first equal in that batch.

    Args:
        rows: integers from 0, shape (batches, width).

    Returns:
        int32 of the same shape.
    """
    width = rows.shape[1]
    bits = max(width - 1, 1).bit_length()
    # Row and position in one integer: a plain sort, which NumPy vectorizes, brings equal rows together in order.
    small = rows.size == 0 or int(rows.max()) < 1 << (31 - bits)
    key = rows.astype(np.int32 if small else np.int64) << bits
    key |= np.arange(width, dtype=key.dtype)
    key.sort(axis=1)
    flat = key.ravel()
    repeats = (flat[1:] ^ flat[:-1]) < (1 << bits)
    repeats[width - 1 :: width] = False  # neighbours in different batches
    # Only repeats differ from their own position, and they are few.
    places = np.flatnonzero(repeats) + 1
    first = np.empty(rows.shape, np.int32)
    first[...] = np.arange(width, dtype=np.int32)
    begins = np.ones(len(places), bool)
    np.not_equal(np.diff(places), 1, out=begins[1:])
    start = np.maximum.accumulate(np.where(begins, places - 1, 0))
    position = (flat & ((1 << bits) - 1)).astype(np.int32)
    first.ravel()[places // width * width + position[places]] = position[start]
    return first


class Batches:
    """The training rows as chunks of batches, in a new order every epoch.

    Args:
        part: the rows, at least one.
        readers: the layers whose lookups are done here.
        batch_size: rows of a step; a batch is never larger than the data.
        seed: of the order, which depends on it and the epoch alone.
        shuffle: the kind of order, see ``bench.training.order``.
    """

    def __init__(
        self, part: Part, readers: Sequence[Reader], batch_size: int, seed: int, shuffle: str = "full"
    ) -> None:
        batch_size = min(batch_size, max(len(part.labels), 1))
        self.part, self.readers, self.batch_size, self.seed = part, readers, batch_size, seed
        self.shuffle = shuffle
        self.steps = -(-len(part.labels) // batch_size)
        self.chunk_steps = max(1, min(CHUNK_EXAMPLES // batch_size, self.steps))
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="batches")
        self._begun: dict[int, Future[tuple[Order, Chunk]]] = {}
        self._stale: set[str] = set()

    def begin(self, number: int) -> None:
        """Starts to shuffle an epoch's rows and to prepare its first chunk, and returns at once."""
        self._begun = {number: self._pool.submit(self._first, number)}

    def epoch(self, number: int) -> Iterator[Chunk]:
        """The chunks of one epoch, each prepared in a thread while the one before is in use."""
        if number not in self._begun:
            self.begin(number)
        found, ready = self._begun.pop(number).result()
        for start in range(self.chunk_steps, self.steps, self.chunk_steps):
            self._stale.clear()
            following = self._pool.submit(self._slice, found, start)
            yield ready
            ready = following.result()
            for reader in self.readers:
                if reader.key in self._stale:
                    self._read(reader, ready.arrays)
        yield ready

    def renew(self, key: str) -> None:
        """Has a reader's lookups in the chunk that was prepared ahead made again: its maps have changed."""
        self._stale.add(key)

    def example(self) -> Chunk:
        """A chunk of no steps with the shapes and types of all others, to compile with."""
        return Chunk(0, 0, self._chunk(np.zeros(1, np.int64)).arrays)

    def _first(self, number: int) -> tuple[Order, Chunk]:
        found = order(self.shuffle, len(self.part.labels), self.seed, number)
        return found, self._slice(found, 0)

    def _slice(self, found: Order, start: int) -> Chunk:
        stop = min((start + self.chunk_steps) * self.batch_size, len(self.part.labels))
        return self._chunk(found(start * self.batch_size, stop))

    def _chunk(self, picked: np.ndarray) -> Chunk:
        steps, size = self.chunk_steps, self.batch_size
        counts = np.zeros(steps, np.int32)
        full, rest = divmod(len(picked), size)
        counts[:full] = size
        if rest:
            counts[full] = rest
        # Padding repeats a row of the batch it fills up, so that no further table row is touched.
        padded = np.empty(steps * size, picked.dtype)
        padded[: len(picked)] = picked
        padded[len(picked) :] = picked[full * size if rest else 0]
        picks = padded.reshape(steps, size)
        ids = {field: column[picks] for field, column in self.part.ids.items()}
        arrays: Arrays = {
            "ids": ids, "labels": self.part.labels[picks], "counts": counts, "indices": {}, "first": {}
        }  # fmt: skip
        if self.part.dense is not None:
            arrays["dense"] = self.part.dense[picks]
        for reader in self.readers:
            self._read(reader, arrays)
        return Chunk(full + bool(rest), len(picked), arrays)

    def _read(self, reader: Reader, arrays: Arrays) -> None:
        """Adds the lookups of a reader to the arrays of a chunk, which have the ids."""
        own = reader.method.vocabulary.ids_of(arrays["ids"], np)
        found = reader.method.lookups(own, reader.maps, np)
        arrays["indices"][reader.key] = {name: np.asarray(value, np.int32) for name, value in found.items()}
        arrays["first"][reader.key] = {
            table: first_occurrence(found[table].reshape(self.chunk_steps, -1))
            for table in sorted(reader.by_rows)
        }
