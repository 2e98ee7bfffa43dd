import os
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time

import pytest

from bench.measure import machine

OTHER = "import sys, time; from pathlib import Path; from bench.measure.machine import Presence\n"


def other(folder, code):
    child = subprocess.Popen(
        [sys.executable, "-c", f"{OTHER}p = Presence(Path({str(folder)!r}))\n{code}"], stdout=subprocess.PIPE
    )
    assert child.stdout.readline() == b"ready\n"
    return child


def test_runs_of_other_processes_are_counted(tmp_path):
    with machine.Presence(tmp_path) as presence:
        assert (presence.look(), presence.most) == (1, 1)
        child = other(tmp_path, "with p: print('ready', flush=True); time.sleep(60)")
        assert (presence.look(), presence.most) == (2, 2)
        child.kill()
        child.wait()
        assert (presence.look(), presence.most) == (1, 2)  # its sign is no sign of life any more
    assert not list(tmp_path.glob("*.run"))


@pytest.mark.slow
def test_alone_while_others_wait(tmp_path):
    presence = machine.Presence(tmp_path)
    code = "with p.computing(): print('ready', flush=True); time.sleep(1)"
    child = other(tmp_path, code)
    began = time.monotonic()
    with presence.alone():
        assert time.monotonic() - began > 0.5  # the other had to come to its end
        second, waited = machine.Presence(tmp_path), []

        def compute():
            with second.computing() as seconds:
                waited.append(seconds)

        thread = threading.Thread(target=compute)
        thread.start()
        time.sleep(0.5)
        assert not waited
    thread.join(10)
    assert waited and waited[0] > 0.4
    child.wait(10)


def test_many_compute_at_once(tmp_path):
    one, other = machine.Presence(tmp_path), machine.Presence(tmp_path)
    with one.computing() as first, other.computing() as second:
        assert first < 5 and second < 5


def test_threads_of_a_run(monkeypatch):
    monkeypatch.delenv(machine.THREADS_VARIABLE, raising=False)
    assert machine.threads() is None
    monkeypatch.setenv(machine.THREADS_VARIABLE, "1")
    assert machine.threads() == 1


@pytest.fixture
def places(tmp_path, monkeypatch):
    """The folders that the environment names, none of them there yet."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "runtime"))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(machine.platform, "node", lambda: "host")
    machine.folder.cache_clear()
    yield tmp_path
    machine.folder.cache_clear()


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_the_folder_is_the_users_own(places):
    (places / "home").mkdir(mode=0o700)
    assert machine.folder() == places / "home" / ".cache" / "embedding-bench" / "on-host"
    machine.folder.cache_clear()
    (places / "runtime").mkdir(mode=0o700)
    assert machine.folder() == places / "runtime" / "embedding-bench"
    assert mode(machine.folder()) == 0o700
    assert machine.lock("searches", "x").lock_file.startswith(str(places / "runtime"))


def test_a_process_without_a_login_finds_the_runs_of_one(places, monkeypatch):
    own = places / str(os.getuid())
    own.mkdir(mode=0o700)
    monkeypatch.setattr(machine, "RUNTIME", places)
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    assert machine.folder() == own / "embedding-bench"


def test_a_cache_of_the_users_choice_without_a_home(places, monkeypatch):
    monkeypatch.delenv("HOME")
    monkeypatch.setattr(machine.Path, "home", lambda: (_ for _ in ()).throw(RuntimeError))
    assert machine.folder() == places / f"embedding-bench-{os.getuid()}"
    machine.folder.cache_clear()
    monkeypatch.setenv("XDG_CACHE_HOME", str(places / "cache"))
    assert machine.folder() == places / "cache" / "embedding-bench" / "on-host"


def test_what_others_can_write_to_is_not_taken(places):
    (places / "runtime").mkdir()
    (places / "runtime").chmod(0o777)
    (places / "home").mkdir(mode=0o700)
    assert machine.folder().is_relative_to(places / "home")
    machine.folder().chmod(0o755)
    machine.folder.cache_clear()
    assert mode(machine.folder()) == 0o700


@pytest.mark.parametrize("made", ["link", "file", "strange"])
def test_what_another_user_has_made_is_replaced(places, monkeypatch, caplog, made):
    place = places / f"embedding-bench-{os.getuid()}"
    if made == "link":
        place.symlink_to(places)
    elif made == "file":
        place.touch()
    else:
        place.mkdir()
        monkeypatch.setattr(machine, "_user", lambda: os.getuid() + 1)
        place.rename(places / f"embedding-bench-{os.getuid() + 1}")
    found = machine.folder()
    assert found != place and found.parent == places and mode(found) == 0o700
    assert "other runs on this machine are not seen" in caplog.text


@pytest.mark.slow
def test_waiting_says_for_what_and_is_interrupted(tmp_path):
    """Ctrl-C reaches also what waits for a lock of SQLite's."""
    presence = machine.Presence(tmp_path)
    code = (
        "import logging; logging.basicConfig(level='INFO', format='%(message)s', stream=sys.stdout)\n"
        "print('ready', flush=True)\n"
        "try:\n"
        "    with p.computing(): print('computes')\n"
        "except KeyboardInterrupt: print('interrupted', flush=True)"
    )
    with presence.alone():
        child = other(tmp_path, code)
        assert child.stdout.readline() == b"waiting: another run on this machine is timed alone\n"
        child.send_signal(signal.SIGINT)
        began = time.monotonic()
        assert child.wait(20) == 0 and time.monotonic() - began < 10
        assert child.stdout.read() == b"interrupted\n"


def test_a_lock_that_is_held_says_what_is_waited_for(places, caplog):
    caplog.set_level("INFO")
    first, second, order = machine.lock("k", "x"), machine.lock("k", "x"), []

    def wait():
        with machine.held(second, "an equal run is trained in another process"):
            order.append("second")

    with machine.held(first, "nobody"):
        thread = threading.Thread(target=wait)
        thread.start()
        while "waiting" not in caplog.text:
            time.sleep(0.01)
        order.append("first")
    thread.join(10)
    assert order == ["first", "second"]
    assert caplog.messages == ["waiting: an equal run is trained in another process"]
