"""Records on disk: whole or not at all, checked by their sums, removed for good."""

from __future__ import annotations

import json
import logging
import os
import stat
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bench.errors import RequestError
from bench.records import store as module
from bench.records.result import Result, Status
from bench.records.store import FORMAT_VERSION, Record, RecordError, Store, Unreadable

FINGERPRINT = "ab12" * 16
OTHER = "cd34" * 16


def made(fingerprint: str = FINGERPRINT, **values) -> Result:
    return Result.of(
        **{"status": Status.FINISHED, "fingerprint": fingerprint, "val_mae": 0.5, "seed": 0, **values}
    )


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "results")


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "weights.safetensors"
    path.write_bytes(bytes(range(256)) * 10)
    return path


def test_nothing_is_made_before_the_first_record(store):
    assert store.find(FINGERPRINT) is None
    assert list(store.all()) == list(store.failed()) == []
    assert store.removed() == set()
    assert not store.folder.exists()


def test_added_and_found(store, weights):
    result = made()
    added = store.add(result, [weights])
    found = store.find(FINGERPRINT)
    assert found == added
    assert found.result == result
    assert found.folder == store.folder / FINGERPRINT
    assert found.weights().read_bytes() == weights.read_bytes()
    head = json.loads((found.folder / "record.json").read_text())
    assert head["format_version"] == FORMAT_VERSION
    assert set(head["sha256"]) == {"result.json", "weights.safetensors"}
    assert sorted(path.name for path in store.folder.iterdir()) == [FINGERPRINT]
    assert [record.fingerprint for record in store.all()] == [FINGERPRINT]


def test_weights_are_one_copy_where_the_file_system_can(store, weights):
    record = store.add(made(), [weights])
    assert record.weights().stat().st_ino == weights.stat().st_ino


def test_the_first_of_equal_runs_stays(store):
    store.add(made(val_mae=0.5))
    assert store.add(made(val_mae=0.6)).result.val_mae == 0.5
    assert store.find(FINGERPRINT).result.val_mae == 0.5


def test_another_machine_was_faster(store, monkeypatch):
    """The record appears between the look and the rename: two machines share the folder, no lock holds."""
    store.add(made(val_mae=0.5))
    monkeypatch.setattr(store, "find", lambda fingerprint: None)
    monkeypatch.setattr(store, "_take_away", lambda folder: None)
    assert store.add(made(val_mae=0.6)).result.val_mae == 0.5
    assert sorted(path.name for path in store.folder.iterdir()) == [FINGERPRINT]


@pytest.mark.parametrize("umask", [0o022, 0o007])
def test_modes_follow_the_umask(store, umask):
    before = os.umask(umask)
    try:
        folder = store.add(made()).folder
    finally:
        os.umask(before)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o777 & ~umask
    for path in folder.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~umask, path


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


DAMAGES = {
    "a flipped bit": flip,
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-5]),
    "empty": lambda path: path.write_bytes(b""),
    "gone": lambda path: path.unlink(),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
@pytest.mark.parametrize("name", ["result.json", "record.json"])
def test_a_damaged_record_is_of_no_use_and_is_replaced(store, damage, name, caplog):
    damage(store.add(made(val_mae=0.5)).folder / name)
    with caplog.at_level(logging.WARNING):
        assert store.find(FINGERPRINT) is None
    gone = name == "record.json" and not (store.folder / FINGERPRINT / name).exists()
    assert gone or ("damaged" in caplog.text and "trained again" in caplog.text)
    if not gone:
        (listed,) = store.all()
        assert isinstance(listed, Unreadable) and "damaged" in listed.reason
    assert store.add(made(val_mae=0.6)).result.val_mae == 0.6
    assert store.find(FINGERPRINT).result.val_mae == 0.6


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_damaged_weights_are_not_given_out(store, weights, damage, caplog):
    record = store.add(made(), [weights])
    damage(record.folder / weights.name)
    assert store.find(FINGERPRINT).file(weights.name) is None
    assert "sum" in caplog.text
    with pytest.raises(RecordError, match="no weights"):
        record.weights()


def test_weights_are_added_and_removed_later(store, weights):
    record = store.add(made())
    assert record.file(weights.name) is None
    store.add_weights(record, weights)
    found = store.find(FINGERPRINT)
    assert found.weights().read_bytes() == weights.read_bytes()
    assert found.result == record.result and found.created == record.created
    store.remove_weights(found)
    assert store.find(FINGERPRINT).sums == record.sums
    assert not (record.folder / weights.name).exists()


def test_a_newer_format_is_refused_in_a_line(store):
    path = store.add(made()).folder / "record.json"
    head = json.loads(path.read_text())
    path.write_text(json.dumps({**head, "format_version": FORMAT_VERSION + 1}))
    for call in (lambda: store.find(FINGERPRINT), lambda: store.add(made())):
        with pytest.raises(RequestError, match=f"format version {FORMAT_VERSION + 1}.*update") as refused:
            call()
        assert "\n" not in str(refused.value)
    (listed,) = store.all()
    assert isinstance(listed, Unreadable) and "format version" in listed.reason


def test_removed_for_good_until_it_is_run_again(store):
    store.remove(store.add(made()))
    assert store.find(FINGERPRINT) is None
    assert store.removed() == {FINGERPRINT}
    store.remove(store.add(made(OTHER)))
    assert store.removed() == {FINGERPRINT, OTHER}
    assert [path.name for path in store.folder.iterdir()] == ["removed"]
    store.add(made())
    assert store.removed() == {OTHER}
    assert store.find(FINGERPRINT) is not None


def test_a_failed_run_is_listed_apart_until_it_finishes(store):
    failed = made(status=Status.FAILED, val_mae=None, error="the loss became nan at step 3")
    store.add_failed(failed)
    store.add_failed(failed.with_(error="the loss became nan at step 4"))
    (listed,) = store.failed()
    assert listed.result.error.endswith("step 4")
    assert list(store.all()) == [] and store.find(FINGERPRINT) is None
    store.add(made())
    assert list(store.failed()) == []


def test_removing_a_failed_run_leaves_its_fingerprint_free(store):
    store.add_failed(made(status=Status.FAILED))
    (listed,) = store.failed()
    store.remove(listed)
    assert list(store.failed()) == [] and store.removed() == set()


def test_in_the_order_in_which_they_were_made(store):
    for number in (3, 1, 2):
        store.add(made(f"{number:064x}"))
        time.sleep(0.01)
    assert [int(record.fingerprint, 16) for record in store.all()] == [3, 1, 2]


@pytest.mark.parametrize("call", ["write_text", "rename"])
def test_a_full_disk_leaves_no_half_record(store, monkeypatch, call):
    store.folder.mkdir()

    def full(*arguments, **more):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(Path, call, full)
        with pytest.raises(
            RecordError, match=r"results_dir=.*No space left on device.*free some space"
        ) as refused:
            store.add(made())
    assert "\n" not in str(refused.value)
    assert list(store.folder.iterdir()) == []
    store.add(made())


def test_what_a_killed_process_left_is_swept_up_after_a_day(store):
    store.add(made())
    old, new = store.folder / ".new-aa-1-bb", store.folder / ".removed-aa-1-cc"
    for left in (old, new):
        left.mkdir()
    os.utime(old, (0, time.time() - module.STALE_SECONDS - 1))
    store.add(made(OTHER))
    assert not old.exists() and new.exists()
    assert [record.fingerprint for record in store.all()] == [FINGERPRINT, OTHER]


WRITER = """
import sys
from pathlib import Path
from bench.records.result import Result, Status
from bench.records.store import Store
store = Store(Path(sys.argv[1]))
for number in range(int(sys.argv[2])):
    store.add(Result.of(Status.FINISHED, fingerprint=f"{number:064x}", val_mae=0.5, seed=number), [Path(sys.argv[3])])
    print(number, flush=True)
"""


def test_writers_beside_each_other_and_killed_leave_whole_records(store, weights):
    command = [sys.executable, "-c", WRITER, str(store.folder), "60", str(weights)]
    writers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    assert writers[0].stdout is not None
    for line in writers[0].stdout:
        if int(line) == 10:
            writers[0].kill()
    for writer in writers:
        writer.communicate(timeout=100)
    assert [writer.returncode for writer in writers] == [-9, 0, 0]
    found = list(store.all())
    assert len(found) == 60
    for number, record in enumerate(sorted(found, key=lambda one: one.fingerprint)):
        assert isinstance(record, Record) and record.result.seed == number
        assert record.weights().read_bytes() == weights.read_bytes()


def test_removals_beside_each_other_lose_none(store):
    records = [store.add(made(f"{number:064x}")) for number in range(40)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(store.remove, records))
    assert store.removed() == {record.fingerprint for record in records}
    assert list(store.all()) == []


def test_equal_runs_wait_for_each_other_and_say_so(store, caplog):
    order: list[str] = []
    inside = threading.Event()

    def first() -> None:
        with store.claim(FINGERPRINT):
            inside.set()
            time.sleep(0.3)
            order.append("first")

    thread = threading.Thread(target=first)
    thread.start()
    inside.wait()
    with store.claim(OTHER):
        order.append("another run")
    with caplog.at_level(logging.WARNING), store.claim(FINGERPRINT):
        order.append("second")
    thread.join()
    assert order == ["another run", "first", "second"]
    assert "waiting for its result" in caplog.text


def test_a_moved_folder_still_works(store, weights, tmp_path):
    store.add(made(), [weights])
    moved = store.folder.rename(tmp_path / "elsewhere")
    assert Store(moved).find(FINGERPRINT).weights().read_bytes() == weights.read_bytes()
