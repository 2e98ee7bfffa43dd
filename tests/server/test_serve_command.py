"""``python -m bench.serve``: how it starts, what it refuses, and how it ends."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from commands import ROOT, unmeasured
from marks import slow_but
from server_started import Served, serving

from bench.cli import serve
from bench.server import listening
from bench.serving import Tables

LOOKUP = {"field": "user", "ids": [40]}


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line of a refused command."""
    assert serve.main(arguments) == 2
    out, err = capsys.readouterr()
    assert not out and err.startswith("error: ") and err.count("\n") == 1
    return err.removeprefix("error: ").strip()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["shop"], "shop: give NAME=VALUE of run, host, port"),
        (["run=shop", "prot=1"], "did you mean port?"),
        (["run=shop", "run=shop"], "run is given twice"),
        (["run=shop", "port="], "port=: give a value"),
        (["port=0"], "run=: missing; give a folder"),
        (["run=shop", "port=x"], "port=x: give a whole number"),
        (["run=shop", "port=65536"], "port=65536: give a whole number, at least 0 and at most 65535"),
        (["run=shop", "workers=0"], "workers=0: give"),
        (["run=shop", "max_ids=0"], "max_ids=0: give"),
        (["run=shop", "max_bytes=much"], "max_bytes=much: give a number of bytes"),
        (["run=shop", "token=a b"], "token=: give letters"),
        (["run=shop", "port=0", "host=nowhere.invalid"], "host=nowhere.invalid: not found"),
        (["run=shop", "port=0", "host=0.0.0.0"], "set the environment variable BENCH_SERVE_TOKEN"),
        (["run=shop", "port=0", "host=203.0.113.1", "token=t"], "no address of this machine"),
        (["run=shop", "port=0"], "shop/export.json: not found; give a folder that python -m bench.export or"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_in_a_line(
    arguments: list[str],
    said: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BENCH_SERVE_TOKEN", raising=False)
    assert said in refused(capsys, *arguments)


def test_a_token_is_never_shown(capsys: pytest.CaptureFixture[str]):
    assert "secret" not in refused(capsys, "run=shop", "token=secret", "token=secret")
    assert "secret" not in refused(capsys, "run=shop", "token=secret secret")


def test_a_folder_that_is_damaged_is_refused(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "arrays.safetensors").write_bytes((folder / "arrays.safetensors").read_bytes()[:-1])
    assert "export.json says" in refused(capsys, f"run={tmp_path}", "port=0")


def test_a_port_in_use_is_refused(folder: Path, served: Served, capsys: pytest.CaptureFixture[str]):
    said = refused(capsys, f"run={folder}", f"port={served.port}")
    assert (
        said
        == f"port={served.port}: in use on 127.0.0.1; give port=0, which picks a free one, or another port"
    )


def test_help_and_refusals_import_nothing_slow():
    slow = ("numpy", "starlette", "uvicorn", "tensorflow", "omegaconf", "asyncio", "multiprocessing")
    code = (
        "import sys; from bench.cli import serve; serve.main(sys.argv[1:]);"
        f"print([name for name in {slow} if name in sys.modules])"
    )
    for arguments, begins in ((["--help"], "Answers lookups"), (["run=shop", "host=0.0.0.0"], "[]")):
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False, cwd=ROOT,
            env=unmeasured(),
        )  # fmt: skip
        assert done.stdout.startswith(begins) and done.stdout.endswith("[]\n"), done


def test_addresses():
    for host, wanted in (("127.0.0.1", "http://127.0.0.1:"), ("localhost", "http://localhost:")):
        with listening.bind(host, 0, token=False) as bound:
            assert listening.is_local(bound) and listening.url(bound, host).startswith(wanted)
            assert bound.proto == socket.IPPROTO_TCP  # asyncio's condition for sending at once
    with listening.bind("0.0.0.0", 0, token=True) as bound:
        assert not listening.is_local(bound)
    if socket.has_ipv6:
        try:
            bound = listening.bind("::1", 0, token=False)
        except Exception:
            pytest.skip("no IPv6 here")
        with bound:
            assert listening.is_local(bound) and listening.url(bound, "::1").startswith("http://[::1]:")


def test_a_token_is_asked_for(folder: Path):
    with serving(folder, BENCH_SERVE_TOKEN="open-sesame") as running:
        assert running.ask("GET", "/health").status == 200  # for those that only look after the process
        for headers in (
            {},
            {"authorization": "Bearer wrong"},
            {"authorization": "open-sesame"},
            {"authorization": "Bearer é"},
        ):
            found = running.ask("POST", "/lookup", LOOKUP, **headers)
            assert found.status == 401 and "Authorization: Bearer TOKEN" in found.error
            assert (
                found.headers["www-authenticate"] == "Bearer"
                and running.ask("GET", "/", **headers).status == 401
            )
        allowed = {"authorization": "Bearer open-sesame", "host": "any.example"}
        assert running.ask("POST", "/lookup", LOOKUP, **allowed).status == 200
        assert running.ask("GET", "/describe", **allowed).status == 200
        code, errors = running.end(signal.SIGINT)
    assert (code, errors) == (130, "error: interrupted; what was asked before was answered\n")


def begun(running: Served) -> socket.socket:
    """A request that has begun: its body is not whole."""
    sent = socket.create_connection(("127.0.0.1", running.port), 20)
    sent.sendall(
        b"POST /lookup HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 30\r\n\r\n"
        + b" " * 2
    )
    return sent


@pytest.mark.parametrize("workers", slow_but([1], [1, 2]))
def test_a_request_that_has_begun_is_answered_before_the_end(folder: Path, workers: int):
    with serving(folder, f"workers={workers}") as running:
        sent = begun(running)
        time.sleep(0.1)
        running.process.send_signal(signal.SIGTERM)
        time.sleep(0.4)
        assert running.process.poll() is None
        sent.sendall(b'{"field":"user","ids":[7]}'.ljust(28))
        assert sent.recv(1000).startswith(b"HTTP/1.1 200 OK")
        code, errors = running.process.wait(20), running.process.stderr and running.process.stderr.read()
        sent.close()
    assert (code, errors) == (143, "error: interrupted; what was asked before was answered\n")


def test_two_workers_share_the_port_and_are_replaced(folder: Path, tables: Tables):
    with serving(folder, "workers=2") as running:
        found = running.ask("POST", "/lookup", {"field": "user", "ids": [40, 7]}).tree["vectors"]
        assert np.array_equal(np.array(found).astype(np.float32), tables.lookup("user", [40, 7]))
        workers = of(running)
        assert len(workers) == 2
        os.kill(workers[0].pid, signal.SIGKILL)
        assert running.process.stderr
        assert running.process.stderr.readline() == "a worker ended by signal 9; another one is started\n"
        for _ in range(20):
            assert running.ask("POST", "/lookup", LOOKUP).status == 200
        end = time.monotonic() + 20
        while len(of(running)) < 2:
            assert time.monotonic() < end
            time.sleep(0.05)
        later = of(running)
        os.killpg(running.process.pid, signal.SIGINT)  # as a terminal does
        assert running.process.wait(20) == 130
        said = running.process.stderr.read()
        if "COVERAGE_PROCESS_CONFIG" in os.environ:  # what measures is interrupted too, and says so before
            said = said.splitlines(keepends=True)[-1]
        assert said == "error: interrupted; what was asked before was answered\n"
        assert not any(worker.is_running() for worker in later)


def of(running: Served) -> list[psutil.Process]:
    """The workers of a server."""
    return [
        child
        for child in psutil.Process(running.process.pid).children()
        if "resource_tracker" not in " ".join(child.cmdline())
    ]


@pytest.mark.slow
def test_workers_end_with_the_one_that_started_them(folder: Path):
    with serving(folder, "workers=2") as running:
        workers = of(running)
        running.process.kill()
        _, alive = psutil.wait_procs(workers, 20)
        assert not alive


@pytest.mark.slow
def test_workers_that_cannot_serve_end_the_server(folder: Path, tmp_path: Path):
    own = tmp_path / "shop"
    own.mkdir()
    for path in folder.iterdir():
        (own / path.name).write_bytes(path.read_bytes())
    with serving(own, "workers=2") as running:
        (own / "export.json").unlink()
        os.kill(of(running)[0].pid, signal.SIGKILL)
        assert running.process.wait(30) == 1
        assert running.process.stderr
        errors = running.process.stderr.read().splitlines()
    assert errors[0].startswith("a worker ended by signal 9")
    assert (
        errors[1].startswith("error: a worker cannot serve: ")
        and "not found" in errors[1]
        and len(errors) == 2
    )


@pytest.mark.slow
def test_a_client_that_never_ends_its_request_does_not_hold_the_server(folder: Path):
    with serving(folder) as running:
        sent = begun(running)
        time.sleep(0.1)
        began = time.monotonic()
        code, errors = running.end()
        assert 9 < time.monotonic() - began < 15 and code == 143 and errors.count("\n") == 1
        sent.close()
