import json
import logging
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import bench.data
from bench.data import Rows, Source
from bench.data.common import Common, settings_of
from bench.data.files import content_digest, replace
from bench.data.prepare import check, number, prepared
from bench.errors import RequestError

SMALL = {"num_users": 30, "num_items": 20, "num_ratings": 200}
ROOT = Path(__file__).parents[2]


def fixed(rows, **changes):
    """Settings whose source is ``rows``."""

    class Fixed(Common):
        reads = 0

        def source(self, data_dir):
            def read():
                Fixed.reads += 1
                return rows

            return Source({"rows": "fixed"}, read)

    split = {"kind": "time", "train_fraction": 0.6, "last_n": 1, "seed": 0, "validation_fraction": 0.0}
    return settings_of(Fixed, {"name": "n", "kind": "k", "vocabulary": "all", "split": split, **changes})


def three_fields():
    ids = {
        "user": np.array([70, 20, 70, 50, 20]),
        "item": np.array([-5, 10**12, 10**12, -5, 3]),
        "device": np.array([1, 1, 1, 1, 2], np.int32),
    }
    dense = np.arange(10, dtype=np.float32).reshape(5, 2)
    return Rows("here", ids, np.array([1, 2, 4, 5, 6], np.float32), np.arange(5), dense)


def test_vocabulary_of_all_rows_in_order_of_appearance():
    codes, size = number(np.array([9, 4, 9, 7]))
    assert codes.tolist() == [0, 1, 0, 2]
    assert size == 3


def test_vocabulary_of_training_rows_has_one_id_for_the_rest():
    ids = np.array([9, 4, 9, 7, 5, 4])
    codes, size = number(ids, np.array([False, True, False, True, False, True]))
    assert codes.tolist() == [0, 1, 0, 2, 0, 1]
    assert size == 3
    assert codes.dtype == np.int32


def test_every_part_by_hand(tmp_path):
    data = prepared(fixed(three_fields()), tmp_path)
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
    data = prepared(fixed(three_fields(), vocabulary="train"), tmp_path)
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
    settings = fixed(three_fields())
    one, two = prepared(settings, tmp_path), prepared(settings, tmp_path)
    assert type(settings).reads == 1
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
    settings = fixed(three_fields())
    digest = prepared(settings, tmp_path).digest
    (folder,) = (tmp_path / "prepared").iterdir()
    damage(folder)
    data = prepared(settings, tmp_path)
    assert type(settings).reads == 2
    assert data.digest == digest
    assert data.train.labels.tolist() == [1, 2, 4]
    assert "damaged" in caplog.text
    prepared(settings, tmp_path)
    assert type(settings).reads == 2


def test_warnings_come_again_with_the_copy(tmp_path, caplog):
    rows = three_fields()
    settings = fixed(Rows(rows.origin, rows.ids, rows.labels, rows.timestamps, warnings=("three rows went",)))
    for _ in range(2):
        with caplog.at_level(logging.WARNING):
            prepared(settings, tmp_path)
        assert caplog.messages.count("three rows went") == 1
        caplog.clear()


def test_rows_that_teach_nothing_are_refused(tmp_path):
    empty = Rows("x.csv", {"user": np.array([], np.int64)}, np.array([], np.float32))
    with pytest.raises(RequestError, match=r"^x\.csv: no rows"):
        check(empty)
    constant = Rows("x.csv", {"user": np.arange(4)}, np.full(4, 3.5, np.float32), np.arange(4))
    with pytest.raises(RequestError, match=r"x.csv: all 4 rows have the label 3.5"):
        check(constant)
    late = Rows("x.csv", {"user": np.arange(4)}, np.array([2, 2, 2, 5], np.float32), np.arange(4))
    with pytest.raises(RequestError, match=r"all 2 training rows have the label 2"):
        prepared(fixed(late), tmp_path)


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
        prepared(fixed(three_fields()), tmp_path)
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
    while not list(prepared_dir.glob(".*.partial/*.npy")) and time.monotonic() < deadline:
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
    first = content_digest(path, tmp_path)
    path.write_bytes(b"two")
    os.utime(path, ns=(old, old))  # unnoticed: same size, same time
    assert content_digest(path, tmp_path) == first
    os.utime(path, ns=(old + 1, old + 1))
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
    with pytest.raises(RequestError, match=r"dataset.kind=.*synthetic, movielens, table"):
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
