"""Compares a training step of click models with the least that it could take, with PyTorch and with Keras.

Run it with ``make speed CLICKS=1`` or ``python -m benchmarks.clicks [repeats=5] [parts=head,rows,torch,fit,memory]
[scale=1]``. All programs take turns within each repeat, so that a ratio compares times of the same minutes.

The model is DLRM with Criteo's fields, scaled: 26 tables of width 16, 13 dense columns, networks of 512 and 256. Ids
and labels are random. ``head`` compares the whole step with one that is given its vectors. ``rows`` compares tables of
``scale`` times Criteo's ids with a hundredth of them. ``torch`` compares with PyTorch's plain loop, sparse and dense.
``fit`` compares a DeepFM of Frappe's sizes with Keras's own ``fit``, by rows. ``memory`` builds the large tables in a
process of their own, and says what they take.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import psutil

from bench import backend
from bench.data.interactions import Field, Interactions, Part
from bench.data.settings import CRITEO_SIZES
from bench.errors import BenchError, RequestError
from benchmarks.speed import LARGE_ROWS, random_rows
from benchmarks.timed import Pair, Timed, epochs, report, take_turns, trainer_of
from benchmarks.torch_loop import is_there

PARTS = ("head", "rows", "torch", "fit", "memory")
MEASURES = ("measure_criteo", "measure_ratings")
"""Parts that ``memory`` runs in processes of their own."""

BATCHES = (128, 2048)
DENSE = 13
SMALL = 0.01
FRAPPE = (957, 4082, 7, 7, 2, 3, 2, 9, 80, 233)
"""The numbers of ids of Frappe's fields."""

DLRM = (
    "task=click",
    "model=dlrm",
    "model.bottom_units=[512,256]",
    "model.hidden_units=[512,256]",
    "embedding_dim=16",
)
DEEPFM = (
    "task=click",
    "model=deepfm",
    "model.linear=own",
    "model.batch_norm=true",
    "model.dropout=0.2",
    "embedding_dim=10",
)


def random_clicks(sizes: Sequence[int], dense: int, rows: int = 400_000) -> Interactions:
    """Draws clicks with ids of which a tenth of each field's has half of the rows."""
    rng = np.random.default_rng(0)
    names = [f"C{number}" for number in range(1, len(sizes) + 1)]
    ids = {
        name: np.minimum((size * rng.random(rows, np.float32) ** 3).astype(np.int32), size - 1)
        for name, size in zip(names, sizes, strict=True)
    }
    numbers = rng.standard_normal((rows, dense), np.float32) if dense else None
    train = Part(ids, rng.integers(0, 2, rows).astype(np.float32), numbers)

    fields = {
        name: Field(name, size, np.zeros(size, np.int64)) for name, size in zip(names, sizes, strict=True)
    }
    return Interactions("random", fields, train, train.first(0), train.first(256), (0.0, 1.0), None, "random")


def batches_of(batch: int) -> str:
    """The setting of a batch's size."""
    return f"training.batch_size={batch}"


def criteo(scale: float) -> Interactions:
    """Draws clicks of Criteo's fields, scaled."""
    return random_clicks([max(3, round(size * scale)) for size in CRITEO_SIZES], DENSE)


def head_of(trainer: Any, batch_size: int) -> Callable[[], float]:
    """Makes a function that trains all but the tables for a chunk, and gives milliseconds a step.

    The vectors are given, and their gradients are computed as training the tables would need them.
    """
    import keras

    from bench.embeddings.layer import embedding_layers
    from bench.training.batches import Chunk
    from bench.training.loop import Loop

    class Given(keras.layers.Layer):
        """Numbers times trained ones, which need the gradient by each of them."""

        def build(self, shape: Any) -> None:
            self.by = self.add_weight(shape=shape[1:], initializer="ones")

        def call(self, vectors: Any) -> Any:
            return vectors * self.by

    model = trainer.model
    layers = list(embedding_layers(model))
    above = keras.Model([*(layer.output for layer in layers), model.input["dense_columns"]], model.output)
    inputs = {layer.name: keras.Input(layer.output.shape[1:], name=layer.name) for layer in layers}
    numbers = keras.Input((DENSE,), name="dense_columns")
    given = [Given()(vector) for vector in inputs.values()]
    head = keras.Model({**inputs, "dense_columns": numbers}, above([*given, numbers]))
    updates = replace(trainer.loop.updates, optimizer=keras.optimizers.Adam(0.001), rule=None)
    loop = Loop(head, {}, {}, updates, trainer.task.loss)
    rng = np.random.default_rng(0)
    steps, size = trainer.batches.chunk_steps, batch_size
    shapes = {name: (steps, size, *vector.shape[1:]) for name, vector in inputs.items()}
    chunk = Chunk(steps, steps * size, {
        "ids": {name: rng.standard_normal(shape, np.float32) for name, shape in shapes.items()},
        "labels": rng.integers(0, 2, (steps, size)).astype(np.float32),
        "counts": np.full(steps, size, np.int32),
        "dense": rng.standard_normal((steps, size, DENSE), np.float32),
        "indices": {}, "first": {},
    })  # fmt: skip
    import tensorflow as tf

    chunk = replace(chunk, arrays=tf.nest.map_structure(tf.constant, chunk.arrays))
    loop.run(chunk)

    def measure() -> float:
        began = time.perf_counter()
        loop.run(chunk)
        return 1000 * (time.perf_counter() - began) / steps

    return measure


def torch_step(scale: float, batch_size: int, kind: str, steps: int) -> Callable[[], float]:
    """Makes a function that runs PyTorch's plain loop in a process of its own, and gives milliseconds a step."""
    words = [str(scale), str(batch_size), kind, str(steps)]

    def measure() -> float:
        command = [sys.executable, "-m", "benchmarks.torch_clicks", *words]
        return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)

    return measure


def keras_fit(data: Interactions, batch_size: int) -> Callable[[], float]:
    """Makes a function that trains the DeepFM of ``DEEPFM`` by Keras's ``fit``, and gives milliseconds a step."""
    import keras
    from keras import layers, ops

    inputs = {name: keras.Input((), dtype="int32", name=name) for name in data.fields}
    vectors = [layers.Embedding(field.size, 10)(inputs[name]) for name, field in data.fields.items()]
    linear = [layers.Embedding(field.size, 1)(inputs[name]) for name, field in data.fields.items()]
    stacked = ops.stack(vectors, axis=1)
    pairs = ops.sum(ops.square(ops.sum(stacked, axis=1)) - ops.sum(ops.square(stacked), axis=1), axis=1) / 2
    hidden = layers.Concatenate()(vectors)
    for width in (400, 400, 400):
        hidden = layers.Activation("relu")(layers.BatchNormalization()(layers.Dense(width)(hidden)))
        hidden = layers.Dropout(0.2)(hidden)
    score = layers.Dense(1)(hidden)[:, 0] + pairs + layers.Add()(linear)[:, 0]
    model = keras.Model(inputs, score)
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.001), loss)
    train = data.train

    def measure() -> float:
        began = time.perf_counter()
        model.fit(dict(train.ids), train.labels[:, None], batch_size=batch_size, verbose=0)
        return 1000 * (time.perf_counter() - began) / -(-len(train) // batch_size)

    return measure


def measure_memory(tables: str, scale: float) -> dict[str, float]:
    """Builds large tables, trains a chunk and settles: seconds and bytes of each.

    Args:
        tables: ``criteo``, those of DLRM; ``ratings``, those of the rating model in ``benchmarks.speed``.
        scale: their share of the ids.
    """
    from bench.measure.memory import peak_rss_bytes

    overrides: tuple[str, ...]
    if tables == "criteo":
        data, width, overrides = criteo(scale), 16, (*DLRM, batches_of(2048))
    else:
        data = random_rows(*(round(scale * rows) for rows in LARGE_ROWS))
        width, overrides = 64, ("strategy=full",)
    before = psutil.Process().memory_info().rss
    began = time.perf_counter()
    trainer = trainer_of(data, *overrides)
    first = time.perf_counter() - began
    trainer.loop.run(next(trainer.batches.epoch(1)))
    began = time.perf_counter()
    trainer.loop.release()
    settled = time.perf_counter() - began
    rows = sum(field.size for field in data.fields.values())
    peak = peak_rss_bytes()
    return {
        "rows": rows, "width": width, "first_step_s": first, "settle_s": settled,
        "held_bytes": rows * (3 * width + 1) * 4, "own_bytes": peak - before, "peak_bytes": peak,
    }  # fmt: skip


def memory(scale: float) -> None:
    """Prints what large tables take, each kind measured in a process of its own."""
    for tables in ("criteo", "ratings"):
        command = [sys.executable, "-m", "benchmarks.clicks", f"parts=measure_{tables}", f"scale={scale}"]
        found = json.loads(
            subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1]
        )
        times = found["own_bytes"] / found["held_bytes"]
        print(f"\n{found['rows']:,} rows of width {found['width']}: {found['first_step_s']:.1f} s from building to the "
              f"first step, {found['settle_s']:.1f} s to settle; {found['peak_bytes'] / 1e9:.2f} GB in all at most, "
              f"beside the process before {times:.2f} times weights, moments and clocks")  # fmt: skip


def add_steps(timed: list[Timed], parts: Sequence[str], scale: float) -> list[Pair]:
    """Adds the programs of ``head``, ``rows`` and ``torch``; gives the pairs to compare, and the ratios wanted."""
    pairs: list[Pair] = []
    data = criteo(SMALL)
    for batch, by_head, sparse in zip(BATCHES, (1.3, 1.15), (2.5, 1.2), strict=True):
        trainer, own = trainer_of(data, *DLRM, batches_of(batch)), f"DLRM, batch {batch:,}"
        timed.append(Timed(own, epochs(trainer, 200_000 // batch)))
        if "head" in parts:
            timed.append(Timed(f"{own}: head alone", head_of(trainer, batch)))
            pairs.append(Pair(own, f"{own}: head alone", by_head, at_most=True))
        if "torch" in parts:
            timed.append(Timed(f"{own}: PyTorch, SparseAdam", torch_step(SMALL, batch, "sparse", 60)))
            pairs.append(Pair(f"{own}: PyTorch, SparseAdam", own, sparse))
    own = f"DLRM, batch {BATCHES[1]:,}"
    if "rows" in parts:
        large = f"DLRM, {round(scale * sum(CRITEO_SIZES)):,} rows"
        timed.append(Timed(large, epochs(trainer_of(criteo(scale), *DLRM, batches_of(BATCHES[1])), 100)))
        pairs.append(Pair(large, own, 1.15, at_most=True))
    if "torch" in parts:
        timed.append(Timed("PyTorch, dense Adam, 3.4 million rows", torch_step(0.1, BATCHES[1], "dense", 10)))
        pairs.append(Pair("PyTorch, dense Adam, 3.4 million rows", own, 6.0))
    return pairs


def add_fit(timed: list[Timed]) -> list[Pair]:
    """Adds the DeepFM of Frappe's sizes, here and by Keras's ``fit``."""
    data = random_clicks(FRAPPE, 0, 202_027)
    timed.append(Timed("DeepFM, batch 4,096", epochs(trainer_of(data, *DEEPFM, batches_of(4096)))))
    timed.append(Timed("DeepFM, batch 4,096: Keras fit", keras_fit(data, 4096)))
    return [Pair("DeepFM, batch 4,096: Keras fit", "DeepFM, batch 4,096", 1.5)]


def main(arguments: list[str]) -> int:
    """Runs the benchmark. The module's docstring lists the ``NAME=VALUE`` arguments."""
    given = dict(argument.partition("=")[::2] for argument in arguments)
    try:
        repeats, scale = int(given.pop("repeats", 5)), float(given.pop("scale", 1))
        parts = given.pop("parts", ",".join(PARTS)).split(",")
        if given or repeats < 1 or not 0 < scale <= 1 or not set(parts) <= {*PARTS, *MEASURES}:
            raise RequestError(f"{' '.join(arguments)}: give repeats=5, scale=1, parts={','.join(PARTS)}")
    except (BenchError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if "torch" in parts and not is_there():
        parts.remove("torch")
    backend.start(0, None)
    if parts[0] in MEASURES:
        print(json.dumps(measure_memory(parts[0].removeprefix("measure_"), scale)))
        return 0
    timed: list[Timed] = []
    pairs = add_steps(timed, parts, scale) if {"head", "rows", "torch"} & set(parts) else []
    pairs += add_fit(timed) if "fit" in parts else []
    take_turns(timed, repeats)
    if timed:
        report(timed, pairs)
    if "memory" in parts:
        memory(scale)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
