"""Who may ask, and how a body is read: never more of it than is allowed, and never for longer."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import re

from starlette.requests import ClientDisconnect, Request

from bench.server.asking import Refused
from bench.server.options import Options

SECONDS = 30.0
"""Seconds in which a body has to arrive."""

DROPPED = 64 << 20
"""Most bytes of a refused body that are read and dropped, so that its client comes to read why."""

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")

_HOST = re.compile(r"(\[[^\]]*\]|[^:]*)(?::\d*)?")


class Gate:
    """Decides who may ask.

    A server for this machine alone needs no token. There, a page of another site that a browser has been led to send
    its requests here for, by a name that it made point here, is known by that name in the header ``host``.

    Args:
        options: the settings of the server.
        only_local: True if only this machine reaches the server.
    """

    def __init__(self, options: Options, only_local: bool) -> None:
        self._wanted = f"Bearer {options.token}".encode() if options.token else b""
        host = f"[{options.host}]" if ":" in options.host else options.host
        self._names = {*LOOPBACK, host.lower()} if only_local and not options.token else set()

    def check(self, request: Request) -> None:
        """Checks a request's headers.

        Raises:
            Refused: the token is missing or another one, or the host is not this machine.
        """
        if self._names:
            found = _HOST.fullmatch(request.headers.get("host", ""))
            if found is None or found[1].lower() not in self._names:
                raise Refused(
                    403, "host: without a token this server answers to 127.0.0.1 and localhost alone"
                )
        given = request.headers.get("authorization", "").encode()
        if self._wanted and not hmac.compare_digest(given, self._wanted):  # takes as long whatever is given
            raise Refused(
                401, "authorization: give the header 'Authorization: Bearer TOKEN' with the server's token"
            )


async def body(request: Request, most: int) -> bytes:
    """Reads the body of a request. It holds at most ``most`` bytes, whatever the client says or sends.

    Raises:
        Refused: the body is larger, or does not arrive in time.
        ClientDisconnect: the client has gone.
    """
    parts: list[bytes] = []
    size, ended = 0, False
    large = f"the body: more than {most:,} bytes (max_bytes= of the server)"
    if (
        "expect" in request.headers and _length(request) > most
    ):  # the client waits, and so has sent nothing of it
        raise Refused(413, large, close=True)
    try:
        async with asyncio.timeout(SECONDS), contextlib.aclosing(request.stream()) as stream:
            async for part in stream:
                size += len(part)
                if size <= most:
                    parts.append(part)
                else:
                    parts.clear()
                if size > most + DROPPED:
                    break
            else:
                ended = True
    except TimeoutError:
        raise Refused(408, f"the body: not whole after {SECONDS:.0f} s", close=True) from None
    if size > most:
        raise Refused(413, large, close=not ended)
    return b"".join(parts)


async def drop(request: Request, refused: Refused) -> Refused:
    """Reads the body of a refused request, so that its client comes to read why, and drops it."""
    try:
        await body(request, 0)
    except Refused as other:
        refused.close = other.close
    except ClientDisconnect:
        refused.close = True
    return refused


def _length(request: Request) -> int:
    given = request.headers.get("content-length", "")
    return int(given) if given.isdecimal() and len(given) < 20 else 0
