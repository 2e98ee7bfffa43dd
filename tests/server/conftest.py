"""An export, and a server over it that the tests of requests share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import exports_made as made
import pytest
from server_started import Served, serving

from bench.embeddings import find
from bench.embeddings.base import Vocabulary
from bench.serving import Tables, load
from bench.serving.manifest import Dense

USERS = (40, -3, 7, 2**62)
ITEMS = ("b", "a", "é", "100000000000000000000", "1e5")


def export(folder: Path) -> Path:
    """An export: users by integers, with a row for unknown ones; items by text; a numeric column."""
    methods = {
        "user": find("full")(Vocabulary("user", len(USERS) + 1), 8),
        "item": find("full")(Vocabulary("item", len(ITEMS)), 8),
    }
    ids = {"user": made.integers(USERS, 1), "item": made.texts(list(ITEMS))}
    made.write(folder, methods, ids, ("neumf", {"hidden_units": [5]}), (Dense("price", keeps_missing=True),))
    return folder


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export(tmp_path_factory.mktemp("exports") / "shop")


@pytest.fixture(scope="session")
def tables(folder: Path) -> Tables:
    return load(folder)


@pytest.fixture(scope="session")
def served(folder: Path) -> Iterator[Served]:
    with serving(folder, "max_ids=100", "max_bytes=20KB") as running:
        running.ready()
        yield running
