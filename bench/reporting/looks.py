"""The look of a method in every chart: the colour of its family, and a shape of its own.

Colours are Okabe and Ito's (2008), which colour-blind people can tell apart. Shapes tell methods apart without any
colour. Each family has shapes of one kind.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from bench.embeddings import find, names

OTHER, SEVERAL = "other", "several families"
"""The families of a method that names none, and of a strategy whose fields have methods of different families."""


def _polygon(*points: tuple[float, float]) -> str:
    """Gives a shape as an SVG path, within a square from -1 to 1."""
    return "M" + "L".join(f"{x:.3g},{y:.3g}" for x, y in points) + "Z"


def _turned(points: Sequence[tuple[float, float]], quarters: int) -> str:
    for _ in range(quarters):
        points = [(-y, x) for x, y in points]
    return _polygon(*points)


def _slanted(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Turns a shape by an eighth."""
    return [((x - y) * math.sqrt(0.5), (x + y) * math.sqrt(0.5)) for x, y in points]


def _regular(corners: int, inner: float = 1.0) -> str:
    """Gives a regular polygon with a corner at the top; a star if ``inner``, every second radius, is below 1."""
    radii = [1.0, inner] if inner < 1 else [1.0]
    count = corners * len(radii)
    angles = [2 * math.pi * i / count - math.pi / 2 for i in range(count)]
    return _polygon(*[
        (radii[i % len(radii)] * math.cos(angle), radii[i % len(radii)] * math.sin(angle))
        for i, angle in enumerate(angles)
    ])  # fmt: skip


_TRIANGLE = [(0, -0.95), (0.95, 0.75), (-0.95, 0.75)]
_HALF_DISC = [(math.cos(a), math.sin(a) + 0.5) for a in [math.pi + math.pi * i / 12 for i in range(13)]]
_ARROW = [(0, -1), (0.9, 0.05), (0.35, 0.05), (0.35, 1), (-0.35, 1), (-0.35, 0.05), (-0.9, 0.05)]
_TRAPEZOID = [(-0.45, -0.75), (0.45, -0.75), (1, 0.75), (-1, 0.75)]
_PLUS = [
    (-0.32, -1), (0.32, -1), (0.32, -0.32), (1, -0.32), (1, 0.32), (0.32, 0.32), (0.32, 1), (-0.32, 1),
    (-0.32, 0.32), (-1, 0.32), (-1, -0.32), (-0.32, -0.32),
]  # fmt: skip
_SALTIRE = _slanted(_PLUS)
_T = [
    (-0.95, -0.9), (0.95, -0.9), (0.95, -0.3), (0.32, -0.3), (0.32, 0.95), (-0.32, 0.95), (-0.32, -0.3),
    (-0.95, -0.3),
]  # fmt: skip
_SQUARE = [(-0.8, -0.8), (0.8, -0.8), (0.8, 0.8), (-0.8, 0.8)]
_CIRCLE = "M0.9,0A0.9,0.9,0,1,1,-0.9,0A0.9,0.9,0,1,1,0.9,0Z"
_BAR = [(-1, -0.4), (1, -0.4), (1, 0.4), (-1, 0.4)]
_HOURGLASS = [(-0.85, -0.9), (0.85, -0.9), (0.2, 0), (0.85, 0.9), (-0.85, 0.9), (-0.2, 0)]
_CHEVRON = [(0, -0.8), (1, 0.1), (1, 0.85), (0, -0.05), (-1, 0.85), (-1, 0.1)]

_SPARE = (_regular(6), _regular(4, 0.4), _regular(6, 0.5), _regular(5), _regular(8), _regular(3, 0.4))


@dataclass(frozen=True)
class Family:
    """Methods of one kind.

    Attributes:
        colour: the colour of all its methods.
        shapes: one shape a method.
    """

    colour: str
    shapes: tuple[str, ...]


FAMILIES: Mapping[str, Family] = {
    "full": Family("#000000", (_regular(5, 0.45),)),
    "shared rows": Family("#0072B2", (
        _CIRCLE, _polygon(*_SQUARE), *(_turned(_TRIANGLE, quarters) for quarters in range(4)),
        _polygon((0, -1.1), (0.8, 0), (0, 1.1), (-0.8, 0)),
        *(_turned(_slanted(_TRIANGLE), quarters) for quarters in (0, 2)),
    )),
    "by popularity": Family("#E69F00", tuple(
        _turned(shape, quarters) for shape in (_TRAPEZOID, _slanted(_TRAPEZOID)) for quarters in (0, 2, 1, 3)
    )),
    "low rank, computed": Family("#009E73", (
        _polygon(*_PLUS), _polygon(*_SALTIRE), *(_turned(_T, quarters) for quarters in (0, 2, 1, 3)),
    )),
    "codes": Family("#D55E00", tuple(
        _turned(shape, quarters) for shape in (_HALF_DISC, _slanted(_HALF_DISC)) for quarters in range(4)
    )),
    "precision": Family("#CC79A7", (
        _polygon(*_BAR), _turned(_BAR, 1), _polygon(*_HOURGLASS), _turned(_HOURGLASS, 1),
        *(_turned(_CHEVRON, quarters) for quarters in (0, 2, 1, 3)),
        *(_turned(_slanted(_BAR), quarters) for quarters in (0, 1)),
    )),
    "pruning": Family("#56B4E9", tuple(
        _turned(shape, quarters) for shape in (_ARROW, _slanted(_ARROW)) for quarters in (0, 2, 1, 3)
    )),
    SEVERAL: Family("#8B5A2B", _SPARE),
    OTHER: Family("#777777", _SPARE),
}  # fmt: skip
"""Families in the order of legends. Their names are those that methods give, see ``bench.embeddings.base.Method``."""


@dataclass(frozen=True)
class Look:
    """The look of a method.

    Attributes:
        method: its name in reports: a strategy, with the fields that have another method.
        family: one of ``FAMILIES``.
        colour: the colour of its family.
        shape: an SVG path within a square from -1 to 1.
    """

    method: str
    family: str
    colour: str
    shape: str


@functools.cache
def family_of(method: str) -> str:
    """Gives the family that a method names; ``other`` for an unknown method or family."""
    family = find(method).family if method in names() else OTHER
    return family if family in FAMILIES else OTHER


def looks(methods: Mapping[str, Iterable[str]]) -> dict[str, Look]:
    """Gives the look of each method of a report, by name, in the order of legends.

    A method of this version has the same look in every report.

    Args:
        methods: the methods of the fields, by the name of the method in the report.
    """
    known: dict[str, list[str]] = {name: [] for name in FAMILIES}
    for method in names():
        known[family_of(method)].append(method)
    families = {name: _family(own) for name, own in methods.items()}
    for name, family in sorted(families.items()):
        if name not in known[family]:
            known[family].append(name)
    return {
        name: Look(name, family, look.colour, look.shapes[own.index(name) % len(look.shapes)])
        for family, look in FAMILIES.items()
        for own in [known[family]]
        for name in sorted(families)
        if families[name] == family
    }


def _family(methods: Iterable[str]) -> str:
    found = {family_of(method) for method in methods}
    found = found - {"full"} or found
    return found.pop() if len(found) == 1 else SEVERAL
