"""Times lookups from exports, in NumPy on one core, beside ``take`` of a float32 table and a compiled Keras layer.

Run it with ``make speed SERVING=1`` or ``python -m benchmarks.serving [methods=full,qr,...] [ids=1000000] [dim=64]
[budget=0.1] [repeats=5] [parts=lookups,keras,onnx,ids,cold]``. Numbers are random: what a lookup takes does not depend
on them. Ids are drawn by popularity, Zipf 1.05. Within each repeat all programs take turns, so that a ratio compares
times of the same minutes. ``onnx`` is left out where the extra is not installed.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from bench import embeddings
from bench.embeddings.base import Vocabulary
from bench.errors import BenchError, RequestError
from bench.serving import Tables, load
from bench.serving.layout import ARRAYS
from benchmarks import made

FIELD = "item"
BATCHES = (1, 64, 4096)
LOOKUPS = {1: 2000, 64: 1000, 4096: 30}
"""Numbers of lookups of each batch that one measurement takes."""

PARTS = ("lookups", "keras", "onnx", "ids", "cold")
CODES = ("pq of 16 bytes", "dpq of 16 bytes")
SIZED: dict[str, dict[str, Any]] = {
    **{name: {"method": name.split()[0], "num_parts": 16, "num_codes": 256} for name in CODES},
    "tt of its usual rank": {"method": "tt"},
}
"""Methods of a size of their own, beside those that follow the budget."""

METHODS = ("full", "qr", "int8", "pq", "dpq", *SIZED, "hash", "md", "prune", "tt")
ALIKE = ("full", "qr", "int8", *CODES, "hash")
"""Methods that a compiled Keras call is compared with."""

WANTED = {
    4096: {**dict.fromkeys(ALIKE, 1.5), "md": 3.0, "prune": 2.5, "tt of its usual rank": 18.0},
    64: {**dict.fromkeys(("full", "qr", "int8", "pq of 16 bytes"), 3.0), "hash": 4.0, "md": 10.0},
}
"""The ratios to ``take`` that are aimed at, by batch and method, at a million ids of width 64."""

Look = Callable[[np.ndarray], Any]


@dataclass
class Timed:
    """A way of looking up.

    Attributes:
        name: its name.
        look: looks up rows.
        taken: microseconds of each lookup by batch, a list for each repeat.
    """

    name: str
    look: Look
    taken: dict[int, list[np.ndarray]] = field(default_factory=dict)

    def measure(self, batches: Sequence[np.ndarray]) -> None:
        """Looks up all batches once, one after the other."""
        found = np.empty(len(batches))
        for number, rows in enumerate(batches):
            began = time.perf_counter()
            self.look(rows)
            found[number] = time.perf_counter() - began
        self.taken.setdefault(len(batches[0]), []).append(1e6 * found)

    def median(self, batch: int) -> float:
        """Gives the median of all lookups of a batch, in microseconds."""
        return float(np.median(np.concatenate(self.taken[batch])))

    def slow(self, batch: int) -> float:
        """Gives the 99th percentile, in microseconds."""
        return float(np.percentile(np.concatenate(self.taken[batch]), 99))

    def ratio(self, other: Timed, batch: int) -> float:
        """Gives the median over the repeats of the ratio of medians."""
        pairs = zip(self.taken[batch], other.taken[batch], strict=True)
        return float(np.median([np.median(own) / np.median(one) for own, one in pairs]))


def popular(num_ids: int, count: int, seed: int = 0) -> np.ndarray:
    """Draws rows by popularity: Zipf's law with exponent 1.05, in a random order of the rows; int32 (count,)."""
    rng = np.random.default_rng(seed)
    shares = np.arange(1, num_ids + 1, dtype=np.float64) ** -1.05
    ranks = np.cumsum(shares / shares.sum()).searchsorted(rng.random(count))
    found: np.ndarray = rng.permutation(num_ids)[np.minimum(ranks, num_ids - 1)].astype(np.int32)
    return found


def take_turns(timed: Sequence[Timed], rows: np.ndarray, repeats: int) -> None:
    """Measures all programs in turns, after a turn that is not counted."""
    for batch in BATCHES:
        count = min(LOOKUPS[batch], len(rows) // batch)
        batches = [rows[number * batch : (number + 1) * batch] for number in range(count)]
        for item in timed:
            item.measure(batches[:20])
            item.taken[batch].clear()
        for _ in range(repeats):
            for item in timed:
                item.measure(batches)


def keras_of(tables: Tables) -> Look:
    """Makes a compiled Keras call of the same lookup, as Python calls it."""
    import tensorflow as tf

    from bench.embeddings.layer import CompressedEmbedding

    entry = tables.described.fields[FIELD]
    method, settings = embeddings.read({"method": entry.method, **entry.settings})
    counts = np.arange(entry.size, 0, -1)
    made_of = method(Vocabulary(FIELD, entry.size, counts), entry.dim, settings)
    layer = CompressedEmbedding(made_of, served=made_of.served() is not made_of)
    layer.build(None)
    look = tf.function(layer, jit_compile=True)
    return lambda rows: look(rows).numpy()


def onnx_of(folder: Path) -> Look:
    """Makes a call of ONNX Runtime for the same lookup, on one thread."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    path = str(folder / f"lookup_{FIELD}.onnx")
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda rows: session.run(None, {"ids": rows.astype(np.int64)})[0]


def print_lookups(timed: Sequence[Timed], exports: dict[str, Path], ratios: dict[str, float]) -> None:
    """Prints a table of all lookups, in Markdown, and the ratios that were aimed at."""
    base = timed[0]
    print(
        "\n| | x smaller | MB on disk | "
        + " | ".join(f"us at {b}: median, 99 % | x take" for b in BATCHES)
        + " |"
    )
    print("| --- |" + " ---: |" * (2 + 2 * len(BATCHES)))
    for item in timed:
        size = (exports[item.name] / ARRAYS).stat().st_size / 1e6 if item.name in exports else None
        cells = [item.name, *(["", ""] if size is None else [f"{ratios[item.name]:.1f}", f"{size:.1f}"])]
        for batch in BATCHES:
            cells += [f"{item.median(batch):.1f}, {item.slow(batch):.1f}", f"{item.ratio(base, batch):.2f}"]
        print("| " + " | ".join(cells) + " |")
    for batch, wanted in WANTED.items():
        for item in timed:
            if item.name in wanted:
                ratio, most = item.ratio(base, batch), wanted[item.name]
                print(
                    f"{item.name} at {batch}: {ratio:.2f} x take   at most {most:g}: {'yes' if ratio <= most else 'NO'}"
                )


def time_ids(folder: Path, num_ids: int, rows: np.ndarray) -> None:
    """Prints what it takes to find ids: integers, and text of 14 letters, in lists as JSON gives them and in arrays."""
    print("\n| ids | MB | us for 1, 64 and 4,096 ids: median |\n| --- | ---: | ---: |")
    for kind in ("integers", "text"):
        made.export(folder / kind, "qr", num_ids, 8, text=kind == "text")
        tables = load(folder / kind)
        raw = np.array(tables.first_ids(FIELD, num_ids))
        nbytes = sum(one.nbytes for one in tables.described.fields[FIELD].ids.stored(FIELD))
        for form in ("an array", "a list"):
            found = []
            for batch in BATCHES:
                asked = [
                    raw[rows[number * batch : (number + 1) * batch]]
                    for number in range(min(LOOKUPS[batch], len(rows) // batch))
                ]
                taken = Timed(kind, partial(tables.known, FIELD))
                taken.measure(asked if form == "an array" else [one.tolist() for one in asked])
                found.append(taken.median(batch))
            times = ", ".join(f"{one:.1f}" for one in found)
            print(f"| {kind}, {form} | {nbytes / 1e6:.1f} | {times} |")


SAVED = """
import tensorflow as tf

class Lookup(tf.Module):
    def __init__(self, table):
        super().__init__()
        self.table = tf.Variable(table)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.int32)])
    def look(self, rows):
        return tf.gather(self.table, rows)

import sys
from bench.serving import load
table = load(sys.argv[1])._arrays["fields/item/table"]
tf.saved_model.save(Lookup(table), sys.argv[2])
"""
PRIVATE = "print([line.split()[1] for line in open('/proc/self/status') if line.startswith('RssAnon')][0])"
COLD = {
    "import numpy": "import numpy",
    "bench.serving": "from bench.serving import load; load(sys.argv[1]).vectors('item', [7])",
    "SavedModel": "import tensorflow as tf; m = tf.saved_model.load(sys.argv[2]); m.look(tf.constant([7])).numpy()",
}


def time_cold(folder: Path, num_ids: int, dim: int, repeats: int) -> None:
    """Prints the seconds of whole processes from the start to the first vector of a full table."""
    export, saved = folder / "cold", folder / "saved"
    made.export(export, "full", num_ids, dim)
    subprocess.run(
        [sys.executable, "-c", SAVED, str(export), str(saved)], check=True, stderr=subprocess.DEVNULL
    )
    taken: dict[str, list[float]] = {name: [] for name in COLD}
    # an installed package is compiled to bytecode, whatever this environment says
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": str(folder / "bytecode")}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    private: dict[str, float] = {}
    for turn in range(repeats + 1):
        for name, code in COLD.items():
            if name == "SavedModel" and turn > 2:
                continue  # it takes seconds
            command = [sys.executable, "-c", f"import sys; {code}; {PRIVATE}", str(export), str(saved)]
            began = time.perf_counter()
            done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
            if turn:
                taken[name].append(time.perf_counter() - began)
            private[name] = int(done.stdout.split()[-1]) / 1024
    base, own = np.median(taken["import numpy"]), np.median(taken["bench.serving"])
    print(f"\n| cold start, {4e-6 * num_ids * dim:.0f} MB of tables | ms | x import numpy | private MiB |")
    print("| --- | ---: | ---: | ---: |")
    for name, seconds in taken.items():
        median = np.median(seconds)
        print(f"| {name} | {1000 * median:.0f} | {median / base:.1f} | {private[name]:.0f} |")
    print(f"SavedModel / bench.serving: {np.median(taken['SavedModel']) / own:.0f}   at least 40")


def measure(given: dict[str, str]) -> None:
    """Makes the exports and prints all tables."""
    num_ids, dim = int(given.get("ids", 1_000_000)), int(given.get("dim", 64))
    repeats, budget = int(given.get("repeats", 5)), float(given.get("budget", 0.1))
    parts = given.get("parts", ",".join(PARTS)).split(",")
    methods = given.get("methods", ",".join(METHODS)).split(",")
    if wrong := set(parts) - set(PARTS):
        raise RequestError(f"parts={min(wrong)}: give some of {','.join(PARTS)}")
    if min(num_ids, dim, repeats) < 1:
        raise RequestError(f"ids={num_ids} dim={dim} repeats={repeats}: give 1 or more")
    for name in methods:
        embeddings.read(SIZED.get(name, {"method": name}))
    with_onnx = "onnx" in parts and importlib.util.find_spec("onnxruntime") is not None
    rows = popular(num_ids, LOOKUPS[4096] * 4096)
    with tempfile.TemporaryDirectory() as place, threadpool_limits(1):
        folder = Path(place)
        table = np.random.default_rng(0).normal(size=(num_ids, dim)).astype(np.float32)
        timed = [Timed("take", partial(table.take, axis=0))]
        exports, ratios = {}, {}
        for name in methods if "lookups" in parts else ():
            exports[name] = folder / name
            graphs = with_onnx and name in ALIKE
            ratios[name] = made.export(
                exports[name], SIZED.get(name, name), num_ids, dim, budget, onnx=graphs
            )
            tables = load(exports[name])
            tables.warm()
            timed.append(Timed(name, partial(tables.vectors, FIELD)))
            if "keras" in parts and name in ALIKE:
                timed.append(Timed(f"{name}, compiled Keras call", keras_of(tables)))
            if graphs:
                timed.append(Timed(f"{name}, ONNX Runtime", onnx_of(exports[name])))
        if exports:
            take_turns(timed, rows, repeats)
            print_lookups(timed, exports, ratios)
            print_against_keras(timed)
        timed.clear()
        del table
        if "ids" in parts:
            time_ids(folder, num_ids, rows)
        if "cold" in parts:
            time_cold(folder, num_ids, dim, 2 * repeats)


def print_against_keras(timed: Sequence[Timed]) -> None:
    """Prints how many times longer a compiled Keras call takes."""
    by_name = {item.name: item for item in timed}
    for name in ALIKE:
        call = by_name.get(f"{name}, compiled Keras call")
        for batch in (1, 64) if call else ():
            assert call is not None
            ratio = call.ratio(by_name[name], batch)
            met = "yes" if ratio >= 20 else "NO"
            print(f"Keras / NumPy, {name} at {batch}: {ratio:.0f}   at least 20: {met}")


def main(arguments: Sequence[str]) -> int:
    """Runs the command and gives its exit code."""
    given = dict(argument.split("=", 1) for argument in arguments if "=" in argument)
    known = {"methods", "ids", "dim", "budget", "repeats", "parts"}
    try:
        if len(given) != len(arguments) or given.keys() - known:
            raise RequestError(f"{' '.join(arguments)}: give NAME=VALUE of {', '.join(sorted(known))}")
        measure(given)
    except BenchError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except ValueError as error:
        print(f"error: {' '.join(arguments)}: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})  # one core, for all that is compared
    sys.exit(main(sys.argv[1:]))
