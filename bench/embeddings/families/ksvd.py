"""Sparse coding: rows as sums of a few atoms of a dictionary, and the dictionary that suits them.

Memory and time are bounded. ``SCORES`` products of rows and atoms are in memory at once. A dictionary is learned from
at most ``SAMPLE`` rows, in ``PASSES`` passes.
"""

from __future__ import annotations

import numpy as np

PASSES = 10
"""Number of passes over the sample in which a dictionary is learned."""

SAMPLE, ROWS_AN_ATOM = 1 << 16, 256
"""Largest number of rows, and of rows for each atom, that a dictionary is learned from."""

SCORES = 1 << 22
"""Number of products of rows and atoms, and of numbers of chosen atoms, that are in memory at once."""

RIDGE = 1e-9
"""Number that is added to the diagonal of a Gram matrix, so that equal atoms share their factor."""

INDEPENDENT = 1e-5
"""Length of what an atom adds to the others of a row, above which it adds something."""


def dictionary(rows: np.ndarray, num_atoms: int, num_terms: int, rng: np.random.Generator) -> np.ndarray:
    """Finds atoms by K-SVD (Aharon, Elad and Bruckstein, 2006) in its approximate form.

    It begins with rows that are drawn. In each pass all rows are encoded. Then each atom in turn, with its factors,
    gets one power iteration toward the best rank-one fit of what the other atoms leave. An atom that no row uses
    becomes what is left of the row that is fitted worst.

    Args:
        rows: float32 (n, width).
        num_atoms: number of atoms.
        num_terms: number of atoms in the sum of a row.
        rng: draws the sample and the first atoms.

    Returns:
        Atoms of length 1, float32 (num_atoms, width).
    """
    most = min(SAMPLE, ROWS_AN_ATOM * num_atoms)
    sample = rows if len(rows) <= most else rows[rng.choice(len(rows), most, replace=False)]
    sample = sample[np.any(sample, axis=1)]
    if not len(sample):
        sample = np.eye(1, rows.shape[1], dtype=np.float32)
    atoms = unit(sample[rng.choice(len(sample), num_atoms, replace=len(sample) < num_atoms)])
    for _ in range(PASSES):
        pointers, factors = encode(sample, atoms, num_terms)
        left = sample.copy()
        for term in range(num_terms):
            left -= factors[:, term, None] * atoms[pointers[:, term]]
        _improve(atoms, pointers, factors, left)
    return atoms


def _improve(atoms: np.ndarray, pointers: np.ndarray, factors: np.ndarray, left: np.ndarray) -> None:
    """Changes atoms, factors and what is left of the rows in place, atom by atom."""
    terms = pointers.shape[1]
    flat = factors.reshape(-1)  # a view
    order = np.argsort(pointers.reshape(-1), kind="stable")
    ends = np.cumsum(np.bincount(pointers.reshape(-1), minlength=len(atoms)))
    lengths = _lengths(left)
    for atom, (begin, end) in enumerate(zip(np.concatenate([[0], ends[:-1]]), ends, strict=True)):
        places = order[begin:end]
        users = places // terms
        own = flat[places]
        if not np.any(own):
            worst = int(np.argmax(lengths))
            if lengths[worst] > 0:
                atoms[atom] = unit(left[worst : worst + 1])[0]
                lengths[worst] = 0  # the next such atom becomes another row
            continue
        fitted = left[users] + own[:, None] * atoms[atom]
        direction = own[None, :].astype(np.float64) @ fitted
        if not direction.any():
            continue
        atoms[atom] = unit(direction)[0]
        flat[places] = fitted @ atoms[atom]
        left[users] = fitted - flat[places][:, None] * atoms[atom]


def encode(rows: np.ndarray, atoms: np.ndarray, num_terms: int) -> tuple[np.ndarray, np.ndarray]:
    """Finds the atoms and factors of each row by orthogonal matching pursuit (Pati et al., 1993).

    The atom with the largest product with what is left of the row is added. What is left is made orthogonal to all
    atoms of the row. At the end all factors are those of the least squares, from the Gram matrix of the row's atoms.

    Args:
        rows: float32 (n, width).
        atoms: float32 (num_atoms, width), of length 1.
        num_terms: number of atoms in the sum of a row, at most num_atoms.

    Returns:
        Numbers of the atoms, int32 (n, num_terms), all different in a row, and factors, float32 (n, num_terms).
    """
    pointers = np.empty((len(rows), num_terms), np.int32)
    factors = np.empty((len(rows), num_terms), np.float32)
    step = max(1, SCORES // max(len(atoms), num_terms * rows.shape[1]))
    for begin in range(0, len(rows), step):
        block = slice(begin, begin + step)
        pointers[block], factors[block] = _encode_block(rows[block], atoms, num_terms)
    return pointers, factors


def _encode_block(rows: np.ndarray, atoms: np.ndarray, num_terms: int) -> tuple[np.ndarray, np.ndarray]:
    number = np.arange(len(rows))
    chosen = np.empty((len(rows), num_terms), np.int32)
    basis = np.zeros((len(rows), num_terms, rows.shape[1]))
    left = rows.astype(np.float64)
    for term in range(num_terms):
        scores = np.abs(left.astype(np.float32) @ atoms.T)
        for earlier in range(term):
            scores[number, chosen[:, earlier]] = -1
        chosen[:, term] = scores.argmax(axis=1)
        own, new = basis[:, :term], atoms[chosen[:, term]].astype(np.float64)
        new -= (own.transpose(0, 2, 1) @ (own @ new[:, :, None]))[:, :, 0]
        length = _lengths(new)[:, None]
        basis[:, term] = np.divide(new, length, out=np.zeros_like(new), where=length > INDEPENDENT)
        left -= np.einsum("nd,nd->n", left, basis[:, term])[:, None] * basis[:, term]
    own = atoms[chosen].astype(np.float64)
    gram = own @ own.transpose(0, 2, 1) + RIDGE * np.eye(num_terms)
    factors = np.linalg.solve(gram, own @ rows[:, :, None].astype(np.float64))
    return chosen, factors[:, :, 0].astype(np.float32)


def unit(rows: np.ndarray) -> np.ndarray:
    """Divides rows by their lengths, which are above 0; float32."""
    divided: np.ndarray = rows / _lengths(rows)[:, None]
    return divided.astype(np.float32)


def _lengths(rows: np.ndarray) -> np.ndarray:
    """Computes the lengths of rows in float64, where squares of large and tiny numbers have room."""
    squares: np.ndarray = np.einsum("nd,nd->n", rows, rows, dtype=np.float64)
    return squares**0.5
