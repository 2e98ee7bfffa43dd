"""Compares a further format of an export with what the trained model has computed, in a process of its own.

``python -m bench.exporting.formats.compare FOLDER REFERENCE FORMAT`` loads the format's files as a user does and
prints, as JSON, the largest difference of each field and of the predictions. For REFERENCE see
``bench.serving.compare``.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bench.exporting import formats
from bench.exporting.formats.base import PREDICT, Reader
from bench.serving import manifest
from bench.serving.compare import PREDICTIONS, largest
from bench.serving.errors import ServingError
from bench.serving.manifest import Manifest


def differences(
    name: str, reader: Reader, described: Manifest, reference: Mapping[str, np.ndarray]
) -> dict[str, float]:
    """Finds the largest difference of each field's vectors and of the predictions.

    Args:
        name: name of the format.
        reader: its files, opened.
        described: the manifest.
        reference: see ``bench.serving.compare``.

    Raises:
        ServingError: a row number outside a field gives something else than NaN.
    """
    found = {}
    for number, (field, entry) in enumerate(described.fields.items()):
        if f"{name}.{field}" in described.left_out:
            continue
        vectors = reader.vectors(field, reference[f"rows/{number}"].astype(np.int64))
        found[f"fields.{field}"] = largest(vectors, reference[f"vectors/{number}"])
        outside = reader.vectors(field, _outside(entry.size))
        if outside.shape != (3, entry.dim) or not np.isnan(outside).all():
            raise ServingError(f"field {field!r}: a row number outside gives something else than NaN")
    if f"{name}.{PREDICT}" not in described.left_out:
        rows = {
            field: reference[f"row/{number}"].astype(np.int64)
            for number, field in enumerate(described.fields)
        }
        scores = reader.predict(rows, reference["dense"])
        found[PREDICTIONS] = largest(scores, reference[PREDICTIONS])
        for field, entry in described.fields.items():
            few = {one: own[:3].copy() for one, own in rows.items()}
            few[field][:] = _outside(entry.size)[: len(few[field])]
            if not np.isnan(reader.predict(few, reference["dense"][:3])).all():
                raise ServingError(
                    f"field {field!r}: a row number outside gives a prediction that is not NaN"
                )
    return found


def _outside(size: int) -> np.ndarray:
    """Gives row numbers outside a field, among them one that int32 does not hold."""
    return np.array([size, -1, (1 << 32) + 1], np.int64)


def main(folder: str, reference: str, name: str) -> dict[str, Any]:
    """Opens a format and its reference, and gives the differences, or the error, as JSON has them."""
    try:
        described = manifest.read(Path(folder))
        reader = formats.module(name).Reader(Path(folder), described)
        with np.load(reference, allow_pickle=False) as arrays:
            return {"differences": differences(name, reader, described, dict(arrays))}
    except Exception as error:  # the process that asked says it in a line
        return {"error": f"{type(error).__name__}: {' '.join(str(error).split())[:500]}"}


if __name__ == "__main__":
    told = os.fdopen(os.dup(1), "w")  # what libraries print goes elsewhere
    os.dup2(2, 1)
    told.write(json.dumps(main(*sys.argv[1:])))
    told.flush()
