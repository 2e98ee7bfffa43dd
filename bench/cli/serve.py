"""The command ``python -m bench.serve``: an HTTP server over an exported folder."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path

from bench.cli import shell
from bench.cli.values import values
from bench.config.paths import absolute
from bench.config.typed import build
from bench.errors import RequestError
from bench.server import listening
from bench.server.options import Options

USAGE = """\
Answers lookups and predictions over HTTP, from a folder that python -m bench.export has written.

usage: python -m bench.serve run=EXPORT [NAME=VALUE ...]

  run=             the exported folder
  host=            name or address to listen on (127.0.0.1: this machine alone)
  port=            port to listen on; 0 picks a free one (8000)
  workers=         processes that answer; they share the mapped files (1)
  max_ids=         most ids or rows of a request (10000)
  max_bytes=       most bytes of the body of a request (4MB)
  token=           what clients have to send as "Authorization: Bearer TOKEN"; needed where other machines can ask
                   (the environment variable BENCH_SERVE_TOKEN, which other users of the machine cannot read)

  POST /lookup     {"field": "user", "ids": ["42", 77], "unknown": "error"} gives {"vectors": [[...], [...]]}
  POST /predict    {"columns": {"user": [42], "item": [7]}} gives {"predictions": [...]}
  GET /            what is served; GET /health, GET /ready: whether it is alive, and has read all tables

Requests and answers may be octets in place of JSON, which is several times as fast: docs/serving.md. Ctrl-C ends the
server, once it has answered what was asked before.
exit codes: 1 it cannot go on; 2 the request is wrong; 130 stopped by Ctrl-C, 143 by SIGTERM, 129 by SIGHUP.
Standard error then has one line that starts with "error:"."""

TOKEN = "BENCH_SERVE_TOKEN"
"""The environment variable that holds the token where ``token=`` is not given."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command and gives its exit code.

    Args:
        argv: the command's arguments. None for the process's own.
    """
    return shell.run(_serve, argv, "what was asked before was answered")


def _serve(arguments: Sequence[str]) -> int:
    if not arguments or {"-h", "--help"} & set(arguments):
        print(USAGE)
        return 0
    given = _parsed(arguments)
    named = given["run"]
    options = build(Options, {**given, "run": str(absolute(named, Path.cwd(), "run"))})
    with listening.bind(options.host, options.port, bool(options.token)) as bound:
        from bench.serving import ServingError, load

        try:
            tables = load(options.run)
        except ServingError as error:
            raise RequestError(f"run={named}: {error}") from None
        from bench.server import workers

        where = listening.url(bound, options.host)
        workers.serve(tables, options, bound, lambda: print(f"serving {named} on {where}", flush=True))
    return 0


def _parsed(arguments: Sequence[str]) -> dict[str, str]:
    given = values(arguments, [field.name for field in dataclasses.fields(Options)], secret=("token",))
    if "run" not in given:
        raise RequestError(
            "run=: missing; give a folder that python -m bench.export has written, as run=shop"
        )
    if os.environ.get(TOKEN):
        given.setdefault("token", os.environ[TOKEN])
    return given
