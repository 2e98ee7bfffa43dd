"""Compares a folder that was just written with what it was made from, in a fresh process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from bench.config.files import ROOT
from bench.data.interactions import Values
from bench.embeddings.base import Kind, Method
from bench.errors import RunFailed
from bench.models.inputs import DENSE
from bench.serving.compare import PREDICTIONS
from bench.trained import Trained

IDS, ROWS = 2000, 2000
"""Numbers of ids of each field, and of rows of data, that are compared."""

EXACT, SUMMED = 1e-6, 1e-5
"""Largest difference of vectors that are read, and of those that networks compute, for numbers up to 1."""


def reference(trained: Trained) -> dict[str, np.ndarray]:
    """Computes by Keras what an export has to give; see ``bench.serving.compare``.

    Args:
        trained: the trained model.
    """
    found: dict[str, np.ndarray] = {}
    for number, name in enumerate(trained.embeddings):
        field = trained.data.fields[name]
        found |= of_field(number, field.size, partial(trained.vectors, name), field.values)
    part = trained.inputs(trained.data.evaluation.first(ROWS))
    count = len(next(iter(part.values())))
    found[PREDICTIONS] = np.asarray(trained.model.predict(part, batch_size=ROWS, verbose=0)).reshape(-1)
    found["dense"] = part.get(DENSE, np.zeros((count, 0), np.float32))
    for number, name in enumerate(trained.embeddings):
        found[f"row/{number}"] = part[name]
    return found


def of_field(
    number: int, size: int, vectors: Callable[[np.ndarray], np.ndarray], values: Values | None
) -> dict[str, np.ndarray]:
    """Gives what an export has to give for up to ``IDS`` rows of a field, the first and the last among them.

    Args:
        number: the field's place in the export.
        size: number of rows of the field.
        vectors: makes the vectors of row numbers, float (n, embedding_dim) from int32 (n,).
        values: the ids by number; None if they are not known.
    """
    rows = np.unique(np.linspace(0, size - 1, IDS).astype(np.int32))
    found = {f"rows/{number}": rows, f"vectors/{number}": vectors(rows).astype(np.float32)}
    if values is not None:
        known = rows[(rows >= values.first) & (rows < values.first + len(values))]
        ids = json.dumps([values[row] for row in known.tolist()]).encode()
        found |= {f"known/{number}": known, f"ids/{number}": np.frombuffer(ids, np.uint8)}
    return found


def tolerances(wanted: Mapping[str, np.ndarray], forms: Mapping[str, Method[Any]]) -> dict[str, float]:
    """Gives the largest difference that is allowed, by the name of what is compared."""
    found = {}
    for number, (name, form) in enumerate(forms.items()):
        network = any(array.kind == Kind.NETWORKS for array in form.arrays())
        scale = max(1.0, float(np.abs(wanted[f"vectors/{number}"]).max(initial=0.0)))
        found[f"fields.{name}"] = scale * (SUMMED if network else EXACT)
    if PREDICTIONS in wanted:
        found[PREDICTIONS] = SUMMED * max(1.0, float(np.abs(wanted[PREDICTIONS]).max(initial=0.0)))
    return found


def compare(
    folder: Path,
    wanted: Mapping[str, np.ndarray],
    forms: Mapping[str, Method[Any]],
    against: str,
    formats: Sequence[str] = (),
) -> dict[str, dict[str, float]]:
    """Loads a folder, and each further format in it, in a fresh process, and compares it with what it has to give.

    Args:
        folder: the export.
        wanted: see ``bench.serving.compare``.
        forms: the description that serves, by field.
        against: what ``wanted`` was computed by, for messages.
        formats: the further formats.

    Returns:
        The largest difference of each field and of the predictions, by name, for each format. The name of what
        ``bench.serving`` reads is empty.

    Raises:
        RunFailed: a difference is beyond its tolerance, or the folder cannot be loaded.
    """
    allowed = tolerances(wanted, forms)
    found = {}
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "reference.npz"
        with path.open("wb") as file:
            np.savez(file, **wanted)  # type: ignore[arg-type]
        both = (str(folder.absolute()), str(path))
        found[""] = _judged("", _ask("bench.serving.compare", *both), allowed, against)
        for name in formats:
            said = _ask("bench.exporting.formats.compare", *both, name)
            found[name] = _judged(f"formats={name}: ", said, allowed, against)
    return found


def _judged(
    where: str, said: Mapping[str, Any], allowed: Mapping[str, float], against: str
) -> dict[str, float]:
    if "error" in said:
        raise RunFailed(f"{where}the export cannot be used ({said['error']}); nothing was kept")
    found: dict[str, float] = {name: float(value) for name, value in said["differences"].items()}
    for name, apart in found.items():
        if not apart <= allowed[name]:
            raise RunFailed(
                f"{where}{name}: the export differs from {against} by {apart:.3g}, more than {allowed[name]:.3g}; "
                "nothing was kept"
            )
    return found


def _ask(module: str, *arguments: str) -> dict[str, Any]:
    """Runs a module in a fresh process and reads the JSON that it prints."""
    paths = [str(ROOT), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments], capture_output=True, check=False, env=environment
    )
    try:
        found: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        reason = done.stderr.decode(errors="replace").strip().splitlines()[-1:] or [
            f"exit code {done.returncode}"
        ]
        return {"error": reason[0]}
    return found
