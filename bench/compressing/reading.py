"""Reads a table of vectors from a file: ``.npy``, a tensor of a safetensors file, or a layer of a Keras model.

Arrays of ``.npy`` and safetensors files are mapped. A float32 table is used where it lies in the file, without a copy.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.config.typed import nearest
from bench.errors import RequestError, line

FLOATS = ("float16", "bfloat16", "float32", "float64")
"""Names of the types that a table may have."""

BLOCK_BYTES = 1 << 24
"""Number of bytes that are read at once, which bounds the memory."""

TENSORS = {"F16": "float16", "F32": "float32", "F64": "float64", "BF16": "uint16"}
"""NumPy's types for those of safetensors. NumPy has no bfloat16: its bits are read."""

LISTED = 12
"""Most names that a message lists."""

Decode = Callable[[np.ndarray], np.ndarray]
"""Makes numbers, float32, of some rows of a file."""


@dataclass(frozen=True)
class Source:
    """A table as it lies in a file. Its numbers have not been read yet.

    Attributes:
        path: the file.
        part: name of the tensor or the layer; empty for ``.npy``.
        array: the rows, of shape (rows, width).
        dtype: name of the type of its numbers, one of ``FLOATS``.
        decode: makes float32 of some of its rows.
    """

    path: Path
    part: str
    array: np.ndarray
    dtype: str
    decode: Decode

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and width."""
        rows, width = self.array.shape
        return rows, width


@dataclass(frozen=True)
class Table:
    """A table whose numbers are all finite.

    Attributes:
        rows: float32 of shape (rows, width), in C order. Of a float32 file it is the mapped file itself.
        digest: SHA-256 of type, shape and numbers as they lie in the file, in hexadecimal.
    """

    rows: np.ndarray
    digest: str


def source(path: Path, tensor: str | None = None, layer: str | None = None) -> Source:
    """Finds a table in a file by the file's ending, and checks its shape and type. Its numbers are not read.

    Args:
        path: the file.
        tensor: name of the tensor in a safetensors file; None for the only one with two dimensions.
        layer: name of the layer in a Keras model; None for the only embedding.

    Raises:
        RequestError: the file cannot be read, or has no such table, or the table is none of floats with two dimensions.
    """
    ending = path.suffix.lower()
    for name, given, own in (("tensor", tensor, ".safetensors"), ("layer", layer, ".keras")):
        if given is not None and ending != own:
            raise RequestError(f"{name}={given}: for a {own} file; leave it out for {path.name}")
    readers: Mapping[str, Callable[[], Source]] = {
        ".npy": lambda: _npy(path),
        ".safetensors": lambda: _tensor(path, tensor),
        ".keras": lambda: _layer(path, layer),
    }
    if ending not in readers:
        raise RequestError(
            f"{path}: no ending of a table that can be read; give .npy (numpy.save writes it), .safetensors or .keras"
        )
    if not path.is_file():
        raise RequestError(f"{path}: {'is no file' if path.exists() else 'not found'}; give a table's file")
    try:
        return _judged(readers[ending]())
    except OSError as error:
        raise RequestError(f"{path}: cannot be read ({error.strerror or line(error)})") from None


def read(found: Source) -> Table:
    """Reads the numbers of a table, block by block.

    Raises:
        RequestError: a number is NaN or infinite, or beyond float32; the message names the first row that has one.
    """
    array, (count, width) = found.array, found.shape
    made = hashlib.sha256(f"{found.dtype} {count} {width} ".encode())
    is_ready = array.dtype == np.float32 and array.dtype.isnative and array.flags.c_contiguous
    rows = array if is_ready else np.empty((count, width), np.float32)
    for block in blocks(count, width * array.itemsize):
        raw = np.ascontiguousarray(array[block])
        made.update(raw.astype(raw.dtype.newbyteorder("<"), copy=False).view(np.uint8).data)
        values = found.decode(raw)
        if not np.isfinite(values).all():
            raise RequestError(_not_finite(found, block.start, raw, values))
        if not is_ready:
            rows[block] = values
    return Table(rows, made.hexdigest())


def blocks(rows: int, row_bytes: int) -> Iterator[slice]:
    """Cuts rows into slices of about ``BLOCK_BYTES``."""
    step = max(1, BLOCK_BYTES // max(1, row_bytes))
    return (slice(begin, min(begin + step, rows)) for begin in range(0, rows, step))


def _not_finite(found: Source, first: int, raw: np.ndarray, values: np.ndarray) -> str:
    row, column = np.argwhere(~np.isfinite(values))[0].tolist()
    number = float(values[row, column])
    why = f"column {column} is {number}; give finite numbers"
    if found.dtype == "float64" and np.isfinite(raw[row, column]):
        why = f"column {column} is {raw[row, column]:.3g}, beyond float32; give numbers up to 3.4e38"
    return f"{_where(found.path, found.part)}: row {first + row}, {why}"


def _where(path: Path, part: str) -> str:
    return f"{path}: {part}" if part else str(path)


def _judged(found: Source) -> Source:
    """Refuses a table that is none of floats with two dimensions and at least one number."""
    where, shape = _where(found.path, found.part), found.array.shape
    if len(shape) != 2:
        raise RequestError(f"{where}: has the shape {shape}; give a table with two dimensions, (rows, width)")
    if found.dtype not in FLOATS:
        raise RequestError(f"{where}: holds {found.dtype}; give floats ({', '.join(FLOATS)})")
    if 0 in shape:
        raise RequestError(f"{where}: is empty, of shape {shape}; give at least one row and one column")
    return found


def _float32(values: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):  # an infinite number is refused by its row
        return values.astype(np.float32, copy=False)


def _bfloat16(bits: np.ndarray) -> np.ndarray:
    """Gives bfloat16 numbers as float32: their bits are the upper half of float32's."""
    return (bits.astype(np.uint32) << 16).view(np.float32)


def _npy(path: Path) -> Source:
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError, zipfile.BadZipFile) as error:
        reason = line(error).split(". ")[0].rstrip(".")
        raise RequestError(
            f"{path}: cannot be read as a .npy file of numbers ({reason}); write it with numpy.save"
        ) from None
    if not isinstance(array, np.ndarray):  # an archive of several arrays
        raise RequestError(f"{path}: is an archive of arrays; give one array, written with numpy.save")
    return Source(path, "", array.view(np.ndarray), array.dtype.name, _float32)


def _tensor(path: Path, wanted: str | None) -> Source:
    """Maps a tensor. The library checks the file, and the header says where the tensor lies."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np") as file:
            names = list(file.keys())
            described = {name: file.get_slice(name) for name in names}
            shapes = {name: tuple(part.get_shape()) for name, part in described.items()}
            types = {name: str(part.get_dtype()) for name, part in described.items()}
    except SafetensorError as error:
        raise RequestError(f"{path}: cannot be read as a safetensors file ({line(error)})") from None
    name = _chosen(path, "tensor", wanted, [key for key in names if len(shapes[key]) == 2], names)
    dtype = TENSORS.get(types[name])
    if dtype is None:
        raise RequestError(f"{path}: {name}: holds {types[name]}; give floats ({', '.join(FLOATS)})")
    with path.open("rb") as raw:
        length = int.from_bytes(raw.read(8), "little")
        begin, _ = json.loads(raw.read(length))[name]["data_offsets"]
    shape = shapes[name]
    little = np.dtype(dtype).newbyteorder("<")
    array = np.zeros(shape, little) if 0 in shape else np.memmap(path, little, "r", 8 + length + begin, shape)
    half = types[name] == "BF16"
    return Source(
        path, name, array.view(np.ndarray), "bfloat16" if half else dtype, _bfloat16 if half else _float32
    )


def _chosen(path: Path, setting: str, wanted: str | None, usable: list[str], names: list[str]) -> str:
    """Chooses a part of a file by its name, or the only one that is usable."""
    more = f" and {len(usable) - LISTED} more" if len(usable) > LISTED else ""
    listed = ", ".join(usable[:LISTED]) + more
    if wanted is not None:
        if wanted in names:
            return wanted
        raise RequestError(
            f"{setting}={wanted}: {path} has no such {setting}{nearest(wanted, names)} (tables are: {listed or 'none'})"
        )
    if len(usable) == 1:
        return usable[0]
    if not usable:
        raise RequestError(f"{path}: has no {setting} that is a table with two dimensions")
    raise RequestError(f"{path}: has {len(usable)} tables; choose one by {setting}=NAME ({listed})")


def _layer(path: Path, wanted: str | None) -> Source:
    """Loads a Keras model, without running code of the file, and gives the table of a layer."""
    from bench import backend

    with backend.kept():
        backend.load_defaults()
        import keras

        from bench.embeddings.layer import CompressedEmbedding

        try:
            model = keras.saving.load_model(path, compile=False, safe_mode=True)
        except Exception as error:  # whatever a broken file makes of Keras
            raise RequestError(f"{path}: cannot be loaded as a Keras model ({line(error)[:300]})") from None
        layers = dict(_layers(model, ""))
        tables = {name: _tables(layer) for name, layer in layers.items()}
        kinds = keras.layers.Embedding, CompressedEmbedding
        embeddings = [name for name, layer in layers.items() if isinstance(layer, kinds) and tables[name]]
        usable = embeddings or [name for name, found in tables.items() if found]
        name = _chosen(path, "layer", wanted, usable, list(layers))
        if len(tables[name]) != 1:
            raise RequestError(
                f"layer={name}: has {len(tables[name])} weights with two dimensions; give a layer with one table"
            )
        array = np.asarray(keras.ops.convert_to_numpy(tables[name][0]))
    if array.dtype.name == "bfloat16":
        return Source(path, name, array.view(np.uint16), "bfloat16", _bfloat16)
    return Source(path, name, array, array.dtype.name, _float32)


def _layers(model: Any, place: str) -> Iterator[tuple[str, Any]]:
    """Gives the layers of a model by name; those of a model inside it as OUTER/INNER."""
    for layer in getattr(model, "layers", ()):
        if getattr(layer, "layers", ()):
            yield from _layers(layer, f"{place}{layer.name}/")
        else:
            yield f"{place}{layer.name}", layer


def _tables(layer: Any) -> list[Any]:
    import keras

    if isinstance(layer, keras.layers.Embedding):
        return [layer.embeddings]  # whole, where it is quantized or has low-rank updates
    return [weight for weight in layer.weights if len(weight.shape) == 2]
