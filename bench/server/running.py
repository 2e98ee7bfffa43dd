"""Runs the application in a process, by uvicorn, until a signal ends it."""

from __future__ import annotations

import contextlib
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from types import FrameType

import uvicorn

from bench.errors import interrupt
from bench.server.app import Service
from bench.server.listening import BACKLOG

SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")
"""Signals that end a server, once it has answered what was asked before."""

LAST_SECONDS = 10
"""Seconds that answers may still take after such a signal."""

IDLE_SECONDS = 60
"""Seconds that a connection may be open without a request."""

CONNECTIONS = 1000
"""Most connections at once. Beyond, uvicorn answers 503."""

MOST_OF_HEADERS = 1 << 16
"""Most bytes of a request's headers."""


class Server(uvicorn.Server):
    """A server of uvicorn's that tells when it listens, and is ended by the signals that end a command.

    Args:
        service: answers the requests.
        told: is called once requests are accepted.
    """

    def __init__(self, service: Service, told: Callable[[], None]) -> None:
        super().__init__(
            uvicorn.Config(
                service.app(),
                loop="asyncio",
                http="h11",
                ws="none",
                lifespan="off",
                interface="asgi3",
                log_config=None,
                log_level="critical",  # what the application cannot answer, it says itself
                access_log=False,
                proxy_headers=False,
                server_header=False,
                backlog=BACKLOG,
                limit_concurrency=CONNECTIONS,
                h11_max_incomplete_event_size=MOST_OF_HEADERS,
                timeout_keep_alive=IDLE_SECONDS,
                timeout_graceful_shutdown=LAST_SECONDS,
            )
        )
        self._service, self._told = service, told

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begins to accept requests, and to read all arrays once beside it."""
        await super().startup(sockets)
        threading.Thread(target=self._service.warm, name="warm", daemon=True).start()
        self._told()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Ends the server, not the process, by the signals that a command handles. Raises them at the end."""
        caught: list[int] = []

        def end(number: int, frame: FrameType | None) -> None:
            caught.append(number)
            self.handle_exit(number, frame)

        numbers = [getattr(signal, name) for name in SIGNALS if hasattr(signal, name)]
        handled = (interrupt, signal.default_int_handler)  # nohup has others ignored
        before = {
            number: signal.getsignal(number) for number in numbers if signal.getsignal(number) in handled
        }
        if threading.current_thread() is not threading.main_thread():
            before = {}
        for number in before:
            signal.signal(number, end)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        if caught:
            interrupt(caught[0])
