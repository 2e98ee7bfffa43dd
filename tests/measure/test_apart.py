"""A process apart."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import pytest

from bench.measure import apart, machine

CLEANUP = ("builtins", "bool")
VARIABLE = "BENCH_TEST_APART"


@pytest.fixture
def process():
    process = apart.Process("tests", VARIABLE, CLEANUP)
    yield process
    process._leave()


def test_calls_are_made_in_another_process_and_in_order(process):
    assert not process.used
    first = process.submit(os.getpid)
    assert process.used and first.result() != os.getpid() == process.submit(os.getppid).result()
    calls = [process.submit(divmod, number, 7) for number in range(20)]
    assert [call.result() for call in calls] == [divmod(number, 7) for number in range(20)]


def test_it_knows_that_it_is_apart(process):
    assert process.submit(apart.inside).result() and not apart.inside()


def test_what_a_call_raises_is_raised_here(process):
    with pytest.raises(ZeroDivisionError) as caught:
        process.submit(divmod, 1, 0).result()
    assert "In the process apart:\nTraceback" in caught.value.__notes__[0]
    assert process.submit(abs, -1).result() == 1


def test_a_folder_that_is_removed_meanwhile_is_left(process, tmp_path, monkeypatch):
    (tmp_path / "gone").mkdir()
    process.submit(os.chdir, tmp_path / "gone").result()
    (tmp_path / "gone").rmdir()
    assert process.submit(os.getcwd).result() == tempfile.gettempdir()


def test_a_dead_process_is_an_error_once_and_quoted(process):
    process.submit(print, "what a library says").result()
    process.submit(os.write, 2, b"No module named 'alembic'\n").result()
    with pytest.raises(
        apart.ProcessDied, match=r"that tests has died \(exit code 3\): No module named 'alembic'$"
    ):
        process.submit(exec, "import os; os._exit(3)").result()
    assert process.submit(abs, -1).result() == 1


def test_libraries_print_into_no_output_of_ours(process, capfd):
    process.submit(os.write, 1, b"said").result()
    process.submit(os.write, 2, b"said").result()
    assert capfd.readouterr() == ("", "")


def test_a_folder_with_a_colon_is_on_the_path(process, tmp_path, monkeypatch):
    folder = tmp_path / "a:b"
    folder.mkdir()
    (folder / "in_colon.py").write_text("def said(): return 'imported'\n")
    monkeypatch.syspath_prepend(str(folder))
    import in_colon

    assert process.submit(in_colon.said).result() == "imported"


OTHER = f"""
import os
from bench.measure import apart
process = apart.Process("tests", {VARIABLE!r}, {CLEANUP!r})
print(process.submit(os.getpid).result(), os.getpid())
"""


def other(**environment):
    done = subprocess.run(
        [sys.executable, "-c", OTHER],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return [int(number) for number in done.stdout.split()]


def test_other_processes_share_it(process):
    shared = process.shared()
    assert list(shared) == [VARIABLE]
    apart_of_other, pid = other(**shared)
    assert apart_of_other == process.submit(os.getpid).result() and pid not in (apart_of_other, os.getpid())
    # where nobody listens any more, they have their own
    assert other(**{VARIABLE: f"{shared[VARIABLE]}.gone"})[0] != apart_of_other


def test_it_cleans_up_when_the_one_that_asked_is_gone(tmp_path, monkeypatch):
    (tmp_path / "cleaner.py").write_text(
        "from pathlib import Path\n"
        "def clean(thread):\n"
        f"    with open({str(tmp_path / 'said')!r}, 'a') as file:\n"
        "        file.write(f'{thread is None}\\n')\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    import cleaner

    process = apart.Process("tests", VARIABLE, ("cleaner", "clean"))
    process.submit(repr, cleaner.clean).result()  # imports it there
    other(**process.shared())
    wait_for(lambda: (tmp_path / "said").exists())
    assert (tmp_path / "said").read_text() == "False\n"  # one beside us
    process._leave()
    wait_for(lambda: (tmp_path / "said").read_text() == "False\nTrue\n")


def wait_for(condition):
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


LISTENS = f"""
import os
from bench.measure import apart
process = apart.Process("tests", {VARIABLE!r}, {CLEANUP!r})
print(process.shared()[{VARIABLE!r}], process.submit(os.getpid).result())
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", ["y", "x" * 100])
def test_a_socket_leaves_no_folder(tmp_path_factory, name):
    temporary = tmp_path_factory.mktemp("m") / name
    temporary.mkdir()
    run, environment = [sys.executable, "-c", LISTENS], {**os.environ, "TMPDIR": str(temporary)}
    said = subprocess.run(run, env=environment, capture_output=True, text=True, check=True).stdout
    address, pid = said.split()
    assert len(address) <= apart.SOCKET_BYTES
    wait_for(lambda: not psutil.pid_exists(int(pid)))
    assert not Path(address).parent.exists()
    assert [path for path in temporary.rglob("*") if path.name.startswith(apart.PREFIX)] == []


def test_what_a_killed_process_has_left_is_removed_by_the_next(tmp_path_factory, monkeypatch):
    home = tmp_path_factory.mktemp("m")
    left, alive = home / f"{apart.PREFIX}{2**22 + 1}-abc", home / f"{apart.PREFIX}{os.getpid()}-abc"
    for folder in (left, alive):
        folder.mkdir()
    monkeypatch.setattr(machine, "folder", lambda: home)
    address = apart.listen(CLEANUP)
    assert not left.exists() and alive.exists() and Path(address).exists()
    assert Path(address).parent.stat().st_mode & 0o77 == 0  # for this user alone


def test_processes_have_names():
    named = apart.this_process()
    host, pid, started = named.rsplit(" ", 2)
    assert int(pid) == os.getpid() and not apart.has_ended(named)
    assert apart.has_ended(f"{host} {pid} {float(started) - 100}")  # a number that is in use again
    assert apart.has_ended(f"{host} {2**22 + 1} {started}")
    assert not apart.has_ended(f"another.host {2**22 + 1} {started}")  # nothing is known of it
    assert not apart.has_ended("") and not apart.has_ended("a b c")
