"""What a run leaves: ``result.json``, whole or not at all, and a table that people can read."""

from __future__ import annotations

import json
import math
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import IO, Any

import numpy as np
from rich.console import Console
from rich.table import Table

from bench.errors import RequestError

FILE = "result.json"

RESERVED, RESERVED_BYTES, RESERVED_BYTES_AN_EPOCH = ".reserved", 1 << 16, 1 << 10
"""A file that holds the room for a result while a run trains, so that a disk that fills up loses none."""

WEIGHTS = "weights.safetensors"
"""A trained model's variables, beside the result where they are asked for."""


class Status(StrEnum):
    """How a run ended."""

    FINISHED = "finished"
    FAILED = "failed"
    REFUSED = "refused"
    SKIPPED = "skipped"


METRICS = (
    "params_total", "params_embedding", "embedding_bytes", "full_embedding_bytes", "compression_ratio",
    "bytes", "model_bytes", "optimizer_bytes", "peak_rss_bytes",
    "val_mae", "val_rmse", "val_loss", "train_loss", "validation_mae", "validation_loss",
    "val_mae_by_decile", "history",
    "step_time_ms", "step_time_ms_p95", "examples_per_second",
    "compile_s", "train_s", "eval_s", "data_s", "total_s", "lookup_us",
)  # fmt: skip
"""Keys of a result that hold measured numbers."""

KEYS = (
    "status", "error", "run_id", "parent_run_id", "fingerprint", "dataset", "strategy", "embeddings",
    "settings", "seed", "environment", *METRICS,
)  # fmt: skip
"""All keys of a result, in the order they are written: the contract's; ``error``, one line that says why a run
has no numbers; ``parent_run_id``, the run that trained what this one compressed."""


def complete(**values: Any) -> dict[str, Any]:
    """A result with every key of ``KEYS``: what was given, and None for the rest.

    NumPy's numbers and arrays become Python's. A measured number that is NaN or infinite becomes None; a run
    that says ``finished`` with one has failed, and ``error`` names it.

    Raises:
        TypeError: a key that no result has, or a value that JSON has no type for.
        ValueError: a status that is none.
    """
    if unknown := [key for key in values if key not in KEYS]:
        raise TypeError(f"no such key in a result: {', '.join(unknown)}")
    result = {key: _plain(values.get(key), key) for key in KEYS}
    result["status"] = str(Status(result["status"]))
    invalid: list[str] = []
    for key in METRICS:
        result[key] = _finite(result[key], key, invalid)
    if invalid and result["status"] == Status.FINISHED:
        result["status"] = str(Status.FAILED)
        result["error"] = result["error"] or f"not a finite number: {', '.join(invalid)}"
    return result


def _plain(value: Any, name: str) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, Mapping):
        return {str(key): _plain(item, f"{name}.{key}") for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, name) for item in value]
    if isinstance(value, os.PathLike | StrEnum):
        return str(value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"{name}: a {type(value).__name__} cannot be written as JSON")


def _finite(value: Any, name: str, invalid: list[str]) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item, f"{name}.{key}", invalid) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item, name, invalid) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        if name not in invalid:
            invalid.append(name)
        return None
    return value


@contextmanager
def reserved(folder: Path, epochs: int) -> Iterator[None]:
    """Holds room on the disk for the result of a run; ``write`` gives it free.

    Raises:
        RequestError: the folder cannot be written to, or the disk is full already.
    """
    path = folder / RESERVED
    try:
        try:
            with path.open("wb") as file:
                file.write(bytes(RESERVED_BYTES + epochs * RESERVED_BYTES_AN_EPOCH))
                os.fsync(file.fileno())
        except OSError as error:
            raise RequestError(
                f"{folder}: cannot be written to ({error.strerror}); free some space, or start in another folder"
            ) from error
        yield
    finally:
        path.unlink(missing_ok=True)


def write(result: Mapping[str, Any], folder: Path) -> Path:
    """Writes ``result.json`` into ``folder``, whole or not at all, also through a crash or a full disk.

    Raises:
        OSError: the folder cannot be written to; an earlier file is then as it was.
        ValueError: a number that JSON has not; ``complete`` leaves none.
    """
    text = json.dumps(result, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    path = folder / FILE
    (folder / RESERVED).unlink(missing_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{FILE}.", dir=folder)  # the same folder: replace needs one disk
    temporary = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o644)  # mkstemp makes it the owner's alone
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return path


def read(folder: Path) -> dict[str, Any]:
    """The result in an output folder.

    Raises:
        RequestError: there is none, or it is none.
    """
    path = folder / FILE
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RequestError(f"{folder}: no {FILE} here; give the output folder of a run") from None
    except (OSError, ValueError) as error:
        raise RequestError(f"{path}: not readable as a result: {error}") from None
    if not isinstance(result, dict) or "status" not in result:
        raise RequestError(f"{path}: not the result of a run")
    return result


def count(number: int) -> str:
    """A whole number as people read it: ``117,968``."""
    return f"{number:,}"


def size(number: int) -> str:
    """Bytes as people read them: ``471,872 bytes (461 KiB)``."""
    exact = "1 byte" if number == 1 else f"{count(number)} bytes"
    return f"{exact} ({short_size(number)})" if number >= 1024 else exact


def short_size(number: float) -> str:
    """Bytes to three digits: ``461 KiB``, ``2.38 MiB``."""
    units = ("bytes", "KiB", "MiB", "GiB", "TiB")
    power = 0
    while number >= 1000 and power < len(units) - 1:
        number, power = number / 1024, power + 1
    return f"{_digits(number)} {units[power]}"


def duration(seconds: float) -> str:
    """Seconds as people read them: ``0.41 s``, ``12.3 s``, ``3 min 05 s``, ``2 h 07 min``."""
    if seconds < 99.95:
        return f"{_digits(seconds)} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def _digits(number: float) -> str:
    # three significant digits, without an exponent
    if number == 0:
        return "0"
    decimals = max(0, 2 - math.floor(math.log10(abs(number))))
    return f"{number:,.{min(decimals, 6)}f}"


def aligned(rows: Sequence[Sequence[str]], left: int) -> Iterator[str]:
    """Rows of equally many cells as lines, the first ``left`` columns to the left and the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (
            cell.ljust(width) if i < left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        yield "  ".join(cells).rstrip()


def embedding(used: Mapping[str, Any]) -> str:
    """A field's method and settings in a line: ``qr: num_buckets=120, quotient_rows=recipe``."""
    hidden = ("method", "tables")
    settings = [f"{key}={_shown(value)}" for key, value in used.items() if key not in hidden]
    return ": ".join(filter(None, [str(used.get("method")), ", ".join(settings)]))


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def lines(result: Mapping[str, Any], folder: Path | None = None) -> Iterator[tuple[str, str]]:
    """A result as pairs of a name and what to read beside it; what the result has not is left out."""
    get = result.get
    status = str(get("status"))
    remark = {"skipped": "an equal run had finished; these are its numbers"}.get(status, get("error"))
    yield "status", f"{status}: {remark}" if remark else status
    yield "data set", str(get("dataset"))
    yield "strategy", str(get("strategy"))
    for field, used in (get("embeddings") or {}).items():
        yield f"embedding of {field}", embedding(used)
    if get("params_total") is not None:
        of_embeddings = count(get("params_embedding") or 0)
        yield "parameters", f"{count(result['params_total'])}, of these in embeddings {of_embeddings}"
    if get("embedding_bytes") is not None:
        yield "embedding memory", size(result["embedding_bytes"])
        if get("full_embedding_bytes") is not None:
            yield "if uncompressed", size(result["full_embedding_bytes"])
    if get("model_bytes") is not None and get("model_bytes") != get("embedding_bytes"):
        yield "whole model", size(result["model_bytes"])
    if get("compression_ratio") is not None:
        yield (
            "compression",
            f"{result['compression_ratio']:.{1 if result['compression_ratio'] >= 2 else 2}f}x",
        )
    yield from _accuracy(result)
    yield from _times(result)
    if get("peak_rss_bytes") is not None:
        yield "peak memory", f"{short_size(result['peak_rss_bytes'])} (the whole process)"
    if folder is not None:
        yield "result and log", str(folder)
    yield "all runs", "make ui, then http://127.0.0.1:5000 (MLflow)"


def _accuracy(result: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    meaning = {
        "val_mae": "mean absolute error on rows held out",
        "val_rmse": "root mean squared error",
    }
    for name, says in meaning.items():
        if result.get(name) is not None:
            yield name.replace("val_", "val ").upper().replace("VAL", "val"), f"{result[name]:.4f}, {says}"
    deciles: Sequence[float | None] = result.get("val_mae_by_decile") or []
    known = [value for value in deciles if value is not None]
    if len(known) > 1:
        yield (
            "val MAE by popularity",
            f"{known[0]:.4f} on the most popular tenth to {known[-1]:.4f} on the least",
        )


def _times(result: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if result.get("step_time_ms") is not None:
        text = f"{_digits(result['step_time_ms'])} ms"
        if result.get("examples_per_second") is not None:
            text += f", {count(round(result['examples_per_second']))} examples a second"
        yield "step time", text
    if result.get("lookup_us") is not None:
        yield "lookup of a batch", f"{_digits(result['lookup_us'])} microseconds"
    if result.get("total_s") is not None:
        names = ("data", "compile", "train", "eval")
        parts = [
            f"{name} {duration(result[f'{name}_s'])}" for name in names if result.get(f"{name}_s") is not None
        ]
        yield "time", f"{duration(result['total_s'])}" + (f" ({', '.join(parts)})" if parts else "")


def show(result: Mapping[str, Any], folder: Path | None = None, file: IO[str] | None = None) -> None:
    """Prints a result: a table on a terminal, of whatever width; one plain line a name elsewhere.

    Args:
        result: what ``complete`` returned.
        folder: where the run left it.
        file: where to print; None for standard output.
    """
    console = Console(file=file or sys.stdout, highlight=False)
    rows = list(lines(result, folder))
    if not console.is_terminal:
        width = max(len(name) for name, _ in rows)
        for name, text in rows:
            print(f"{name:<{width}}  {text}", file=console.file)
        return
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0), pad_edge=False)
    # the names' column keeps its words whole, so that what is left of a narrow terminal folds the texts
    table.add_column(style="bold", max_width=max(12, console.width // 3))
    table.add_column(overflow="fold")
    for name, text in rows:
        table.add_row(name, text)
    console.print()
    console.print(table)
