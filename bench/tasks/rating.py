"""Predicting ratings: squared error trains, the mean absolute error leads."""

from __future__ import annotations

from typing import Any

import numpy as np

from bench.measure.metrics import absolute_errors, errors, mae_by_decile
from bench.tasks.base import Task, Values


def squared_error(labels: Any, predictions: Any) -> Any:
    """Gives (y - p)² of each example, the recipe's loss."""
    import tensorflow as tf

    return tf.square(labels - predictions)


def evaluate(labels: Values, predictions: Values) -> dict[str, float]:
    """Gives ``val_loss``, ``val_mae`` and ``val_rmse`` of the evaluation rows."""
    found = errors(labels, predictions)
    return {"val_loss": found["mse"], "val_mae": found["mae"], "val_rmse": found["rmse"]}


def validate(labels: Values, predictions: Values) -> dict[str, float]:
    """Gives ``validation_loss``, ``validation_mae`` and ``validation_rmse`` of the validation rows."""
    found = errors(labels, predictions)
    return {
        "validation_loss": found["mse"],
        "validation_mae": found["mae"],
        "validation_rmse": found["rmse"],
    }


def constant(training: Values, evaluation: Values) -> dict[str, float]:
    """Gives the mean absolute error of the training labels' median, the constant with the least such error."""
    median = np.median(training.astype(np.float64))
    return {"val_constant": float(np.mean(np.abs(evaluation.astype(np.float64) - median)))}


TASK = Task(
    name="rating",
    headline="val_mae",
    validation="validation_mae",
    loss=squared_error,
    evaluate=evaluate,
    validate=validate,
    by_popularity=("val_mae_by_decile", mae_by_decile),
    by_field="val_mae_by_field",
    by_id=("val_mae_worst_ids", absolute_errors),
    constant=constant,
)
