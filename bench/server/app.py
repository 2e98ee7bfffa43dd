"""The application: what is answered at each path."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from bench.errors import line, unexpected
from bench.measure.environment import cores
from bench.server import asking, numbers, receiving
from bench.server.asking import JSON, OCTETS, Answer, Asked, Refused
from bench.server.options import Options
from bench.serving import Tables

PATHS = "/, /lookup, /predict, /health and /ready"

SMALL = 1024
"""Bytes of a body up to which a request is answered at once: the way to a thread takes longer than 64 ids do."""

Endpoint = Callable[[Request], Awaitable[Response]]
"""A function that answers a request."""


class Service:
    """Answers requests from an export.

    Args:
        tables: the export.
        options: the settings of the server.
        only_local: True if only this machine reaches the server.

    Attributes:
        ready: is set once all arrays have been read.
    """

    def __init__(self, tables: Tables, options: Options, only_local: bool) -> None:
        self.ready = threading.Event()
        self._tables, self._options = tables, options
        self._gate = receiving.Gate(options, only_local)
        self._threads = ThreadPoolExecutor(cores(), "answer")

    def warm(self) -> None:
        """Reads all arrays once and looks up a row of each field. Then the server says that it is ready."""
        self._tables.warm()
        for field in self._tables.fields:
            self._tables.vectors(field, np.zeros(1, np.int32))
        self.ready.set()

    def app(self) -> Starlette:
        """Makes the ASGI application."""
        endpoints = {  # looked through in this order
            "/lookup": self._computed("vectors", asking.lookup),
            "/predict": self._computed("predictions", asking.predict),
            "/": self._told,
            "/describe": self._told,
            "/health": _health,
            "/ready": self._ready,
        }
        posted = ("/lookup", "/predict")
        routes = [
            Route(path, endpoint, methods=["POST" if path in posted else "GET"])
            for path, endpoint in endpoints.items()
        ]
        return Starlette(routes=routes, exception_handlers={HTTPException: _elsewhere})

    def describe(self) -> Mapping[str, object]:
        """Tells what is served: fields with their sizes, the model, and the limits."""
        described = self._tables.described
        return {
            "name": Path(self._options.run).name,
            "fingerprint": described.tree.get("fingerprint"),
            "fields": {
                name: {
                    "column": entry.column,
                    "size": entry.size,
                    "embedding_dim": entry.dim,
                    "method": entry.method,
                    "ids": entry.ids.count,
                    "unknown": ["error", "nan"] if entry.unknown_row is None else ["error", "oov", "nan"],
                }
                for name, entry in described.fields.items()
            },
            "model": described.head.name if described.head else None,
            "dense": [one.column for one in described.dense],
            "left_out": dict(described.left_out),
            "max_ids": self._options.max_ids,
            "max_bytes": self._options.max_bytes,
        }

    async def _told(self, request: Request) -> Response:
        try:
            self._gate.check(request)
        except Refused as refused:
            return _refusal(refused)
        return _json(self.describe())

    async def _ready(self, request: Request) -> Response:
        if self.ready.is_set():
            return _json({"status": "ready"})
        return _json({"error": "the tables are still being read; ask again in a moment"}, 503)

    def _computed(self, key: str, answer: Answer) -> Endpoint:
        """Makes an endpoint that answers a body with numbers. In JSON they stand under this key."""

        async def respond(request: Request) -> Response:
            try:
                try:
                    self._gate.check(request)
                except Refused as refused:
                    raise await receiving.drop(request, refused) from None
                body = await receiving.body(request, self._options.max_bytes)
            except Refused as refused:
                return _refusal(refused)
            except ClientDisconnect:
                return Response(status_code=400)  # nobody reads it
            kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
            query = tuple(request.query_params.multi_items())
            octets = OCTETS in request.headers.get("accept", "").lower()
            asked = Asked(kind, query, body, self._options.max_ids)
            if len(body) <= SMALL:
                return self._numbers(key, answer, asked, octets)
            # in a thread of its own, so that nobody waits for a large one
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._threads, self._numbers, key, answer, asked, octets)

        return respond

    def _numbers(self, key: str, answer: Answer, asked: Asked, octets: bool) -> Response:
        try:
            found = answer(self._tables, asked)
        except Refused as refused:
            return _refusal(refused)
        except Exception as error:
            print(f"error: {unexpected(error)}", file=sys.stderr, flush=True)
            return _json({"error": f"the server failed ({type(error).__name__})"}, 500)
        if octets:
            headers = {"x-shape": ",".join(map(str, found.shape)), "x-dtype": "<f4"}
            return Response(numbers.as_octets(found), headers=headers, media_type=OCTETS)
        return Response(b'{"%s": %s}' % (key.encode(), numbers.as_json(found)), media_type=JSON)


async def _health(request: Request) -> Response:
    return _json({"status": "alive"})


async def _elsewhere(request: Request, error: Exception) -> Response:
    """Answers a path or a method that there is not."""
    assert isinstance(error, HTTPException)
    message = f"{request.url.path[:80]!r}: not found; the paths are {PATHS}"
    if error.status_code == 405:
        allowed = (error.headers or {}).get("Allow", "")
        message = f"{request.method[:20]}: not allowed here; send {allowed}"
    return _json({"error": message}, error.status_code, error.headers)


def _refusal(refused: Refused) -> Response:
    headers = {"connection": "close"} if refused.close else {}
    if refused.status == 401:
        headers["www-authenticate"] = "Bearer"
    return _json({"error": line(refused)}, refused.status, headers)


def _json(
    tree: Mapping[str, object], status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    return Response(json.dumps(tree), status, dict(headers or {}), JSON)
