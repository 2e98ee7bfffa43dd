"""What the settings of every data set have, and what a source offers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from bench.data.interactions import Source
from bench.data.split import Split
from bench.settings import build

S = TypeVar("S", bound="Common")


@dataclass(frozen=True)
class Common(ABC):
    """Settings of every data set; each kind adds its own.

    Attributes:
        name: the data set's name in results.
        kind: the module of ``bench.data`` that reads it.
        vocabulary: ``all`` numbers the ids of all rows in order of appearance. ``train`` numbers those of the
            rows that train from 1 on, and id 0 stands for every other.
        split: which rows train and which evaluate.
    """

    name: str
    kind: str
    vocabulary: Literal["all", "train"]
    split: Split

    @abstractmethod
    def source(self, data_dir: Path) -> Source:
        """Where the rows come from; looks for files and downloads what is missing.

        Raises:
            RequestError: a data file that is missing or cannot be used.
            SourceError: no place that has the data could be reached.
        """


def settings_of(cls: type[S], dataset: Mapping[str, Any]) -> S:
    """An instance of ``cls`` from the settings below ``dataset``; a RequestError names the wrong one."""
    return build(cls, dataset, lambda name: f"dataset.{name}")
