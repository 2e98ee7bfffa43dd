"""The fingerprint: a digest of everything that decides a run's result. Equal fingerprints, equal numbers.

Three things decide: the settings, the data, and the code of the modules that ``DECIDES`` lists. Changes of that code
that leave its work as it is do not count, see ``bench.records.syntax``.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib.util
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.config.schema import FINDS_DATA, NOT_DECIDING
from bench.measure.environment import tensorflow_version, version
from bench.records import syntax
from bench.records.files import write_whole

__all__ = ["FINDS_DATA", "NOT_DECIDING", "canonical", "code_digest", "deciding", "fingerprint"]

PACKAGE = Path(__file__).resolve().parents[1]

DECIDES = (
    "backend",
    "data",
    "embeddings",
    "experiment",
    "measure",
    "models",
    "sizing",
    "tasks",
    "training",
)
"""Modules and packages of ``bench`` whose code decides a result.

If a module lies within an entry here and within one of ``DECIDES_NOTHING``, the longer entry counts.
"""

DECIDES_NOTHING = (
    "__init__",
    "api",
    "cli",
    "compress",
    "compressing",  # writes what becomes of a table
    "compiled",  # keeps programs; equal programs give equal numbers
    "config",  # what it chooses is in the settings
    "errors",
    "embeddings.stubs",  # writes __init__.pyi
    "export",
    "exporting",  # writes what a run has left
    "init",
    "measure.apart",
    "measure.environment",
    "measure.machine",
    "measure.timing",  # seconds, which differ between equal runs
    "measure.units",
    "records",
    "proposal",  # writes settings
    "report",
    "reporting",
    "prepared",
    "results",
    "run",
    "serve",
    "server",  # answers from exports
    "serving",  # reads exports
    "sweeps",
    "track",
    "tracking",
    "tradeoff",
    "trained",  # loads what a run has left
    "training.progress",  # shows how a run goes
)
"""Modules and packages of ``bench`` that only start runs, or send, show or store results."""


def canonical(value: Any) -> str:
    """Gives JSON that is equal for equal values: keys sorted, no spaces, floats as Python's ``repr`` writes them.

    Raises:
        TypeError: a value's type has no JSON equivalent, or a key is not a text.
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
    """Gives the settings without the ignored ones.

    Args:
        settings: all settings, nested.
        ignored: the dotted names of settings. The name of a group ignores all settings below it.
    """
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
    """Gives the SHA-256 of the code of the deciding modules of a package, as ``bench.records.syntax`` reads it.

    To parse the modules takes some tenths of a second. The digest is therefore kept in the package's ``__pycache__``.
    It is used again only for exactly the same sources.
    """
    sources = [
        (name, path.read_bytes())
        for path in sorted(package.rglob("*.py"))
        if decides(name := module_name(path.relative_to(package)))
    ]
    key = _sha256(*(part for name, source in sources for part in (name.encode(), source)), *_readers())
    kept = Path(importlib.util.cache_from_source(str(package / "code_digest.py"))).with_suffix(".txt")
    with contextlib.suppress(OSError, ValueError):
        digest, check = kept.read_text(encoding="ascii").split()
        if check == _sha256(key.encode(), digest.encode()):
            return digest
    digest = _sha256(*(part.encode() for name, source in sources for part in (name, _what_it_does(source))))
    with contextlib.suppress(OSError):
        kept.parent.mkdir(parents=True, exist_ok=True)
        write_whole(kept, f"{digest} {_sha256(key.encode(), digest.encode())}\n")
    return digest


def _readers() -> list[bytes]:
    # a change of the code that makes the digests makes the kept ones invalid
    return [Path(__file__).read_bytes(), Path(syntax.__file__).read_bytes()]


def _sha256(*parts: bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(b"%d\0" % len(part))  # so that parts cannot run into each other
        digest.update(part)
    return digest.hexdigest()


@functools.cache
def _what_it_does(source: bytes) -> str:
    try:
        return syntax.what_it_does(source)
    except (
        SyntaxError,
        ValueError,
    ):  # a method that is being written; the other methods can be run meanwhile
        return source.hex()


def module_name(path: Path) -> str:
    """Gives a module's name within ``bench``, such as ``embeddings.methods.qr``.

    The name of an ``__init__.py`` is that of its package.

    Args:
        path: the file's path, relative to the folder of ``bench``.
    """
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


def decides(module: str) -> bool:
    """Returns True if a module's code decides a result.

    A module that neither list names counts as one that decides, so that no change is missed.
    """
    names = [module.rsplit(".", cut)[0] for cut in range(module.count(".") + 1)]
    return next((name in DECIDES for name in names if name in DECIDES or name in DECIDES_NOTHING), True)


def fingerprint(settings: Mapping[str, Any], data_digest: str) -> str:
    """Gives the fingerprint of a run.

    Args:
        settings: all settings, resolved. Those of ``NOT_DECIDING`` do not count.
        data_digest: digest of all data that training and evaluation read.

    Returns:
        SHA-256, in hexadecimal, of the canonical JSON of settings, data digest, code digest and the versions
        of Keras and TensorFlow.

    Raises:
        TypeError: a setting's type has no JSON equivalent.
        ValueError: a setting is NaN or infinite.
    """
    decides = {
        "settings": deciding(settings),
        "data": data_digest,
        "code": code_digest(),
        "keras": version("keras"),
        "tensorflow": tensorflow_version(),
    }
    return hashlib.sha256(canonical(decides).encode()).hexdigest()
