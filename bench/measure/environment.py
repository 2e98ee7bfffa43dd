"""The machine and the versions that a result was measured with; imports none of the libraries it names."""

from __future__ import annotations

import functools
import os
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]


def version(package: str) -> str | None:
    """The installed version of a package, or None."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def tensorflow_version() -> str | None:
    """The installed version of TensorFlow, under whichever name it was installed."""
    names = ("tensorflow", "tensorflow-cpu", "tensorflow-macos", "tf-nightly")
    return next((found for found in map(version, names) if found), None)


@functools.cache
def processor() -> str:
    """The processor's name as its maker gives it."""
    try:
        if sys.platform == "darwin":
            return _output("sysctl", "-n", "machdep.cpu.brand_string")
        lines = Path("/proc/cpuinfo").read_text(errors="replace").splitlines()
        name = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
        return name or platform.machine()
    except (OSError, StopIteration, subprocess.SubprocessError):
        return platform.processor() or platform.machine()


def cores() -> int:
    """Returns the number of cores that the process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@functools.cache
def git_commit(folder: Path = REPOSITORY) -> str | None:
    """The commit checked out in ``folder``, followed by ``+changes`` where files differ from it, or None."""
    if not (folder / ".git").exists():
        return None
    try:
        commit = _output("git", "-C", str(folder), "rev-parse", "--verify", "--quiet", "HEAD")
        changes = _output("git", "-C", str(folder), "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError):
        return None
    return f"{commit}+changes" if changes else commit


def _output(*command: str) -> str:
    ran = subprocess.run(command, capture_output=True, text=True, check=True, timeout=5)
    return ran.stdout.strip()


def describe(threads: int | None = None, jobs: int = 1, gpu: str | None = None) -> dict[str, Any]:
    """Describes what a result's numbers, its times above all, depend on beside the settings.

    Args:
        threads: how many the run computes with; None for one a core.
        jobs: runs going on at once on this machine, this one included.
        gpu: the accelerator's name, None for the processor alone.
    """
    return {
        "processor": processor(),
        "cores": cores(),
        "threads": threads or cores(),
        "jobs": jobs,
        "gpu": gpu,
        "platform": platform.platform(),
        "python": platform.python_version(),
        "numpy": version("numpy"),
        "keras": version("keras"),
        "tensorflow": tensorflow_version(),
        "git_commit": git_commit(),
    }
