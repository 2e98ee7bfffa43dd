"""Measures how a table larger than memory is prepared: rows a second beside pandas, memory, kills, a second start.

Run it with ``python -m benchmarks.preparing [rows=10000000] [pandas_rows=3500000] [again_rows=40000000] [kills=10]
[seed=0] [parts=speed,kills,again] [folder=FOLDER]``. The file is generated in the format of Criteo's train.txt, with as
many distinct ids in each field, and compressed by gzip. Each goal is printed beside the measured number. The exit code
is 1 if a goal is missed.
"""

from __future__ import annotations

import contextlib
import gzip
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.data.portable import Stream
from bench.data.settings import CRITEO_SIZES
from bench.data.synthetic_ctr import zipf
from bench.errors import RequestError

PARTS = ("speed", "kills", "again")
ROOT = Path(__file__).resolve().parent.parent
BLOCK = 200_000
HEX = np.frombuffer(b"0123456789abcdef", np.uint8)
OFTEN_MISSING = (18, 19, 24, 25)
"""Fields of which four tenths are missing; of the others, and of the counts, one in thirty is."""

HARNESS = """
import pathlib, sys, time
from bench.config import compose
from bench.data import load
from bench.measure.memory import peak_rss_bytes
settings = compose(["model=neumf", *sys.argv[3:]]).dataset
began = time.perf_counter()
data = load(settings, pathlib.Path(sys.argv[2]))
seconds = time.perf_counter() - began
print(len(data.train) + len(data.evaluation), seconds, peak_rss_bytes())
"""

PANDAS = """
import pathlib, sys, time
began = time.perf_counter()
import numpy as np, pandas as pd
path, out = sys.argv[1], pathlib.Path(sys.argv[2])
counts, ids = [f"I{n}" for n in range(1, 14)], [f"C{n}" for n in range(1, 27)]
table = pd.read_csv(path, sep="\\t", header=None, names=["label", *counts, *ids], quoting=3,
                    dtype={name: str for name in ids}, keep_default_na=False, na_values=[""])
train = np.random.default_rng(0).permutation(len(table)) < int(0.85 * len(table))
dense = np.log1p(table[counts].fillna(0).clip(lower=0)).to_numpy(np.float32)
labels = table["label"].to_numpy(np.float32)
for part, rows in (("train", train), ("evaluation", ~train)):
    np.save(out / f"{part}.dense.npy", dense[rows])
    np.save(out / f"{part}.labels.npy", labels[rows])
for name in ids:
    codes, known = pd.factorize(table[name].fillna(""))
    codes = codes.astype(np.int32)
    np.save(out / f"counts.{name}.npy", np.bincount(codes[train], minlength=len(known)))
    np.save(out / f"values.{name}.npy", known.to_numpy().astype("S8"))
    for part, rows in (("train", train), ("evaluation", ~train)):
        np.save(out / f"{part}.ids.{name}.npy", codes[rows])
seconds = time.perf_counter() - began
from bench.measure.memory import peak_rss_bytes
print(len(table), seconds, peak_rss_bytes())
"""


@dataclass(frozen=True)
class Prepared:
    """How a preparation went.

    Attributes:
        rows: of the file.
        seconds: from its start to its end.
        peak_bytes: the process's highest resident memory.
    """

    rows: int
    seconds: float
    peak_bytes: int

    @property
    def speed(self) -> float:
        """Rows a second."""
        return self.rows / self.seconds

    def __str__(self) -> str:
        return f"{self.rows:,} rows, {self.speed:,.0f} rows/s, {self.peak_bytes / 1e9:.2f} GB"


def lines(rows: int, seed: int, block: int) -> bytes:
    """Rows of Criteo's format: a label, 13 counts, 26 ids of eight hexadecimal digits, tabs between them."""
    import pyarrow as pa
    import pyarrow.csv as csv

    draws = Stream([seed, block + 1])

    def missing(share: float) -> np.ndarray:
        return draws.uniform(rows) < share

    columns = [pa.array((draws.uniform(rows) < 0.2562).astype(np.int8))]
    for _ in range(13):
        counts = np.floor(np.exp(1.5 + 1.8 * draws.normal(rows))).astype(np.int64)
        columns.append(pa.array(counts, mask=missing(1 / 30)))
    for field, size in enumerate(CRITEO_SIZES):
        ranks = zipf(size, 1.1, draws.uniform(rows)).astype(np.uint64)
        bits = (ranks * np.uint64(2654435761) + np.uint64(40503 * (field + 1))) & np.uint64(0xFFFFFFFF)
        digits = np.stack(
            [HEX[(bits >> np.uint64(28 - 4 * place)) & np.uint64(15)] for place in range(8)], axis=1
        )
        offsets = pa.py_buffer(np.arange(0, 8 * rows + 1, 8, dtype=np.int32))
        text = pa.Array.from_buffers(pa.string(), rows, [None, offsets, pa.py_buffer(digits.tobytes())])
        gone = pa.array(missing(0.4 if field in OFTEN_MISSING else 1 / 30))
        columns.append(pa.compute.if_else(gone, pa.scalar(None, pa.string()), text))
    sink = pa.BufferOutputStream()
    table = pa.table(columns, names=[str(number) for number in range(len(columns))])
    csv.write_csv(table, sink, csv.WriteOptions(include_header=False, delimiter="\t", quoting_style="none"))
    return sink.getvalue().to_pybytes()


def generate(path: Path, rows: int, seed: int) -> None:
    """Writes a file of generated rows, unless it is there."""
    if path.exists():
        return
    new = path.with_suffix(".new")
    with gzip.open(new, "wb", compresslevel=1) as file:
        for block, begin in enumerate(range(0, rows, BLOCK)):
            file.write(lines(min(BLOCK, rows - begin), seed, block))
    new.replace(path)


def start(code: str, path: Path, out: Path, *overrides: str) -> subprocess.Popen[str]:
    """Starts a preparation in a process of its own."""
    command = [sys.executable, "-c", code, str(path), str(out), *overrides]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )


def harness(path: Path, out: Path, *overrides: str) -> subprocess.Popen[str]:
    """Starts the harness's preparation of a file."""
    return start(HARNESS, path, out, "dataset=criteo", f"dataset.path={path}", *overrides)


def ended(process: subprocess.Popen[str]) -> Prepared:
    """Waits for a preparation.

    Raises:
        RequestError: it failed.
    """
    text, _ = process.communicate()
    if process.returncode:
        raise RequestError(f"a preparation failed with exit code {process.returncode}")
    rows, seconds, peak = text.split()
    return Prepared(int(rows), float(seconds), int(peak))


def goal(name: str, value: str, wanted: str, holds: bool) -> bool:
    """Prints a number beside its goal."""
    print(f"  {name}: {value}   {wanted}: {'yes' if holds else 'NO'}", flush=True)
    return holds


def speed(folder: Path, rows: int, pandas_rows: int, seed: int) -> bool:
    """Compares rows a second with pandas, which does the same on a part that fits into memory."""
    whole, part = folder / f"criteo-{rows}.tsv.gz", folder / f"criteo-{pandas_rows}.tsv.gz"
    generate(whole, rows, seed)
    generate(part, pandas_rows, seed)
    ratios = []
    for _ in range(3):
        shutil.rmtree(folder / "pandas", ignore_errors=True)
        (folder / "pandas").mkdir()
        shutil.rmtree(folder / "data", ignore_errors=True)
        own, other = ended(harness(whole, folder / "data")), ended(start(PANDAS, part, folder / "pandas"))
        print(f"  {own}; pandas: {other}", flush=True)
        ratios.append((own.speed / other.speed, own.peak_bytes))
    ratio, peak = sorted(ratios)[1][0], max(peak for _, peak in ratios)
    fast = goal("rows a second beside pandas, median", f"{ratio:.2f}", "at least 5", ratio >= 5)
    return goal("resident memory", f"{peak / 1e9:.2f} GB", "at most 4", peak <= 4e9) and fast


def kills(folder: Path, rows: int, count: int, seed: int) -> bool:
    """Kills a preparation at random moments, starts it again each time, and compares the bytes with a whole one's."""
    path = folder / f"criteo-{rows}.tsv.gz"
    generate(path, rows, seed)
    draw = random.Random(seed)
    began = time.perf_counter()
    ended(harness(path, folder / "whole"))
    longest = time.perf_counter() - began
    shutil.rmtree(folder / "killed", ignore_errors=True)
    killed = 0
    while killed < count:
        process = harness(path, folder / "killed")
        try:
            process.wait(draw.uniform(0.15, 0.6) * longest)
        except subprocess.TimeoutExpired:
            killed += 1
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
            process.wait()
            continue
        shutil.rmtree(folder / "killed")  # it was done before the moment
    ended(harness(path, folder / "killed"))
    one, other = (_bytes(folder / name) for name in ("whole", "killed"))
    return goal(f"equal bytes after {killed} kills", f"{len(one)} files", "equal", one == other)


def _bytes(data_dir: Path) -> dict[str, str]:
    import hashlib

    found = {}
    for path in sorted(data_dir.glob("prepared/*/*.npy")):
        with path.open("rb") as file:
            found[path.name] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def again(folder: Path, rows: int) -> bool:
    """Times the second start of a copy of generated clicks."""
    overrides = ("dataset=synthetic_ctr", f"dataset.num_rows={rows}")
    first = ended(start(HARNESS, folder, folder / "clicks", *overrides))
    print(
        f"  {first.rows:,} rows of synthetic_ctr: {first.speed:,.0f} rows/s, {first.peak_bytes / 1e9:.2f} GB"
    )
    seconds = [ended(start(HARNESS, folder, folder / "clicks", *overrides)).seconds for _ in range(3)]
    return goal("second start, longest of three", f"{max(seconds):.2f} s", "under 1", max(seconds) < 1)


def main(arguments: list[str]) -> int:
    """Runs the parts that the arguments name, and gives the exit code."""
    given = {"rows": "10000000", "pandas_rows": "3500000", "again_rows": "40000000", "kills": "10", "seed": "0",
             "parts": ",".join(PARTS), "folder": ""}  # fmt: skip
    for argument in arguments:
        name, _, value = argument.partition("=")
        if name not in given:
            print(f"error: {argument}: give {', '.join(f'{own}=' for own in given)}", file=sys.stderr)
            return 2
        given[name] = value
    parts = given["parts"].split(",")
    rows, seed = int(given["rows"]), int(given["seed"])
    with contextlib.ExitStack() as stack:
        folder = Path(given["folder"] or stack.enter_context(tempfile.TemporaryDirectory()))
        folder.mkdir(parents=True, exist_ok=True)
        held = []
        if "speed" in parts:
            held.append(speed(folder, rows, int(given["pandas_rows"]), seed))
        if "kills" in parts:
            held.append(kills(folder, rows, int(given["kills"]), seed))
        if "again" in parts:
            held.append(again(folder, int(given["again_rows"])))
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
