"""What an export holds of a trained model: the manifest's entries, and the arrays by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from bench import data
from bench.config.typed import plain
from bench.data.interactions import Field
from bench.data.table_settings import TableSettings, suffix
from bench.embeddings.base import Method
from bench.errors import RunFailed
from bench.exporting import ids
from bench.serving.heads import HEADS
from bench.serving.layout import FIELDS, HEAD, IDS, Stored
from bench.serving.manifest import Dense, Entry, Head, Manifest
from bench.serving.tables import head_of, stored
from bench.trained import Trained

Tree = dict[str, Any]
"""The content of ``export.json``, or a part of it, as JSON has it."""


@dataclass(frozen=True)
class Content:
    """All that is written.

    Attributes:
        described: the manifest without files.
        forms: the description that serves, by field.
        wanted: the arrays, in the order of the file.
        arrays: the arrays by name.
    """

    described: Manifest
    forms: Mapping[str, Method[Any]]
    wanted: list[Stored]
    arrays: Mapping[str, np.ndarray]

    def nbytes(self, first: str) -> int:
        """Counts the bytes of the arrays whose names begin with a part."""
        return sum(array.nbytes for array in self.wanted if array.name.startswith(f"{first}/"))


def content(trained: Trained) -> Content:
    """Gathers what an export of a trained model holds.

    Raises:
        RunFailed: an array is not as its method describes it.
    """
    settings = data.read(trained.result.setting("dataset"))
    arrays: dict[str, np.ndarray] = {}
    fields: dict[str, Entry] = {}
    for name, layer in trained.embeddings.items():
        own, method = trained.data.fields[name], layer.method
        kept, of_ids = ids.stored(own.values)
        fields[name] = Entry(
            name, own.size, method.embedding_dim, method.name(), plain(method.settings), kept,
            unknown_row=_unknown_row(own, settings), **_source(settings, name),
        )  # fmt: skip
        if method.vocabulary.members[0].name == name:
            place = f"{FIELDS}/{method.vocabulary.name}"
            arrays |= {f"{place}/{key}": value for key, value in layer.arrays().items()}
        arrays |= {f"{IDS}/{name}/{key}": value for key, value in of_ids.items()}
    head, left_out = _head(trained)
    vocabularies = {
        layer.method.vocabulary.name: layer.method.vocabulary for layer in trained.embeddings.values()
    }
    shared = {name: [one.name for one in own.members] for name, own in vocabularies.items() if own.is_shared}
    dense = _dense(settings, trained.data.dense_dim)
    described = Manifest(fields, dense, head, {}, left_out, {}, shared=shared)
    of_head = head_of(described)
    variables = {variable.path: variable for variable in trained.model.variables}
    for path in of_head.shapes() if of_head else ():
        if path not in variables:
            raise RunFailed(
                f"model={described.head.name if described.head else None}: no variable {path} to export"
            )
        arrays[f"{HEAD}/{path}"] = np.asarray(variables[path].numpy(), order="C")
    return checked(described, {name: layer.form for name, layer in trained.embeddings.items()}, arrays)


def checked(
    described: Manifest, forms: Mapping[str, Method[Any]], arrays: Mapping[str, np.ndarray]
) -> Content:
    """Puts a content together.

    Args:
        described: the manifest without files.
        forms: the description that serves, by field.
        arrays: the arrays by name.

    Raises:
        RunFailed: an array is not as its method describes it.
    """
    wanted = stored(described, forms, head_of(described))
    for array in wanted:
        found = arrays[array.name]
        if (found.shape, found.dtype) != (array.shape, np.dtype(array.dtype)):
            raise RunFailed(
                f"{array.name}: {found.dtype} of shape {found.shape}; described as {array.dtype} of shape {array.shape}"
            )
    return Content(described, forms, wanted, arrays)


def tree_of(described: Manifest) -> Tree:
    """Gives the entries of fields, numeric columns and model as JSON has them."""
    fields = {}
    for name, entry in described.fields.items():
        own = asdict(entry)
        del own["name"]
        fields[name] = own
    head = described.head
    return {
        "fields": fields,
        "dense": [asdict(column) for column in described.dense],
        "model": None
        if head is None
        else {**asdict(head), "label_range": list(head.label_range or ()) or None},
        "left_out": dict(described.left_out),
        **(
            {"shared": {name: list(group) for name, group in described.shared.items()}}
            if described.shared
            else {}
        ),
    }


def _unknown_row(field: Field, settings: data.DataSettings) -> int | None:
    if field.values is not None:
        return 0 if field.values.first else None
    return 0 if settings.vocabulary == "train" else None


def _source(settings: data.DataSettings, field: str) -> dict[str, Any]:
    """Tells what is made of a field's raw values."""
    if not isinstance(settings, TableSettings):
        return {"column": field}
    column, part = settings.parts[field]
    paths = [*settings.paths, *settings.fixed.values()]
    return {
        "column": column,
        "part": part,
        "transform": str(settings.transforms.get(column, "none")),
        "keeps_missing": settings.missing == "keep",
        "from_text": all(suffix(path) != ".parquet" for path in paths),
    }


def _dense(settings: data.DataSettings, count: int) -> tuple[Dense, ...]:
    if not isinstance(settings, TableSettings):
        return tuple(Dense(f"I{number + 1}") for number in range(count))
    keeps = settings.missing == "keep"
    return tuple(
        Dense(column, settings.transforms.get(column) == "log1p", keeps) for column in settings.dense or ()
    )


def _head(trained: Trained) -> tuple[Head | None, dict[str, str]]:
    spec: dict[str, Any] = dict(trained.result.setting("model"))
    name = str(spec.pop("name"))
    if name not in HEADS:
        return None, {"predict": f"the model {name} has no predictions in NumPy"}
    low, high = trained.data.label_range
    return Head(name, spec, (float(low), float(high))), {}
