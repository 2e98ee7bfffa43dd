"""A table of 16-bit integers, trained as such by stochastic rounding.

Gupta, Agrawal, Gopalakrishnan and Narayanan, "Deep learning with limited numerical precision", 2015 (arXiv
1502.02551).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from bench.embeddings.forms.rounded import Rounded, RoundedSettings
from bench.settings import Range


@dataclass
class Int16Settings(RoundedSettings):
    """Settings of ``int16``."""

    scale: Annotated[float, Range(above=0)] = 0.0001
    """Distance of neighbouring numbers; the default reaches from about -3.27 to 3.27."""


class Int16(Rounded):
    """vector(id) = scale codes[id], with codes of 16 bits; see ``Rounded`` for how it is trained."""

    Settings = Int16Settings
    bits: ClassVar[int] = 16
