"""The socket that a server listens on. The command binds it, so that it can say what is wrong, and workers share it."""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
from typing import Any

from bench.errors import RequestError

BACKLOG = 1024
"""Most connections that wait to be accepted."""


def bind(host: str, port: int, token: bool) -> socket.socket:
    """Makes a socket that listens.

    Args:
        host: name or address of an interface of this machine.
        port: the port; 0 picks a free one.
        token: True if clients have to send a token.

    Raises:
        RequestError: the host is not found or not of this machine, other machines would reach it without a token, or
            the port is in use or not permitted.
    """
    family, address = _resolved(host, port)
    if not (token or _is_loopback(address[0])):
        raise RequestError(
            f"host={host}: other machines can reach it; set the environment variable BENCH_SERVE_TOKEN (or token=), "
            "which clients then send, or give host=127.0.0.1"
        )
    # asyncio sends answers without waiting (TCP_NODELAY) if the socket says its protocol: else each takes 40 ms more
    made = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name == "posix":  # a server that has just ended still holds the port otherwise
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(address)
        made.listen(BACKLOG)
        return made
    except OSError as error:
        made.close()
        why = {
            errno.EADDRINUSE: f"port={port}: in use on {host}; give port=0, which picks a free one, or another port",
            errno.EACCES: f"port={port}: not permitted; give port=0, which picks a free one, or one above 1023",
            errno.EADDRNOTAVAIL: f"host={host}: no address of this machine; give 127.0.0.1, or 0.0.0.0 for all",
        }.get(error.errno or 0, f"host={host} port={port}: cannot listen ({error.strerror or error})")
        raise RequestError(why) from None


def url(listening: socket.socket, host: str) -> str:
    """Gives the address of a socket as clients write it: ``http://127.0.0.1:8000``."""
    name = f"[{host}]" if ":" in host else host
    return f"http://{name}:{listening.getsockname()[1]}"


def is_local(listening: socket.socket) -> bool:
    """Returns True if only this machine reaches a socket."""
    return _is_loopback(listening.getsockname()[0])


def _resolved(host: str, port: int) -> tuple[socket.AddressFamily, Any]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "no name of a host"
        raise RequestError(f"host={host}: not found ({reason}); give an address of this machine") from None
    family, _, _, _, address = found[0]
    return family, address


def _is_loopback(address: str) -> bool:
    return ipaddress.ip_address(address.partition("%")[0]).is_loopback
