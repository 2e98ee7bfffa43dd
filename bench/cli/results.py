"""The command ``python -m bench.results``: lists records, shows one of them, and removes some."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench.cli import keeping, shell
from bench.config.typed import nearest, shown
from bench.errors import BenchError, RequestError
from bench.measure import units
from bench.records import popularity
from bench.records.result import KEYS, METRICS, Result
from bench.records.showing import show
from bench.records.store import WEIGHTS, Record, Store, Unreadable
from bench.tasks import find as find_task

if TYPE_CHECKING:
    from bench.tracking import Target

USAGE = """\
Shows the records of finished and failed runs, and forgets some of them.

usage: python -m bench.results list   [FILTER ...] [--older-than AGE] [results_dir=FOLDER]
       python -m bench.results show   FILTER ...
       python -m bench.results remove FILTER ... [--older-than AGE] [--weights-only] [--yes]

filters, all of which must hold:
  6f3a            the first letters of a fingerprint
  strategy=qr     a key of a result: status, dataset, strategy, seed, task; several values as strategy=qr,md
  training.epochs=1, budget=0.1, experiment=NAME    a setting, by its dotted name; model=neumf

options:
  --older-than AGE  recorded longer ago than that: 90s, 45m, 12h, 30d, 8w
  --weights-only    remove the weights of records and keep their numbers
  --yes             do not ask; needed where standard input is not a terminal
  results_dir=      folder of the records (outputs/results; the environment variable BENCH_RESULTS_DIR where set)
  tracking.uri=     where MLflow's copies are deleted, in place of where each run was logged

remove deletes the runs in MLflow too, where MLflow is reached. A removed record comes back by running it again only.
exit codes: 0 done; 1 something cannot be removed; 2 the request is wrong, or nothing matches; 130 stopped.
Standard error then has one line that starts with "error:"."""

Found = Record | Unreadable


@dataclass(frozen=True)
class Wanted:
    """The action of a command, and the filters of its records.

    Attributes:
        action: ``list``, ``show`` or ``remove``.
        prefixes: first letters of fingerprints. Empty for any.
        values: the texts that a key of results or a setting may have, by name.
        older_than: the smallest age of a record, in seconds. 0 for any.
        weights_only: True if only weights are removed.
        yes: True if the command asks nothing.
        results_dir: folder of the records.
        tracking_uri: the address of the MLflow whose copies are deleted. None for the one that each run was logged to.
    """

    action: str
    prefixes: tuple[str, ...]
    values: dict[str, tuple[str, ...]]
    older_than: float
    weights_only: bool
    yes: bool
    results_dir: Path
    tracking_uri: str | None

    @property
    def filtered(self) -> bool:
        """True if a filter is given."""
        return bool(self.prefixes or self.values or self.older_than)

    def holds(self, stored: Found, now: float) -> bool:
        """Returns True if a record passes all filters."""
        if self.prefixes and not stored.fingerprint.startswith(self.prefixes):
            return False
        if self.older_than and now - stored.created < self.older_than:
            return False
        if isinstance(stored, Unreadable):
            return not self.values
        return all(_text(stored.result, name) in wanted for name, wanted in self.values.items())


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command.

    Args:
        argv: the command's arguments. None for the process's own.

    Returns:
        The exit code: 0 done, 1 something cannot be removed, 2 the request is wrong or nothing matches, 130
        interrupted.
    """
    return shell.run(manage, argv, "what has been removed stays so")


def manage(arguments: Sequence[str], ask: Callable[[str], str] = input) -> int:
    """Does the action that the arguments name, and gives the exit code.

    Args:
        arguments: the command's arguments.
        ask: a function that asks a question on the terminal and gives the answer.

    Raises:
        BenchError: the command fails. The message is one line.
    """
    if not arguments or {"-h", "--help"} & set(arguments):
        print(USAGE)
        return 0
    wanted = parse(arguments)
    store, now = Store(wanted.results_dir), time.time()
    everything = [*store.all(), *store.failed()]
    found = [stored for stored in everything if wanted.holds(stored, now)]
    if not found:
        where = f"results_dir={wanted.results_dir}"
        if not everything:
            raise RequestError(f"{where}: no records there; python -m bench.run makes one")
        _explain_filters(wanted, everything)
        raise RequestError(
            f"{' '.join(arguments[1:])}: none of the {_records(len(everything))} in {where} matches"
        )
    if wanted.action == "list":
        print("\n".join(lines(found, now)))
        return 0
    if wanted.action == "show":
        return _show(found, now)
    return _remove(store, found, wanted, ask)


def parse(arguments: Sequence[str]) -> Wanted:
    """Reads the arguments.

    Raises:
        RequestError: an action, option or setting is unknown, or an age cannot be read.
    """
    parser = keeping.parser("bench.results")
    parser.add_argument("--weights-only", action="store_true")
    given = parser.parse_intermixed_args(list(arguments))
    actions = ("list", "show", "remove")
    if given.action not in actions:
        raise RequestError(
            f"{given.action}: give one of {', '.join(actions)}{nearest(given.action, actions)}"
        )
    if given.weights_only and given.action != "remove":
        raise RequestError(f"--weights-only: goes with remove only, not with {given.action}")
    prefixes: list[str] = []
    values: dict[str, tuple[str, ...]] = {}
    for text in given.filters:
        name, equals, value = text.partition("=")
        if equals:
            values[name] = tuple(value.split(","))
        elif re.fullmatch(r"[0-9a-f]+", text):
            prefixes.append(text)
        else:
            raise RequestError(
                f"{text}: give NAME=VALUE, or the first letters of a fingerprint (0 to 9, a to f)"
            )
    folder = values.pop("results_dir", None)
    uri = values.pop("tracking.uri", None)
    return Wanted(
        given.action, tuple(prefixes), values, keeping.age(given.older_than), given.weights_only, given.yes,
        keeping.folder("results_dir", ",".join(folder) if folder else None), ",".join(uri) if uri else None,
    )  # fmt: skip


def _text(result: Result, name: str) -> str:
    if name in KEYS and name != "settings":
        return shown(getattr(result, name))
    value = result.setting("tracking.experiment" if name == "experiment" else name)
    return shown(value.get("name", value) if isinstance(value, Mapping) else value)  # model=neumf


def _explain_filters(wanted: Wanted, everything: Iterable[Found]) -> None:
    """Refuses a filter whose name or value no record has. The message lists the names or values that exist."""
    results = [stored.result for stored in everything if isinstance(stored, Record)]
    for name, asked in wanted.values.items():
        known = there(name, asked, results)
        if not set(asked) & set(known):
            listed = ", ".join(known[:20]) + (", ..." if len(known) > 20 else "")
            raise RequestError(f"{name}={','.join(asked)}: no such record; there are: {listed}")


def there(name: str, asked: Sequence[str], results: Iterable[Result]) -> list[str]:
    """Gives the values that results have of a filter's name, as texts.

    Args:
        name: a key of results, or the dotted name of a setting.
        asked: the filter's values, for the message.
        results: the results.

    Raises:
        RequestError: no result has a value of that name.
    """
    found = sorted({_text(result, name) for result in results} - {"null"})
    if not found:
        known = [key for key in KEYS if key not in METRICS]
        raise RequestError(
            f"{name}={','.join(asked)}: no record has a value of that name{nearest(name, known)}; give a key of "
            f"results ({', '.join(known)}) or a setting such as training.epochs"
        )
    return found


def lines(found: Sequence[Found], now: float) -> list[str]:
    """Gives a table of records, one line each, the oldest first. The last line has their number and size."""
    rows = [
        ("record", "age", "status", "experiment", "data set", "run", "seed", "memory", "error", "on disk")
    ]
    for stored in found:
        size = units.short_size(stored.nbytes)
        age = units.duration(max(now - stored.created, 0.1))
        if isinstance(stored, Unreadable):
            rows.append(
                (stored.fingerprint[:12], age, "unreadable", "-", "-", stored.reason, "-", "-", "-", size)
            )
            continue
        result = stored.result
        memory = "-" if result.embedding_bytes is None else units.short_size(result.embedding_bytes)
        rows.append(
            (
                stored.fingerprint[:12],
                age,
                str(result.status),
                shown(result.setting("tracking.experiment")),
                str(result.dataset or result.setting("dataset.name") or "-"),
                _named(result),
                str(result.seed),
                memory,
                _headline(result),
                size,
            )
        )
    total = units.short_size(sum(stored.nbytes for stored in found))
    return [*units.aligned(rows, left=6), f"{_records(len(found))}, {total}"]


def _named(result: Result) -> str:
    model, budget = result.setting("model.name"), result.setting("budget")
    return f"{result.strategy}{'' if budget is None else f' budget={budget}'}, model {model}"


def _headline(result: Result) -> str:
    if result.task is None:
        return result.error or "-"
    headline = find_task(result.task).headline
    value = result.metric(headline)
    return (
        result.error or "-"
        if value is None
        else f"{value:.4f} {METRICS[headline].title.removeprefix('val ')}"
    )


def _records(count: int) -> str:
    return units.plural(count, "record")


def _show(found: Sequence[Found], now: float) -> int:
    if len(found) > 1:
        listed = "\n".join(lines(found, now))
        raise RequestError(
            f"show: {_records(len(found))} match; give more letters of a fingerprint:\n{listed}"
        )
    stored = found[0]
    if isinstance(stored, Unreadable):
        raise BenchError(stored.reason)
    show(stored.result, stored.folder)
    print(
        f"recorded  {time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(stored.created))}, {stored.fingerprint}"
    )
    for name in sorted(stored.sums):
        print(f"file      {name}, {units.short_size((stored.folder / name).stat().st_size)}")
    for line in popularity.details(stored.result):
        print(line)
    return 0


def _remove(store: Store, found: Sequence[Found], wanted: Wanted, ask: Callable[[str], str]) -> int:
    if not wanted.filtered:
        raise RequestError(
            "remove: give a filter, such as a fingerprint's first letters, strategy=qr or --older-than 30d"
        )
    if wanted.weights_only:
        found = [stored for stored in found if isinstance(stored, Record) and WEIGHTS in stored.sums]
        if not found:
            raise RequestError("--weights-only: none of these records holds weights")
    print("\n".join(lines(found, time.time())))
    what = f"the weights of {_records(len(found))}" if wanted.weights_only else _records(len(found))
    if not keeping.agreed(what, wanted.yes, ask):
        return 0
    elsewhere = _other_names(store.folder, found)
    if wanted.weights_only:
        _in_mlflow(found, wanted.tracking_uri, _delete_weights)
        for stored in found:
            if isinstance(stored, Record):
                store.remove_weights(stored)
    else:
        in_mlflow = _in_mlflow(found, wanted.tracking_uri, _delete)
        for stored in found:
            store.remove(stored)
        what += f", {in_mlflow} run{'' if in_mlflow == 1 else 's'} in MLflow"
    print(f"removed {what}")
    if elsewhere:
        print(
            f"{units.short_size(sum(path.stat().st_size for path in elsewhere))} of weights stay in output folders; "
            f"remove them too for the space: {', '.join(map(str, elsewhere[:3]))}{', ...' * (len(elsewhere) > 3)}"
        )
    return 0


def _other_names(results_dir: Path, found: Sequence[Found]) -> list[Path]:
    """Gives one name of each of these records' weights that also lies in an output folder beside ``results_dir``."""
    stats = [(stored.folder / WEIGHTS).stat() for stored in found if (stored.folder / WEIGHTS).exists()]
    wanted = {(stat.st_dev, stat.st_ino) for stat in stats if stat.st_nlink > 1}
    names: dict[tuple[int, int], Path] = {}
    for path in sorted(results_dir.parent.glob(f"20*/**/{WEIGHTS}")) if wanted else ():
        stat = path.stat()
        if (stat.st_dev, stat.st_ino) in wanted:
            names.setdefault((stat.st_dev, stat.st_ino), path)
    return list(names.values())


def _delete(target: Target, fingerprints: Collection[str]) -> int:
    from bench import tracking

    return tracking.delete(target, fingerprints)


def _delete_weights(target: Target, fingerprints: Collection[str]) -> int:
    from bench import tracking

    tracking.delete_weights(target, fingerprints)
    return len(fingerprints)


def _in_mlflow(
    found: Sequence[Found], uri: str | None, delete: Callable[[Target, Collection[str]], int]
) -> int:
    """Deletes MLflow's copies and gives their number. Prints a line for each MLflow that cannot be reached."""
    from bench import tracking

    places: dict[tuple[str, str], set[str]] = {}
    for stored in found:
        if isinstance(stored, Record) and stored.result.run_id:
            own = (
                uri or str(stored.result.setting("tracking.uri")),
                str(stored.result.setting("tracking.experiment")),
            )
            places.setdefault(own, set()).add(stored.fingerprint)
    count = 0
    for (place, experiment), fingerprints in places.items():
        try:
            target = tracking.check(place, experiment)
            if target.database is not None and not target.database.exists():
                continue
            count += delete(target, sorted(fingerprints))
        except BenchError as error:
            print(f"MLflow's copies stay: {error}", file=sys.stderr)
    return count
