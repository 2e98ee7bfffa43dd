import json
import logging
import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bench.data
from bench.config.typed import build
from bench.data import Rows, Source, files, sums, synthetic
from bench.data.base import DataSettings
from bench.data.files import content_digest, replace
from bench.data.interactions import Encoded
from bench.data.numbering import number
from bench.data.prepare import prepared
from bench.data.sums import checksum
from bench.data.writing import check
from bench.errors import RequestError

SMALL = {"num_users": 30, "num_items": 20, "num_ratings": 200}
ROOT = Path(__file__).parents[2]


class Fixed:
    """A source of ``rows`` that counts how often it is read."""

    def __init__(self, rows, **changes):
        self.reads = 0
        split = {"kind": "time", "train_fraction": 0.6, "last_n": 1, "seed": 0, "validation_fraction": 0.0}
        values = {"name": "n", "kind": "k", "vocabulary": "all", "split": split, **changes}
        self.settings = build(DataSettings, values)
        self.source = Source({"rows": "fixed"}, lambda: self.read(rows))

    def read(self, rows):
        self.reads += 1
        return rows

    def prepared(self, folder):
        return prepared(self.settings, self.source, folder)


def three_fields():
    ids = {
        "user": np.array([70, 20, 70, 50, 20]),
        "item": np.array([-5, 10**12, 10**12, -5, 3]),
        "device": np.array([1, 1, 1, 1, 2], np.int32),
    }
    dense = np.arange(10, dtype=np.float32).reshape(5, 2)
    return Rows("here", ids, np.array([1, 2, 4, 5, 6], np.float32), np.arange(5), dense)


def numbered(blocks, trains=None, **how):
    """The numbers of all ids in blocks of integers, the sizes and the ids by number."""
    encoded = [Encoded.of(np.array(block)) for block in blocks]
    trains = (
        [np.arange(len(block)) for block in blocks] if trains is None else [np.flatnonzero(t) for t in trains]
    )
    found = number([own.values for own in encoded], lambda n: encoded[n].codes, trains, **how)
    numbers = [found.tables[n][own.codes].tolist() for n, own in enumerate(encoded)]
    return numbers, found.counts.tolist(), found.known.to_pylist()


def test_vocabulary_of_all_rows_in_order_of_appearance():
    assert numbered([[9, 4, 9, 7]]) == ([[0, 1, 0, 2]], [2, 1, 1], [9, 4, 7])
    assert numbered([[9, 4], [], [9, 7]]) == ([[0, 1], [], [0, 2]], [2, 1, 1], [9, 4, 7])
    assert numbered([[9, 4, 9, 7]], [[0, 1, 1, 0]]) == ([[0, 1, 0, 2]], [1, 1, 0], [9, 4, 7])


def test_vocabulary_of_training_rows_has_one_id_for_the_rest():
    train = [False, True, False, True, False, True]
    found = numbered([[9, 4, 9, 7, 5, 4]], [train], only_train=True)
    assert found == ([[0, 1, 0, 2, 0, 1]], [0, 2, 1], [4, 7])
    found = numbered([[9, 4, 9], [7, 5, 4]], [train[:3], train[3:]], only_train=True)
    assert found == ([[0, 1, 0], [2, 0, 1]], [0, 2, 1], [4, 7])


def test_rare_ids_are_among_the_rest():
    train = [True, True, True, True, True, True, False]
    found = numbered([[9, 4, 9, 7, 5, 4, 7]], [train], only_train=True, min_count=2)
    assert found == ([[1, 2, 1, 0, 0, 2, 0]], [2, 2, 2], [9, 4])


def test_declared_ids_are_their_own_numbers():
    assert numbered([[3, 0], [3]], declared=5) == ([[3, 0], [3]], [1, 0, 0, 2, 0], [0, 1, 2, 3, 4])


rows_of_blocks = st.lists(
    st.lists(st.tuples(st.integers(0, 9), st.booleans()), max_size=9), min_size=1, max_size=4
)


@settings(max_examples=100, deadline=None)
@given(rows_of_blocks, st.integers(1, 3))
def test_blocks_do_not_change_the_numbers(blocks, min_count):
    together = [row for block in blocks for row in block]

    def of(parts):
        ids, trains = ([[row[k] for row in part] for part in parts] for k in (0, 1))
        numbers, *rest = numbered(ids, trains, only_train=True, min_count=min_count)
        return [one for block in numbers for one in block], *rest

    assert of(blocks) == of([together])
    counts = Counter(value for value, train in together if train)
    known = [
        value for value in dict.fromkeys(v for v, train in together if train) if counts[value] >= min_count
    ]
    assert of(blocks)[2] == known


def test_every_part_by_hand(tmp_path):
    data = Fixed(three_fields()).prepared(tmp_path)
    assert list(data.fields) == ["user", "item", "device"]
    assert [field.size for field in data.fields.values()] == [3, 3, 2]
    assert data.fields["user"].counts.tolist() == [2, 1, 0]
    assert data.fields["item"].counts.tolist() == [1, 2, 0]
    assert data.fields["device"].counts.tolist() == [3, 0]
    assert {name: ids.tolist() for name, ids in data.train.ids.items()} == {
        "user": [0, 1, 0],
        "item": [0, 1, 1],
        "device": [0, 0, 0],
    }
    assert data.evaluation.ids["user"].tolist() == [2, 1]
    assert data.train.labels.tolist() == [1, 2, 4]
    assert data.evaluation.labels.tolist() == [5, 6]
    assert data.evaluation.dense.tolist() == [[6, 7], [8, 9]]
    assert len(data.validation) == 0
    assert data.validation.dense.shape == (0, 2)
    assert data.label_range == (1.0, 4.0)
    assert data.item_field == "item"


def test_training_vocabulary_by_hand(tmp_path):
    data = Fixed(three_fields(), vocabulary="train").prepared(tmp_path)
    assert [field.size for field in data.fields.values()] == [3, 3, 2]
    assert data.fields["user"].counts.tolist() == [0, 2, 1]
    assert data.train.ids["user"].tolist() == [1, 2, 1]
    assert data.evaluation.ids["user"].tolist() == [0, 2]
    assert data.evaluation.ids["item"].tolist() == [1, 0]
    assert data.evaluation.ids["device"].tolist() == [1, 0]


def test_types_and_memory_maps(dataset, tmp_path):
    data = bench.data.load(dataset("synthetic", SMALL, vocabulary="train"), tmp_path)
    for part in (data.train, data.evaluation):
        for array in (*part.ids.values(), part.labels):
            assert isinstance(array, np.memmap)
            assert not array.flags.writeable
        assert {ids.dtype for ids in part.ids.values()} == {np.dtype(np.int32)}
        assert part.labels.dtype == np.float32
        assert all(len(ids) == len(part) for ids in part.ids.values())
    assert all(field.counts.dtype == np.int64 for field in data.fields.values())
    assert len(data.train) + len(data.evaluation) == 200
    for field in data.fields.values():
        assert field.counts.sum() == len(data.train)
        assert np.array_equal(field.counts, np.bincount(data.train.ids[field.name], minlength=field.size))


def test_counts_are_of_the_rows_that_train_and_not_of_those_that_validate(dataset, tmp_path):
    data = bench.data.load(dataset("synthetic", {**SMALL, "split.validation_fraction": 0.5}), tmp_path)
    assert (len(data.train), len(data.validation), len(data.evaluation)) == (85, 85, 30)
    assert data.fields["user"].counts.sum() == 85


def test_a_second_start_reads_nothing_again(tmp_path):
    fixed = Fixed(three_fields())
    one, two = fixed.prepared(tmp_path), fixed.prepared(tmp_path)
    assert fixed.reads == 1
    assert one.digest == two.digest
    assert np.array_equal(one.train.labels, two.train.labels)


def test_what_matters_makes_a_new_copy_and_what_does_not_does_not(dataset, tmp_path):
    def load(changes=None):
        data = bench.data.load(dataset("synthetic", {**SMALL, **(changes or {})}), tmp_path)
        return data.digest, len([p for p in (tmp_path / "prepared").iterdir() if p.is_dir()])

    first = load()
    assert first[1] == 1
    assert load({"name": "other"}) == first
    assert load({"split.last_n": 5}) == first  # a random split has no use for it
    count, digests = 1, {first[0]}
    for changes in (
        {"seed": 1},
        {"split.seed": 1},
        {"split.train_fraction": 0.8},
        {"split.validation_fraction": 0.1},
        {"split.kind": "last"},
        {"split.kind": "time"},
        {"split.kind": "time", "vocabulary": "train"},
        {"num_ratings": 201},
    ):
        digest, copies = load(changes)
        count += 1
        digests.add(digest)
        assert copies == count
        assert len(digests) == count


def test_digest_is_of_the_content(dataset, tmp_path):
    path = tmp_path / "ratings.csv"
    path.write_text("user,item,label\na,x,1\nb,y,2\na,y,3\nc,x,4\n")
    one = bench.data.load(dataset("table", path=str(path)), tmp_path)
    path.write_text("item,label,user,more\nX,1,A,0\nY,2,B,0\nY,3,A,0\nX,4,C,0\n")
    assert bench.data.load(dataset("table", path=str(path)), tmp_path / "other").digest == one.digest
    path.write_text("user,item,label\na,x,1\nb,y,2\na,y,3\nc,x,5\n")
    assert bench.data.load(dataset("table", path=str(path)), tmp_path).digest != one.digest


def damage_size(folder):
    with (folder / "train.labels.npy").open("ab") as file:
        file.write(b"0")


def damage_shape(folder):
    labels = np.load(folder / "train.labels.npy")
    np.save(folder / "train.labels.npy", labels.astype(np.int32))


DAMAGES = {
    "a file gone": lambda folder: (folder / "evaluation.ids.user.npy").unlink(),
    "a file too long": damage_size,
    "another type": damage_shape,
    "a file cut short": lambda folder: os.truncate(folder / "train.ids.item.npy", 100),
    "no meta": lambda folder: (folder / "meta.json").unlink(),
    "meta cut short": lambda folder: os.truncate(folder / "meta.json", 40),
    "meta of another kind": lambda folder: (folder / "meta.json").write_text("[1]"),
    "meta without a key": lambda folder: (folder / "meta.json").write_text("{}"),
    "a file in its place": lambda folder: (shutil.rmtree(folder), folder.write_text("")),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_copy_is_made_again(tmp_path, damage, caplog):
    fixed = Fixed(three_fields())
    digest = fixed.prepared(tmp_path).digest
    (folder,) = (tmp_path / "prepared").iterdir()
    damage(folder)
    data = fixed.prepared(tmp_path)
    assert fixed.reads == 2
    assert data.digest == digest
    assert data.train.labels.tolist() == [1, 2, 4]
    assert "damaged" in caplog.text
    fixed.prepared(tmp_path)
    assert fixed.reads == 2


def test_warnings_come_again_with_the_copy(tmp_path, caplog):
    rows = three_fields()
    fixed = Fixed(Rows(rows.origin, rows.ids, rows.labels, rows.timestamps, warnings=("three rows went",)))
    for _ in range(2):
        with caplog.at_level(logging.WARNING):
            fixed.prepared(tmp_path)
        assert caplog.messages.count("three rows went") == 1
        caplog.clear()


def test_rows_that_teach_nothing_are_refused(tmp_path):
    empty = Rows("x.csv", {"user": np.array([], np.int64)}, np.array([], np.float32))
    with pytest.raises(RequestError, match=r"^x\.csv: no rows"):
        check(empty.origin, empty.labels)
    constant = Rows("x.csv", {"user": np.arange(4)}, np.full(4, 3.5, np.float32), np.arange(4))
    with pytest.raises(RequestError, match=r"x.csv: all 4 rows have the label 3.5"):
        check(constant.origin, constant.labels)
    late = Rows("x.csv", {"user": np.arange(4)}, np.array([2, 2, 2, 5], np.float32), np.arange(4))
    with pytest.raises(RequestError, match=r"all 2 training rows have the label 2"):
        Fixed(late).prepared(tmp_path)


@pytest.mark.parametrize("below", ["file", "file/deeper"])
def test_a_data_dir_that_cannot_be_written_is_named(dataset, tmp_path, below):
    (tmp_path / "file").write_text("")
    with pytest.raises(RequestError) as caught:
        bench.data.load(dataset("synthetic", SMALL), tmp_path / below)
    assert f"data_dir={tmp_path / below}: cannot be written (" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_full_disk_is_told_and_leaves_nothing(tmp_path, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(RequestError, match=r"data_dir=.* cannot be written \(No space left on device\)"):
        Fixed(three_fields()).prepared(tmp_path)
    assert not list((tmp_path / "prepared").iterdir())


SLOW_START = """
import sys, time, pathlib
import numpy as np
from bench.data import synthetic, load
made = pathlib.Path(sys.argv[1]) / "made"
generate = synthetic.generate
def slowly(sizes):
    with made.open("a") as file:
        file.write("x")
    time.sleep(float(sys.argv[3]))
    return generate(sizes)
synthetic.generate = slowly
save = np.save
def slow_save(path, array):
    save(path, array)
    time.sleep(float(sys.argv[4]))
np.save = slow_save
import json
print(load(json.loads(sys.argv[2]), pathlib.Path(sys.argv[1]) / "data").digest)
"""


def start(folder, settings, make_s, save_s):
    command = [sys.executable, "-c", SLOW_START, str(folder), json.dumps(settings), str(make_s), str(save_s)]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env)


def test_processes_that_start_at_once_prepare_once(dataset, tmp_path):
    running = [start(tmp_path, dataset("synthetic", SMALL), 0.5, 0) for _ in range(3)]
    digests = [process.communicate(timeout=60)[0] for process in running]
    assert [process.returncode for process in running] == [0, 0, 0]
    assert len(set(digests)) == 1
    assert (tmp_path / "made").read_text() == "x"


def test_a_process_that_is_killed_half_way_leaves_nothing_in_place(dataset, tmp_path):
    settings = dataset("synthetic", SMALL)
    prepared_dir = tmp_path / "data" / "prepared"
    process = start(tmp_path, settings, 0, 30)
    deadline = time.monotonic() + 30
    while not list(prepared_dir.glob(".*.unfinished/copy/*.npy")) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.kill()
    process.communicate()
    assert not list(prepared_dir.glob("[!.]*"))
    data = bench.data.load(settings, tmp_path / "data")
    assert len(data.train) == 170
    assert [path.name for path in prepared_dir.iterdir()] == [next(prepared_dir.glob("[!.]*")).name]


def test_content_is_hashed_again_only_when_a_file_changed(tmp_path, monkeypatch):
    path = tmp_path / "x"
    path.write_bytes(b"one")
    old = time.time_ns() - 10**10
    os.utime(path, ns=(old, old))
    monkeypatch.setattr(files.time, "time_ns", lambda: time.monotonic_ns() + 2**62)  # it has rested
    first = content_digest(path, tmp_path)
    with monkeypatch.context() as without:
        without.setattr(files.hashlib, "file_digest", None)
        assert content_digest(path, tmp_path) == first
    path.write_bytes(b"two")
    os.utime(path, ns=(old, old))  # the same size and time, but that of the inode cannot be set
    second = content_digest(path, tmp_path)
    assert second != first
    (memo,) = (tmp_path / "prepared" / "digests").iterdir()
    memo.write_text("{broken")
    assert content_digest(path, tmp_path) == second


def test_content_that_just_changed_is_not_remembered(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"one")
    first = content_digest(path, tmp_path)
    stat = path.stat()
    path.write_bytes(b"two")
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert content_digest(path, tmp_path) != first


def test_loading_a_copy_imports_nothing_slow(dataset, tmp_path):
    bench.data.load(dataset("synthetic", SMALL), tmp_path)
    code = (
        "import sys, json, pathlib, bench.data\n"
        "bench.data.load(json.loads(sys.argv[1]), pathlib.Path(sys.argv[2]))\n"
        "slow = {'pandas', 'pyarrow', 'pooch', 'requests', 'tensorflow', 'keras', 'mlflow'}\n"
        "print(*sorted(slow & {*sys.modules}))"
    )
    command = [sys.executable, "-c", code, json.dumps(dataset("synthetic", SMALL)), str(tmp_path)]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=env)
    assert done.stdout.strip() == ""


@pytest.mark.parametrize("kind", [None, 3, "sinthetic"])
def test_an_unknown_kind_is_refused(dataset, tmp_path, kind):
    with pytest.raises(RequestError, match=r"dataset.kind=.*synthetic, synthetic_ctr, movielens, table"):
        bench.data.load(dataset("synthetic", kind=kind), tmp_path)


def test_an_unknown_setting_is_refused(dataset, tmp_path):
    settings = {**dataset("synthetic"), "num_user": 3}
    with pytest.raises(RequestError, match=r"dataset.num_user=3.*did you mean dataset.num_users"):
        bench.data.load(settings, tmp_path)


def test_a_file_or_folder_takes_another_ones_place(tmp_path):
    for old in ("file", "folder", "none"):
        for new in ("file", "folder"):
            a, b = tmp_path / f"{old}-{new}-a", tmp_path / f"{old}-{new}-b"
            for path, what in ((a, old), (b, new)):
                if what == "file":
                    path.write_text(str(path))
                elif what == "folder":
                    (path / "deep").mkdir(parents=True)
            replace(b, a)
            assert not b.exists()
            assert a.is_dir() == (new == "folder")
            assert a.is_file() == (new == "file")


@pytest.mark.parametrize("verify", [False, True])
def test_bytes_that_changed_in_a_copy_are_noticed(dataset, tmp_path, caplog, verify):
    bench.data.load(dataset("synthetic", SMALL), tmp_path)
    labels = next(tmp_path.glob("prepared/*/evaluation.labels.npy"))
    before, changed = labels.stat(), np.load(labels)
    np.save(labels, np.zeros_like(changed))
    os.utime(labels, ns=(before.st_atime_ns, before.st_mtime_ns))
    again = bench.data.load(dataset("synthetic", {**SMALL, "verify": verify}), tmp_path)
    assert "does not have the sum that it was written with" in caplog.text
    assert again.evaluation.labels.tolist() == changed.tolist()


def test_a_copy_is_read_once_and_again_on_request(dataset, tmp_path, monkeypatch):
    bench.data.load(dataset("synthetic", SMALL), tmp_path)
    read = []
    monkeypatch.setattr(sums, "checksum", lambda path: read.append(path) or checksum(path))
    bench.data.load(dataset("synthetic", SMALL), tmp_path)
    assert read == []
    bench.data.load(dataset("synthetic", {**SMALL, "verify": True}), tmp_path)
    assert len(read) == len(list(tmp_path.glob("prepared/*/*.npy")))


def test_ids_are_kept_by_number(dataset, tmp_path):
    for vocabulary, first in (("all", 0), ("train", 1)):
        data = bench.data.load(dataset("synthetic", {**SMALL, "vocabulary": vocabulary}), tmp_path)
        rows = synthetic.source(data_settings(dataset, vocabulary), tmp_path).read()
        user = data.fields["user"]
        assert user.values.first == first and len(user.values) == user.size - first
        assert user.values[0] is None if first else isinstance(user.values[0], int)
        known = [user.values[number] for number in data.train.ids["user"][:50]]
        assert set(known) <= set(rows.ids["user"].tolist())
        assert len(set(known)) == len(set(data.train.ids["user"][:50].tolist()))


def data_settings(dataset, vocabulary):
    return bench.data.read(dataset("synthetic", {**SMALL, "vocabulary": vocabulary}))
