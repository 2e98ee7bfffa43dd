"""Faster lookups give the vectors of the method's own description."""

from __future__ import annotations

import numpy as np
import pytest
from marks import slow_but

from bench.embeddings import find, names
from bench.embeddings.base import Kind, Vocabulary
from bench.embeddings.served.codes import Codes, CodesSettings
from bench.embeddings.served.quantized import PackedRows, PackedSettings, ScaledRows, ScaledSettings
from bench.embeddings.served.sparse import Sparse, SparseSettings
from bench.serving.readers import MANY, READERS, SLOW, name_of, reader

SIZE = 700
FORMS = {
    "qr of three": lambda v: find("qr")(v, 6, find("qr").Settings(num_partitions=3)),
    "qr sum": lambda v: find("qr")(v, 6, find("qr").Settings(combine="sum")),
    "qr joined": lambda v: find("qr")(v, 6, find("qr").Settings(combine="concat")),
    "qr of three joined": lambda v: find("qr")(v, 7, find("qr").Settings(combine="concat", num_partitions=3)),
    "md of one block": lambda v: find("md")(v, 6, find("md").Settings(block_splits=[], block_dims=[3])),
    "md without biases": lambda v: find("md")(v, 6, find("md").Settings(projection_bias=False)),
    "md of equal blocks": lambda v: find("md")(
        v, 6, find("md").Settings(block_splits=[5], block_dims=[6, 6])
    ),
    "tt of two": lambda v: find("tt")(v, 6, find("tt").Settings(num_cores=2)),
    "tt of rank 1": lambda v: find("tt")(v, 7, find("tt").Settings(rank=1)),
    **{
        f"codes of {parts} parts of {dim}": lambda v, dim=dim, parts=parts: Codes(
            v, dim, CodesSettings(parts, 256)
        )
        for dim, parts in ((8, 2), (8, 4), (8, 8), (7, 3), (7, 4), (6, 2))
    },
    **{
        f"{count} codes, {parts} parts of {dim}": lambda v, dim=dim, parts=parts, count=count: Codes(
            v, dim, CodesSettings(parts, count)
        )
        for count in (2, 4, 8, 16, 32, 64, 128, 256)
        for dim, parts in ((8, 4), (11, 11), (36, 18), (9, 3))
    },
    "md of projected blocks": lambda v: find("md")(
        v, 6, find("md").Settings(block_splits=[50, 300], block_dims=[4, 3, 1])
    ),
    "md of projected blocks without biases": lambda v: find("md")(
        v, 6, find("md").Settings(block_splits=[50], block_dims=[5, 2], projection_bias=False)
    ),
    "rows of 4 bits": lambda v: PackedRows(v, 7, PackedSettings(4, "float16")),
    "rows of 2 bits": lambda v: PackedRows(v, 7, PackedSettings(2)),
    "rows of 8 bits": lambda v: PackedRows(v, 7, PackedSettings(8)),
    "sparse by rows": lambda v: Sparse(v, 64, SparseSettings(2000)),
    "sparse by places": lambda v: Sparse(v, 8, SparseSettings(40)),
    "sparse by bits": lambda v: Sparse(v, 8, SparseSettings(3000)),
    "sparse by bits, odd": lambda v: Sparse(v, 7, SparseSettings(3000)),
    "sparse, wide": lambda v: Sparse(v, 300, SparseSettings(4000)),
    "sparse, all": lambda v: Sparse(v, 5, SparseSettings()),
    "rows of 4 bits, scaled": lambda v: ScaledRows(v, 7, ScaledSettings(4, "float16")),
    "rows of 3 bits, scaled": lambda v: ScaledRows(v, 7, ScaledSettings(3, "float16")),
    "rows of 2 bits, one scale": lambda v: ScaledRows(v, 8, ScaledSettings(2, one_scale=True)),
    "rows of 8 bits, one scale": lambda v: ScaledRows(v, 8, ScaledSettings(8, one_scale=True)),
}


def filled(form):
    """Random arrays of a form; integers are drawn over their whole range, pointers over the atoms that there are."""
    rng = np.random.default_rng(2)
    made = {}
    for array in (*form.tables(), *form.weights()):
        kind = np.dtype(array.dtype)
        if kind.kind in "iu":
            limits = np.iinfo(kind)
            made[array.name] = rng.integers(limits.min, limits.max + 1, array.shape, kind)
        else:
            made[array.name] = rng.normal(size=array.shape).astype(kind)
    if "pointers" in made and hasattr(form.settings, "num_atoms"):
        made["pointers"] %= np.asarray(form.settings.num_atoms, made["pointers"].dtype)
    if isinstance(form, Sparse):
        size, dim = form.vocabulary.size, form.embedding_dim
        table = rng.normal(size=(size, dim)).astype(np.float32)
        return form.stored(table, np.sort(rng.choice(size * dim, form.nnz, replace=False)))
    return {**made, **form.build_maps()}


def check(form):
    arrays = filled(form)
    read = reader(form, arrays)
    summed = any(array.kind == Kind.NETWORKS for array in form.arrays()) or name_of(form) in SLOW
    rng = np.random.default_rng(3)
    for count in (0, 1, 2, 64, MANY - 1, MANY, 3 * MANY):
        for dtype in (np.int32, np.int64):
            rows = rng.integers(0, SIZE, count).astype(dtype)
            if count > 1:
                rows[:2] = 0, SIZE - 1
            before = rows.copy()
            found, wanted = read(rows), form(rows, arrays)
            assert (found.dtype, found.shape) == (np.float32, wanted.shape)
            np.testing.assert_array_equal(rows, before)
            if summed:
                np.testing.assert_allclose(
                    found, wanted, rtol=0, atol=1e-6 * max(1, np.abs(wanted).max(initial=0))
                )
            else:
                assert found.tobytes() == wanted.astype(np.float32).tobytes()


@pytest.mark.parametrize("name", FORMS)
def test_settings_of_their_own(name):
    check(FORMS[name](Vocabulary("user", SIZE, np.arange(SIZE) % 50)))


@pytest.mark.parametrize("name", slow_but(("full", "hash", "md", "tt"), names()))
def test_every_method(name):
    check(find(name)(Vocabulary("user", SIZE, np.arange(SIZE) % 50), 8).served())


def test_a_subclass_is_served_by_its_own_description():
    class Doubled(find("full")):
        def combine(self, rows, indices, weights, xp, training):
            return 2 * rows["table"]

    form = Doubled(Vocabulary("user", 5), 3)
    arrays = filled(form)
    np.testing.assert_array_equal(reader(form, arrays)(np.array([4, 0])), 2 * arrays["table"][[4, 0]])


def test_readers_leave_the_tables_alone():
    for method in ("qr", "full", "md"):
        form = find(method)(Vocabulary("user", SIZE), 8)
        arrays = filled(form)
        for array in arrays.values():
            array.flags.writeable = False
        found = reader(form, arrays)(np.arange(5))
        found[:] = 0


def test_all_forms_that_have_a_reader_are_tried():
    tried = {name_of(make(Vocabulary("user", SIZE))) for make in FORMS.values()}
    tried |= {name_of(find(name)(Vocabulary("user", SIZE), 8).served()) for name in names()}
    assert set(READERS) <= tried and set(SLOW) <= tried
