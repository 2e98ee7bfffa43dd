"""A digest of everything that decides a run's result: equal fingerprints, equal numbers.

``save_weights`` counts too: a run that left no weights cannot stand for one that is to leave them.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.measure.environment import tensorflow_version, version

PACKAGE = Path(__file__).resolve().parent

FINDS_DATA = (
    "dataset.path",
    "dataset.url",
    "dataset.checksum",
    "dataset.wheel",
    "dataset.archive",
    "dataset.folder",
)
"""Settings without which the data is not found; what it holds is in the data digest."""

NOT_DECIDING = (
    "tracking",  # where a result is sent
    "data_dir",  # where data lies: its content is in the data digest
    *FINDS_DATA,
    "resume",  # whether a finished run is used
    "training.progress",  # what is shown meanwhile
    "training.threads",  # equal seeds give equal results on any number
)
"""Settings, by dotted name, that change no number of a result; groups stand for all below them."""

OTHER_CODE = (
    "command", "jobs", "usage", "sweeps", "tradeoff",
    "tracking", "track", "report", "reporting", "export", "results",
)  # fmt: skip
"""Modules and packages of ``bench`` that start runs, or send, show or convert results. All others count as deciding."""


def canonical(value: Any) -> str:
    """JSON that is equal for equal values: keys sorted, no spaces, floats as Python's ``repr`` writes them.

    Raises:
        TypeError: a type that JSON has not, or a key that is no text.
        ValueError: NaN or infinity.
    """
    _check_keys(value)
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _check_keys(value: Any) -> None:
    # json.dumps would write 1 and "1" alike
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise TypeError(f"{key!r}: a setting's name must be a text")
            _check_keys(item)
    elif isinstance(value, list | tuple):
        for item in value:
            _check_keys(item)


def deciding(settings: Mapping[str, Any], ignored: tuple[str, ...] = NOT_DECIDING) -> dict[str, Any]:
    """``settings`` without those that decide no result."""
    return {
        name: deciding(value, _below(name, ignored)) if isinstance(value, Mapping) else value
        for name, value in settings.items()
        if name not in ignored
    }


def _below(name: str, ignored: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(
        rest for path in ignored for head, dot, rest in [path.partition(".")] if dot and head == name
    )


@functools.cache
def code_digest(package: Path = PACKAGE) -> str:
    """SHA-256 over names and bytes of the package's Python files, those of ``OTHER_CODE`` left out."""
    digest = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        name = path.relative_to(package)
        if name.parts[0].removesuffix(".py") in OTHER_CODE:
            continue
        content = path.read_bytes()
        digest.update(f"{name.as_posix()}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


def fingerprint(settings: Mapping[str, Any], data_digest: str) -> str:
    """The digest of a run.

    Args:
        settings: all settings, resolved; those of ``NOT_DECIDING`` do not count.
        data_digest: digest of all that training and evaluation see.

    Returns:
        SHA-256, in hexadecimal, of the canonical JSON of settings, data digest, code digest and the versions
        of Keras and TensorFlow.

    Raises:
        TypeError: a setting of a type that JSON has not.
        ValueError: a setting that is NaN or infinite.
    """
    decides = {
        "settings": deciding(settings),
        "data": data_digest,
        "code": code_digest(),
        "keras": version("keras"),
        "tensorflow": tensorflow_version(),
    }
    return hashlib.sha256(canonical(decides).encode()).hexdigest()
