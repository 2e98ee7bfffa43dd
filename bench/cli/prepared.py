"""The command ``python -m bench.prepared``: lists prepared data and compiled programs, and removes some."""

from __future__ import annotations

import argparse
import json
import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from bench import compiled
from bench.cli import keeping, shell
from bench.config.typed import nearest
from bench.data.files import PREPARED, UNFINISHED, locked, replace
from bench.errors import RequestError
from bench.measure import units

USAGE = """\
Shows what is kept in data_dir to begin runs sooner, and removes some of it. It is made again where it is needed.

usage: python -m bench.prepared list   [FILTER ...] [--older-than AGE] [data_dir=FOLDER]
       python -m bench.prepared remove FILTER ... [--older-than AGE] [--yes]

filters, all of which must hold:
  6f3a               the first letters of a name in the list
  dataset=table      prepared data of a data set; several as dataset=table,criteo
  data, programs     prepared data, or compiled programs

options:
  --older-than AGE  not used for so long: 90s, 45m, 12h, 30d, 8w
  --yes             do not ask; needed where standard input is not a terminal
  data_dir=         the folder (~/.cache/embedding-bench; the environment variable BENCH_DATA_DIR where set)

Downloaded archives stay: they are plain files in data_dir.
exit codes: 0 done; 2 the request is wrong, or nothing matches; 130 stopped. Standard error then has one line that
starts with "error:"."""

KINDS = ("data", "programs")


@dataclass(frozen=True)
class Kept:
    """A folder of prepared data, or of compiled programs.

    Attributes:
        kind: ``data`` or ``programs``.
        folder: where it lies.
        what: the data set's name, ``not finished``, or the versions that programs are for.
        nbytes: of its files.
        used: when it was last used, in seconds since 1970.
    """

    kind: str
    folder: Path
    what: str
    nbytes: int
    used: float

    @property
    def name(self) -> str:
        """The name in the list."""
        return self.folder.name.removeprefix(".").removesuffix(UNFINISHED)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command.

    Args:
        argv: the command's arguments. None for the process's own.

    Returns:
        The exit code: 0 done, 2 the request is wrong or nothing matches, 130 interrupted.
    """
    return shell.run(manage, argv, "what has been removed stays so")


def manage(arguments: Sequence[str], ask: Callable[[str], str] = input) -> int:
    """Does the action that the arguments name, and gives the exit code.

    Args:
        arguments: the command's arguments.
        ask: a function that asks a question on the terminal and gives the answer.

    Raises:
        RequestError: the request is wrong, or nothing matches.
    """
    if not arguments or {"-h", "--help"} & set(arguments):
        print(USAGE)
        return 0
    given = _parsed(arguments)
    everything = kept(given.data_dir)
    if not everything:
        raise RequestError(
            f"data_dir={given.data_dir}: nothing is prepared there; python -m bench.run does it"
        )
    found = [one for one in everything if _holds(given, one)]
    if not found:
        raise RequestError(
            f"{' '.join(arguments[1:])}: none of {len(everything)} in {given.data_dir} matches"
        )
    print("\n".join(lines(found, time.time())))
    return 0 if given.action == "list" else _remove(found, given, ask)


def kept(data_dir: Path) -> list[Kept]:
    """Gives all prepared data and compiled programs in a folder, the one used longest ago first."""
    found = []
    for meta in (data_dir / PREPARED).glob("*/meta.json"):
        with suppress(OSError):
            found.append(Kept("data", meta.parent, _name(meta), _nbytes(meta.parent), meta.stat().st_mtime))
    for folder in (data_dir / PREPARED).glob(f".*{UNFINISHED}"):
        with suppress(OSError):
            found.append(Kept("data", folder, "not finished", _nbytes(folder), folder.stat().st_mtime))
    for store in compiled.stores(data_dir):
        about = store.about()
        versions = ", ".join(f"{name} {about[name]}" for name in ("tensorflow", "keras") if name in about)
        found.append(Kept("programs", store.folder, versions, store.nbytes, store.last_used or 0.0))
    return sorted(found, key=lambda one: (one.used, one.folder))


def lines(found: Sequence[Kept], now: float) -> list[str]:
    """Gives a table of them, one line each. The last line has their number and size."""
    rows = [
        (
            one.name[:12],
            one.kind,
            units.short_size(one.nbytes),
            units.duration(now - one.used),
            one.what,
        )
        for one in found
    ]
    rows.insert(0, ("name", "kind", "size", "unused for", "of"))
    total = units.short_size(sum(one.nbytes for one in found))
    return [*units.aligned(rows, left=5), f"{units.plural(len(found), 'folder')}, {total}"]


def _name(meta: Path) -> str:
    try:
        return str(json.loads(meta.read_text("utf-8")).get("name", "?"))
    except (ValueError, AttributeError):
        return "?"


def _nbytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _parsed(arguments: Sequence[str]) -> argparse.Namespace:
    parser = keeping.parser("bench.prepared")
    given = parser.parse_intermixed_args(list(arguments))
    if given.action not in ("list", "remove"):
        raise RequestError(f"{given.action}: give list or remove{nearest(given.action, ('list', 'remove'))}")
    given.older_than, folder = keeping.age(given.older_than), None
    given.datasets, given.kinds, given.prefixes = [], [], []
    for text in given.filters:
        name, equals, value = text.partition("=")
        if name == "data_dir" and equals:
            folder = value
        elif name == "dataset" and equals:
            given.datasets += value.split(",")
        elif text in KINDS:
            given.kinds.append(text)
        elif equals:
            raise RequestError(
                f"{text}: no such filter; give dataset=NAME, data, programs or a name in the list"
            )
        else:
            given.prefixes.append(text)
    given.data_dir = keeping.folder("data_dir", folder)
    return given


def _holds(given: argparse.Namespace, one: Kept) -> bool:
    """Returns True if it passes all filters."""
    return (
        (not given.prefixes or one.name.startswith(tuple(given.prefixes)))
        and (not given.datasets or (one.kind == "data" and one.what in given.datasets))
        and (not given.kinds or one.kind in given.kinds)
        and time.time() - one.used >= given.older_than
    )


def _remove(found: Sequence[Kept], given: argparse.Namespace, ask: Callable[[str], str]) -> int:
    if not (given.prefixes or given.datasets or given.kinds or given.older_than):
        raise RequestError("remove: give a filter, such as dataset=table, programs or --older-than 30d")
    what = units.plural(len(found), "folder")
    if not keeping.agreed(what, given.yes, ask):
        return 0
    for one in found:
        if one.kind == "data":
            with locked(given.data_dir, one.name):  # what is being made is not removed half-way
                gone = one.folder.with_name(f".{one.name}.gone")
                with suppress(FileNotFoundError):  # it was finished meanwhile
                    replace(one.folder, gone)
                shutil.rmtree(gone, ignore_errors=True)
        else:
            compiled.Store(one.folder).remove()
    print(f"removed {what}")
    return 0
