"""Compares training on a GPU with training on the processor: the time of a step, memory, and the trained numbers.

Run it with ``python -m benchmarks.gpu [device=gpu] [parts=full,qr,dlrm,adam] [steps=200] [repeats=3]``. It takes less
than six minutes and needs no data: ids and labels are random.

``full`` and ``qr`` are the models of the published recipe. ``dlrm`` is DLRM with Criteo's fields, a hundredth of their
ids each, trained by SGD; ``adam`` is the same with Adam. Each is trained from equal first values on equal batches, once
on the GPU as ``bench.run`` would, and once on the processor. After ``steps`` steps all trained numbers are compared.
Then both train on in turns, and are timed.

``device=cpu`` compares the processor with itself, so that the program can be tried anywhere. The exit code is 0 if no
number differs by more than 1e-5, 1 if one does, and 2 without a GPU or for a wrong argument. ``adam`` has no such goal:
Adam divides a gradient by its own size, so that rounding decides where one is nearly zero.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import Any

import numpy as np

from bench import backend
from bench.data.interactions import Interactions
from bench.errors import BenchError, RequestError
from bench.measure.environment import describe
from benchmarks.clicks import DLRM, SMALL, batches_of, criteo
from benchmarks.speed import random_rows
from benchmarks.timed import Pair, Timed, epochs, report, take_turns, trainer_of

GOAL = 1e-5
"""The largest difference wanted between a number trained on one device and on the other."""

TIMED_STEPS = 100
"""Steps that a repeat takes, at most and in whole chunks."""

USERS, ITEMS = 6_040, 3_706
SGD = ("training.optimizer=sgd", "training.learning_rate=0.01")


@dataclass(frozen=True)
class Case:
    """What is trained on both devices: rows, settings of a run, and whether the numbers are to be equal."""

    data: Callable[[], Interactions]
    overrides: tuple[str, ...]
    judged: bool = True


CASES = {
    "full": Case(partial(random_rows, USERS, ITEMS), ("strategy=full",)),
    "qr": Case(partial(random_rows, USERS, ITEMS), ("strategy=qr", "num_buckets=120")),
    "dlrm": Case(partial(criteo, SMALL), (*DLRM, *SGD, batches_of(2048))),
    "adam": Case(partial(criteo, SMALL), (*DLRM, batches_of(2048)), judged=False),
}
"""What is compared, by name."""


@dataclass(frozen=True)
class Device:
    """Where a model trains.

    Attributes:
        name: what results call it.
        scope: makes a context manager. What is computed inside is computed there.
        memory: TensorFlow's name of the memory to watch.
    """

    name: str
    scope: Callable[[], AbstractContextManager[Any]]
    memory: str

    def current_and_peak(self) -> tuple[int, int] | None:
        """Bytes allocated now and at most; None where TensorFlow does not count them."""
        import tensorflow as tf

        try:
            found = tf.config.experimental.get_memory_info(self.memory)
        except ValueError:
            return None
        return found["current"], found["peak"]

    def reset_peak(self) -> None:
        """Makes the peak that of allocations from now on."""
        import tensorflow as tf

        if self.current_and_peak() is not None:
            tf.config.experimental.reset_memory_stats(self.memory)


def devices(kind: str) -> tuple[Device, Device]:
    """The device to judge, and the processor that it is compared with.

    Raises:
        RequestError: there is no GPU, and one is asked for.
    """
    import tensorflow as tf

    on_cpu = partial(tf.device, "/CPU:0")
    processor = Device("CPU", on_cpu, "CPU:0")
    if kind == "cpu":
        return Device("CPU again", on_cpu, "CPU:0"), processor
    if not tf.config.list_physical_devices("GPU"):
        raise RequestError(
            "device=gpu: TensorFlow finds no GPU; device=cpu compares the processor with itself"
        )
    return Device("GPU", nullcontext, "GPU:0"), processor  # no scope: as a run finds its device


def parameters(trainer: Any) -> dict[str, np.ndarray]:
    """The trained numbers of a model as the loop has them now, by name."""
    trainer.loop.settle()
    found = trainer.model.trainable_variables
    return {f"{number} {v.path}": np.array(v.numpy()) for number, v in enumerate(found)}


def largest_difference(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> tuple[float, str]:
    """The largest difference of two models' numbers, and the array that it is in; NaN counts as infinite."""
    found = {
        name: float(np.nan_to_num(np.abs(values - other[name]).max(), nan=np.inf))
        for name, values in one.items()
    }
    worst = max(found, key=lambda name: found[name])
    return found[worst], worst.partition(" ")[2]


def train(trainer: Any, steps: int) -> int:
    """Trains for at least so many steps, in whole chunks; gives how many they were."""
    done = 0
    for chunk in _chunks(trainer, steps):
        trainer.loop.run(chunk)
        done += chunk.steps
    return done


def _chunks(trainer: Any, steps: int) -> Iterator[Any]:
    done = 0
    for number in count(1):
        for chunk in trainer.batches.epoch(number):
            yield chunk
            done += chunk.steps
            if done >= steps:
                return


def made_on(device: Device, case: Case, data: Interactions, steps: int) -> Any:
    """Makes a case's trainer on a device, with seed 0, compiled for chunks of at most so many steps."""
    import keras

    keras.utils.set_random_seed(0)
    with device.scope():
        trainer = trainer_of(data, *case.overrides)
        if steps < trainer.batches.chunk_steps:
            trainer.batches.chunk_steps = steps
            trainer.loop.run(trainer.batches.example())
    return trainer


def held_on(trainer: Any) -> str:
    """The kinds of devices that hold the numbers being trained."""
    loop = trainer.loop
    held = [table.state for table in loop.tables.values()] + [v.value for v in loop.whole.held]
    return ", ".join(sorted({variable.device.rpartition("/")[2] for variable in held}))


def compare(name: str, pair: tuple[Device, Device], steps: int, repeats: int) -> bool:
    """Trains a case on both devices and prints what was measured; True if the goal is met."""
    judged, processor = pair
    case = CASES[name]
    data = case.data()
    judged.reset_peak()
    before = judged.current_and_peak()
    own, other = (made_on(device, case, data, steps) for device in pair)
    with processor.scope():
        other.loop.finish()
        state, first = other.loop.state(), parameters(other)
    with judged.scope():
        unlike, _ = largest_difference(parameters(own), first)
        own.loop.go_on(state, (0, 0), 1.0)
        done = train(own, steps)
        trained = parameters(own)
    after = judged.current_and_peak()
    with processor.scope():
        train(other, steps)
        difference, where = largest_difference(trained, parameters(other))
    size = sum(values.size for values in first.values())
    batch = own.batches.batch_size
    print(f"\n{name}: {size:,} trained numbers, batches of {batch:,}, held on {held_on(own)}")
    print(f"  first values of equal seeds differ by at most {unlike:.1e}; both train from the processor's")
    met = difference <= GOAL or not case.judged
    verdict = f"   at most {GOAL:.0e}: {'yes' if met else 'NO'}" if case.judged else ""
    print(f"  after {done} steps the numbers differ by at most {difference:.1e} ({where}){verdict}")
    if before is None or after is None:
        print(f"  peak memory of the device: not counted for {judged.name}")
    else:
        print(f"  peak memory of the device: {(after[1] - before[0]) / 1e6:,.1f} MB")
    times = [Timed(f"{name}: {device.name}", _within(device, trainer, min(steps, TIMED_STEPS)))
             for device, trainer in zip(pair, (own, other), strict=True)]  # fmt: skip
    take_turns(times, repeats)
    report(times, [Pair(times[1].name, times[0].name)])
    return met


def _within(device: Device, trainer: Any, steps: int) -> Callable[[], float]:
    measure = epochs(trainer, steps)

    def measured() -> float:
        with device.scope():
            return measure()

    return measured


def main(arguments: list[str]) -> int:
    """Runs the comparison. The module's docstring lists the ``NAME=VALUE`` arguments and the exit codes."""
    given = dict(argument.partition("=")[::2] for argument in arguments)
    try:
        kind, parts = given.pop("device", "gpu"), given.pop("parts", ",".join(CASES)).split(",")
        steps, repeats = int(given.pop("steps", 200)), int(given.pop("repeats", 3))
        if given or kind not in ("gpu", "cpu") or min(steps, repeats) < 1 or not set(parts) <= set(CASES):
            raise RequestError(
                f"{' '.join(arguments)}: give device=gpu or cpu, parts={','.join(CASES)}, steps=200, repeats=3"
            )
        backend.load()
        pair = devices(kind)
    except (BenchError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    backend.start(0, None)
    print(", ".join(f"{key} {value}" for key, value in describe(gpu=backend.gpu_name()).items() if value))
    met = []
    for name in parts:
        met.append(compare(name, pair, steps, repeats))
        gc.collect()  # the memory of a case is free before the next is measured
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
