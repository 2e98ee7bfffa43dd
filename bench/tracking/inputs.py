"""The data set of a run as MLflow knows one: name, digest, source, columns and sizes, but no rows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bench.settings import without_password

if TYPE_CHECKING:
    from bench.data import Interactions

DIGEST_LENGTH = 12
"""As much of a digest tells data sets apart; MLflow takes 36 characters, and its lists show them all."""


@dataclass(frozen=True)
class Data:
    """What a run trains on; the attributes are those of MLflow's ``Dataset``, texts in JSON where it wants them.

    Attributes:
        name: the data set's, as in results.
        digest: the first characters of the digest of all that training and evaluation see.
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
    def of(cls, interactions: Interactions, dataset: Mapping[str, Any]) -> Data:
        """The description of a data set.

        Args:
            interactions: the data set, loaded.
            dataset: its settings.
        """
        parts = {
            "train": interactions.train,
            "validation": interactions.validation,
            "evaluation": interactions.evaluation,
        }
        rows = {name: len(part) for name, part in parts.items()}
        low, high = interactions.label_range
        profile = {
            "num_rows": sum(rows.values()),
            **{f"{name}_rows": count for name, count in rows.items()},
            **{f"{name}_vocabulary": field.size for name, field in interactions.fields.items()},
            "dense_columns": interactions.dense_dim,
            "label_min": float(low),
            "label_max": float(high),
            "split": dataset.get("split"),
        }
        columns = [{"type": "long", "name": name, "required": True} for name in interactions.fields]
        columns.append({"type": "float", "name": "label", "required": True})
        source_type, source = _source(dataset)
        return cls(
            interactions.name,
            interactions.digest[:DIGEST_LENGTH],
            source_type,
            json.dumps(source),
            json.dumps({"mlflow_colspec": columns}),
            json.dumps(profile),
        )


def _source(dataset: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """MLflow's kind of source, and what it wants to know of one of that kind."""
    if dataset.get("url"):
        return "http", {"url": without_password(str(dataset["url"]))}
    if dataset.get("path"):
        return "local", {"uri": str(dataset["path"])}
    generated = {name: str(value) for name, value in dataset.items() if name != "split"}
    return "code", {"tags": {"mlflow.source.name": f"bench.data.{dataset.get('kind')}", **generated}}
