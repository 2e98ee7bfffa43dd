"""Families of comparisons: the p values that are corrected together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Scope = Literal["section", "sweep", "selection"]
"""The question that the comparisons of a family answer together.

``sweep``: all comparisons of a sweep. ``selection``: all comparisons of the runs that a reader selected by filters.
``section``: those within one set of comparable groups, if nothing was selected.
"""

_WORDS = {"section": "in this section", "sweep": "of this sweep", "selection": "that the filters select"}


@dataclass(frozen=True)
class Family:
    """Comparisons with full tables whose p values are corrected together.

    Attributes:
        scope: the question that they answer together.
        size: the number of comparisons that have a p value.
    """

    scope: Scope
    size: int

    def __str__(self) -> str:
        count = "the only comparison" if self.size == 1 else f"the {self.size} comparisons"
        return f"{count} {_WORDS[self.scope]}"

    @property
    def correction(self) -> str:
        """The correction in words: ``Holm-corrected over the 5 comparisons of this sweep``."""
        return f"not corrected, as {self}" if self.size == 1 else f"Holm-corrected over {self}"
