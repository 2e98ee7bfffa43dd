"""The one place for parts of MLflow that are not public. Its tests name what each is for.

MLflow does not make a database whole or not at all, decodes the address of a SQLite file in part only, and stores
where artifacts lie as an absolute path, which a moved folder turns false.
"""

from __future__ import annotations

import importlib
import urllib.parse
from pathlib import Path


def import_stores() -> None:
    """Imports what MLflow would else import when it opens its first database, while other processes wait for that."""
    importlib.import_module("mlflow.store.tracking.sqlalchemy_store")


def address(database: Path, query: str = "") -> str:
    """Gives the address of a SQLite file by which MLflow opens exactly this file.

    MLflow makes the folder of a file from its address as it is written: ``%20`` for a blank would make a second one.
    In this address, of SQLite's own form, slashes are encoded too, so that MLflow sees no folder in it.

    Args:
        database: the file, absolute.
        query: further arguments of the address.
    """
    url = importlib.import_module("sqlalchemy.engine").make_url("sqlite:///a%2Fb")
    encoded = urllib.parse.quote(str(database), safe="")
    if url.database == "a/b":  # SQLAlchemy decodes it once, since 2.1; then SQLite does
        encoded = urllib.parse.quote(encoded, safe="")
    return f"sqlite:///file:{encoded}?uri=true{'&' if query else ''}{query}"


def make_database(path: Path, artifacts: Path) -> None:
    """Makes a SQLite store, whole or not at all: MLflow cannot use one whose making broke off.

    Args:
        path: the file.
        artifacts: the folder for artifacts of MLflow's own experiment ``Default``.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.new")
    for left in (new, new.with_name(f"{new.name}-journal")):
        left.unlink(missing_ok=True)
    stores = importlib.import_module("mlflow.store.tracking.sqlalchemy_store")
    stores.SqlAlchemyStore(address(new), artifacts.as_uri()).engine.dispose()
    new.replace(path)


def move_artifacts(uri: str, old: str, new: str) -> None:
    """Has everything whose artifacts lie below one folder have them below another.

    Args:
        uri: the address of a SQLite file.
        old: URI of the folder that the database names.
        new: URI of the folder where they lie now.
    """
    sql = importlib.import_module("sqlalchemy")
    models = importlib.import_module("mlflow.store.tracking.dbmodels.models")
    engine = sql.create_engine(uri, poolclass=sql.pool.NullPool)
    with engine.begin() as connection:
        for column in (models.SqlExperiment.artifact_location, models.SqlRun.artifact_uri):
            rest = sql.func.substr(column, len(old) + 1)
            below = sql.or_(column == old, column.startswith(f"{old}/", autoescape=True))
            change = sql.update(column.class_).where(below).values({column.key: sql.literal(new) + rest})
            connection.execute(change)


def made_by_newer_mlflow(version: str) -> bool:
    """Tells whether the installed MLflow does not know a version of its database's tables."""
    migrations = Path(importlib.import_module("mlflow").__path__[0], "store", "db_migrations", "versions")
    return not any(migrations.glob(f"{version}_*.py"))
