"""Puts an export into MLflow's registry of models. These functions are called in MLflow's process."""

from __future__ import annotations

import importlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench import __version__
from bench.errors import RequestError
from bench.serving import load, pyfunc
from bench.serving.tables import Tables
from bench.tracking.client import connected, experiment_of, in_mlflow
from bench.tracking.target import Target

LOADER = "bench.serving.pyfunc"
"""The module that MLflow loads an export with. No code and no pickle lies in the model's folder."""

NAME = re.compile(r"[^/:.%\"']{1,250}")
ALIAS = re.compile(r"(?!latest$|v\d+$)[A-Za-z0-9_-]{1,255}", re.IGNORECASE)

EXAMPLE_ROWS = 2


@dataclass(frozen=True)
class Wanted:
    """The place of an export in the registry.

    Attributes:
        name: name of the registered model.
        alias: name that points to the new version, such as ``champion``; empty for none.
    """

    name: str
    alias: str = ""

    def check(self) -> None:
        """Refuses names that MLflow does not take.

        Raises:
            RequestError: a name has other letters than are allowed.
        """
        if not NAME.fullmatch(self.name) or not self.name.strip():
            raise RequestError(
                f"register={self.name}: give a name of up to 250 letters without / : . % and quotes"
            )
        if self.alias and not ALIAS.fullmatch(self.alias):
            raise RequestError(
                f"alias={self.alias}: give letters, digits, _ and -, and neither latest nor v and a number, "
                "such as champion"
            )


@in_mlflow
def register(target: Target, run_id: str | None, wanted: Wanted, folder: Path) -> str:
    """Logs an export as a model, and makes it the newest version of a registered one.

    Args:
        target: where.
        run_id: the run that the model belongs to; None for none.
        wanted: its place.
        folder: the export, absolute.

    Returns:
        The version, such as ``"3"``.

    Raises:
        ServingError: the folder is no export.
        TrackingError: the store cannot be reached or written to.
    """
    tables = load(folder)
    own = tags(tables)
    with connected(target) as client:
        mlflow = importlib.import_module("mlflow")
        mlflow.set_tracking_uri(client.tracking_uri)
        mlflow.set_registry_uri(client.tracking_uri)
        mlflow.set_experiment(experiment_id=experiment_of(target, client))
        model = importlib.import_module("mlflow.models").Model
        made = model.log(
            artifact_path=None,
            flavor=importlib.import_module("mlflow.pyfunc"),
            name=wanted.name,
            run_id=run_id,
            registered_model_name=wanted.name,
            tags=own,
            loader_module=LOADER,
            data_path=str(folder),
            signature=signature(tables),
            input_example=example(tables),
            pip_requirements=[f"embedding-bench-serving=={__version__}", f"mlflow=={mlflow.__version__}"],
        )
        version = str(made.registered_model_version)
        for name, value in own.items():
            client.set_model_version_tag(wanted.name, version, name, value)
        if wanted.alias:
            client.set_registered_model_alias(wanted.name, wanted.alias, version)
    return version


def signature(tables: Tables) -> Any:
    """Makes MLflow's signature of an export: a tensor of one dimension a raw column."""
    models, schema = importlib.import_module("mlflow.models"), importlib.import_module("mlflow.types.schema")
    inputs = [
        schema.TensorSpec(np.dtype(kind), (-1,), column)
        for column, kind in pyfunc.input_types(tables.described).items()
    ]
    dims = (-1,) if tables.described.head else (-1, next(iter(tables.described.fields.values())).dim)
    params = [
        schema.ParamSpec(pyfunc.VECTORS, schema.DataType.string, ""),
        schema.ParamSpec(pyfunc.UNKNOWN, schema.DataType.string, "error"),
    ]
    return models.ModelSignature(
        schema.Schema(inputs),
        schema.Schema([schema.TensorSpec(np.dtype(np.float32), dims)]),
        schema.ParamSchema(params),
    )


def example(tables: Tables) -> dict[str, np.ndarray] | None:
    """Gives rows that the export answers; None if its ids tell nothing of raw values."""
    described, found = tables.described, {}
    types = pyfunc.input_types(described)
    for name, entry in described.fields.items():
        raw = ["0"] if entry.transform != "none" else tables.first_ids(name, EXAMPLE_ROWS)
        found[entry.column] = np.resize(np.array(raw, types[entry.column]), EXAMPLE_ROWS)
    found |= {column.column: np.zeros(EXAMPLE_ROWS) for column in described.dense}
    try:
        pyfunc.Served(tables).predict(found)
    except Exception:  # a column of times, or ids that were not kept
        return None
    return found


def tags(tables: Tables) -> dict[str, str]:
    """Gives the tags of a model: the run's fingerprint, its names, and what it takes to serve it."""
    tree = tables.described.tree
    promised, full = int(tree["bytes"]["promised"]), int(tree["bytes"]["full"])
    sizes = {"embedding_bytes": promised, "full_embedding_bytes": full, "compression_ratio": full / promised}
    return {
        key: str(value) for key, value in {"fingerprint": tree["fingerprint"], **tree["run"], **sizes}.items()
    }
