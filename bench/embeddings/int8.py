"""A table of 8-bit integers, trained as such by stochastic rounding.

Gupta, Agrawal, Gopalakrishnan and Narayanan, "Deep learning with limited numerical precision", 2015 (arXiv
1502.02551).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from bench.embeddings.forms.rounded import Rounded, RoundedSettings
from bench.settings import Range


@dataclass
class Int8Settings(RoundedSettings):
    """Settings of ``int8``."""

    scale: Annotated[float, Range(above=0)] = 0.005
    """Distance of neighbouring numbers; the default reaches from about -0.64 to 0.64."""


class Int8(Rounded):
    """vector(id) = scale codes[id], with codes of 8 bits; see ``Rounded`` for how it is trained."""

    Settings = Int8Settings
    bits: ClassVar[int] = 8
