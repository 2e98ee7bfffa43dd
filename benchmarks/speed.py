"""Compares a training step of the harness with the published recipe and with PyTorch's plain loop, on this machine.

Run it with ``make speed`` or ``python -m benchmarks.speed [dataset=movielens_1m] [repeats=5]
[parts=recipe,torch,large,time]``. All programs take turns within each repeat, so that a ratio compares times of the
same minutes.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bench import backend, data
from bench.config import compose
from bench.data.interactions import Field, Interactions, Part
from bench.errors import BenchError, RequestError
from benchmarks.timed import Pair, Timed, epochs, report, take_turns, trainer_of
from benchmarks.torch_loop import is_there

if TYPE_CHECKING:
    from benchmarks.recipe import Recipe

PARTS = ("recipe", "torch", "large", "time")
LARGE_ROWS = (4_000_000, 2_000_000)
DENSE_ROWS = (400_000, 200_000)
LARGE = f"full, {LARGE_ROWS[0]:,} + {LARGE_ROWS[1]:,} rows: deferred"
EXPERIMENTS = {"full": "strategy=full", "QR + MD": "strategy=qr_md"}
PAIRS = (
    Pair("full: recipe", "full: deferred", 30),
    Pair("full: recipe", "full: dense", 10),
    Pair("full: dense", "full: deferred", 2.5),
    Pair("QR + MD: recipe", "QR + MD: deferred", 10),
    Pair("QR + MD: recipe", "QR + MD: dense", 7),
    Pair("full: PyTorch", "full: deferred", 8),
    Pair(LARGE, "full: deferred", 2, at_most=True),
    Pair(f"full, {DENSE_ROWS[0]:,} + {DENSE_ROWS[1]:,} rows: dense", LARGE),
)


def random_rows(users: int, items: int, rows: int = 400_000) -> Interactions:
    """Draws ratings with uniformly distributed ids, the worst case for caches."""
    rng = np.random.default_rng(0)
    ids = {
        "user": rng.integers(0, users, rows, dtype=np.int32),
        "item": rng.integers(0, items, rows, dtype=np.int32),
    }
    train = Part(ids, rng.integers(1, 6, rows).astype(np.float32))
    sizes = {"user": users, "item": items}
    fields = {name: Field(name, size, np.bincount(ids[name], minlength=size)) for name, size in sizes.items()}
    return Interactions(
        "random", fields, train, train.first(0), train.first(256), (1.0, 5.0), "item", "random"
    )


def recipe(interactions: Interactions, timed: list[Timed]) -> None:
    """Adds the published recipe and the harness, for both experiments."""
    from benchmarks.recipe import Ratings, build

    parts = (interactions.train, interactions.evaluation)
    users, items = (np.concatenate([part.ids[name] for part in parts]) for name in ("user", "item"))
    ratings = Ratings(
        users,
        items,
        np.concatenate([part.labels for part in parts]),
        np.arange(sum(map(len, parts))) < len(parts[0]),
    )
    for number, (name, strategy) in enumerate(EXPERIMENTS.items(), start=1):
        replica = build(number, ratings)
        timed.append(Timed(f"{name}: recipe", partial(_median, replica)))
        for updates in ("deferred", "dense"):
            trainer = trainer_of(interactions, strategy, f"training.table_updates={updates}")
            timed.append(Timed(f"{name}: {updates}", epochs(trainer)))


def _median(replica: Recipe) -> float:
    return replica.measure(400)[0]


def torch(interactions: Interactions, timed: list[Timed]) -> None:
    """Adds PyTorch's plain loop for the full model, if PyTorch is installed."""
    if not is_there():
        return
    train = interactions.train

    def measure() -> float:
        with tempfile.TemporaryDirectory() as folder:
            rows = Path(folder, "rows.npz")
            np.savez(rows, users=train.ids["user"], items=train.ids["item"], labels=train.labels)
            command = [sys.executable, "-m", "benchmarks.torch_loop", str(rows), "600"]
            return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)

    timed.append(Timed("full: PyTorch", measure))


def large(timed: list[Timed]) -> None:
    """Adds full tables of millions of rows with deferred updates, and smaller ones with dense updates."""
    for rows, updates, most in ((LARGE_ROWS, "deferred", 3000), (DENSE_ROWS, "dense", 40)):
        trainer = trainer_of(random_rows(*rows), "strategy=full", f"training.table_updates={updates}")
        # A dense step takes a hundred times as long, so its chunks are shorter.
        if updates == "dense":
            trainer.batches.chunk_steps = most // 2
            trainer.loop.run(trainer.batches.example())
        name = f"full, {rows[0]:,} + {rows[1]:,} rows: {updates}"
        timed.append(Timed(name, epochs(trainer, most)))


def where_time_goes(interactions: Interactions, repeats: int) -> None:
    """Prints the time that each part of a step adds. Each line leaves out the parts after it."""
    import tensorflow as tf

    from bench.training.loop import Loop

    def total(arrays: Any) -> Any:
        return tf.add_n([tf.reduce_sum(array) for array in tf.nest.flatten(arrays)])

    class Reads(Loop):
        """A loop that reads the rows and does nothing with them."""

        def _one(self, batch: Any, clock: Any) -> Any:
            found = self._read(batch, clock)
            values = [
                tf.gather(self.whole.values()[self.positions[id(variable)]], batch["indices"][key][name])
                for key, layer in self.layers.items()
                for name, variable in layer.table_variables.items()
                if (key, name) not in self.tables
            ]
            return total([found, values])

    class Differentiates(Loop):
        """A loop that computes gradients and updates nothing."""

        def _update(self, batch: Any, read: Any, of_values: Any, of_rows: Any, *rest: Any) -> None:
            # The compiler leaves out a result that is not used. So a sum of all gradients is stored.
            gradients = [g for g in (*of_values, *of_rows.values()) if g is not None]
            summed = [g.values if isinstance(g, tf.IndexedSlices) else g for g in gradients]
            self.sink.assign(total([summed, read]))

        sink: Any = None

    print("\nWhere the time of a step goes (ms; medians, each line with all before it)")
    for name, strategy in EXPERIMENTS.items():
        Differentiates.sink = tf.Variable(0.0)
        stages = {
            "reading rows (deferred ones brought up to date)": trainer_of(interactions, strategy, loop=Reads),
            "+ forward and backward": trainer_of(interactions, strategy, loop=Differentiates),
            "+ summing repeats, optimizer, writing rows": trainer_of(interactions, strategy),
        }
        host = stages["reading rows (deferred ones brought up to date)"].batches
        print(f"  {name}")
        print(f"    {_alone(host):8.4f}  host preparation, alone (it runs beside the device)")
        taken: dict[str, list[float]] = {stage: [] for stage in stages}
        measures = {stage: epochs(trainer, 3000) for stage, trainer in stages.items()}
        for _ in range(repeats):
            for stage, measure in measures.items():
                taken[stage].append(measure())
        for stage, values in taken.items():
            print(f"    {np.median(values):8.4f}  {stage}")


def _alone(batches: Any) -> float:
    began, steps = time.perf_counter(), 0
    for chunk in batches.epoch(1):
        steps += chunk.steps
    return 1000 * (time.perf_counter() - began) / steps


def main(arguments: list[str]) -> int:
    """Runs the benchmark. The module's docstring lists the ``NAME=VALUE`` arguments."""
    given = dict(argument.partition("=")[::2] for argument in arguments)
    try:
        dataset, repeats = given.pop("dataset", "synthetic"), int(given.pop("repeats", 5))
        parts = given.pop("parts", ",".join(PARTS)).split(",")
        if given or repeats < 1 or not set(parts) <= set(PARTS):
            raise RequestError(
                f"{' '.join(arguments)}: give dataset=NAME, repeats=5, parts={','.join(PARTS)}"
            )
        settings = compose([f"dataset={dataset}"])
        interactions = data.load(settings.dataset, settings.data_dir)
        users = interactions.fields["user"].size
        if "recipe" in parts and (users // 50) ** 2 < users:
            raise RequestError(
                f"dataset={dataset}: {users} users are too few for the recipe's {users // 50} buckets (users // 50); "
                "give a larger one, or parts=torch,large,time"
            )
    except (BenchError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    backend.start(0, None)
    print(f"{interactions.name}: {len(interactions.train):,} training rows, batch 128, width 64, Adam; "
          f"{repeats} repeats")  # fmt: skip
    timed: list[Timed] = []
    if "recipe" in parts:
        recipe(interactions, timed)
    elif "torch" in parts or "large" in parts:
        timed.append(Timed("full: deferred", epochs(trainer_of(interactions, "strategy=full"))))
    if "torch" in parts:
        torch(interactions, timed)
    if "large" in parts:
        large(timed)
    take_turns(timed, repeats)
    if timed:
        report(timed, PAIRS)
    if "time" in parts:
        where_time_goes(interactions, repeats)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
