"""What a mutant is: a fault of one place in the code, and the tests that have to find it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

SIX = 6
"""Mutants that one rotation tries."""


@dataclass(frozen=True)
class Mutant:
    """A change that makes the code wrong.

    Attributes:
        name: its name, in small letters with hyphens.
        file: the file that is changed, relative to the root of the project.
        old: a text that occurs once in the file.
        new: the text in its place.
        test: the file of the tests that have to fail, or one of its tests as ``FILE::TEST``.
    """

    name: str
    file: str
    old: str
    new: str
    test: str

    @property
    def room(self) -> str:
        """The package or module of ``bench`` that is changed."""
        return Path(self.file).parts[1].removesuffix(".py")

    @property
    def module(self) -> str:
        """The dotted name of the file; empty if it is no module."""
        path = Path(self.file)
        return ".".join(path.with_suffix("").parts) if path.suffix == ".py" else ""

    def changed(self, text: str) -> str:
        """Gives the file's text with the change.

        Raises:
            ValueError: the old text is not there exactly once, or the new text is the same.
        """
        count = text.count(self.old)
        if count != 1 or self.old == self.new:
            raise ValueError(f"{self.name}: {self.file} has {count} times {self.old!r}; it must have it once")
        return text.replace(self.old, self.new)


def rotated(mutants: Sequence[Mutant], rotation: int) -> list[Mutant]:
    """Gives about six of some mutants, far apart in the list. Each mutant is in one rotation of all.

    Args:
        mutants: all of them.
        rotation: a number from 0 on. Those beyond the number of rotations begin anew.
    """
    rotations = max(1, len(mutants) // SIX)
    return list(mutants[rotation % rotations :: rotations])
