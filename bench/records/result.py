"""The typed result of a run. Each metric is defined here and nowhere else.

A metric's unit, meaning and direction are metadata of its dataclass field. These uses are derived from them: the keys
of ``result.json``, MLflow's metrics and their descriptions, the table in ``docs/results.md``, the columns of a report,
and the line that a run prints after each epoch.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, Self

from bench.errors import RequestError
from bench.measure.popularity import LEAST_ROWS, LISTED
from bench.records.files import write_whole
from bench.records.metric import Metric
from bench.records.metric import metric as _metric
from bench.records.plain import finite, plain
from bench.tasks import find as find_task

FILE = "result.json"

Tree = Mapping[str, Any]
"""Nested settings as JSON has them: texts, numbers, true, false, null, lists, and mappings of these."""


class Status(StrEnum):
    """The status of a run that has ended."""

    FINISHED = "finished"
    FAILED = "failed"
    REFUSED = "refused"
    SKIPPED = "skipped"


_RATING, _CLICK = ("rating",), ("click",)


@dataclass(frozen=True, kw_only=True)
class Result:
    """The result of one run. A number that was not measured is None.

    Attributes:
        status: the way in which the run ended.
        error: one line that says why a run has no numbers.
        run_id: MLflow's id of the run, if the run was logged.
        parent_fingerprint: the fingerprint of the parent, the run whose weights this run compressed.
        task: the name of the task that the model was trained for.
        fingerprint: digest of everything that decides the result.
        data_digest: digest of the rows, the split and the numbering of ids.
        dataset: the data set's name.
        strategy: the strategy's name, as chosen.
        embeddings: method, sizes, table shapes and kind of updates of each field, as used.
        settings: all settings, resolved.
        seed: the seed of the initial weights and the batch order.
        environment: processor, threads, versions, and the number of runs that ran at once.
    """

    status: Status
    error: str | None = None
    run_id: str | None = None
    parent_fingerprint: str | None = None
    task: str | None = None
    fingerprint: str | None = None
    data_digest: str | None = None
    dataset: str | None = None
    strategy: str | None = None
    embeddings: Mapping[str, Tree] | None = None
    settings: Tree | None = None
    seed: int | None = None
    environment: Tree | None = None

    params_total: int | None = _metric("numbers", "trainable numbers of the model")
    params_embedding: int | None = _metric(
        "numbers", "of these in the embeddings, projections included", main=True
    )
    embedding_bytes: int | None = _metric(
        "bytes",
        "resident to serve the embeddings from integer ids, id maps included",
        better="lower",
        main=True,
    )
    full_embedding_bytes: int | None = _metric("bytes", "the same with one float32 row an id")
    compression_ratio: float | None = _metric(
        "times", "`full_embedding_bytes / embedding_bytes`: above 1 is smaller", better="higher", main=True
    )
    bytes: Mapping[str, int] | None = _metric(
        "bytes", "`embedding_bytes` by `.tables`, `.networks`, `.maps`, `.codes`, `.other`"
    )
    model_bytes: int | None = _metric(
        "bytes", "the embeddings and all other variables of the model", better="lower"
    )
    optimizer_bytes: int | None = _metric("bytes", "held while training beside the model", better="lower")
    peak_rss_bytes: int | None = _metric(
        "bytes", "highest resident memory of the process", better="lower", timed=True
    )
    val_mae: float | None = _metric(
        "of the label", "mean absolute error on the evaluation rows", better="lower", tasks=_RATING, title="val MAE",
        main=True, averaged=True, by_epoch=True,
    )  # fmt: skip
    val_rmse: float | None = _metric(
        "of the label", "root mean squared error on the evaluation rows", better="lower", tasks=_RATING,
        title="val RMSE", main=True, averaged=True,
    )  # fmt: skip
    val_auc: float | None = _metric(
        "share", "area under the ROC curve on the evaluation rows: pairs in the right order, ties half",
        better="higher", tasks=_CLICK, title="val AUC", main=True, averaged=True, by_epoch=True,
    )  # fmt: skip
    val_logloss: float | None = _metric(
        "nats", "log loss on the evaluation rows", better="lower", tasks=_CLICK, title="val log loss", main=True,
        averaged=True, by_epoch=True,
    )  # fmt: skip
    val_gauc: float | None = _metric(
        "share", "AUC of each user's evaluation rows, weighted by rows; users with one label alone left out",
        better="higher", tasks=_CLICK, title="val gAUC", main=True, averaged=True,
    )  # fmt: skip
    val_ece: float | None = _metric(
        "share", "calibration error on the evaluation rows, 15 bins of equal mass", better="lower", tasks=_CLICK,
        title="val ECE", main=True, averaged=True,
    )  # fmt: skip
    val_loss: float | None = _metric(
        "label squared; nats for clicks", "the loss on the evaluation rows", better="lower"
    )
    train_loss: float | None = _metric(
        "label squared; nats for clicks", "the loss while training, averaged over an epoch", better="lower",
        by_epoch=True,
    )  # fmt: skip
    validation_mae: float | None = _metric(
        "of the label", "mean absolute error on the rows set apart for choosing", better="lower", tasks=_RATING,
        title="validation MAE", averaged=True,
    )  # fmt: skip
    validation_rmse: float | None = _metric(
        "of the label", "root mean squared error on those rows", better="lower", tasks=_RATING
    )
    validation_auc: float | None = _metric(
        "share", "area under the ROC curve on the rows set apart for choosing", better="higher", tasks=_CLICK,
        title="validation AUC", averaged=True, by_epoch=True,
    )  # fmt: skip
    validation_logloss: float | None = _metric(
        "nats", "log loss on those rows", better="lower", tasks=_CLICK, title="validation log loss"
    )
    validation_loss: float | None = _metric(
        "label squared; nats for clicks", "the loss on those rows", better="lower", by_epoch=True
    )
    val_constant: float | None = _metric(
        "as the headline metric", "the headline metric of the best constant: what no embedding would get",
        title="best constant", main=True,
    )  # fmt: skip
    val_constant_logloss: float | None = _metric(
        "nats", "log loss of the training rows' share of clicks as the one prediction", better="lower", tasks=_CLICK,
        title="best constant's log loss",
    )  # fmt: skip
    val_mae_by_decile: Sequence[float | None] | None = _metric(
        "of the label", "`.01` to `.10`: `val_mae` by tenths of the items, the most popular first", better="lower",
        tasks=_RATING,
    )  # fmt: skip
    val_mae_by_field: Mapping[str, Sequence[float | None]] | None = _metric(
        "of the label", "`.FIELD.01` to `.FIELD.10`: the same by tenths of the ids of each field", better="lower",
        tasks=_RATING,
    )  # fmt: skip
    val_mae_worst_ids: Mapping[str, Sequence[Tree]] | None = _metric(
        "of the label", f"the {LISTED} ids of each field with the largest `val_mae`, of those with {LEAST_ROWS} "
        "evaluation rows: `id`, `error`, `rows`, `training_rows`", better="lower", tasks=_RATING,
    )  # fmt: skip
    val_auc_by_decile: Sequence[float | None] | None = _metric(
        "share", "`.01` to `.10`: `val_auc` by tenths of the items, the most popular first", better="higher",
        tasks=_CLICK,
    )  # fmt: skip
    val_auc_by_field: Mapping[str, Sequence[float | None]] | None = _metric(
        "share", "`.FIELD.01` to `.FIELD.10`: the same by tenths of the ids of each field", better="higher",
        tasks=_CLICK,
    )  # fmt: skip
    val_logloss_worst_ids: Mapping[str, Sequence[Tree]] | None = _metric(
        "nats", f"the {LISTED} ids of each field with the largest `val_logloss`, of those with {LEAST_ROWS} "
        "evaluation rows: `id`, `error`, `rows`, `training_rows`", better="lower", tasks=_CLICK,
    )  # fmt: skip
    history: Mapping[str, Sequence[Any]] | None = _metric("", "one value an epoch of the metrics above")
    step_time_ms: float | None = _metric(
        "ms", "a training step: median over chunks after compilation", better="lower", title="step ms", main=True,
        averaged=True, timed=True,
    )  # fmt: skip
    step_time_ms_p95: float | None = _metric("ms", "its 95th percentile", better="lower", timed=True)
    examples_per_second: float | None = _metric(
        "1/s", "trained, over all chunks", better="higher", timed=True
    )
    compile_s: float | None = _metric(
        "s", "tracing and compiling, before the first step", better="lower", timed=True
    )
    train_s: float | None = _metric("s", "training, all epochs", better="lower", timed=True)
    eval_s: float | None = _metric("s", "all evaluations", better="lower", timed=True)
    data_s: float | None = _metric("s", "reading or preparing the data", better="lower", timed=True)
    total_s: float | None = _metric(
        "s", "from the start of the run, imports and MLflow included", better="lower", main=True, timed=True
    )
    lookup_us: float | None = _metric(
        "µs", "to look up one batch of ids in all fields, median", better="lower", title="lookup µs", main=True,
        averaged=True, timed=True,
    )  # fmt: skip

    @classmethod
    def of(cls, status: Status, **values: Any) -> Self:
        """Makes a result from what was measured.

        NumPy's numbers and arrays become Python's. A measured number that is NaN or infinite becomes None. If a
        ``finished`` run has such a number, its status becomes ``failed`` and ``error`` names the number.

        Raises:
            TypeError: a key is unknown, or a value's type has no JSON equivalent.
        """
        known = {key: plain(value, key) for key, value in values.items()}
        invalid: list[str] = []
        for key in METRICS.keys() & known.keys():
            known[key] = finite(known[key], key, invalid)
        if invalid and status == Status.FINISHED:
            status = Status.FAILED
            known["error"] = known.get("error") or f"not a finite number: {', '.join(sorted(invalid))}"
        return cls(status=Status(status), **known)

    @classmethod
    def from_json(cls, text: str, origin: object) -> Self:
        """Reads a result from the text of a ``result.json``. Unknown keys are ignored.

        Args:
            text: the text of the file.
            origin: the file that messages name.

        Raises:
            RequestError: the text is not a result.
        """
        try:
            values = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise RequestError(f"{origin}: not readable as a result: {_first_line(error)}") from None
        if not isinstance(values, dict) or "status" not in values:
            raise RequestError(f"{origin}: not the result of a run")
        known = {key: value for key, value in values.items() if key in _TYPES}
        for key, value in known.items():
            if not _is(value, _TYPES[key]) or not all(_is(one, _INNER[key]) for one in _items(key, value)):
                raise RequestError(f"{origin}: not the result of a run: {key} is {_short(value)}")
        if known["status"] not in list(Status):
            raise RequestError(f"{origin}: not the result of a run: status is {_short(known['status'])}")
        return cls(**{**known, "status": Status(values["status"])})

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Reads the ``result.json`` of an output folder.

        Raises:
            RequestError: the file is missing, or not the result of a run.
        """
        path = folder / FILE
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            raise RequestError(f"{folder}: no {FILE} here; give the output folder of a run") from None
        except (OSError, ValueError) as error:
            raise RequestError(f"{path}: not readable as a result: {_first_line(error)}") from None
        return cls.from_json(text, path)

    def values(self) -> dict[str, Any]:
        """Gives all keys and values, in the order of ``result.json``."""
        return {one.name: getattr(self, one.name) for one in fields(self)}

    def to_json(self) -> str:
        """Gives the text of ``result.json``: one indented object and a line end."""
        return json.dumps(self.values(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    def write(self, folder: Path) -> Path:
        """Writes ``result.json`` into a folder, whole or not at all, even if the process crashes or the disk is full.

        Raises:
            OSError: the folder cannot be written to. An earlier file then stays unchanged.
        """
        return write_whole(folder / FILE, self.to_json())

    def with_(self, **changed: Any) -> Self:
        """Gives the same result with some values changed."""
        return replace(self, **changed)

    def metric(self, name: str) -> float | None:
        """Gives a measured number by name, or None if it was not measured, or is a list or a mapping."""
        value = getattr(self, name) if name in METRICS else None
        return value if isinstance(value, int | float) else None

    @property
    def headline(self) -> float | None:
        """The value of the headline metric of the result's task, or None if it was not measured."""
        return self.metric(find_task(self.task).headline) if self.task and self.measured else None

    def setting(self, name: str) -> Any:
        """Gives a setting by its dotted name, such as ``training.batch_size``, or None if it is missing."""
        found: Any = self.settings
        for part in name.split("."):
            found = found.get(part) if isinstance(found, Mapping) else None
        return found

    def numbers(self) -> dict[str, Any]:
        """Gives the measured numbers that stay equal if the run is repeated on any machine."""
        return {name: getattr(self, name) for name, one in METRICS.items() if not one.timed}

    @property
    def measured(self) -> bool:
        """True if the run has numbers: its own, or those of an equal run that had finished."""
        return self.status in (Status.FINISHED, Status.SKIPPED)


KEYS: tuple[str, ...] = tuple(one.name for one in fields(Result))
"""All keys of a result, in the order of ``result.json``."""

METRICS: Mapping[str, Metric] = {
    one.name: one.metadata["metric"] for one in fields(Result) if "metric" in one.metadata
}
"""All measured numbers by name."""


def whole_numbers() -> set[str]:
    """Gives the names of the metrics that are whole numbers: counts and bytes."""
    return {one.name for one in fields(Result) if one.name in METRICS and str(one.type).startswith("int")}


def metrics_of(task: str | None) -> dict[str, Metric]:
    """Gives the metrics of a task, with those that every task has. For None it gives all metrics."""
    return {name: one for name, one in METRICS.items() if not (one.tasks and task) or task in one.tasks}


_KINDS: Mapping[str, tuple[type, ...]] = {
    "int": (int,),
    "float": (int, float),
    "str": (str,),
    "Status": (str,),
}


def _kinds(hint: str) -> tuple[type, ...]:
    """Gives the types that a value read from JSON may have, for the type hint of a dataclass field."""
    first = hint.partition(" | ")[0]
    if first.startswith(("Mapping", "Tree")):
        return (dict,)
    return (list,) if first.startswith("Sequence") else _KINDS[first]


_TYPES = {one.name: _kinds(str(one.type)) for one in fields(Result)}

_INNER: Mapping[str, tuple[type, ...]] = {
    "embeddings": (dict,), "bytes": (int, float), "history": (list,), "val_mae_by_decile": (int, float),
    "val_mae_by_field": (list,), "val_mae_worst_ids": (list,), "val_auc_by_decile": (int, float),
    "val_auc_by_field": (list,), "val_logloss_worst_ids": (list,),
}  # fmt: skip
"""The types of the items of a result's lists and mappings, by key."""


def scalars() -> list[str]:
    """Gives the names of the metrics that are one number."""
    return [name for name in METRICS if name not in _INNER]


def _items(key: str, value: Any) -> list[Any]:
    if key not in _INNER or value is None:
        return []
    return list(value.values()) if isinstance(value, dict) else list(value)


def _is(value: object, kinds: tuple[type, ...]) -> bool:
    return value is None or (isinstance(value, kinds) and not isinstance(value, bool))


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)


def _short(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def table() -> Iterator[str]:
    """Gives the lines of the table of metrics in ``docs/results.md``, as Markdown."""
    yield "| metric | unit | better | meaning |"
    yield "| --- | --- | --- | --- |"
    for name, one in METRICS.items():
        tasks = f" ({', '.join(one.tasks)})" if one.tasks else ""
        yield f"| `{name}`{tasks} | {one.unit} | {one.better or ''} | {one.meaning} |"
