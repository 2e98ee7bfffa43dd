"""Compares an export with what the trained model has computed, in a process of its own.

``python -m bench.serving.compare FOLDER REFERENCE`` loads the folder as a user does and prints, as JSON, the largest
difference of each field and of the predictions. REFERENCE is an ``.npz`` file without pickled objects:

    FIELD number N: ``rows/N`` int32, ``vectors/N`` float32, ``known/N`` int32, ``ids/N`` uint8 (JSON of the ids of the
    rows ``known/N``)
    predictions, if there are any: ``row/N`` int32 of each field, ``dense`` float32 (n, k), ``predictions`` float32 (n,)
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bench.serving.errors import ServingError
from bench.serving.tables import Tables, load

PREDICTIONS = "predictions"


def differences(tables: Tables, reference: Mapping[str, np.ndarray]) -> dict[str, float]:
    """Finds the largest difference of each field's vectors and of the predictions.

    Args:
        tables: the export.
        reference: see the module.

    Raises:
        ServingError: an id is found at another row than it has.
    """
    found = {}
    for number, field in enumerate(tables.fields):
        vectors = tables.vectors(field, reference[f"rows/{number}"])
        found[f"fields.{field}"] = largest(vectors, reference[f"vectors/{number}"])
        if f"ids/{number}" in reference:
            ids = json.loads(reference[f"ids/{number}"].tobytes())
            if not np.array_equal(tables.rows_of_keys(field, ids), reference[f"known/{number}"]):
                raise ServingError(f"field {field!r}: an id is found at another row than it has")
    if PREDICTIONS in reference and tables.described.head is not None:
        rows = {field: reference[f"row/{number}"] for number, field in enumerate(tables.fields)}
        scores = tables.scores(rows, reference["dense"])
        found[PREDICTIONS] = largest(scores, reference[PREDICTIONS])
    return found


def largest(found: np.ndarray, wanted: np.ndarray) -> float:
    """Gives the largest difference; infinity for other shapes, and where one of two numbers is NaN."""
    if found.shape != wanted.shape:
        return float("inf")
    with np.errstate(invalid="ignore"):
        apart = np.abs(found.astype(np.float64) - wanted.astype(np.float64))
    equal = (found == wanted) | (np.isnan(found) & np.isnan(wanted))
    return float(np.where(equal, 0.0, np.where(np.isnan(apart), np.inf, apart)).max(initial=0.0))


def main(folder: str, reference: str) -> dict[str, Any]:
    """Loads an export and its reference, and gives the differences, or the error, as JSON has them."""
    try:
        tables = load(folder, verify=True)
        with np.load(reference, allow_pickle=False) as arrays:
            return {"differences": differences(tables, dict(arrays))}
    except Exception as error:  # the process that asked says it in a line
        return {"error": f"{type(error).__name__}: {' '.join(str(error).split())}"}


if __name__ == "__main__":
    print(json.dumps(main(str(Path(sys.argv[1])), sys.argv[2])))
