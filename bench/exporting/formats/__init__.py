"""Further formats of an export: files that other runtimes load without this project.

Each format is a module here with a function ``write``, which makes the files, and a class ``Reader``, which loads them
as a user does, for the comparison with Keras. Their packages are imported when a format was asked for.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bench.config.typed import nearest
from bench.errors import RequestError


@dataclass(frozen=True)
class Format:
    """A format.

    Attributes:
        module: the module here.
        extra: the extra of the package that has what it needs; None if nothing more is needed.
        packages: what the extra brings.
    """

    module: str
    extra: str | None = None
    packages: tuple[str, ...] = ()


FORMATS = {
    "onnx": Format("onnx_files", "onnx", ("ndonnx", "onnx", "onnxruntime", "spox")),
    "keras": Format("keras_file"),
    "savedmodel": Format("saved_model"),
    "litert": Format("litert", "litert", ("ai_edge_litert",)),
}
"""The formats by name, in the order in which they are written."""


def parsed(text: str) -> tuple[str, ...]:
    """Reads the value of ``formats=``: names with commas between them, in brackets or not.

    Raises:
        RequestError: a format does not exist or is given twice, or its packages are not installed.
    """
    inner = re.fullmatch(r"\s*\[(.*)\]\s*|(.*)", text, re.DOTALL)
    assert inner is not None
    listed = inner[1] if inner[1] is not None else inner[2]
    names = [name.strip() for name in listed.split(",")] if listed.strip() else []
    for name in names:
        if name not in FORMATS:
            raise RequestError(
                f"formats={text}: {name or 'an empty name'} is no format{nearest(name, FORMATS)}; there are "
                f"{', '.join(FORMATS)}"
            )
        if names.count(name) > 1:
            raise RequestError(f"formats={text}: {name} is given twice")
    need(names)
    return tuple(name for name in FORMATS if name in names)


def need(names: Sequence[str]) -> None:
    """Refuses formats whose packages are not installed. Nothing is imported.

    Raises:
        RequestError: names the packages and how to install them.
    """
    for name in names:
        own = FORMATS[name]
        missing = [package for package in own.packages if importlib.util.find_spec(package) is None]
        if missing:
            raise RequestError(
                f"formats={name}: needs {', '.join(missing)}, which this Python lacks; "
                f'pip install "embedding-bench[{own.extra}]"'
            )


def module(name: str) -> Any:
    """Imports the module of a format."""
    return importlib.import_module(f"{__name__}.{FORMATS[name].module}")
