"""The margin of a comparison with full tables: what a method may lose."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Self

from bench.errors import RequestError


@dataclass(frozen=True)
class Margin:
    """What a method may lose against full tables.

    Attributes:
        amount: a share of the metric of full tables, or a difference in the metric's unit.
        is_share: True for a share.
    """

    amount: float
    is_share: bool

    @classmethod
    def read(cls, name: str, given: object) -> Self:
        """Reads ``1%``, a share, or ``0.001``, a difference.

        Args:
            name: the setting's name, for the message.
            given: its value.

        Raises:
            RequestError: it is neither.
        """
        found = re.fullmatch(r"\s*(\d+(?:\.\d*)?|\.\d+)(e-?\d+)?\s*(%?)\s*", str(given), re.IGNORECASE)
        amount = float(found[1] + (found[2] or "")) if found else math.nan
        if found is None or not 0 < amount < math.inf:
            raise RequestError(
                f"{name}={given}: give what may be lost against full tables: a share of their metric as 1%, or a "
                "difference in the metric's unit as 0.001"
            )
        return cls(amount / 100 if found[3] else amount, bool(found[3]))

    def of(self, full: float) -> float:
        """Gives the difference that is allowed where full tables have the metric ``full``."""
        return self.amount * abs(full) if self.is_share else self.amount

    def __str__(self) -> str:
        return f"{self.amount * 100:.12g} %" if self.is_share else f"{self.amount:.12g}"
