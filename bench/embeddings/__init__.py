"""Compressed embeddings: one file a method, and one Keras layer for all of them.

``CompressedEmbedding``, a constructor for each method (``FullEmbedding``, ``QREmbedding``, ``MDEmbedding``, ...) and
``Embedding``, which makes a layer of any method, are imported from here. Keras is imported when the first of them is
used.
"""

from __future__ import annotations

import importlib
from typing import Any

from bench.config.files import choices
from bench.embeddings.registry import find, names, read, settings_class

__all__ = ["choices", "find", "names", "read", "settings_class"]

_OF_ANY_METHOD = ("CompressedEmbedding", "Embedding")


def __getattr__(name: str) -> Any:
    from bench.embeddings.constructors import by_constructor

    if name in _OF_ANY_METHOD:
        return getattr(importlib.import_module("bench.embeddings.layer"), name)
    # The lower-case name finds the method without an import: hashembeddingembedding is that of hash_embedding.
    method = by_constructor().get(name.lower()) if name.endswith("Embedding") else None
    if method is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from bench.embeddings import layer

    return layer.constructor(method)


def __dir__() -> list[str]:
    from bench.embeddings.constructors import constructor_name

    return sorted([*globals(), *_OF_ANY_METHOD, *(constructor_name(method) for method in names())])
