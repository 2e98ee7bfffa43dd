"""Predicting clicks: binary cross-entropy trains a logit, the area under the ROC curve leads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bench.errors import RequestError
from bench.measure import clicks
from bench.tasks.base import Task, Values

if TYPE_CHECKING:
    from bench.data.interactions import Interactions


def cross_entropy(labels: Any, logits: Any) -> Any:
    """Gives max(x, 0) - x y + ln(1 + exp(-|x|)) of each example: -ln p of what was observed, without an overflow."""
    import tensorflow as tf

    return tf.nn.sigmoid_cross_entropy_with_logits(labels=labels, logits=logits)


def evaluate(labels: Values, logits: Values) -> dict[str, float]:
    """Gives ``val_loss``, ``val_auc``, ``val_logloss`` and ``val_ece`` of the evaluation rows."""
    predictions = clicks.probabilities(logits)
    loss = clicks.logloss(labels, logits)
    return {
        "val_loss": loss,
        "val_auc": clicks.auc(labels, predictions),
        "val_logloss": loss,
        "val_ece": clicks.ece(labels, predictions),
    }


def validate(labels: Values, logits: Values) -> dict[str, float]:
    """Gives ``validation_loss``, ``validation_auc`` and ``validation_logloss`` of the validation rows."""
    loss = clicks.logloss(labels, logits)
    area = clicks.auc(labels, clicks.probabilities(logits))
    return {"validation_loss": loss, "validation_auc": area, "validation_logloss": loss}


def constant(training: Values, evaluation: Values) -> dict[str, float]:
    """Gives the AUC of any constant, 0.5, and the log loss of the share of clicks among the training rows."""
    share = float(np.mean(training, dtype=np.float64))
    return {
        "val_constant": 0.5,
        "val_constant_logloss": clicks.logloss_of_constant(share, evaluation),
    }


def check(data: Interactions) -> None:
    """Refuses labels other than 0 and 1, and rows to measure on that have one label alone.

    Raises:
        RequestError: names the label, or the rows.
    """
    parts = {"training": data.train, "validation": data.validation, "evaluation": data.evaluation}
    for name, part in parts.items():
        labels = part.labels
        other = (labels != 0) & (labels != 1)
        if other.any():
            raise RequestError(
                f"task=click: {name} rows have the label {labels[int(np.argmax(other))]:g}; clicks are 0 and 1 "
                "alone: give task=rating, or another dataset.label"
            )
        if len(labels) and (labels == labels[0]).all():
            raise RequestError(
                f"task=click: all {name} rows have the label {labels[0]:g}; clicks and others are needed in each part"
            )


TASK = Task(
    name="click",
    headline="val_auc",
    validation="validation_auc",
    loss=cross_entropy,
    evaluate=evaluate,
    validate=validate,
    by_popularity=("val_auc_by_decile", clicks.auc_by_decile),
    by_field="val_auc_by_field",
    by_id=("val_logloss_worst_ids", clicks.loglosses),
    constant=constant,
    logits=True,
    higher=frozenset({"validation_auc"}),
    by_user=("val_gauc", clicks.gauc),
    check=check,
)
