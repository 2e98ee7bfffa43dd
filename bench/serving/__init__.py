"""Serving: lookups and predictions from an exported folder, with the standard library and NumPy alone.

Example:
    >>> from bench.serving import load  # doctest: +SKIP
    >>> tables = load("shop")  # doctest: +SKIP
    >>> tables.lookup("user", ["C000123"]).shape  # doctest: +SKIP
    (1, 64)
"""

from bench.serving.errors import ServingError, UnknownId
from bench.serving.tables import Tables, load

__all__ = ["ServingError", "Tables", "UnknownId", "load"]
