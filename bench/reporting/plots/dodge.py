"""Moves marks side by side. Methods of one budget take nearly the same bytes, and their marks would hide each other."""

from __future__ import annotations

from collections.abc import Sequence

FARTHEST = 4
"""Most places that a mark is moved to either side."""

APART = 0.8
"""Marks hide each other if they are nearer than this share of their size."""


def moves(marks: Sequence[tuple[float, float]], size: float) -> list[float]:
    """Gives how far each mark is moved to the right, so that it hides none of those before it.

    A mark stays where it is if it hides none, or if it would have to move farther than ``FARTHEST`` places.

    Args:
        marks: the marks' own places, in pixels; marks that must not move come first.
        size: width and height of a mark, in pixels.
    """
    places = [0, *(side * number for number in range(1, FARTHEST + 1) for side in (1, -1))]
    found: list[float] = []
    taken: list[tuple[float, float]] = []
    for x, y in marks:
        near = [left for left, top in taken if abs(top - y) < APART * size]
        free = (
            size * place
            for place in places
            if all(abs(x + size * place - left) >= APART * size for left in near)
        )
        found.append(next(free, 0.0))
        taken.append((x + found[-1], y))
    return found
