"""Sparse coding after training: each trained vector becomes the sum of a few atoms of a learned dictionary."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from bench.embeddings.base import Vocabulary, check_positive, largest
from bench.embeddings.families.ksvd import dictionary, encode
from bench.embeddings.families.trained import OfFull
from bench.embeddings.served.atoms import Atoms, AtomsSettings, atoms_nbytes
from bench.errors import RequestError

MAX_ATOMS, MAX_TERMS = 1 << 12, 1 << 4
"""Largest numbers of atoms and of terms under a budget, which bound the time."""

USUAL_TERMS = (4, 2, 1)
"""Numbers of terms that are tried, the first one without a budget."""


@dataclass
class SparseCodingSettings:
    """Settings of ``sparse_coding``."""

    num_atoms: int | None = None
    """Atoms of the dictionary, at most one an id. None: vocabulary // 20, and at least 16; under a budget, as many as
    fit, at most 4096."""

    num_terms: int | None = None
    """Atoms in the sum of a vector, at most embedding_dim and num_atoms. None: 4; under a budget, the most of 4, 2 and
    1 with which the dictionary takes at least as many bytes as the rest; up to 16 if the dictionary is at its limit."""


class SparseCoding(OfFull[SparseCodingSettings]):
    """vector(id) = a_1 dictionary[p_1] + ... + a_k dictionary[p_k], with own factors a and pointers p for each id.

    ``full`` is trained. K-SVD learns a dictionary from its vectors, in 10 passes over at most 65,536 of them.
    Orthogonal matching pursuit then finds pointers and factors of all vectors. Factors are stored in eight bits, with
    one float16 scale an id. With as many atoms as ids, each vector is an atom and is kept exactly.

    Memory beyond the table and its codes is bounded. The time grows with the vocabulary times num_atoms times
    num_terms.

    Example:
        >>> import numpy as np
        >>> from bench.embeddings import SparseCodingEmbedding
        >>> layer = SparseCodingEmbedding(6040, 64, num_atoms=256, num_terms=4)
        >>> layer(np.array([3, 6039])).shape  # trained as a full table
        TensorShape([2, 64])
        >>> layer.to_served()(np.array([3, 6039])).shape
        TensorShape([2, 64])
        >>> layer.method.nbytes  # 10 bytes an id, and the dictionary
        125936

    Reference:
        Aharon, Elad and Bruckstein, "K-SVD: an algorithm for designing overcomplete dictionaries for sparse
        representation", IEEE Transactions on Signal Processing 54(11), 2006. Rubinstein, Zibulevsky and Elad,
        "Efficient implementation of the K-SVD algorithm using batch orthogonal matching pursuit", 2008.
    """

    Settings = SparseCodingSettings
    family = "codes"

    def resolve(self, settings: SparseCodingSettings) -> SparseCodingSettings:
        """Chooses the numbers of atoms and terms."""
        check_positive(num_atoms=settings.num_atoms)
        size = self.vocabulary.size
        atoms = min(size, max(size // 20, 16) if settings.num_atoms is None else settings.num_atoms)
        terms = USUAL_TERMS[0] if settings.num_terms is None else settings.num_terms
        if settings.num_terms is not None and not 1 <= terms <= self.embedding_dim:
            raise RequestError(f"num_terms={terms}: give 1 to embedding_dim={self.embedding_dim}")
        return replace(settings, num_atoms=atoms, num_terms=min(terms, self.embedding_dim, atoms))

    def served(self) -> Atoms:
        """Describes the dictionary, pointers and factors."""
        atoms, terms = self.settings.num_atoms, self.settings.num_terms
        assert atoms is not None and terms is not None
        return Atoms(self.vocabulary, self.embedding_dim, AtomsSettings(terms, atoms))

    def serve(self, arrays: Mapping[str, np.ndarray], rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Learns the dictionary, and encodes the trained vectors."""
        from threadpoolctl import threadpool_limits

        form, table = self.served(), arrays["table"]
        terms, count = form.settings.num_terms, form.settings.num_atoms
        if count == len(table):
            pointers, factors = np.zeros((2, count, terms), np.float32)
            pointers[:, 0], factors[:, 0] = np.arange(count), 1
            return form.packed(pointers, factors, table)
        # One thread: the order in which several threads add changes the last bit.
        with threadpool_limits(1):
            atoms = dictionary(table, count, terms, rng)
            pointers, factors = encode(table, atoms, terms)
        # The scale of an id is in float16. So the dictionary takes the largest factor.
        longest = np.float32(np.abs(factors).max()) or np.float32(1)
        return form.packed(pointers, factors / longest, atoms * longest)

    @classmethod
    def fit(
        cls, vocabulary: Vocabulary, embedding_dim: int, settings: SparseCodingSettings, budget_bytes: int
    ) -> SparseCodingSettings:
        """Chooses the most atoms within the bytes, in as many terms as leave half of the bytes to the dictionary."""
        cls(vocabulary, embedding_dim, settings)  # refuses wrong sizes
        size, terms, atoms = vocabulary.size, settings.num_terms, settings.num_atoms

        def fits(terms: int, atoms: int) -> bool:
            return sum(atoms_nbytes(size, embedding_dim, terms, atoms)) <= budget_bytes

        if atoms is None and terms is None:
            terms, atoms = _both(size, embedding_dim, fits)
        elif terms is None:
            known = min(atoms or 1, size)
            terms = largest(1, min(embedding_dim, known, MAX_TERMS), lambda terms: fits(terms, known))
        elif atoms is None:
            least = min(terms, size)
            atoms = (
                largest(least, max(least, min(size, MAX_ATOMS)), lambda atoms: fits(least, atoms)) or least
            )
        chosen = replace(settings, num_terms=terms or 1, num_atoms=atoms)
        return cls(vocabulary, embedding_dim, chosen).within(budget_bytes)


def _both(size: int, embedding_dim: int, fits: Callable[[int, int], bool]) -> tuple[int, int]:
    """Chooses the numbers of terms and atoms.

    Each of the usual numbers of terms has a smallest size, above the smallest of fewer terms. So sizes never fall as
    the budget grows.
    """
    most = min(size, MAX_ATOMS)

    def half(terms: int) -> int:
        """Finds the fewest atoms with which the dictionary takes at least as many bytes as the rest."""

        def fewer(atoms: int) -> bool:
            of_dictionary, others = atoms_nbytes(size, embedding_dim, terms, atoms)
            return of_dictionary < others

        return min(most, (largest(terms, most, fewer) or terms - 1) + 1)

    tried = [(terms, half(terms)) for terms in USUAL_TERMS[:-1] if terms <= min(embedding_dim, most)]
    terms, least = next((step for step in tried if fits(*step)), (1, 1))
    atoms = largest(least, most, lambda atoms: fits(terms, atoms)) or least
    if atoms == most < size:
        terms = largest(terms, min(embedding_dim, MAX_TERMS), lambda terms: fits(terms, most)) or terms
    return terms, atoms
