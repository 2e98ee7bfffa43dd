"""Data sets: ``load`` turns the settings of one into ``Interactions``.

A kind of data set is a module with ``settings(dataset)``, whose ``source(data_dir)`` says where rows come
from; splitting, numbering and caching are the same for all. pyarrow is imported only to read or number rows.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.data.interactions import Field, Interactions, Part, Rows, Source
from bench.data.prepare import prepared
from bench.errors import RequestError
from bench.settings import nearest, shown

KINDS = ("synthetic", "movielens", "table")
"""Modules of this package that are sources."""

__all__ = ["KINDS", "Field", "Interactions", "Part", "Rows", "Source", "load"]


def load(dataset: Mapping[str, Any], data_dir: Path) -> Interactions:
    """The data set, from its prepared copy in ``data_dir`` where there is one.

    Args:
        dataset: the resolved settings below ``dataset``.
        data_dir: folder of archives and prepared copies; made where it does not exist.

    Returns:
        Splits with memory-mapped, read-only arrays.

    Raises:
        RequestError: a wrong setting or data file, a broken archive, a folder that cannot be written.
        SourceError: a data set that no source could be reached for.
    """
    kind = dataset.get("kind")
    if kind not in KINDS:
        hint = nearest(kind, KINDS) if isinstance(kind, str) else ""
        raise RequestError(f"dataset.kind={shown(kind)}: choose one of {', '.join(KINDS)}{hint}")
    settings = importlib.import_module(f"bench.data.{kind}").settings(dataset)
    return prepared(settings, data_dir.expanduser().absolute())
