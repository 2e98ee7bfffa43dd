"""Models over compressed embeddings: one file a model; importing this imports no Keras."""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from bench.embeddings import choices
from bench.errors import RequestError
from bench.settings import build as build_settings


def names() -> list[str]:
    """The models there are: those with settings in ``conf/model``."""
    return choices("model")


def find(name: str) -> ModuleType:
    """The model's module: ``Settings`` and ``build(fields, label_range, settings, dense_dim)``.

    Raises:
        RequestError: there is none.
    """
    if name not in names():
        raise RequestError(f"model={name}: does not exist; there are {', '.join(names())}")
    return importlib.import_module(f"bench.models.{name}")


def build(
    spec: Mapping[str, Any], fields: Mapping[str, Any], label_range: tuple[float, float], dense_dim: int = 0
) -> Any:
    """The model that a mapping names: ``{"name": "neumf", "dropout": 0.1}``.

    Args:
        spec: the model's name and settings.
        fields: the ``CompressedEmbedding`` of each field, all of one width, none named like a field (Keras
            gives that name to the input).
        label_range: smallest and largest training label.
        dense_dim: how many dense columns the data has.

    Returns: A Keras model from a dict of ids, int32 (batch,) by field, and ``dense``, float32 (batch,
        dense_dim) where dense_dim is not 0, to predictions, float32 (batch,).

    Raises:
        RequestError: no such model or setting, or data that the model cannot take.
    """
    values = dict(spec)
    module = find(str(values.pop("name", None)))
    settings = build_settings(module.Settings, values, lambda key: f"model.{key}")
    return module.build(fields, label_range, settings, dense_dim)


def summary(model: Any, width: int = 100) -> str:
    """Keras's summary of a model, with lines of ``width`` characters wherever it is shown."""
    lines: list[str] = []
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = str(width)  # else Keras cuts the lines at the terminal's width
    try:
        model.summary(print_fn=lines.append, line_length=width)
    finally:
        if before is None:
            del os.environ["COLUMNS"]
        else:
            os.environ["COLUMNS"] = before
    return "\n".join(lines) + "\n"
