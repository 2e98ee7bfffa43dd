"""Compressed embeddings: one file a method, and one Keras layer that turns any of them into a layer.

``CompressedEmbedding`` and a constructor for each method (``FullEmbedding``, ``QREmbedding``,
``MDEmbedding``, ...) can be imported from here; only then is Keras imported.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.embeddings.base import Method
from bench.errors import RequestError
from bench.settings import build, sizes

CONF = Path(__file__).parents[2] / "conf"
"""Where the choices of each settings group lie."""


def names() -> list[str]:
    """The methods there are: those with settings in ``conf/embedding``."""
    return choices("embedding")


def choices(group: str) -> list[str]:
    """The names of a settings group's files, sorted."""
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


def find(name: str) -> type[Method[Any]]:
    """The method of that name.

    Raises:
        RequestError: there is none.
    """
    if name not in names():
        raise RequestError(f"embedding method {name} does not exist; there are {', '.join(names())}")
    module = importlib.import_module(f"bench.embeddings.{name}")
    defined = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Method) and value.__module__ == module.__name__
    ]
    named = [value for value in defined if value.__name__.lower() == name.replace("_", "")]
    if not (named or defined):
        raise RequestError(f"embedding method {name}: {module.__file__} defines no subclass of Method")
    return (named or defined)[0]


def read(spec: Mapping[str, Any]) -> tuple[type[Method[Any]], Any]:
    """The method and the settings that a mapping names: ``{"method": "qr", "num_buckets": 120}``.

    Raises:
        RequestError: no such method or setting, or a value of the wrong type.
    """
    values = dict(spec)
    method = find(str(values.pop("method", None)))
    return method, build(method.Settings, values, refine=sizes)


def __getattr__(name: str) -> Any:
    # As classes are named: of hash_embedding HashEmbeddingEmbedding.
    methods = (
        {f"{method.replace('_', '')}embedding": method for method in names()}
        if name.endswith("Embedding")
        else {}
    )
    if name == "CompressedEmbedding" or name.lower() in methods:
        from bench.embeddings import layer

        return (
            layer.CompressedEmbedding
            if name == "CompressedEmbedding"
            else layer.constructor(methods[name.lower()])
        )
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
