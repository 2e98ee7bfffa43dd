"""The trade-off of memory against error, from the results of many runs.

``tradeoff(results)`` groups runs that differ only in the seed and compares groups of equal data set, split, model
and training; ``show`` prints that.
"""

from bench.tradeoff.grouping import Comparable, Group, Tradeoff, Unfinished, tradeoff
from bench.tradeoff.showing import show

__all__ = ["Comparable", "Group", "Tradeoff", "Unfinished", "show", "tradeoff"]
