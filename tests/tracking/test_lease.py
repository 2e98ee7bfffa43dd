import os
import threading
import time

import psutil
import pytest

from bench.measure import machine
from bench.tracking import lease
from bench.tracking.target import check

HERE = lease.Trainer.this()


@pytest.fixture
def target(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "FOLDER", tmp_path / "machine")
    return check(f"sqlite:///{tmp_path}/runs.db")


def test_one_at_a_time(target, caplog):
    order = []

    def train(name):
        with lease.claim(target, "f"):
            order.append(name)
            time.sleep(0.3)
            order.append(name)

    threads = [threading.Thread(target=train, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert order in (list("aabb"), list("bbaa"))
    assert "an equal run is being trained by another process: waiting" in caplog.text


def test_other_runs_do_not_wait(target, caplog):
    with lease.claim(target, "one"), lease.claim(target, "other"):
        pass
    assert not caplog.text


def test_a_trainer_reads_as_it_was_written():
    assert lease.Trainer.read(str(HERE)) == HERE
    assert HERE.pid == os.getpid() and HERE.is_here() and HERE.is_alive_here()
    assert lease.Trainer.read("") is None and lease.Trainer.read("a b c") is None


def tags(trainer, beat):
    return {lease.PROCESS_TAG: str(trainer), lease.HEARTBEAT_TAG: str(beat)}


def test_who_is_alive():
    now = 1_000_000.0
    elsewhere = lease.Trainer("another.host", 1, 5.0)
    assert lease.alive_elsewhere(tags(elsewhere, now - 10), now) == elsewhere
    assert lease.alive_elsewhere(tags(elsewhere, now - lease.LEASE_SECONDS - 1), now) is None
    assert lease.alive_elsewhere(tags(HERE, now), now) is None
    assert lease.alive_elsewhere({}, now) is None


def test_what_is_nobodys():
    now = time.time()
    assert not lease.is_leftover(tags(HERE, now))  # beside resume=false
    dead = lease.Trainer(HERE.host, HERE.pid, HERE.started - 100)  # a number that is in use again
    assert lease.is_leftover(tags(dead, now))
    assert lease.is_leftover(tags(lease.Trainer("another.host", 1, 5.0), now - 1000))
    assert not lease.is_leftover(tags(lease.Trainer("another.host", 1, 5.0), now))
    assert not psutil.pid_exists(2**22 + 1)
    assert lease.is_leftover(tags(lease.Trainer(HERE.host, 2**22 + 1, 5.0), now))
