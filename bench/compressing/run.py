"""Compresses a table: reads it, fits the method, measures what was lost, and writes the export."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.compressing import ids, quality, reading
from bench.config.typed import plain
from bench.data.interactions import Values
from bench.embeddings.base import Method, Vocabulary
from bench.embeddings.budget import choose
from bench.embeddings.trial import check_values
from bench.errors import RequestError, end_if_asked
from bench.exporting import card, checking, content, writing
from bench.exporting.ids import stored
from bench.measure import units
from bench.records.fingerprint import fingerprint
from bench.serving import readers
from bench.serving.layout import FIELDS, IDS
from bench.serving.manifest import Entry, Manifest

NAME = re.compile(r"[A-Za-z0-9_]{1,100}")
"""Names of fields, as columns give them."""

Say = Callable[[str], None]
"""Takes the news of what is being done."""

LARGE = 1 << 23
"""Count of numbers from which on a table takes long enough for news."""


@dataclass(frozen=True)
class Request:
    """What is to be compressed, and how.

    Attributes:
        table: the file of the table.
        output_dir: the folder to make.
        method: the post-training method.
        settings: its settings. Sizes may be open.
        budget: as in ``bench.embeddings.budget.choose``.
        ids: the file of the rows' ids; None for their numbers.
        field: name of the field.
        tensor: name of the tensor in a safetensors file; None for the only table.
        layer: name of the layer in a Keras model; None for the only embedding.
        seed: of all random draws.
        sample: number of rows whose neighbours are compared.
    """

    table: Path
    output_dir: Path
    method: type[Method[Any]]
    settings: Any
    budget: float | str | None = None
    ids: Path | None = None
    field: str = "item"
    tensor: str | None = None
    layer: str | None = None
    seed: int = 0
    sample: int = 1000


@dataclass(frozen=True)
class _Fitted:
    """A compressed table.

    Attributes:
        source: the file.
        table: its numbers.
        method: the method with all its sizes.
        arrays: the arrays that serve, by name.
        values: the ids of the rows.
        quality: what was lost.
    """

    source: reading.Source
    table: reading.Table
    method: Method[Any]
    arrays: dict[str, np.ndarray]
    values: Values
    quality: quality.Quality


def _nothing(text: str) -> None:
    pass


def compress(asked: Request, say: Say = _nothing) -> content.Tree:
    """Compresses a table and gives the manifest of its export.

    What is wrong with the request is said before the table's numbers are read.

    Args:
        asked: the request.
        say: takes the news of what is being done with a large table.

    Raises:
        RequestError: the table or the ids cannot be used, the budget cannot be met, or ``output_dir`` holds something.
        BenchError: the export differs from what was computed, or cannot be written. Nothing is left.
    """
    if not NAME.fullmatch(asked.field):
        raise RequestError(
            f"field={asked.field}: give letters without accents, digits and _, such as field=item"
        )
    writing.check_target(asked.output_dir)
    found = reading.source(asked.table, asked.tensor, asked.layer)
    size, width = found.shape
    choice = (asked.method, asked.settings)
    vocabulary = Vocabulary(asked.field, size)
    method = choose({asked.field: choice}, {asked.field: vocabulary}, width, asked.budget)[asked.field]
    if method.is_trained() and method.parent():
        given = ", ".join(f"{name}=true" for name, value in plain(asked.settings).items() if value is True)
        raise RequestError(
            f"{given}: trains the model further, and a finished table comes without a model; leave it out"
        )

    def step(text: str) -> None:
        end_if_asked()  # scikit-learn passes over a signal that comes while it counts threads
        if size * width >= LARGE:
            say(text)

    step(f"reading {size:,} x {width} numbers of {asked.table.name}")
    values = ids.numbers(size) if asked.ids is None else ids.read(asked.ids, size)
    table = reading.read(found)
    step(f"compressing with {method.name()}")
    arrays = method.serve({"table": table.rows}, method.vocabulary.generator(asked.seed))
    form = method.served()
    check_values(method, "serve", arrays, form.arrays())
    step("measuring what was lost")
    lost = quality.measure(table.rows, readers.reader(form, arrays), asked.sample)
    step(f"writing {asked.output_dir}")
    return writing.put(_export(asked, _Fitted(found, table, method, arrays, values, lost)), asked.output_dir)


def _export(asked: Request, fitted: _Fitted) -> writing.Export:
    method, field, form = fitted.method, asked.field, fitted.method.served()
    kept, of_ids = stored(fitted.values)
    entry = Entry(
        field, method.vocabulary.size, method.embedding_dim, method.name(), plain(method.settings), kept,
        unknown_row=None, column=field,
    )  # fmt: skip
    left_out = {"predict": "a table has no model"}
    arrays = {f"{FIELDS}/{field}/{name}": array for name, array in fitted.arrays.items()}
    arrays |= {f"{IDS}/{field}/{name}": array for name, array in of_ids.items()}
    found = content.checked(Manifest({field: entry}, (), None, {}, left_out, {}), {field: form}, arrays)
    settings = {"method": entry.method, "settings": entry.settings, "field": field, "seed": asked.seed}
    data = hashlib.sha256(f"{fitted.table.digest} {_digest(fitted.values)}".encode()).hexdigest()
    about = {
        "fingerprint": fingerprint(settings, data),
        "run": {
            "dataset": asked.table.name, "part": fitted.source.part, "dtype": fitted.source.dtype, "task": None,
            "strategy": entry.method, "seed": asked.seed,
        },
        "reconstruction": asdict(fitted.quality),
    }  # fmt: skip
    full = 4 * entry.size * entry.dim
    reference = checking.of_field(0, entry.size, lambda rows: form(rows, fitted.arrays), fitted.values)
    said = _card(asked, fitted, str(about["fingerprint"]))
    return writing.Export(found, about, method.nbytes, full, reference, said)


def _digest(values: Values) -> str:
    made = hashlib.sha256()
    for name, array in (("integers", values.integers), ("ends", values.ends), ("text", values.text)):
        if array is not None:
            made.update(name.encode())
            made.update(np.ascontiguousarray(array).view(np.uint8).data)
    return made.hexdigest()


def _card(asked: Request, fitted: _Fitted, found: str) -> card.Card:
    method, part = fitted.method, fitted.source.part
    size, width = fitted.source.shape
    full = 4 * size * width
    name = f"{asked.table.name}, {part}" if part else asked.table.name
    return card.Card(
        f"{method.name()} of {name}",
        "An embedding table, compressed after training",
        [
            f"Embeddings: {units.short_size(method.nbytes)}, {full / method.nbytes:.1f} times smaller than the "
            f"{units.short_size(full)} of {size:,} x {width} float32 numbers.",
            f"Seed {asked.seed}. Fingerprint: `{found}`.",
        ],
        repr([fitted.values[0]]),
        "the description",
        "What compression changed",
        rows(fitted.quality),
    )


def rows(lost: quality.Quality) -> list[tuple[str, str]]:
    """Gives what was lost as a table for people: a name and a number in each row."""
    found = [
        ("RMSE", lost.rmse),
        ("error / norm of the table", lost.relative_error),
        ("mean cosine of a row before and after", lost.cosine_mean),
        ("cosine of the worst percent, at most", lost.cosine_p1),
        (f"recall@{lost.neighbours}, inner product", lost.recall_inner_product),
        (f"recall@{lost.neighbours}, cosine", lost.recall_cosine),
    ]
    made = [(name, f"{value:.6g}") for name, value in found if value is not None]
    if lost.zero_rows:
        made.append(("rows of zeros, without a cosine", f"{lost.zero_rows:,}"))
    return made
