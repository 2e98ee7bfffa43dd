"""The data set of a run as MLflow knows one: name, digest, source, columns and sizes, but no rows."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.config.secrets import without_password
from bench.records.result import Tree

if TYPE_CHECKING:
    from bench.data import Interactions

DIGEST_LENGTH = 12
"""As much of a digest tells data sets apart; MLflow takes 36 characters, and its lists show them all."""


@dataclass(frozen=True)
class Data:
    """The data that a run trains on, by the attributes of MLflow's ``Dataset``, in JSON where it wants that.

    Attributes:
        name: the data set's, as in results.
        digest: the first characters of the data digest.
        source_type: where the rows come from: ``http`` (an archive), ``local`` (a file) or ``code`` (generated).
        source: the address, the path, or the settings that they are generated from.
        schema: the columns.
        profile: rows of each part of the split, and ids of each field.
    """

    name: str
    digest: str
    source_type: str
    source: str
    schema: str
    profile: str

    @classmethod
    def of(cls, interactions: Interactions, dataset: Tree) -> Data:
        """Describes a data set by what was loaded and by its settings."""
        names = ("train", "validation", "evaluation")
        rows = {f"{name}_rows": len(getattr(interactions, name)) for name in names}
        low, high = interactions.label_range
        profile = {
            "num_rows": sum(rows.values()),
            **rows,
            **{f"{name}_vocabulary": field.size for name, field in interactions.fields.items()},
            "dense_columns": interactions.dense_dim,
            "label_min": float(low),
            "label_max": float(high),
            "split": dataset.get("split"),
        }
        columns = [{"type": "long", "name": name, "required": True} for name in interactions.fields]
        columns.append({"type": "float", "name": "label", "required": True})
        kind, source = _source(dataset)
        schema = {"mlflow_colspec": columns}
        digest = interactions.digest[:DIGEST_LENGTH]
        return cls(interactions.name, digest, kind, *map(json.dumps, (source, schema, profile)))


def _source(dataset: Tree) -> tuple[str, Tree]:
    """Gives MLflow's kind of a source, and the attributes that MLflow wants for that kind."""
    if dataset.get("url"):
        return "http", {"url": without_password(str(dataset["url"]))}
    if dataset.get("path"):
        return "local", {"uri": str(dataset["path"])}
    generated = {name: str(value) for name, value in dataset.items() if name != "split"}
    return "code", {"tags": {"mlflow.source.name": f"bench.data.{dataset.get('kind')}", **generated}}
