"""Data sets: ``load`` turns the settings of one into ``Interactions``.

A kind of data set is a dataclass in ``bench.data.settings`` and a module of the kind's name, whose
``source(settings, data_dir)`` says where rows come from. Splitting, numbering and caching are the same for all.
NumPy is imported with the first data set, pyarrow only to read or number rows.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from bench.config.schema import DatasetSettings
from bench.config.typed import Tree
from bench.data.base import DataSettings
from bench.data.settings import read

if TYPE_CHECKING:
    from bench.data.interactions import Field, Interactions, Part, Rows, Source

__all__ = ["DataSettings", "Field", "Interactions", "Part", "Rows", "Source", "load", "read"]


def load(dataset: DatasetSettings | Tree, data_dir: Path) -> Interactions:
    """The data set, from its prepared copy in ``data_dir`` where there is one.

    Args:
        dataset: its settings, or the values below ``dataset`` that ``read`` makes them of.
        data_dir: folder of archives and prepared copies; made where it does not exist.

    Returns:
        Splits with memory-mapped, read-only arrays.

    Raises:
        RequestError: a wrong setting or data file, a broken archive, a folder that cannot be written.
        SourceError: a data set that no source could be reached for.
    """
    from bench.data.prepare import prepared

    settings = read(dataset) if isinstance(dataset, Mapping) else cast(DataSettings, dataset)
    folder = data_dir.expanduser().absolute()
    source: Source = importlib.import_module(f"bench.data.{settings.kind}").source(settings, folder)
    return prepared(settings, source, folder)


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module("bench.data.interactions"), name)
