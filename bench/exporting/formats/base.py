"""What the formats have in common: what a writer gives back, what a reader does, names of inputs and outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from bench.serving.manifest import Manifest

PREDICT = "predict"
"""What predictions are called in ``left_out``, and among signatures."""

IDS, VECTORS = "ids", "vectors"
"""Names of the input and the output of a lookup: row numbers, int64 (n,), and vectors, float32 (n, embedding_dim)."""

Operands = dict[str, Any]
"""Arrays, inputs or outputs of a graph by name, in the types of a library that is imported late."""


@dataclass(frozen=True)
class Written:
    """What a format has written.

    Attributes:
        files: names of the files, relative to the folder.
        left_out: what could not be written, by the name of a field or ``predict``, with the reason;
            the name of all is empty.
    """

    files: Sequence[str]
    left_out: Mapping[str, str] = field(default_factory=dict)


class Reader(Protocol):
    """Loads the files of a format, as a user does."""

    def __init__(self, folder: Path, described: Manifest) -> None:
        """Opens the files.

        Args:
            folder: the export.
            described: its manifest.
        """

    def vectors(self, name: str, rows: np.ndarray) -> np.ndarray:
        """Looks up vectors by row numbers.

        Args:
            name: name of the field.
            rows: int64 (n,).

        Returns:
            float32 (n, embedding_dim).
        """

    def predict(self, rows: Mapping[str, np.ndarray], dense: np.ndarray) -> np.ndarray:
        """Computes the model's output by row numbers.

        Args:
            rows: int64 (n,) by field.
            dense: float32 (n, k); k is 0 without numeric columns.

        Returns:
            float32 (n,).
        """


def signature(name: str) -> str:
    """Gives the name of the signature that looks up a field."""
    return f"lookup_{name}"
