"""Reads Parquet files in blocks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from bench.data.delimited import Block
from bench.data.table_settings import COMPRESSED
from bench.errors import RequestError

ROWS = 1 << 18
"""Rows of a block."""


class Parquet:
    """A Parquet file, perhaps compressed as a whole.

    Args:
        path: the file.

    Attributes:
        names: the names of its columns.

    Raises:
        pyarrow.ArrowException: the file is no Parquet file.
    """

    def __init__(self, path: Path) -> None:
        import pyarrow as pa
        import pyarrow.parquet as parquet

        source = pa.memory_map(str(path))
        if compression := COMPRESSED.get(path.suffix.lower()):
            if source.read(4) == b"PAR1":
                raise RequestError(
                    f"dataset.path={path}: a Parquet file that is not compressed as a whole; rename it to "
                    f"{path.name.removesuffix(path.suffix)}"
                )
            source.seek(0)
            with pa.CompressedInputStream(source, compression) as whole:
                source = pa.BufferReader(whole.read())
        self._file = parquet.ParquetFile(source)
        self.names = list(self._file.schema_arrow.names)

    def blocks(
        self, columns: Sequence[str], numbers: Sequence[str]
    ) -> Iterator[tuple[Callable[[], Block], float]]:
        """Yields functions that give all rows in their order, and the share of the file that is read then.

        Args:
            columns: the columns that are needed, as they are in the file. No value is in a dictionary: one of the file
                may hold a value twice, or nulls.
            numbers: not used: a column has the type that the file gives it.
        """
        import pyarrow as pa

        begin, total = 1, max(1, self._file.metadata.num_rows)
        for batch in self._file.iter_batches(ROWS, columns=list(columns)):
            if batch.num_rows:
                table = pa.Table.from_batches([batch])
                found = {name: _plain(table[name]) for name in columns}
                lines = partial(np.arange, begin, begin + batch.num_rows)
                begin += batch.num_rows
                yield partial(Block, found, batch.num_rows, (), lines), (begin - 1) / total


def _plain(column: Any) -> Any:
    import pyarrow as pa

    if isinstance(column.type, pa.BaseExtensionType):
        column = pa.chunked_array([chunk.storage for chunk in column.chunks], column.type.storage_type)
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    return column.cast(pa.large_string()) if pa.types.is_string_view(column.type) else column
