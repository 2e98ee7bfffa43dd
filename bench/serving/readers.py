"""Faster lookups for the forms that gain by them. The vectors are those of the method's own description.

``reader`` gives the fastest lookup that is known for a form. A form that is not listed here is served by its
description, so a new method needs nothing. The readers stand apart from the methods: what training computes, and with
it the fingerprint of a run, does not depend on them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import reduce
from itertools import pairwise
from operator import add, mul
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.embeddings.base import Method
from bench.serving.hot import hot_reader
from bench.serving.sparse import sparse, sparse_sum

if TYPE_CHECKING:  # a process imports the methods that it serves, and no others
    from bench.embeddings.families.rounded import Integers
    from bench.embeddings.methods.hash import Hash
    from bench.embeddings.methods.md import MD
    from bench.embeddings.methods.qr import QR
    from bench.embeddings.methods.tt import TT
    from bench.embeddings.served.codes import Codes
    from bench.embeddings.served.quantized import PackedRows, ScaledRows

Arrays = Mapping[str, np.ndarray]
Reader = Callable[[np.ndarray], np.ndarray]
"""Makes vectors, float32 (n, embedding_dim), of row numbers that are inside the field, int32 or int64 (n,)."""

MANY = 512
"""Number of ids from which equal ids are computed once, where computing takes long."""

NEAR = 1024
"""Number of vectors that are worked on at once, so that they stay in the processor's cache."""


def reader(form: Method[Any], arrays: Arrays) -> Reader:
    """Gives the fastest lookup of a form.

    Args:
        form: the description that serves.
        arrays: its arrays by name.
    """
    name = name_of(form)
    make: Callable[[Any, Arrays], Reader] = READERS.get(name, _described)
    made = hot_reader(form, arrays, reader) or make(form, arrays)
    return _distinct(made) if name in SLOW else made


def name_of(form: Method[Any]) -> str:
    """Gives a form's module, below ``bench.embeddings``, and class."""
    return f"{type(form).__module__.removeprefix('bench.embeddings.')}.{type(form).__qualname__}"


def _described(form: Method[Any], arrays: Arrays) -> Reader:
    """Serves by the description."""
    tables = [table.name for table in form.tables()]

    def read(rows: np.ndarray) -> np.ndarray:
        indices = form.lookups(rows, arrays, np)
        found = {name: arrays[name].take(indices[name], axis=0) for name in tables}
        return np.asarray(form.combine(found, indices, arrays, np, False), np.float32)

    return read


def _distinct(made: Reader) -> Reader:
    """Computes each id of a large batch once."""

    def read(rows: np.ndarray) -> np.ndarray:
        if len(rows) < MANY:
            return made(rows)
        once, places = np.unique(rows, return_inverse=True)
        return made(once).take(places, axis=0)

    return read


def _full(form: Method[Any], arrays: Arrays) -> Reader:
    table = arrays["table"]
    return lambda rows: table.take(rows, axis=0)


def _half(form: Method[Any], arrays: Arrays) -> Reader:
    table = arrays["halves"]
    return lambda rows: table.take(rows, axis=0).astype(np.float32)


def _qr(form: QR, arrays: Arrays) -> Reader:
    """Divides once for each digit."""
    tables = [arrays[name] for name in form.names]
    buckets, how = form.num_buckets, form.settings.combine
    join = np.multiply if how == "product" else np.add

    def many(rows: np.ndarray) -> np.ndarray:
        out = np.empty((len(rows), form.embedding_dim), np.float32)
        for begin in range(0, len(rows), NEAR):
            part = rows[begin : begin + NEAR]
            first, own = part // buckets, out[begin : begin + NEAR]
            tables[0].take(first, axis=0, out=own, mode="clip")
            join(own, tables[1].take(part - first * buckets, axis=0), out=own)
        return out

    def read(rows: np.ndarray) -> np.ndarray:
        if len(rows) > NEAR and len(tables) == 2 and how != "concat":
            return many(rows)
        rest, parts = rows, []
        for table in reversed(tables[1:]):
            quotient = rest // buckets
            parts.append(table.take(rest - quotient * buckets, axis=0))
            rest = quotient
        parts.append(tables[0].take(rest, axis=0))
        parts.reverse()
        out: np.ndarray
        if how == "concat":
            return np.concatenate(parts, axis=-1)
        if len(parts) == 2:
            out = join(parts[0], parts[1], out=parts[0])
        else:
            out = reduce(mul if how == "product" else add, parts)
        return out

    return read


def _hash(form: Hash, arrays: Arrays) -> Reader:
    """Takes remainders of unsigned numbers in place of shifts and comparisons."""
    from bench.embeddings.hashing import PRIME

    table, prime, size = arrays["table"], np.uint64(PRIME), np.uint64(form.num_rows)
    first, *others = (np.uint64(c) for c in arrays["hash"][0, ::-1].tolist())
    shift = np.uint64(31)

    def read(rows: np.ndarray) -> np.ndarray:
        x = rows.astype(np.uint64)
        value = x * first
        for number, coefficient in enumerate(others):
            if number:
                value *= x
            value += coefficient
            value %= prime
        value *= size
        value >>= shift
        return table.take(value.view(np.int64), axis=0)

    return read


def _integers(form: Integers, arrays: Arrays) -> Reader:
    codes, scale = arrays["codes"], np.float32(form.settings.scale)
    return lambda rows: np.multiply(codes.take(rows, axis=0), scale, dtype=np.float32)


def _packed(form: PackedRows, arrays: Arrays) -> Reader:
    """Multiplies bytes as they are. Of several codes in a byte, a table of 256 rows gives all."""
    codes, ranges, dim, bits = arrays["codes"], arrays["ranges"], form.embedding_dim, form.settings.bits
    if 8 % bits:
        return _described(form, arrays)
    numbers, each = _of_byte(bits), 8 // bits

    def read(rows: np.ndarray) -> np.ndarray:
        own, found = ranges.take(rows, axis=0).astype(np.float32, copy=False), codes.take(rows, axis=0)
        if bits < 8:
            found = numbers.take(found, axis=0).reshape(len(rows), found.shape[1] * each)[:, :dim]
        out: np.ndarray = np.multiply(found, own[:, :1], dtype=np.float32)
        out += own[:, 1:]
        return out

    return read


def _of_byte(bits: int) -> np.ndarray:
    """Gives the codes of each byte, the lowest bits first: float32 (256, 8 / bits)."""
    codes: np.ndarray = np.arange(256)[:, None] >> np.arange(0, 8, bits) & (1 << bits) - 1
    return codes.astype(np.float32)


def _scaled(form: ScaledRows, arrays: Arrays) -> Reader:
    """Multiplies bytes as they are, as ``_packed`` does."""
    codes, scales, dim, bits = arrays["codes"], arrays["scales"], form.embedding_dim, form.settings.bits
    if 8 % bits:
        return _described(form, arrays)
    one, middle = form.settings.one_scale, np.float32(1 << bits - 1)
    numbers, each = _of_byte(bits) - middle, 8 // bits

    def read(rows: np.ndarray) -> np.ndarray:
        found, own = codes.take(rows, axis=0), scales if one else scales.take(rows, axis=0)
        out: np.ndarray
        if bits < 8:
            out = numbers.take(found, axis=0).reshape(len(rows), found.shape[1] * each)[:, :dim]
        else:
            out = np.subtract(found, middle, dtype=np.float32)
        out *= own
        return out

    return read


def _codes(form: Codes, arrays: Arrays) -> Reader:
    """Reads several codes as one: those of a byte, or two codes of 3, 5 or 6 bits, from a table of joined entries.

    Entries are taken as one number each where their width allows it.
    """
    from bench.embeddings.served.codes import code_bits

    _, count, _ = form.shape
    bits, codes, dim = code_bits(count), arrays["codes"], form.embedding_dim
    joined = JOINED.get(bits, 1)
    entries = np.ascontiguousarray(arrays["codebooks"])
    if bits < 8:
        entries = _joined_entries(entries, bits, joined)
    groups, each, wide = entries.shape
    base = np.arange(0, groups * each, each, dtype=np.intp)
    kind = {2: np.complex64, 4: np.complex128}.get(wide)
    lines = entries.reshape(groups * each, wide)
    flat = lines if kind is None else lines.view(kind).reshape(-1)
    unpacked = _as_bytes if bits * joined == 8 else _unpacker(bits, joined, groups)

    def read(rows: np.ndarray) -> np.ndarray:
        places = np.add(unpacked(codes.take(rows, axis=0)), base)
        found = flat.take(places, axis=0) if kind is None else flat.take(places).view(np.float32)
        return found.reshape(len(rows), groups * wide)[:, :dim]

    return read


JOINED = {1: 8, 2: 4, 3: 2, 4: 2, 5: 2, 6: 2}
"""Numbers of codes that are read as one, by their bits: the tables of joined entries then take a MiB at most."""


def _joined_entries(codebooks: np.ndarray, bits: int, joined: int) -> np.ndarray:
    """Makes the entries of several codes that are read as one.

    Args:
        codebooks: float32 (parts, num_codes, width).
        bits: bits of a code.
        joined: number of codes that are read as one.

    Returns:
        float32 (ceil(parts / joined), 2^(bits * joined), joined * width). Zeros stand where there is no such part or
        code.
    """
    parts, count, width = codebooks.shape
    groups = -(-parts // joined)
    books = np.zeros((groups * joined, 1 << bits, width), np.float32)
    books[:parts, :count] = codebooks
    books = books.reshape(groups, joined, 1 << bits, width)
    whole = np.arange(1 << bits * joined)
    own = [books[:, part, (whole >> bits * part) & ((1 << bits) - 1)] for part in range(joined)]
    return np.concatenate(own, axis=-1)


def _as_bytes(rows: np.ndarray) -> np.ndarray:
    return rows


def _unpacker(bits: int, joined: int, groups: int) -> Reader:
    """Gives a function that reads codes of less than a byte: eight of them, ``bits`` bytes, from a number of 64 bits.

    It takes uint8 (n, bytes of a row) and gives int64 (n, groups).
    """
    each = 8 // joined
    blocks = -(-groups // each)
    shifts = (np.arange(each) * bits * joined).astype(np.uint64)
    mask = np.uint64((1 << bits * joined) - 1)

    def read(rows: np.ndarray) -> np.ndarray:
        count, nbytes = rows.shape
        filled, whole = rows, np.zeros((count, blocks, 8), np.uint8)
        if nbytes < blocks * bits:  # the last eight are not all there
            filled = np.zeros((count, blocks * bits), np.uint8)
            filled[:, :nbytes] = rows
        whole[:, :, :bits] = filled.reshape(count, blocks, bits)
        found = whole.view("<u8") >> shifts
        found &= mask
        return found.reshape(count, blocks * each)[:, :groups].view(np.int64)

    return read


def _md(form: MD, arrays: Arrays) -> Reader:
    """Reads each block for its own ids alone. If all blocks are projected, one product does it for all ids."""
    edges, rank, dim = form.edges, arrays["rank"], form.embedding_dim
    inner = np.array(edges[1:-1], np.int32)
    count = len(form.dims)
    tables = [arrays[f"block_{i}"] for i in range(count)]
    kernels = [arrays.get(f"kernel_{i}") for i in range(count)]
    biases = [arrays.get(f"bias_{i}") for i in range(count)]
    firsts = [first - 1 for first, _ in pairwise(edges)]

    def vectors(block: int, ranks: np.ndarray) -> np.ndarray:
        found, kernel, bias = tables[block].take(ranks - firsts[block], axis=0), kernels[block], biases[block]
        if kernel is not None:
            found = found @ kernel
            if bias is not None:
                found += bias
        return found

    projected = [kernel for kernel in kernels if kernel is not None]
    if len(projected) < count:
        product = None
    else:
        rows_of_bias = [np.zeros(dim, np.float32) if bias is None else bias for bias in biases]
        product = np.concatenate([*projected, np.stack(rows_of_bias)])
    begins = np.cumsum([0, *form.dims]).tolist()

    def read(rows: np.ndarray) -> np.ndarray:
        ranks = rank.take(rows)
        if count == 1:
            return vectors(0, ranks)
        blocks = inner.searchsorted(ranks, side="right")
        if len(rows) == 1:
            return vectors(int(blocks[0]), ranks)
        shape = (len(rows), dim if product is None else len(product))
        out = np.empty(shape, np.float32) if product is None else np.zeros(shape, np.float32)
        for block in range(count):
            there = (blocks == block).nonzero()[0]
            if not len(there):
                continue
            if product is None:
                out[there] = vectors(block, ranks.take(there))
            else:
                own = tables[block].take(ranks.take(there) - firsts[block], axis=0)
                out[there, begins[block] : begins[block + 1]] = own
                out[there, begins[-1] + block] = 1
        return out if product is None else out @ product

    return read


def _tt(form: TT, arrays: Arrays) -> Reader:
    """Multiplies the middle core once for all ids of a large batch that have the same digit there."""
    plain = _described(form, arrays)
    if len(form.widths) != 3:
        return plain
    ranks, widths, dim = form.ranks, form.widths, form.embedding_dim
    _, second, third = form.num_rows
    cores = [arrays[f"core_{k}"] for k in (1, 2, 3)]

    def read(rows: np.ndarray) -> np.ndarray:
        if len(rows) < MANY:
            return plain(rows)
        above, last = np.divmod(rows, third)
        first, middle = np.divmod(above, second)
        order = middle.argsort(kind="stable")
        left = cores[0].take(first[order], axis=0).reshape(-1, ranks[1])
        digits, begins = np.unique(middle[order], return_index=True)
        product = np.empty((len(left), widths[1] * ranks[2]), np.float32)
        for digit, begin, end in zip(digits.tolist(), begins, [*begins[1:], len(rows)], strict=True):
            own = slice(begin * widths[0], end * widths[0])
            np.matmul(left[own], cores[1][digit].reshape(ranks[1], -1), out=product[own])
        joined = product.reshape(len(rows), widths[0] * widths[1], ranks[2])
        right = cores[2].take(last[order], axis=0).reshape(len(rows), ranks[2], widths[2])
        out = np.empty((len(rows), dim), np.float32)
        out[order] = (joined @ right).reshape(len(rows), -1)[:, :dim]
        return out

    return read


READERS: Mapping[str, Callable[[Any, Arrays], Reader]] = {
    "families.rounded.Integers": _integers,
    "methods.cerp.SparseSum": sparse_sum,
    "methods.float16.HalfTable": _half,
    "methods.full.Full": _full,
    "methods.hash.Hash": _hash,
    "methods.md.MD": _md,
    "methods.qr.QR": _qr,
    "methods.tt.TT": _tt,
    "served.codes.Codes": _codes,
    "served.quantized.PackedRows": _packed,
    "served.quantized.ScaledRows": _scaled,
    "served.sparse.Sparse": sparse,
}
"""The reader of each form that has one, by module and class. A subclass may compute something else, and has its own."""

SLOW = ("methods.dhe.DHE", "methods.robe.ROBE", "methods.tt.TT")
"""Forms whose vectors take so long that equal ids of a large batch are computed once."""
