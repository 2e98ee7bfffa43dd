"""The store of records on disk: one folder for each finished run, named by the run's fingerprint.

Resuming, post-training methods, sweeps and reports read the records. MLflow holds a copy. The layout of a
``results_dir``::

    FINGERPRINT/record.json          format version, time, and the SHA-256 of each other file
    FINGERPRINT/result.json          the result
    FINGERPRINT/model.txt            Keras's summary of the model
    FINGERPRINT/weights.safetensors  the weights, if ``save_weights=true``
    failed/FINGERPRINT/              the same for a run that failed
    sweeps/KEY.json                  settings and members of a sweep
    removed                          fingerprints of removed records, one a line

A record is made under a temporary name and then renamed, so that it is there whole or not at all. To remove a record,
its folder is renamed first. Locks hold on one machine only. Two machines that share a folder may train the same run,
with equal numbers. The later machine then finds the record of the earlier one.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import secrets
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from bench.errors import BenchError, RequestError
from bench.measure import machine
from bench.records import files, result
from bench.records.result import Result, Status

log = logging.getLogger(__name__)

FORMAT_VERSION = 1
"""The version of the records' format. A record of a newer format is refused."""

RECORD, WEIGHTS, MODEL_SUMMARY = "record.json", "weights.safetensors", "model.txt"
FAILED, SWEEPS, REMOVED, CHECKPOINTS = "failed", "sweeps", "removed", "checkpoints"

STALE_SECONDS = 86400.0
"""The age, in seconds, at which an unfinished record is removed. A process that was killed has left it."""


class RecordError(BenchError):
    """The error for a record that cannot be written, or whose content is damaged."""


@dataclass(frozen=True)
class Stored:
    """A folder of the store.

    Attributes:
        folder: the record's folder.
        result: the run's result.
        created: the time at which the run was recorded, in seconds since 1970.
        sums: SHA-256 of the record's files by name.
    """

    folder: Path
    created: float

    @property
    def fingerprint(self) -> str:
        """Names the record."""
        return self.folder.name

    @property
    def nbytes(self) -> int:
        """The size of the record's files, in bytes."""
        return sum(path.stat().st_size for path in self.folder.iterdir() if path.is_file())


@dataclass(frozen=True)
class Record(Stored):
    """A run's record.

    Attributes:
        result: of the run.
        sums: SHA-256 of its files by name.
    """

    result: Result
    sums: Mapping[str, str]

    def weights(self) -> Path:
        """Gives the path of the weights.

        Raises:
            RecordError: the record has none, or damaged ones.
        """
        path = self.file(WEIGHTS)
        if path is None:
            raise RecordError(f"{self.folder}: no weights that can be read")
        return path

    def file(self, name: str) -> Path | None:
        """Gives the path of one of the record's files, such as ``weights.safetensors``, after a check of its SHA-256.

        Gives None if the record has no such file, or if the file is damaged. A damaged file also causes a warning.
        """
        if name not in self.sums:
            return None
        path = self.folder / name
        with contextlib.suppress(OSError):
            if files.sha256(path) == self.sums[name]:
                return path
        log.warning("%s: damaged or missing, it does not have the sum that its record holds", path)
        return None


class Store:
    """The records in a folder. The folder is made when the first record is added.

    Args:
        folder: the setting ``results_dir``.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def checkpoints(self) -> Path:
        """The folder of the states of runs that have not ended, a folder for each fingerprint."""
        return self.folder / CHECKPOINTS

    def find(self, fingerprint: str) -> Record | None:
        """Gives the record of a finished run, or None if it is missing or damaged.

        Raises:
            RequestError: the record is of a newer format.
        """
        try:
            return _read(self.folder / fingerprint)
        except FileNotFoundError:
            return None
        except RecordError as error:
            log.warning("%s; the run is trained again", error)
            return None

    def all(self) -> Iterator[Record | Unreadable]:
        """Gives all records of finished runs, the oldest first. ``Unreadable`` stands for one that cannot be read."""
        yield from self._records(self.folder)

    def failed(self) -> Iterator[Record | Unreadable]:
        """Gives the records of failed runs, the oldest first."""
        yield from self._records(self.folder / FAILED)

    def add(self, found: Result, paths: Sequence[Path] = ()) -> Record:
        """Records a finished run, whole or not at all.

        Args:
            found: the run's result, with its fingerprint.
            paths: files to keep beside the result. Their own folder is left as it is.

        Returns:
            The new record, or the earlier record of an equal run if there is one.

        Raises:
            RecordError: the folder cannot be written to, or the disk is full.
            RequestError: the earlier record is of a newer format.
        """
        assert found.fingerprint is not None
        target = self.folder / found.fingerprint
        earlier = self.find(found.fingerprint)
        if earlier is None:
            with self._said_in_a_line(target):
                if target.exists():  # damaged
                    self._take_away(target)
                earlier = self._place(found, target, paths)
        with self._said_in_a_line(self.folder / REMOVED):
            self._forget_removal(found.fingerprint)
            self._take_away(self.folder / FAILED / found.fingerprint)
            self._forget_checkpoint(found.fingerprint)
        return earlier

    def add_failed(self, found: Result) -> None:
        """Records a failed run in place of its earlier failure. In a read-only folder it does nothing."""
        known = found.fingerprint or hashlib.sha256(found.to_json().encode()).hexdigest()
        target = self.folder / FAILED / known
        with contextlib.suppress(OSError):
            self._take_away(target)
            self._forget_checkpoint(known)
            self._place(found, target, ())

    def add_weights(self, record: Record, weights: Path) -> None:
        """Adds weights to a record that has none.

        Raises:
            RecordError: the weights cannot be written.
        """
        with self._said_in_a_line(record.folder / WEIGHTS):
            files.link_or_copy(weights, record.folder / WEIGHTS)
            sums = {**record.sums, WEIGHTS: files.sha256(weights)}
            _write_head(record.folder, record.created, sums)

    def remove(self, record: Record | Unreadable) -> None:
        """Removes the record of a finished or a failed run. Neither a server nor ``bench.track`` restores it.

        Raises:
            RecordError: the folder cannot be written to.
        """
        with self._said_in_a_line(record.folder):
            if record.folder.parent == self.folder:
                with self._alone():
                    known = self.removed() | {record.folder.name}
                    files.write_whole(self.folder / REMOVED, "".join(f"{name}\n" for name in sorted(known)))
            self._take_away(record.folder)

    def remove_weights(self, record: Record) -> None:
        """Removes a record's weights and keeps its numbers.

        Raises:
            RecordError: the folder cannot be written to.
        """
        with self._said_in_a_line(record.folder):
            sums = {name: known for name, known in record.sums.items() if name != WEIGHTS}
            _write_head(record.folder, record.created, sums)
            (record.folder / WEIGHTS).unlink(missing_ok=True)

    def removed(self) -> set[str]:
        """Gives the fingerprints of removed records."""
        try:
            return set((self.folder / REMOVED).read_text(encoding="utf-8").split())
        except FileNotFoundError:
            return set()

    @contextlib.contextmanager
    def claim(self, fingerprint: str) -> Iterator[None]:
        """Lets only one process of this machine at a time train a run. A process that has to wait logs it."""
        lock = machine.lock("runs", str(self.folder.absolute()), fingerprint)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            log.warning("an equal run is being trained by another process: waiting for its result")
            lock.acquire()
        try:
            yield
        finally:
            lock.release()

    def write_sweep(self, key: str, described: object) -> None:
        """Writes the record of a sweep in place of the earlier one.

        Raises:
            RecordError: the folder cannot be written to.
        """
        path = self.folder / SWEEPS / f"{key}.json"
        with self._said_in_a_line(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            files.write_whole(path, json.dumps(described, indent=2, ensure_ascii=False) + "\n")

    def withdraw_sweep(self, key: str) -> None:
        """Removes what is known of a sweep, and folders that are empty then."""
        path = self.folder / SWEEPS / f"{key}.json"
        path.unlink(missing_ok=True)
        if path.parent.exists():
            files.remove_empty(path.parent, Path.cwd())

    def _place(self, found: Result, target: Path, paths: Iterable[Path]) -> Record:
        """Makes a record under a temporary name and renames it. Gives the record that lies at ``target`` then."""
        target.parent.mkdir(parents=True, exist_ok=True)
        self._sweep_up(target.parent)
        made = target.with_name(f".new-{target.name[:16]}-{os.getpid()}-{secrets.token_hex(4)}")
        created = time.time()
        try:
            made.mkdir()
            (made / result.FILE).write_text(found.to_json(), encoding="utf-8")
            for path in paths:
                files.link_or_copy(path, made / path.name)
            sums = {path.name: files.sha256(path) for path in sorted(made.iterdir())}
            _write_head(made, created, sums)
            try:
                made.rename(target)
            except OSError:
                if not target.is_dir():
                    raise
                return _read(target)  # another machine was faster
        finally:
            shutil.rmtree(made, ignore_errors=True)
        return Record(target, created, found, sums)

    def _take_away(self, folder: Path) -> None:
        gone = folder.with_name(f".removed-{folder.name[:16]}-{os.getpid()}-{secrets.token_hex(4)}")
        with contextlib.suppress(FileNotFoundError):
            folder.rename(gone)
            shutil.rmtree(gone, ignore_errors=True)

    def _forget_checkpoint(self, fingerprint: str) -> None:
        """Removes the state of a run that has ended."""
        self._take_away(self.checkpoints / fingerprint)
        with contextlib.suppress(OSError):  # other runs go on, or there is none
            self.checkpoints.rmdir()

    def _forget_removal(self, fingerprint: str) -> None:
        if fingerprint in self.removed():
            with self._alone():
                left = self.removed() - {fingerprint}
                files.write_whole(self.folder / REMOVED, "".join(f"{name}\n" for name in sorted(left)))

    def _alone(self) -> FileLock:
        return machine.lock("removals", str(self.folder.absolute()))

    def _sweep_up(self, folder: Path) -> None:
        """Removes the unfinished records that killed processes have left."""
        for left in folder.glob(".*-*-*"):
            with contextlib.suppress(OSError):
                if time.time() - left.stat().st_mtime > STALE_SECONDS:
                    shutil.rmtree(left, ignore_errors=True)

    def _records(self, folder: Path) -> Iterator[Record | Unreadable]:
        found: list[Record | Unreadable] = []
        reserved = (FAILED, SWEEPS, CHECKPOINTS)
        places = sorted(folder.iterdir()) if folder.is_dir() else []
        for place in places:
            if place.name.startswith(".") or place.name in reserved or not place.is_dir():
                continue
            try:
                found.append(_read(place))
            except FileNotFoundError:
                continue  # removed since, or not a record
            except BenchError as error:
                found.append(Unreadable(place, place.stat().st_mtime, str(error)))
        yield from sorted(found, key=lambda one: (one.created, one.folder.name))

    @contextlib.contextmanager
    def _said_in_a_line(self, path: Path) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise RecordError(
                f"results_dir={self.folder}: {path} cannot be written ({error.strerror or error}); free some space, "
                "or give another folder"
            ) from error


@dataclass(frozen=True)
class Unreadable(Stored):
    """A record that cannot be read.

    Attributes:
        folder: the record's folder.
        reason: one line that says why it cannot be read.
        created: the time of the folder's last change, in seconds since 1970.
    """

    reason: str


def check_version(path: Path, version: object) -> None:
    """Refuses a record that a newer version of the project has written.

    Raises:
        RequestError: the record is of a newer format.
    """
    if not isinstance(version, int) or version > FORMAT_VERSION:
        raise RequestError(
            f"{path}: a record of format version {version}; this version of embedding-bench reads up to "
            f"{FORMAT_VERSION}: update it, or give another results_dir"
        )


def _write_head(folder: Path, created: float, sums: Mapping[str, str]) -> None:
    head = {"format_version": FORMAT_VERSION, "created": created, "sha256": dict(sums)}
    files.write_whole(folder / RECORD, json.dumps(head, indent=2) + "\n")


def _read(folder: Path) -> Record:
    """Reads a record.

    Raises:
        FileNotFoundError: the folder, or its record.json, is missing.
        RecordError: the record is damaged.
        RequestError: the record is of a newer format.
    """
    text = (folder / RECORD).read_bytes()
    try:
        head = json.loads(text)
        version, created, sums = head["format_version"], float(head["created"]), dict(head["sha256"])
    except (ValueError, KeyError, TypeError, RecursionError):
        raise RecordError(f"{folder / RECORD}: damaged") from None
    check_version(folder, version)
    path = folder / result.FILE
    try:
        content = path.read_bytes()
        if hashlib.sha256(content).hexdigest() != sums.get(result.FILE):
            raise RecordError(f"{path}: damaged, it does not have the sum that its record holds")
        found = Result.from_json(content.decode(), path)
    except (OSError, ValueError, RequestError) as error:
        raise RecordError(f"{path}: damaged ({error})") from None
    if found.status not in (Status.FINISHED, Status.FAILED):
        raise RecordError(f"{path}: damaged, its status is {found.status}")
    return Record(folder, created, found, sums)
