"""The application without a server: what a test over the network cannot bring about, or would wait for."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import exports_made as made
import pytest

from bench.embeddings import find
from bench.embeddings.base import Vocabulary
from bench.server import receiving
from bench.server.app import Service
from bench.server.options import Options
from bench.serving import Tables, load

LOOKUP = b'{"field": "user", "ids": [40]}'


def called(
    service: Service, method: str, path: str, parts: Sequence[bytes] = (), ends: bool = True
) -> tuple[int, dict[str, str], Any]:
    """Calls the application. After the last part a client that does not end sends nothing more."""
    sent: list[Any] = []
    left = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
    if ends:
        left.append({"type": "http.request", "body": b"", "more_body": False})

    async def receive() -> Any:
        if not left:
            await asyncio.sleep(60)
        return left.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    headers = {"host": "localhost", "content-type": "application/json"}
    scope = {
        "type": "http", "method": method, "path": path, "raw_path": path.encode(), "query_string": b"", "root_path": "",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()], "scheme": "http",
        "server": ("localhost", 80), "client": ("localhost", 1), "http_version": "1.1", "asgi": {"version": "3.0"},
    }  # fmt: skip
    asyncio.run(service.app()(scope, receive, send))
    start, body = sent
    told = {name.decode(): value.decode() for name, value in start["headers"]}
    return start["status"], told, json.loads(body["body"])


@pytest.fixture
def make(tables: Tables) -> Callable[..., Service]:
    def made_of(own: Any = tables, **more: Any) -> Service:
        return Service(own, Options("shop", **more), only_local=True)

    return made_of


def test_ready_is_said_after_all_tables_have_been_read(make: Callable[..., Service]):
    service = make()
    status, _, tree = called(service, "GET", "/ready")
    assert status == 503 and "still being read" in tree["error"]
    assert called(service, "GET", "/health")[0] == 200
    service.warm()
    assert called(service, "GET", "/ready")[0] == 200


def test_a_mistake_in_the_code_is_one_line_on_both_sides(
    make: Callable[..., Service], tables: Tables, capsys: pytest.CaptureFixture[str]
):
    class Broken:
        described, fields = tables.described, tables.fields

        def lookup(self, *given: Any) -> Any:
            raise ZeroDivisionError("a\nbug")

    status, _, tree = called(make(Broken()), "POST", "/lookup", [LOOKUP])
    assert (status, tree) == (500, {"error": "the server failed (ZeroDivisionError)"})
    assert capsys.readouterr().err == "error: ZeroDivisionError: a bug\n"


def test_a_body_that_does_not_end_is_given_up(make: Callable[..., Service], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(receiving, "SECONDS", 0.05)
    status, headers, tree = called(make(), "POST", "/lookup", [LOOKUP], ends=False)
    assert (status, headers["connection"]) == (408, "close") and "not whole after" in tree["error"]


def test_a_refused_body_is_not_read_without_end(
    make: Callable[..., Service], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(receiving, "DROPPED", 1000)
    parts = [b"x" * 400] * 10
    status, headers, _ = called(make(max_bytes=500), "POST", "/lookup", parts, ends=False)
    assert (status, headers["connection"]) == (413, "close")
    status, headers, _ = called(make(max_bytes=500), "POST", "/lookup", parts[:3])
    assert status == 413 and "connection" not in headers
    status, headers, _ = called(make(token="t"), "POST", "/lookup", parts, ends=False)
    assert (status, headers["connection"]) == (401, "close")


def test_a_body_may_come_in_any_parts(make: Callable[..., Service]):
    whole = called(make(), "POST", "/lookup", [LOOKUP])
    assert whole[0] == 200
    assert (
        called(make(max_bytes=len(LOOKUP)), "POST", "/lookup", [LOOKUP[n : n + 1] for n in range(30)])
        == whole
    )
    assert called(make(max_bytes=len(LOOKUP) - 1), "POST", "/lookup", [LOOKUP])[0] == 413


def test_an_export_without_model_and_ids(tmp_path: Path, make: Callable[..., Service]):
    made.write(tmp_path / "shop", {"user": find("full")(Vocabulary("user", 3), 4)}, {"user": None})
    service = make(load(tmp_path / "shop"))
    service.warm()
    status, _, tree = called(service, "POST", "/predict", [b'{"columns": {"user": [1]}}'])
    assert status == 422 and tree["error"].startswith("no predictions: ")
    status, _, tree = called(service, "POST", "/lookup", [b'{"field": "user", "ids": [1]}'])
    assert status == 422 and "the ids of this field were not kept" in tree["error"]
    assert called(service, "GET", "/")[2]["model"] is None
