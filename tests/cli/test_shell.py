"""What every command is: one error line, exit codes, signals, and streams that lack a letter or a reader."""

# ruff: noqa: RUF001 - letters that look like others are what is tested

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path

import pytest

from bench.cli import shell
from bench.config import CONF
from bench.errors import Interrupted, RequestError, RunFailed, interrupted

ROOT = CONF.parent
DOORS = ("run", "report", "track")


def raising(error: BaseException) -> shell.Call:
    def call(argv: list[str]) -> int:
        raise error

    return call


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (RequestError("seed=x: give\n a number"), 2, "error: seed=x: give a number\n"),
        (RunFailed("nan"), 1, "error: nan\n"),
        (shell.Ended("2 of 3 runs failed", 1), 1, "error: 2 of 3 runs failed\n"),
        (KeyboardInterrupt(), 130, "error: interrupted; all is kept\n"),
        (Interrupted(signal.SIGTERM), 143, "error: interrupted; all is kept\n"),
        (Interrupted(signal.SIGHUP), 129, "error: interrupted; all is kept\n"),
        (ZeroDivisionError("a bug"), 1, "error: ZeroDivisionError: a bug; HYDRA_FULL_ERROR=1 shows the traceback\n"),
    ],
)  # fmt: skip
def test_one_line_and_the_code(
    error: BaseException,
    code: int,
    said: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)
    assert shell.run(raising(error), [], "all is kept") == code
    assert capsys.readouterr() == ("", said)


def test_a_traceback_on_request(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    assert shell.run(raising(RequestError("seed=x")), []) == 2
    err = capsys.readouterr().err
    assert err.startswith("Traceback") and err.endswith("\nerror: seed=x\n")
    assert shell.run(raising(shell.Ended("1 run failed", 1)), []) == 1  # its own traceback has been shown
    assert capsys.readouterr().err == "error: 1 run failed\n"


def test_an_interrupt_is_found_behind_what_a_library_makes_of_it() -> None:
    try:
        try:
            raise Interrupted(signal.SIGTERM)
        except KeyboardInterrupt:
            raise AttributeError("of a library")  # noqa: B904
    except AttributeError as error:
        assert interrupted(error) == signal.SIGTERM
    assert interrupted(ValueError()) == 0


@pytest.mark.parametrize("name", DOORS)
def test_doors_hold_nothing(name: str) -> None:
    lines = (ROOT / "bench" / f"{name}.py").read_text().splitlines()
    assert len(lines) <= 12 and lines[-1] == f'    shell.enter("bench.cli.{name}")'


# Whole processes.

COMMAND = """
import os, signal, sys, time

def main():
{body}
    return 0
"""
START = "from bench.cli import shell; shell.enter('command')"


class Command:
    """A command of one function, in a process of its own."""

    def __init__(self, folder: Path, body: str) -> None:
        body = textwrap.indent(textwrap.dedent(body), "    ")
        (folder / "command.py").write_text(COMMAND.format(body=body), encoding="utf-8")
        (folder / "started.py").write_text(START, encoding="utf-8")
        self.path = f"{folder}{os.pathsep}{ROOT}"

    def start(self, before: Sequence[str] = (), **environment: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [*before, sys.executable, "-m", "started"],
            env={**os.environ, "PYTHONPATH": self.path, **environment},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip


def end(process: subprocess.Popen[bytes]) -> tuple[int, bytes, bytes]:
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


@pytest.mark.parametrize(
    ("encoding", "out"),
    [
        ("ascii", b"0.73 +/- 0.01, 4x, 12 us ... jos? ?\n"),
        ("latin-1", "0.73 ± 0.01, 4×, 12 µs ... josé ?\n".encode("latin-1")),
        ("utf-8", "0.73 ± 0.01, 4×, 12 µs … josé 雪\n".encode()),
    ],
)  # fmt: skip
def test_prints_what_the_terminal_can_show(tmp_path: Path, encoding: str, out: bytes) -> None:
    command = Command(
        tmp_path, "for s in sys.stdout, sys.stderr: print('0.73 ± 0.01, 4×, 12 µs … josé 雪', file=s)"
    )
    code, printed, err = end(command.start(PYTHONIOENCODING=encoding, PYTHONUTF8="0"))
    assert (code, printed) == (0, out)
    assert err.decode(encoding)


def test_bytes_of_a_file_name_that_is_no_text_are_printed_as_they_are(tmp_path: Path) -> None:
    command = Command(tmp_path, r"print(os.fsdecode(b'a\xff.csv'))")
    assert end(command.start(PYTHONIOENCODING="utf-8")) == (0, b"a\xff.csv\n", b"")


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_reader_that_has_gone_ends_no_command(tmp_path: Path, stream: str) -> None:
    body = f"""
    for number in range(100_000): print(number, file=sys.{stream})
    open({str(tmp_path / "done")!r}, "w").close()
    """
    process = Command(tmp_path, body).start()
    pipe = getattr(process, stream)
    assert pipe.readline() == b"0\n"
    pipe.close()
    assert process.wait(60) == 0
    assert (tmp_path / "done").exists()


def test_streams_that_are_closed(tmp_path: Path) -> None:
    command = Command(tmp_path, "print('±'); print('±', file=sys.stderr)")
    closes = ["sh", "-c", 'exec "$@" >&- 2>&-', "sh"]
    assert end(command.start(closes, PYTHONIOENCODING="ascii")) == (0, b"", b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_full_disk_is_an_error(tmp_path: Path) -> None:
    command = Command(tmp_path, "print('x' * 100_000)")
    code, _, err = end(command.start(["sh", "-c", 'exec "$@" >/dev/full', "sh"]))
    assert code == 1 and err.startswith(b"error: ") and b"No space left" in err and err.count(b"\n") == 1


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
def test_signals_end_a_command_with_its_line(tmp_path: Path, name: str, code: int) -> None:
    body = """
    try: print("ready", flush=True), time.sleep(60)
    finally: print("tidied up")
    """
    process = Command(tmp_path, body).start()
    assert process.stdout is not None and process.stdout.readline() == b"ready\n"
    process.send_signal(getattr(signal, name))
    assert end(process) == (code, b"tidied up\n", b"error: interrupted; nothing was changed\n")


def test_nohup_keeps_a_command_going(tmp_path: Path) -> None:
    command = Command(tmp_path, "os.kill(os.getpid(), signal.SIGHUP); print('goes on')")
    assert end(command.start(["nohup"])) == (0, b"goes on\n", b"")


def test_what_libraries_leave_for_the_end_is_done(tmp_path: Path) -> None:
    body = """
    import atexit, types
    atexit.register(print, "tidied up")
    sys.modules["tensorflow"] = types.ModuleType("tensorflow")  # the process ends at once
    return 3
    """
    assert end(Command(tmp_path, body).start()) == (3, b"tidied up\n", b"")


def test_interrupt_while_a_text_is_executed(tmp_path: Path) -> None:
    """Python notes such an interrupt, although it is caught, and would end ``python -m`` by a signal."""
    process = Command(tmp_path, """exec("print('ready', flush=True); time.sleep(60)")""").start()
    assert process.stdout is not None and process.stdout.readline() == b"ready\n"
    process.send_signal(signal.SIGINT)
    assert end(process) == (130, b"", b"error: interrupted; nothing was changed\n")


@pytest.mark.parametrize(("returned", "code"), [("0", 0), ("os.kill(os.getpid(), signal.SIGINT)", 130)])
def test_a_signal_at_the_end_changes_no_exit_code(tmp_path: Path, returned: str, code: int) -> None:
    body = f"""
    import atexit
    atexit.register(os.kill, os.getpid(), signal.SIGINT)
    return {returned}
    """
    assert end(Command(tmp_path, body).start())[0] == code
