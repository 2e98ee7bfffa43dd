"""The form that serves vectors as sums of a few atoms of a dictionary, each with a coefficient of one byte."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.embeddings.base import Array, Arrays, Kind, Lookups, float32, int32
from bench.embeddings.families.onesize import OneSize

LARGEST = 127
"""Magnitude of the largest coefficient."""


@dataclass
class AtomsSettings:
    """Settings of ``Atoms``."""

    num_terms: int = 1
    """Number k of atoms in the sum of a vector."""

    num_atoms: int = 1
    """Number R of atoms in the dictionary."""


class Atoms(OneSize[AtomsSettings]):
    """vector(id) = scale[id] / 127 (c_1 dictionary[p_1] + ... + c_k dictionary[p_k]), with own c and p for each id."""

    Settings = AtomsSettings

    def tables(self) -> tuple[Array, ...]:
        """Describes ``pointers`` and int8 ``coefficients``, (vocabulary, k), and float16 ``scale``, (vocabulary, 1).

        Pointers are in the smallest of uint8, uint16 and int32 that holds num_atoms.
        """
        size, terms = self.vocabulary.size, self.settings.num_terms
        return (
            Array("pointers", (size, terms), pointer_dtype(self.settings.num_atoms), kind=Kind.CODES),
            Array("coefficients", (size, terms), "int8", kind=Kind.CODES),
            Array("scale", (size, 1), "float16", kind=Kind.CODES, trainable=False),
        )

    def weights(self) -> tuple[Array, ...]:
        """Describes ``dictionary``, float32 (num_atoms, embedding_dim)."""
        return (Array("dictionary", (self.settings.num_atoms, self.embedding_dim), trainable=False),)

    def lookups(self, ids: Any, maps: Arrays, xp: Any) -> Lookups:
        """Reads the rows whose number is the id."""
        rows = int32(ids, xp)
        return {"pointers": rows, "coefficients": rows, "scale": rows}

    def combine(self, rows: Arrays, indices: Arrays, weights: Arrays, xp: Any, training: bool) -> Any:
        """Adds up the atoms."""
        atoms = xp.take(weights["dictionary"], int32(rows["pointers"], xp), axis=0)
        factors = float32(rows["coefficients"], xp) * float32(rows["scale"], xp) / np.float32(LARGEST)
        return xp.sum(atoms * xp.expand_dims(factors, -1), axis=-2)

    def packed(
        self, pointers: np.ndarray, factors: np.ndarray, dictionary: np.ndarray
    ) -> dict[str, np.ndarray]:
        """Makes the arrays of this form.

        Args:
            pointers: integers (vocabulary, k).
            factors: the factor of each atom, float (vocabulary, k), at most 65504 in magnitude. They are rounded to
                whole numbers of 127ths of the largest one of their row.
            dictionary: float32 (num_atoms, embedding_dim).
        """
        scale = np.abs(factors).max(axis=1, keepdims=True).astype(np.float16)
        step = scale.astype(np.float32)
        whole = np.divide(LARGEST * factors, step, out=np.zeros(factors.shape), where=step > 0)
        coefficients = np.rint(whole).clip(-LARGEST, LARGEST).astype(np.int8)
        own = pointers.astype(pointer_dtype(self.settings.num_atoms))
        return {"pointers": own, "coefficients": coefficients, "scale": scale, "dictionary": dictionary}


def pointer_dtype(num_rows: int) -> str:
    """Returns the smallest type that holds row numbers below ``num_rows``."""
    return "uint8" if num_rows <= 1 << 8 else "uint16" if num_rows <= 1 << 16 else "int32"


def atoms_nbytes(size: int, embedding_dim: int, num_terms: int, num_atoms: int) -> tuple[int, int]:
    """Counts the bytes of the dictionary, and of pointers, coefficients and scales."""
    pointer = np.dtype(pointer_dtype(num_atoms)).itemsize
    return 4 * num_atoms * embedding_dim, size * (num_terms * (pointer + 1) + 2)
