"""The trade-off of memory against error, from the results of many runs.

``tradeoff(results)`` groups runs that differ only in the seed, and compares groups of equal data, task, split, model
and training. ``show`` prints the result.
"""

from bench.tradeoff.grouping import Tradeoff, tradeoff
from bench.tradeoff.groups import Group, Unfinished
from bench.tradeoff.sets import Comparable
from bench.tradeoff.showing import show

__all__ = ["Comparable", "Group", "Tradeoff", "Unfinished", "show", "tradeoff"]
