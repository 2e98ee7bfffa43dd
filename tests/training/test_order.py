"""The order of an epoch's rows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.data.interactions import Part
from bench.errors import RequestError
from bench.training import order as orders
from bench.training.batches import Batches
from bench.training.order import check_memory, order


def part(rows: int) -> Part:
    ids = np.arange(rows, dtype=np.int32)
    return Part({"user": ids, "item": ids}, ids.astype(np.float32), np.zeros((rows, 3), np.float32))


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 400), st.integers(1, 40), st.integers(1, 5), st.integers(1, 90))
def test_blocks_have_every_row_once(rows: int, block: int, window: int, step: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(orders, "BLOCK_ROWS", block)
        patch.setattr(orders, "WINDOW_BLOCKS", window)
        found = order("blocks", rows, seed=3, epoch=1)
        pieces = [found(start, min(start + step, rows)) for start in range(0, rows, step)]
        read = np.concatenate(pieces)
        assert sorted(read.tolist()) == list(range(rows))
        assert all(len(piece) == step for piece in pieces[:-1])
        if rows % block == 0:  # rows of a window come from so many blocks
            windows = [read[begin : begin + block * window] for begin in range(0, rows, block * window)]
            assert all(len(own) == block * len({row // block for row in own.tolist()}) for own in windows)
        assert read.tolist() == order("blocks", rows, seed=3, epoch=1)(0, rows).tolist()


def test_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(orders, "BLOCK_ROWS", 2)
    monkeypatch.setattr(orders, "WINDOW_BLOCKS", 2)
    blocks = np.random.Generator(np.random.PCG64([7, 2])).permutation(4)
    rows = [row for block in blocks[:2].tolist() for row in (2 * block, 2 * block + 1) if row < 7]
    first = np.random.Generator(np.random.PCG64([7, 2, 1])).permutation(rows)
    assert order("blocks", 7, seed=7, epoch=2)(0, len(rows)).tolist() == first.tolist()


def test_another_epoch_or_seed_is_another_order() -> None:
    found = {
        tuple(order(shuffle, 40_000, seed, epoch)(0, 20).tolist())
        for shuffle in ("full", "blocks")
        for seed in (0, 1)
        for epoch in (1, 2)
    }
    assert len(found) == 8


def test_full_is_one_permutation() -> None:
    expected = np.random.Generator(np.random.PCG64([5, 3])).permutation(1000)
    assert order("full", 1000, 5, 3)(10, 500).tolist() == expected[10:500].tolist()


def test_batches_of_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(orders, "BLOCK_ROWS", 8)
    monkeypatch.setattr(orders, "WINDOW_BLOCKS", 2)
    made = Batches(part(100), [], 6, seed=0, shuffle="blocks")
    seen = []
    for chunk in made.epoch(1):
        for step in range(chunk.steps):
            seen += chunk.arrays["labels"][step, : chunk.arrays["counts"][step]].tolist()
    assert sorted(seen) == list(range(100)) and seen != list(range(100))
    assert np.ptp(seen[:8]) > 8  # rows of two blocks are mixed


def test_rows_that_do_not_fit_are_refused_under_full() -> None:
    need = 1000 * (4 + 4 + 4 + 12 + 8)
    check_memory("full", part(1000), need)
    check_memory("blocks", part(1000), 10)
    with pytest.raises(
        RequestError,
        match=r"^training\.shuffle=full: 1,000 rows in any order take 31\.2 KiB of memory, and 31\.2 KiB are free; "
        r"give training\.shuffle=blocks$",
    ):
        check_memory("full", part(1000), need - 1)
