"""Programs that XLA has compiled, kept below ``data_dir`` so that a later run need not compile them again.

A store is the folder of one environment: versions, processor, threads, compiler flags. It has one file for each
program. The file's name begins with the program's digest, and its content ends with a sum: a file that is damaged is
removed and its program is compiled anew.

TensorFlow reads and writes such files itself, and ends a run over one that is damaged, missing or cannot be written.
So it never sees the store. It is given an empty folder of its process (an ``Exchange``), into which a checked copy is
put just before a program is first called, and from which a new program is taken just after. Readers, writers and
whoever removes old files cannot meet there.

This module imports neither TensorFlow nor Keras, so that a command can list and remove programs at once.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
import shutil
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.measure.environment import cores, processor, tensorflow_version, version

FOLDER = "compiled"
"""Name of the folder, below ``data_dir``, of all stores."""

LIMIT_BYTES = 512 << 20
"""Most bytes that the programs of all stores in one ``data_dir`` take; those used longest ago go first."""

FREE_BYTES = 256 << 20
"""Least space on the disk for programs to be kept: TensorFlow ends a run that cannot write one."""

ABANDONED_SECONDS = 24 * 3600.0
"""Age of a half-written file or a process's folder from which on it is taken for that of a killed process."""

ABOUT = "about.json"
PROCESS = "process-"
PARTIAL = ".partial-"
SUFFIX = ".pb"
SUM_BYTES = hashlib.sha256().digest_size


@dataclass(frozen=True)
class Store:
    """The compiled programs of one environment.

    Attributes:
        folder: where they lie; it may be missing.
    """

    folder: Path

    def about(self) -> dict[str, str]:
        """The environment that the programs are for: names and values; empty where it cannot be read."""
        try:
            found = json.loads((self.folder / ABOUT).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return {str(name): str(value) for name, value in found.items()} if isinstance(found, dict) else {}

    def files(self) -> dict[Path, os.stat_result]:
        """The programs' files, with size and time of last use (the time of change)."""
        found = {}
        for path in self.folder.glob(f"*{SUFFIX}"):
            with contextlib.suppress(OSError):  # another process has removed it
                found[path] = path.stat()
        return found

    @property
    def nbytes(self) -> int:
        """Bytes of all programs."""
        return sum(info.st_size for info in self.files().values())

    @property
    def last_used(self) -> float | None:
        """Returns the time of the latest use of a program, in seconds since 1970; None without programs."""
        return max((info.st_mtime for info in self.files().values()), default=None)

    def remove(self) -> None:
        """Removes the store. Runs that go on compile what they still need, and may begin it anew."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def lend(self, program: str, into: Path) -> None:
        """Copies a program's files into a folder; removes those that are damaged.

        Args:
            program: its digest.
            into: gets the files, under the names that TensorFlow looks for.
        """
        for path in self.folder.glob(f"{program}.*{SUFFIX}"):
            with contextlib.suppress(OSError):
                name = path.name.removeprefix(f"{program}.")
                content = path.read_bytes()
                if content[-SUM_BYTES:] != _sum(name, content[:-SUM_BYTES]):
                    path.unlink()
                    continue
                (into / name).write_bytes(content[:-SUM_BYTES])
                os.utime(path)

    def keep(self, program: str, made: Path) -> bool:
        """Takes what TensorFlow has written; returns whether there was something new.

        Args:
            program: its digest.
            made: the folder in which the files lie.
        """
        new = False
        for path in made.glob(f"*{SUFFIX}"):
            kept = self.folder / f"{program}.{path.name}"
            if not kept.exists():
                content = path.read_bytes()
                _write(kept, content + _sum(path.name, content))
                new = True
        return new


@dataclass(frozen=True)
class Exchange:
    """The folder through which TensorFlow, in this process, gets and gives compiled programs.

    Attributes:
        store: where programs are kept.
        folder: where TensorFlow looks for them. It exists only while a program is first called.
        limit: bytes that all stores beside this one may take.
    """

    store: Store
    folder: Path
    limit: int = LIMIT_BYTES

    @contextlib.contextmanager
    def open(self, program: str) -> Iterator[None]:
        """Within it a program is called for the first time in this process.

        Args:
            program: a digest of what it computes.
        """
        try:
            with contextlib.suppress(OSError):
                self.folder.mkdir()
                self.store.lend(program, self.folder)
            yield
            with contextlib.suppress(OSError):
                if self.store.keep(program, self.folder):
                    prune(self.store.folder.parent, self.limit)
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)


def stores(data_dir: Path) -> list[Store]:
    """All stores in ``data_dir``."""
    return [Store(about.parent) for about in sorted((data_dir / FOLDER).glob(f"*/{ABOUT}"))]


def exchange(data_dir: Path, threads: int, build: str, limit: int = LIMIT_BYTES) -> Exchange | None:
    """An exchange with the store of this process's environment; None where nothing can be kept.

    Args:
        data_dir: the store lies below it.
        threads: how many TensorFlow computes with: programs are compiled for that many.
        build: which build of TensorFlow this is, as it says itself.
        limit: bytes that all stores in ``data_dir`` may take.
    """
    about = environment(threads, build)
    key = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:16]
    folder = (data_dir / FOLDER / key).absolute()
    try:
        # Programs are machine code: those that another user may write are none to run.
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        info = folder.stat()
        if hasattr(os, "getuid") and (info.st_uid != os.getuid() or info.st_mode & 0o022):
            return None
        if shutil.disk_usage(folder).free < FREE_BYTES:
            return None
        if not (folder / ABOUT).exists():
            _write(folder / ABOUT, json.dumps(about, indent=1).encode())
    except OSError:
        return None
    return Exchange(Store(folder), folder / f"{PROCESS}{uuid.uuid4().hex}", limit)


def environment(threads: int, build: str) -> dict[str, str]:
    """Everything but its computation that a compiled program depends on, by name."""
    flags = ("TF_XLA_FLAGS", "XLA_FLAGS", "TF_ENABLE_ONEDNN_OPTS")
    return {
        "tensorflow": f"{tensorflow_version()} ({build})",
        "keras": str(version("keras")),
        "processor": processor(),
        "features": _features(),
        "cores": str(cores()),
        "threads": str(threads),
        "platform": f"{sys.platform} {platform.machine()}",
        "user": str(os.getuid()) if hasattr(os, "getuid") else "",
        **{name: os.environ[name] for name in flags if os.environ.get(name)},
    }


def prune(root: Path, limit: int = LIMIT_BYTES, now: float | None = None) -> None:
    """Removes the programs that were used longest ago, down to ``limit`` bytes, and what killed processes left.

    Args:
        root: the folder of all stores.
        limit: bytes that may stay.
        now: the time, in seconds since 1970; None for the clock's.
    """
    now = time.time() if now is None else now
    for path in [*root.glob(f"*/{PROCESS}*"), *root.glob(f"*/{PARTIAL}*")]:
        with contextlib.suppress(OSError):
            if now - path.stat().st_mtime <= ABANDONED_SECONDS:
                continue
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink()
    files = {
        path: info for about in root.glob(f"*/{ABOUT}") for path, info in Store(about.parent).files().items()
    }
    total = sum(info.st_size for info in files.values())
    for path, info in sorted(files.items(), key=lambda item: item[1].st_mtime):
        if total <= limit:
            return
        with contextlib.suppress(OSError):
            path.unlink()
        total -= info.st_size


def _features() -> str:
    """The processor's instruction sets, as the system lists them."""
    with contextlib.suppress(OSError, StopIteration):
        lines = Path("/proc/cpuinfo").read_text(errors="replace").splitlines()
        line = next(line for line in lines if line.startswith(("flags", "Features")))
        return " ".join(sorted(line.partition(":")[2].split()))
    return ""


def _sum(name: str, content: bytes) -> bytes:
    return hashlib.sha256(name.encode() + b"\0" + content).digest()


def _write(path: Path, content: bytes) -> None:
    """Writes a file whole or not at all."""
    partial = path.with_name(f"{PARTIAL}{uuid.uuid4().hex}")
    try:
        partial.write_bytes(content)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
