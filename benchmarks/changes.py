"""Times what it costs a method to choose its hot ids anew while it trains, on a field of ten million ids.

Run it with ``python -m benchmarks.changes [methods=cafe,adaembed] [ids=10000000] [rows=10000000] [batch=2048]
[budget=0.01] [repeats=3]``. Rows are random, and half of the reads go to a hundredth of the ids. Each method trains an
epoch with its checks, and one without (``change_end=0``), in turns. It also prints the milliseconds of a change. The
exit code is 0 if the median ratio of times is at most 1.1, 1 if it is not, and 2 for a wrong argument.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from bench import backend
from bench.data.interactions import Field, Interactions, Part
from bench.errors import BenchError, RequestError
from benchmarks.timed import Pair, Timed, report, take_turns, trainer_of

WANTED = 1.1
DEFAULTS = {
    "methods": "cafe,adaembed", "ids": "10000000", "rows": "10000000", "batch": "2048", "budget": "0.01",
    "repeats": "3",
}  # fmt: skip
SMALL_FIELD = 1000
"""Ids of the other field."""

OFTEN = 100
"""One id of so many gets half of the reads."""


def uneven_rows(size: int, rows: int) -> Interactions:
    """Draws ratings of a field of ``size`` ids and a small one."""
    rng = np.random.default_rng(0)
    often = rng.random(rows) < 0.5
    drawn = np.where(often, rng.integers(0, max(1, size // OFTEN), rows), rng.integers(0, size, rows))
    ids = {"user": drawn.astype(np.int32), "item": rng.integers(0, SMALL_FIELD, rows, dtype=np.int32)}
    train = Part(ids, rng.integers(1, 6, rows).astype(np.float32))
    sizes = {"user": size, "item": SMALL_FIELD}
    fields = {name: Field(name, n, np.bincount(ids[name], minlength=n)) for name, n in sizes.items()}
    return Interactions(
        "random", fields, train, train.first(0), train.first(256), (1.0, 5.0), "item", "random"
    )


class Silent:
    """A listener that shows nothing."""

    def chunk(self, *_: Any) -> None:
        """Does nothing."""

    def epoch(self, *_: Any) -> None:
        """Does nothing."""


def epoch(data: Interactions, overrides: list[str], changes: list[float]) -> Callable[[], float]:
    """Makes a function that trains an epoch from its start, and gives milliseconds a step.

    Args:
        data: rows.
        overrides: settings.
        changes: is given the milliseconds of each change.
    """

    def measure() -> float:
        trainer = trainer_of(data, *overrides, "training.epochs=1")
        make = trainer.changes.make

        def timed(due: Any) -> None:
            began = time.perf_counter()
            make(due)
            if due:
                changes.append(1000 * (time.perf_counter() - began))

        trainer.changes.make = timed
        trainer.compile()
        history = trainer.fit(Silent())
        return 1000 * history.train_s / trainer.batches.steps

    return measure


def run(given: dict[str, str]) -> int:
    """Measures all methods, and returns the exit code."""
    data = uneven_rows(int(given["ids"]), int(given["rows"]))
    timed: list[Timed] = []
    pairs: list[Pair] = []
    changes: dict[str, list[float]] = {}
    for method in given["methods"].split(","):
        common = [
            f"strategy={method}", f"budget={given['budget']}", "embedding_dim=16",
            f"training.batch_size={given['batch']}",
        ]  # fmt: skip
        for name, more in ((method, []), (f"{method} without changes", ["change_end=0"])):
            changes[name] = []
            timed.append(Timed(name, epoch(data, [*common, *more], changes[name])))
        pairs.append(Pair(method, f"{method} without changes", WANTED, at_most=True))
    take_turns(timed, int(given["repeats"]))
    report(timed, pairs)
    print("\nMilliseconds of a change: median (least to most), and how many in an epoch")
    for name, taken in changes.items():
        if taken:
            each = len(taken) // (int(given["repeats"]) + 1)
            print(f"  {np.median(taken):9.1f}  ({min(taken):.1f} to {max(taken):.1f})  {each:3d}  {name}")
    by_name = {item.name: np.array(item.taken) for item in timed}
    ratios = [float(np.median(by_name[pair.slow] / by_name[pair.fast])) for pair in pairs]
    return int(max(ratios) > WANTED)


def main(arguments: list[str]) -> int:
    """Reads the arguments, measures, and returns the exit code; 2 for a wrong argument."""
    given = dict(DEFAULTS)
    try:
        for argument in arguments:
            name, _, value = argument.partition("=")
            if name not in DEFAULTS or not value:
                raise RequestError(
                    f"{argument}: there are {', '.join(f'{n}={v}' for n, v in DEFAULTS.items())}"
                )
            given[name] = value
        backend.start(0, None)
        return run(given)
    except BenchError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
