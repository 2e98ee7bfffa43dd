"""Models over compressed embeddings: one file a model.

A model's module has a dataclass ``Settings`` and a function ``build``. It imports Keras inside ``build`` only, so that
settings are judged before anything slow is imported.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, cast

from bench.config import slips
from bench.config.files import choices
from bench.config.typed import Choice, Tree
from bench.config.typed import build as build_settings
from bench.errors import RequestError

if TYPE_CHECKING:
    from types import ModuleType

    import keras

    from bench.embeddings.base import Method, Vocabulary
    from bench.embeddings.layer import CompressedEmbedding


def names() -> list[str]:
    """The models there are: those with settings in ``conf/model``."""
    return choices("model")


def find(name: str) -> ModuleType:
    """The model's module: ``Settings`` and ``build(fields, label_range, settings, dense_dim)``.

    Raises:
        RequestError: the model is unknown, or its module cannot be imported or lacks one of the two.
    """
    if name not in names():
        raise RequestError(f"model={name}: does not exist; there are {', '.join(names())}")
    module = slips.module("bench.models", name, f"conf/model/{name}.yaml")
    slips.need_dataclass(module)
    slips.need_function(module, "build", "fields, label_range, settings, dense_dim")
    return module


def settings_class(name: str) -> type[Any]:
    """The dataclass that takes the settings of a model; raises as ``find`` does."""
    cls: type[Any] = find(name).Settings
    return cls


def read(spec: Tree) -> Choice:
    """The model and the settings that a mapping names: ``{"name": "neumf", "dropout": 0.1}``.

    Raises:
        RequestError: the model or a setting is unknown, or a value has the wrong type.
    """
    values = dict(spec)
    name = str(values.pop("name", None))
    return Choice(name, build_settings(settings_class(name), values, lambda key: f"model.{key}"))


def check_data(model: Choice, fields: Collection[str], dense_dim: int) -> None:
    """Refuses data that a model cannot take, before anything is read: ``check_data`` of its settings, if there is one.

    Args:
        model: the model's name and settings.
        fields: the names of the categorical fields.
        dense_dim: how many dense columns the data has.

    Raises:
        RequestError: the model cannot take these data.
    """
    judge = getattr(model.settings, "check_data", None)
    if judge is not None:
        judge(fields, dense_dim)


def vector_dim(model: Choice, embedding_dim: int) -> int:
    """Gives the width of the fields' vectors: ``embedding_dim``, unless the model's settings say otherwise."""
    own = getattr(model.settings, "vector_dim", None)
    return embedding_dim if own is None else int(own(embedding_dim))


def own_tables(model: Choice, vocabularies: Mapping[str, Vocabulary]) -> dict[str, Method[Any]]:
    """Gives the tables that a model has beside the fields' embeddings, by the names of their layers.

    Their bytes count as those of embeddings, compressed or not. No budget reaches them.

    Args:
        model: the model's name and settings.
        vocabularies: the ids by field.
    """
    own = getattr(model.settings, "own_tables", None)
    return {} if own is None else dict(own(vocabularies))


def build(
    model: Choice,
    fields: Mapping[str, CompressedEmbedding],
    label_range: tuple[float, float] | None,
    dense_dim: int = 0,
) -> keras.Model:
    """The Keras model of a choice.

    Example:
        ``build(read({"name": "neumf", "dropout": 0.1}), layers, (1.0, 5.0))``

    Args:
        model: the model's name and settings.
        fields: the embedding layer of each field, all of one width, none named like a field: Keras gives that name
            to the input. Fields may share a layer, whose vocabulary then has them as members.
        label_range: smallest and largest training label, or None if the model is to give logits.
        dense_dim: how many dense columns the data has.

    Returns:
        A model from a dict of ids, int32 (batch,) by field, and ``dense_columns``, float32 (batch, dense_dim)
        unless dense_dim is 0, to predictions, float32 (batch,).

    Raises:
        RequestError: the model does not exist, cannot take these data, or is not as described here.
    """
    module = find(model.name)
    check_data(model, fields, dense_dim)
    try:
        built = module.build(fields, label_range, model.settings, dense_dim)
    except ValueError as error:
        found = re.search(r"name \"(.+?)\" is used", str(error))
        if found is None or found[1] not in fields:
            raise
        raise RequestError(
            f"model={model.name}: a layer is called {found[1]}, as a field is; give the field another name, as with "
            f"dataset.columns.NAME={found[1]} in place of dataset.fields"
        ) from error
    _check(built, slips.file_of(module.__name__))
    return cast("keras.Model", built)


def _check(built: object, file: str) -> None:
    import keras

    if not isinstance(built, keras.Model):
        raise RequestError(f"{file}: build returned {type(built).__name__}; return a keras.Model")
    shape = getattr(built.output, "shape", None)
    if shape is None or len(shape) != 1:
        given = f"the shape {shape}" if shape is not None else f"the type {type(built.output).__name__}"
        raise RequestError(
            f"{file}: the model's output has {given}; it must be (batch,), one prediction a row: "
            "keras.ops.squeeze(score, axis=-1)"
        )
    from bench.models.layers import BatchNorm

    for layer in built.layers:
        if isinstance(layer, keras.layers.BatchNormalization) and not isinstance(layer, BatchNorm):
            raise RequestError(
                f"{file}: {layer.name} is a keras.layers.BatchNormalization, which would count the rows that fill up "
                "a batch; use bench.models.layers.BatchNorm"
            )


def summary(model: keras.Model, width: int = 100) -> str:
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
