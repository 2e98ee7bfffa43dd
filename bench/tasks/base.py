"""The description of a task: the loss of training, and the judgement of predictions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from bench.data.interactions import Interactions

Values = npt.NDArray[np.floating]
"""One number a row, of shape (rows,)."""

Range = tuple[float, float]
"""The smallest and the largest label."""


def any_labels(data: Interactions) -> None:
    """Takes all data."""


@dataclass(frozen=True)
class Task:
    """A task. Its metrics are those fields of ``bench.records.result.Result`` that name it.

    Attributes:
        name: as results call it.
        headline: the metric of the evaluation rows that leads: charts, fronts and comparisons go by it.
        validation: the same metric of the validation rows. A choice goes by this one where there are such rows.
        loss: gives the loss of each example from labels and the model's outputs, float32 tensors of shape (batch,).
        evaluate: gives the metrics of the evaluation rows by name, from labels and the model's outputs.
        validate: gives the metrics of the validation rows by name.
        by_popularity: the metric that is also given for each tenth of the items, and its function of labels,
            outputs, ids and training counts.
        by_field: the metric that has the same numbers for the ids of every field.
        by_id: the metric that names the worst-served ids of every field, and the function that gives the error of each
            row from labels and the model's outputs.
        constant: gives ``val_constant``, the headline metric of the best constant, and what else is known of
            constants: chosen on the labels of the training rows, measured on those of the evaluation rows.
        logits: True if the model gives logits. Else it gives predictions on the scale of the labels.
        higher: the metrics of the validation rows that are better the higher they are. The others are better the
            lower they are.
        by_user: a metric that compares the rows of each user, and its function of labels, outputs and users' ids,
            or None.
        check: refuses data that the task cannot take with a ``RequestError``.
    """

    name: str
    headline: str
    validation: str
    loss: Callable[[Any, Any], Any]
    evaluate: Callable[[Values, Values], dict[str, float]]
    validate: Callable[[Values, Values], dict[str, float]]
    by_popularity: tuple[str, Callable[..., list[float | None]]]
    by_field: str
    by_id: tuple[str, Callable[[Values, Values], Values]]
    constant: Callable[[Values, Values], dict[str, float]]
    logits: bool = False
    higher: frozenset[str] = frozenset()
    by_user: tuple[str, Callable[..., float | None]] | None = None
    check: Callable[[Interactions], None] = any_labels

    def scale(self, label_range: Range) -> Range | None:
        """Gives the scale of a model's outputs: that of the labels, or None for logits."""
        return None if self.logits else label_range
