"""Who pays: a task's errors by the popularity of each field's ids, and the worst-served ids by name."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from bench.data.interactions import Field, Interactions
from bench.measure import popularity
from bench.tasks.base import Task


def who_pays(
    task: Task, data: Interactions, predictions: npt.NDArray[np.floating]
) -> dict[str, dict[str, list[Any]]]:
    """Gives the metrics ``Task.by_field`` and ``Task.by_id`` of the evaluation rows, by name.

    Popularity is that in the rows that train. The evaluation rows are read once a field, and no model is called.

    Args:
        task: names both metrics, and measures.
        data: the data set.
        predictions: those of the evaluation rows, (rows,).

    Returns:
        For the first metric ten numbers by field. For the second a list by field of ``id``, ``error``, ``rows`` (that
        evaluate) and ``training_rows``. The ``id`` is that of the data; None stands for all ids that have no row.
    """
    part, fields = data.evaluation, data.fields
    counts = {name: field.counts for name, field in fields.items()}
    _, measure = task.by_popularity
    worst, errors_of = task.by_id
    errors = errors_of(part.labels, predictions)
    return {
        task.by_field: popularity.by_field(measure, part.labels, predictions, part.ids, counts),
        worst: {name: _worst(field, errors, part.ids[name]) for name, field in fields.items()},
    }


def _worst(
    field: Field, errors: npt.NDArray[np.floating], ids: npt.NDArray[np.int32]
) -> list[dict[str, str | float | None]]:
    return [
        {
            "id": one.number if field.values is None else field.values[one.number],
            "error": one.error,
            "rows": one.rows,
            "training_rows": one.training_rows,
        }
        for one in popularity.worst(errors, ids, field.counts)
    ]
