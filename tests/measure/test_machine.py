import subprocess
import sys
import threading
import time

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
