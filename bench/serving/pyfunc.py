"""An export as a model of MLflow: MLflow calls ``_load_pyfunc`` with the folder. Nothing of it is pickled.

A model takes raw columns by name. It gives the predictions, or with the parameter ``vectors`` the vectors of a field.
An export of one field without a model gives that field's vectors.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from bench.serving.columns import Unknown
from bench.serving.errors import ServingError, UnknownId
from bench.serving.manifest import Entry, Manifest
from bench.serving.tables import Tables, load

VECTORS, UNKNOWN = "vectors", "unknown"
"""Names of the parameters: the field whose vectors are wanted, and what unknown ids get."""


def input_types(described: Manifest) -> dict[str, str]:
    """Gives the type of each raw column: ``int64``, ``float64``, or ``str``.

    Args:
        described: the manifest of an export.
    """
    found = {entry.column: _type(entry) for entry in described.fields.values()}
    return found | {column.column: "float64" for column in described.dense}


def _type(entry: Entry) -> str:
    # a transform reads text, and the empty text is a missing value
    whole = entry.ids.kind in ("integers", "range") and entry.transform == "none" and not entry.keeps_missing
    return "int64" if whole else "str"


class Served:
    """A model of MLflow over an export.

    Args:
        tables: the export.
    """

    def __init__(self, tables: Tables) -> None:
        self.tables = tables
        only = len(tables.fields) == 1 and tables.described.head is None
        self._usual = tables.fields[0] if only else ""
        tables.warm()

    def predict(self, columns: Any, params: Mapping[str, Any] | None = None) -> np.ndarray:
        """Computes predictions, or looks up vectors.

        Args:
            columns: raw columns by name: a dictionary of arrays, or a frame of pandas.
            params: ``vectors``, the name of a field: its vectors are given, and the other columns may be empty.
                ``unknown``, what unknown ids get: ``error``, ``oov`` or ``nan``.

        Returns:
            Predictions, float32 (rows,), or vectors, float32 (rows, embedding_dim).

        Raises:
            MlflowException: an id is not known, or the columns cannot be used; a server answers 400.
        """
        given = params or {}
        try:
            field: str = given.get(VECTORS) or self._usual
            unknown: Unknown = given.get(UNKNOWN) or "error"
            if not field:
                return self.tables.predict(columns, unknown)
            entry = self.tables.described.fields.get(field)
            ids = () if entry is None else columns[entry.column]
            return self.tables.lookup(field, ids, unknown)
        except (ServingError, UnknownId) as error:
            from mlflow.exceptions import INVALID_PARAMETER_VALUE, MlflowException

            said = error.args[0] if error.args else str(error)
            raise MlflowException(str(said), INVALID_PARAMETER_VALUE) from None


def _load_pyfunc(folder: str) -> Served:
    """Opens an export for MLflow, which calls this function by its name."""
    return Served(load(folder))
