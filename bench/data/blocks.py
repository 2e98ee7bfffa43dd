"""Blocks of rows on disk: what is read of a source before its rows are split and numbered.

A block is an Arrow file, each of whose columns can be read alone. It is written whole or not at all, and its name has
its CRC-32, so that a command that was killed goes on where it was. Only a few blocks are in memory at once.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.data.arrow import from_numpy, to_numpy
from bench.data.interactions import Block, Floats, Notes
from bench.data.sums import checksum

LABELS, TIMES, DENSE, IDS = "labels", "timestamps", "dense", "ids."
"""Names of a block's columns; that of a field's ids is followed by its name."""

SUFFIX = ".arrow"

Array = npt.NDArray[Any]


class Blocks:
    """The blocks of a source in a folder, numbered from 0.

    Args:
        folder: where they lie; made if it does not exist. Blocks of an earlier command that are whole stay.
        plan: how the rows are divided into blocks. What another plan has left there goes.
    """

    def __init__(self, folder: Path, plan: str) -> None:
        self._folder, self._paths = folder, dict[int, Path]()
        self.count, self.lengths, self.notes = 0, list[int](), list[Notes]()
        folder.mkdir(parents=True, exist_ok=True)
        note = folder / "plan.json"
        is_same = note.exists() and note.read_text("utf-8") == json.dumps(plan)
        for path in folder.iterdir():
            number, _, found = path.stem.partition("-")
            if is_same and path.suffix == SUFFIX and found == f"{checksum(path):08x}":
                self._paths[int(number)] = path
            elif path != note:
                path.unlink()
        note.write_text(json.dumps(plan), "utf-8")

    def __contains__(self, number: int) -> bool:
        return number in self._paths

    def write(self, number: int, block: Block) -> None:
        """Writes a block."""
        import pyarrow as pa

        columns = {LABELS: from_numpy(block.labels)}
        if block.timestamps is not None:
            columns[TIMES] = from_numpy(block.timestamps)
        if block.dense is not None:
            width = block.dense.shape[1]
            columns[DENSE] = pa.FixedSizeListArray.from_arrays(from_numpy(block.dense.reshape(-1)), width)
        for name, ids in block.ids.items():
            codes = from_numpy(ids.codes.astype(_smallest(len(ids.values))))
            columns[IDS + name] = pa.DictionaryArray.from_arrays(codes, ids.values, safe=False)
        about = {
            "rows": len(block),
            "role": block.role,
            "width": None if block.dense is None else block.dense.shape[1],
            "sizes": {name: [len(ids.values), ids.values.nbytes] for name, ids in block.ids.items()},
            "notes": block.notes,
        }
        batch = pa.record_batch(columns, metadata={"about": json.dumps(about)})
        new = self._folder / f"{number:06d}.new"
        with pa.OSFile(str(new), "wb") as file, pa.ipc.new_file(file, batch.schema) as writer:
            writer.write(batch)
        self._paths[number] = new.replace(self._folder / f"{number:06d}-{checksum(new):08x}{SUFFIX}")

    def close(self, count: int) -> None:
        """Takes note of all blocks, once the last is written.

        Args:
            count: how many there are.
        """
        self.count = count
        about = [json.loads(batch.schema.metadata[b"about"]) for batch in self._all()]
        self.lengths = [one["rows"] for one in about]
        self.notes = [one["notes"] for one in about]
        self._roles = [one["role"] for one in about]
        self._sizes = [one["sizes"] for one in about]
        self._width = next((one["width"] for one in about), None)

    def __len__(self) -> int:
        return sum(self.lengths)

    @property
    def slices(self) -> list[slice]:
        """The place of each block among all rows."""
        ends = np.cumsum(self.lengths, dtype=np.int64).tolist()
        return [slice(end - length, end) for end, length in zip(ends, self.lengths, strict=True)]

    @property
    def roles(self) -> npt.NDArray[np.int8] | None:
        """The part of each row where the source divides them, int8 (rows,)."""
        if any(role is None for role in self._roles):
            return None
        return np.repeat(np.array(self._roles, np.int8), self.lengths)

    @property
    def width(self) -> int | None:
        """The number of dense columns, or None if there are none."""
        return self._width

    def labels(self) -> Floats:
        """The labels of all rows, float32 (rows,)."""
        found = [to_numpy(batch[LABELS]).copy() for batch in self._all()]
        return np.concatenate(found) if found else np.zeros(0, np.float32)

    def times(self) -> list[Array] | None:
        """The timestamps of each block, or None if there are none."""
        if not self.count or TIMES not in self._open(0).schema.names:
            return None
        return [to_numpy(batch[TIMES]) for batch in self._all()]

    def dense(self, number: int) -> Floats:
        """The dense columns of a block, float32 (rows, width)."""
        column = self._open(number)[DENSE]
        return to_numpy(column.values).reshape(len(column), column.type.list_size)

    def codes(self, number: int, field: str) -> Array:
        """The positions of a field's ids in its values, unsigned integers (rows,)."""
        return to_numpy(self._open(number)[IDS + field].indices)

    def values(self, field: str) -> list[Any]:
        """A field's values in each block, Arrow arrays."""
        return [batch[IDS + field].dictionary for batch in self._all()]

    def size_of(self, field: str) -> tuple[int, int]:
        """How many values the blocks list of a field, and their bytes."""
        sizes = [own[field] for own in self._sizes]
        return sum(count for count, _ in sizes), sum(nbytes for _, nbytes in sizes)

    def nbytes(self, number: int) -> int:
        """The bytes of a block on disk."""
        return self._paths[number].stat().st_size

    def _all(self) -> Iterator[Any]:
        return map(self._open, range(self.count))

    def _open(self, number: int) -> Any:
        """A block, whose columns are mapped as long as something refers to them, and read when they are used."""
        import pyarrow as pa

        return pa.ipc.open_file(pa.memory_map(str(self._paths[number]))).get_batch(0)


def _smallest(count: int) -> Any:
    """The type of the least bytes that holds positions in a list."""
    return np.min_scalar_type(max(0, count - 1))


def gather(
    tasks: Iterator[tuple[Callable[[], Block], float]],
    blocks: Blocks,
    threads: int,
    told: Callable[[int, int, float], None],
) -> None:
    """Makes and writes all blocks that are not there yet, several at once.

    Args:
        tasks: what makes each block, in order, and the share of the source that is read by then.
        blocks: where they are written.
        threads: how many are made at once; as many again wait in memory.
        told: is called with the rows of each block, in order, its bytes on disk, and the share by then. A block that
            was there has 0 rows.
    """

    def make(number: int, task: Callable[[], Block]) -> tuple[int, int]:
        rows = 0
        if number not in blocks:
            block = task()
            blocks.write(number, block)
            rows = len(block)
        return rows, blocks.nbytes(number)

    waiting: deque[tuple[Future[tuple[int, int]], float]] = deque()

    def settle(most: int) -> None:
        while len(waiting) > most:
            future, share = waiting.popleft()
            told(*future.result(), share)

    count = 0
    with ThreadPoolExecutor(threads, thread_name_prefix="blocks") as pool:
        try:
            for number, (task, share) in enumerate(tasks):
                count += 1
                waiting.append((pool.submit(make, number, task), share))
                settle(threads)
            settle(0)
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    blocks.close(count)
