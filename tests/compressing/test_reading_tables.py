"""Tables and ids of all kinds of files, and what is refused of them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from bench.compressing import ids, reading
from bench.errors import RequestError

TABLE = np.arange(24, dtype=np.float32).reshape(8, 3) / 7 - 1


def saved(path: Path, array: Any) -> Path:
    np.save(path, array, allow_pickle=False)
    return path


def read(path: Path, **part: str) -> reading.Table:
    return reading.read(reading.source(path, **part))


def refused(path: Path, **part: str) -> str:
    with pytest.raises(RequestError) as caught:
        read(path, **part)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", ">f4", ">f8"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_every_type_and_order(dtype, order, tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "BLOCK_BYTES", 20)  # several blocks
    array = np.asarray(TABLE.astype(dtype), order=order)
    found = read(saved(tmp_path / "t.npy", array))
    assert found.rows.dtype == np.float32 and found.rows.flags.c_contiguous
    np.testing.assert_array_equal(found.rows, array.astype(np.float32))


def test_a_float32_file_is_not_copied(tmp_path):
    found = read(saved(tmp_path / "t.npy", TABLE))
    assert not found.rows.flags.owndata and not found.rows.flags.writeable


def test_equal_tables_have_equal_digests(tmp_path):
    same = [
        saved(tmp_path / "a.npy", TABLE),
        saved(tmp_path / "b.npy", np.asfortranarray(TABLE.astype(">f4"))),
    ]
    assert read(same[0]).digest == read(same[1]).digest
    others = [TABLE + np.float32(1), TABLE.reshape(3, 8), TABLE.astype(np.float64)]
    digests = {read(saved(tmp_path / "c.npy", other)).digest for other in others}
    assert len(digests | {read(same[0]).digest}) == 4


def test_tensors(tmp_path):
    path = tmp_path / "t.safetensors"
    save_file({"bias": np.ones(5, np.float32), "emb": TABLE.astype(np.float64)}, path)
    found = reading.source(path)
    assert (found.part, found.dtype) == ("emb", "float64")
    np.testing.assert_array_equal(reading.read(found).rows, TABLE)
    assert "emb: " not in refused(path, tensor="bias") and "shape (5,)" in refused(path, tensor="bias")
    assert "has no such tensor; did you mean emb? (tables are: emb)" in refused(path, tensor="em")
    save_file({"user": TABLE, "item": TABLE[:2], "n": np.ones((2, 2), np.int32)}, path)
    assert "has 3 tables; choose one by tensor=NAME (item, n, user)" in refused(path)
    np.testing.assert_array_equal(read(path, tensor="item").rows, TABLE[:2])
    assert "n: holds I32; give floats (float16, bfloat16, float32, float64)" in refused(path, tensor="n")
    save_file({"n": np.ones(3, np.float32)}, path)
    assert "has no tensor that is a table with two dimensions" in refused(path)
    save_file({f"t{n}": TABLE for n in range(20)}, path)
    assert re.search(r"\(t\d+(, t\d+){11} and 8 more\)", refused(path))


def test_bfloat16(tmp_path):
    """Its numbers are those of float32 without their lower 16 bits."""
    from safetensors import TensorSpec, serialize_file

    bits = np.ascontiguousarray((TABLE.view(np.uint32) >> 16).astype(np.uint16))
    spec = TensorSpec(dtype="bfloat16", shape=TABLE.shape, data_ptr=bits.ctypes.data, data_len=bits.nbytes)
    serialize_file({"emb": spec}, tmp_path / "t.safetensors")
    found = reading.source(tmp_path / "t.safetensors")
    assert found.dtype == "bfloat16"
    wanted = (TABLE.view(np.uint32) & np.uint32(0xFFFF0000)).view(np.float32)
    np.testing.assert_array_equal(reading.read(found).rows, wanted)


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (np.zeros((0, 4), np.float32), "is empty, of shape (0, 4)"),
        (np.zeros((4, 0), np.float32), "is empty, of shape (4, 0)"),
        (np.float32(3), "has the shape ()"),
        (np.zeros(7, np.float32), "has the shape (7,); give a table with two dimensions, (rows, width)"),
        (np.zeros((2, 3, 4), np.float32), "has the shape (2, 3, 4)"),
        (np.zeros((3, 3), np.int64), "holds int64; give floats"),
        (np.zeros((3, 3), bool), "holds bool"),
        (np.zeros((3, 3), np.complex64), "holds complex64"),
        (np.zeros((3, 3), "U3"), "holds str96"),
        (np.zeros((3, 3), [("a", "f4")]), "holds void32"),
    ],
)
def test_arrays_that_are_no_tables(array, said, tmp_path):
    assert said in refused(saved(tmp_path / "t.npy", array))


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite(wrong, tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "BLOCK_BYTES", 24)
    table = TABLE.copy()
    table[5, 2] = table[7, 0] = wrong
    path = saved(tmp_path / "t.npy", table)
    assert f"t.npy: row 5, column 2 is {wrong}; give finite numbers" in refused(path)
    save_file({"emb": table}, tmp_path / "t.safetensors")
    assert "t.safetensors: emb: row 5, column 2" in refused(tmp_path / "t.safetensors")


def test_numbers_beyond_float32(tmp_path):
    table = TABLE.astype(np.float64)
    table[3, 1] = -1e300
    assert "row 3, column 1 is -1e+300, beyond float32; give" in refused(saved(tmp_path / "t.npy", table))


@pytest.mark.parametrize(
    ("name", "raw", "said"),
    [
        ("t.npy", b"", "No data left in file"),
        ("t.npy", b"\x93NUMPY\x01\x00v\x00{'descr'", "cannot be read as a .npy file of numbers"),
        ("t.npy", b"\x80\x04]\x94.", "This file contains pickled (object) data); write it with numpy.save"),
        ("t.npy", b"PK\x03\x04" + b"0" * 50, "cannot be read as a .npy file of numbers"),
        ("t.safetensors", b"", "cannot be read as a safetensors file"),
        ("t.safetensors", b"\xff" * 40, "cannot be read as a safetensors file"),
        ("t.csv", b"1,2", "no ending of a table that can be read; give .npy (numpy.save writes it)"),
        ("t", b"", "no ending of a table that can be read"),
    ],
)
def test_files_that_are_no_tables(name, raw, said, tmp_path):
    (tmp_path / name).write_bytes(raw)
    assert said in refused(tmp_path / name)


def test_files_that_are_cut_off_or_missing(tmp_path):
    path = saved(tmp_path / "t.npy", TABLE)
    path.write_bytes(path.read_bytes()[:-1])
    assert "mmap length is greater than file size" in refused(path)
    np.savez(tmp_path / "t.npz", a=TABLE)
    (tmp_path / "t.npz").rename(path)
    assert "is an archive of arrays; give one array" in refused(path)
    assert "no.npy: not found" in refused(tmp_path / "no.npy")
    (tmp_path / "dir.npy").mkdir()
    assert "dir.npy: is no file" in refused(tmp_path / "dir.npy")
    assert "tensor=a: for a .safetensors file; leave it out for t.npy" in refused(path, tensor="a")
    assert "layer=a: for a .keras file" in refused(path, layer="a")
    with path.open("wb") as file:
        np.lib.format.write_array(file, np.array([None, 1]), allow_pickle=True)
    assert "Python objects in dtype" in refused(path)


@pytest.mark.slow
def test_layers_of_a_keras_model(tmp_path):
    from bench import backend

    backend.load()
    import keras

    inner = keras.Sequential([keras.Input((1,)), keras.layers.Embedding(5, 4, name="words")], name="inner")
    given = keras.Input((1,), dtype="int32")
    model = keras.Model(given, keras.layers.Dense(2, name="out")(inner(given)))
    path = tmp_path / "m.keras"
    model.save(path)
    found = reading.source(path)
    assert found.part == "inner/words"
    np.testing.assert_array_equal(reading.read(found).rows, inner.get_layer("words").embeddings.numpy())
    assert read(path, layer="out").rows.shape == (4, 2)
    assert "layer=word: " in refused(path, layer="word") and "inner/words" in refused(path, layer="word")
    two = [keras.layers.Embedding(n, 3, name=f"e{n}", dtype="bfloat16")(given) for n in (4, 6)]
    keras.Model(given, two).save(path)
    assert "has 2 tables; choose one by layer=NAME (e4, e6)" in refused(path)
    assert reading.source(path, layer="e6").dtype == "bfloat16"
    assert read(path, layer="e6").rows.shape == (6, 3)
    code = keras.Sequential([keras.Input((1,)), keras.layers.Lambda(lambda x: x)])
    code.save(path)
    assert "cannot be loaded as a Keras model" in refused(path)
    path.write_bytes(b"no zip")
    assert "cannot be loaded as a Keras model" in refused(path)


# Ids


def of_text(path: Path, raw: bytes, rows: int) -> list[Any]:
    path.write_bytes(raw)
    found = ids.read(path, rows)
    return [found[row] for row in range(len(found))]


def test_ids_of_a_text_file(tmp_path):
    path = tmp_path / "ids.txt"
    assert of_text(path, b"b\na\n 42", 3) == ["b", "a", " 42"]
    assert of_text(path, "\ufeffé\r\nx y\r\n".encode(), 2) == ["é", "x y"]
    assert ids.numbers(3).integers.tolist() == [0, 1, 2]
    for dtype in ("int8", "uint16", ">i4", "uint64"):
        found = ids.read(saved(tmp_path / "i.npy", np.array([7, 3], dtype)), 2)
        assert found.integers.tolist() == [7, 3] and found.integers.dtype == np.int64


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"a\nb\n", "2 ids for 3 rows; give one id for each row of the table"),
        (b"a\nb\nc\nd", "4 ids for 3 rows"),
        (b"", "0 ids for 3 rows"),
        (b"a\n\nc\n", "line 2 is empty; give one id a line"),
        (b"a\nb\n\xff\n", "line 3 is no UTF-8"),
        (b"a\nb\nb\n", "'b' is the id of rows 1 and 2; give each row its own id"),
        (b"a\na\na\n", "'a' is the id of rows 0 and 1"),
    ],
)
def test_ids_that_are_wrong(raw, said, tmp_path):
    (tmp_path / "ids.txt").write_bytes(raw)
    with pytest.raises(RequestError, match=re.escape(said)):
        ids.read(tmp_path / "ids.txt", 3)


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (np.array([5, 9, 5]), "'5' is the id of rows 0 and 2"),
        (np.array([1.0, 2, 3]), "holds float64 of shape (3,); give integers of shape (rows,)"),
        (np.array([[1, 2, 3]]), "holds int64 of shape (1, 3)"),
        (np.array(["a", "b", "c"]), "holds <U1 of shape (3,)"),
        (np.array([1, 2, 2**63], np.uint64), "9223372036854775808 is beyond 64 bits with a sign"),
    ],
)
def test_integers_that_are_wrong(array, said, tmp_path):
    with pytest.raises(RequestError, match=re.escape(said)):
        ids.read(saved(tmp_path / "ids.npy", array), 3)


def test_files_of_ids_that_cannot_be_read(tmp_path):
    with pytest.raises(RequestError, match="no: not found; give a file of ids"):
        ids.read(tmp_path / "no", 3)
    with pytest.raises(RequestError, match="is no file"):
        ids.read(tmp_path, 3)
    (tmp_path / "i.npy").write_bytes(b"junk")
    with pytest.raises(RequestError, match=r"cannot be read as a \.npy file of integers"):
        ids.read(tmp_path / "i.npy", 3)
