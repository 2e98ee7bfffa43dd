"""Data that is prepared in blocks: equal bytes whatever the blocks, after kills too, within memory and disk."""

from __future__ import annotations

import io
import json
import os
import random
import shutil
import subprocess
import sys
from collections import namedtuple
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bench.data
from bench.data import blocks, progress, room
from bench.data.interactions import Block, Encoded
from bench.data.progress import Progress
from bench.data.room import Room, check_disk
from bench.errors import RequestError

ROOT = Path(__file__).parents[2]
OWN = {
    "fields": ["user", "shop", "tag"], "dense": ["price"], "label": "stars", "timestamp": "at", "missing": "keep",
    "split.kind": "time", "bad_rows": "drop",
}  # fmt: skip


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table with missing values, quotes and rows that cannot be used."""
    draw = random.Random(5)
    lines = ["user,shop,tag,price,stars,at"]
    for row in range(3000):
        user, shop = f"u{int(draw.paretovariate(0.7)) % 900}", draw.choice(["a", "", " ", "ü", '"x, y"'])
        stars = "" if row % 500 == 250 else draw.randint(1, 5)
        lines.append(f"{user},{shop},{draw.randint(0, 10**6)},{draw.random():.3f},{stars},{row // 7}")
    path = tmp_path_factory.mktemp("blocks") / "orders.csv"
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


def files_of(data_dir: Path) -> dict[str, bytes]:
    (folder,) = (meta.parent for meta in data_dir.glob("prepared/*/meta.json"))
    assert sorted(data_dir.glob("prepared/.*")) == []
    return {file.name: file.read_bytes() for file in folder.iterdir() if not file.name.startswith(".")}


@pytest.fixture
def prepare(
    dataset: Callable[..., Any], path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Any]:
    def make(name: str, block_bytes: int, threads: int, **changes: Any) -> dict[str, bytes]:
        monkeypatch.setattr(room, "BLOCK_BYTES", block_bytes)
        monkeypatch.setattr(room.machine, "threads", lambda: threads)
        bench.data.load(dataset("table", {**OWN, **changes}, path=str(path)), tmp_path / name)
        return files_of(tmp_path / name)

    yield make
    shutil.rmtree(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("vocabulary", ["all", "train"])
def test_blocks_and_threads_change_no_byte(prepare: Any, vocabulary: str) -> None:
    once = prepare("once", 1 << 25, 1, vocabulary=vocabulary)
    assert len(once) > 20
    for number, (block_bytes, threads) in enumerate([(300, 3), (4001, 2), (50_000, 1)]):
        assert prepare(str(number), block_bytes, threads, vocabulary=vocabulary) == once


def test_a_fourth_of_the_rows_by_hand(dataset: Callable[..., Any], tmp_path: Path) -> None:
    path = tmp_path / "four.csv"
    path.write_text("u,y\nb,1\na,2\n,3\nb,4\n")
    own = {"fields": ["u"], "label": "y", "missing": "keep", "split.kind": "time", "timestamp": "y"}
    with pytest.raises(RequestError, match="the column is named twice"):
        bench.data.load(dataset("table", own, path=str(path)), tmp_path)
    path.write_text("u,y,t\nb,1,1\na,2,2\n,3,3\nb,4,4\n")
    data = bench.data.load(dataset("table", {**own, "timestamp": "t"}, path=str(path)), tmp_path)
    assert [*data.train.ids["u"], *data.evaluation.ids["u"]] == [0, 1, 2, 0]
    assert [data.fields["u"].values[n] for n in range(3)] == ["b", "a", ""]


KILLED = """
import json, os, pathlib, sys, threading, time
from bench.data import blocks, load, room, writing
room.BLOCK_BYTES = 3000
moment, left = sys.argv[3], int(sys.argv[4])
lock = threading.Lock()
def counted(function):
    def call(*arguments, **named):
        global left
        with lock:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), 9)
        return function(*arguments, **named)
    return call
place = {"write": blocks.Blocks, "write_rows": writing.Copy, "digest": writing.Copy}[moment]
setattr(place, moment, counted(getattr(place, moment)))
load(json.loads(sys.argv[1]), pathlib.Path(sys.argv[2]))
"""


@pytest.mark.slow
def test_a_kill_at_ten_moments(prepare: Any, dataset: Callable[..., Any], path: Path, tmp_path: Path) -> None:
    expected = prepare("whole", 3000, 2)
    settings = json.dumps(dataset("table", OWN, path=str(path)))
    made = blocks.Blocks.write
    moments = (
        [("write", n) for n in (1, 2, 4, 5, 6)] + [("write_rows", n) for n in (1, 2, 4, 5)] + [("digest", 1)]
    )
    for moment, left in moments:
        command = [sys.executable, "-c", KILLED, settings, str(tmp_path / "killed"), moment, str(left)]
        done = subprocess.run(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, timeout=60)
        assert done.returncode == -9, moment
    (left_over,) = (tmp_path / "killed" / "prepared").glob(".*.unfinished")
    there = sorted(left_over.glob("blocks/*.arrow"))
    assert len(there) > 20
    there[3].write_bytes(there[3].read_bytes()[:-1])  # as a machine that lost its power may leave it
    flipped = bytearray(there[7].read_bytes())
    flipped[-5] ^= 1
    there[7].write_bytes(flipped)
    written: list[int] = []

    def write(self: Any, number: int, block: Any) -> None:
        written.append(number)
        made(self, number, block)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks.Blocks, "write", write)
        assert prepare("killed", 3000, 2) == expected
    assert sorted(written) == [3, 7]  # all others were there


def test_blocks_of_another_size_are_made_again(
    prepare: Any, tmp_path: Path, dataset: Any, path: Path
) -> None:
    settings = json.dumps(dataset("table", OWN, path=str(path)))
    command = [sys.executable, "-c", KILLED, settings, str(tmp_path / "other"), "digest", "1"]
    subprocess.run(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, timeout=60, check=False)
    assert list((tmp_path / "other" / "prepared").glob(".*.unfinished"))
    assert prepare("other", 7000, 2) == prepare("whole", 3000, 2)


def test_a_block_keeps_what_it_is_given(tmp_path: Path) -> None:
    block = Block(
        {"u": Encoded.of(np.array([5, 9, 5])), "t": Encoded.of(np.array([2**40, 1, 1]))},
        np.array([1, 2, 3], np.float32),
        np.array([0.5, 1.5, 2.5]),
        np.arange(6, dtype=np.float32).reshape(3, 2),
        role=2,
        notes={"rows": 4},
    )
    found = blocks.Blocks(tmp_path, "x")
    found.write(0, block)
    found.close(1)
    assert (len(found), found.width, found.notes, found.size_of("u")) == (3, 2, [{"rows": 4}], (2, 16))
    assert found.roles is not None and found.roles.tolist() == [2, 2, 2]
    assert found.dense(0).tolist() == [[0, 1], [2, 3], [4, 5]] and found.labels().tolist() == [1, 2, 3]
    assert (found.times() or [])[0].tolist() == [0.5, 1.5, 2.5]
    assert found.codes(0, "u").tolist() == [0, 1, 0] and found.values("t")[0].to_pylist() == [2**40, 1]
    assert 0 in blocks.Blocks(tmp_path, "x") and 1 not in blocks.Blocks(tmp_path, "x")
    assert 0 not in blocks.Blocks(tmp_path, "y")


# Memory and disk


def test_the_limit_decides_how_much_is_read_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room.machine, "threads", lambda: 2)
    assert Room.of(None).block_bytes == room.BLOCK_BYTES == Room.of(4 << 30).block_bytes
    small = Room.of(400 << 20)
    assert room.LEAST_BLOCK < small.block_bytes < room.BLOCK_BYTES
    assert room.PROGRAM + 5 * room.PER_BYTE * small.block_bytes <= 400 << 20


@pytest.mark.parametrize(
    ("limit", "says"),
    [
        ("100MB", r"dataset\.memory_limit=95\.4 MiB: the program itself takes 200 MiB; give at least"),
        ("4 XB", r"dataset\.memory_limit=4 XB: give a number of bytes, such as 12MB or 512KiB"),
        ("0", r"dataset\.memory_limit=0: "),
        ("many", r"dataset\.memory_limit=many: "),
    ],
)
def test_limits_that_cannot_be_kept(dataset: Any, path: Path, tmp_path: Path, limit: str, says: str) -> None:
    with pytest.raises(RequestError, match=says):
        bench.data.load(dataset("table", {**OWN, "memory_limit": limit}, path=str(path)), tmp_path)


def test_more_ids_or_rows_than_the_limit_admits() -> None:
    limited = Room(1 << 30, 2)
    with pytest.raises(
        RequestError, match=r"numbering 90,000,000 ids of field sku takes .* GiB; give as much, or"
    ):
        limited.of_field("sku", 90_000_000, 720_000_000)
    with pytest.raises(
        RequestError,
        match=r"dataset\.memory_limit=1.00 GiB: splitting 90,000,000 rows takes 2.88 GiB; give as much$",
    ):
        limited.check_rows(90_000_000)
    assert Room(None, 2).of_field("sku", 90_000_000, 720_000_000) > 1 << 30


def test_fields_wait_for_memory() -> None:
    shares = Room(room.PROGRAM + 100, 2).shares()
    with shares.taken(70):
        assert shares._taken == 70
        with pytest.raises(AssertionError), shares.taken(30):
            raise AssertionError
    with shares.taken(500):  # alone it may have all
        assert shares._taken == 500


def test_a_disk_without_room_is_refused_before(
    prepare: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage(10**9, 10**9 - 5000, 5000))
    with pytest.raises(
        RequestError, match=r"data_dir=.*/full: preparing this data takes .* KiB more, and 4.88 KiB are free"
    ):
        prepare("full", 3000, 2)
    assert [*(tmp_path / "full" / "prepared").glob("[!d]*")] == []


def test_how_much_room_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    for free, fits in ((209_001, True), (208_999, False)):
        monkeypatch.setattr(shutil, "disk_usage", lambda folder, free=free: usage(0, 0, free))
        if fits:
            check_disk(tmp_path, 10_000, 0.1)  # blocks of 100,000 bytes, a tenth is there, and the copy
        else:
            with pytest.raises(RequestError, match=f"data_dir={tmp_path}: "):
                check_disk(tmp_path, 10_000, 0.1)


# Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def told(stream: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> str:
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    with Progress("orders", stream) as shown:
        for step in range(1, 41):
            now[0] += 1
            shown.read(1000, step / 50)
        now[0] += 20
        shown.numbered(1, 3)
    return stream.getvalue()


def test_lines_off_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = told(io.StringIO(), monkeypatch).splitlines()
    assert lines == [
        "preparing orders: 15,000 rows read, 1,000 rows/s, 35.0 s left to read",
        "preparing orders: 30,000 rows read, 1,000 rows/s, 20.0 s left to read",
        "preparing orders: ids of 1 of 3 fields numbered",
    ]


def test_a_line_in_place_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    text = told(Terminal(), monkeypatch)
    assert (
        text.count("\r") == 39 and text.endswith("ids of 1 of 3 fields numbered".ljust(50) + "\n")
    ) or "\n" in text
    assert "\n" not in text[:-1]


def test_what_is_quick_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    with Progress("orders", stream) as shown:
        shown.read(10, 0.5)
        shown.numbered(3, 3)
    assert stream.getvalue() == ""
