"""The Keras optimizer that the settings name, its learning rate at every step, and its rule for rows if it has one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from bench.errors import RequestError
from bench.training.rules import SGD, Adagrad, Adam, MomentumSGD, RMSprop, RowRule

# Optimizers that treat every number alone, so that all small arrays may be one flat vector to them.
_ELEMENTWISE = (
    keras.optimizers.SGD,
    keras.optimizers.Adam,
    keras.optimizers.Adagrad,
    keras.optimizers.RMSprop,
    keras.optimizers.Adadelta,
    keras.optimizers.Adamax,
    keras.optimizers.Nadam,
    keras.optimizers.Ftrl,
    keras.optimizers.Lion,
)


def learning_rates(learning_rate: float, schedule: Mapping[str, Any], steps: int) -> np.ndarray:
    """The learning rate of every step.

    Args:
        learning_rate: the highest.
        schedule: ``kind`` (None for a constant, ``cosine``, ``exponential``, ``linear`` or ``inverse_time``),
            ``warmup_steps`` (linear from 0), ``decay_rate`` and ``decay_steps`` (None: all steps), ``end_factor``.
        steps: how many.

    Returns:
        float64 of shape (steps,).
    """
    step = np.arange(steps, dtype=np.float64)
    warmup = int(schedule.get("warmup_steps") or 0)
    since = np.maximum(step - warmup, 0.0)
    decay_steps = float(schedule.get("decay_steps") or max(steps - warmup, 1))
    share = np.minimum(since / decay_steps, 1.0)
    end = float(schedule.get("end_factor") or 0.0)
    rate = float(schedule.get("decay_rate") or 1.0)
    match schedule.get("kind"):
        case None:
            factor = np.ones_like(step)
        case "cosine":
            factor = end + (1 - end) * 0.5 * (1 + np.cos(math.pi * share))
        case "linear":
            factor = 1 - (1 - end) * share
        case "exponential":
            factor = rate ** (since / decay_steps)
        case "inverse_time":
            factor = 1 / (1 + rate * since / decay_steps)
        case other:
            raise ValueError(f"no such schedule: {other}")
    if warmup:
        factor = np.where(step < warmup, (step + 1) / warmup, factor)
    return learning_rate * factor


class _Listed(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]
    """A schedule that looks its value up, so that both forms of an update see the same numbers."""

    def __init__(self, values: np.ndarray) -> None:
        self.values = values

    def __call__(self, step: Any) -> Any:
        values = keras.ops.convert_to_tensor(self.values, "float32")
        return keras.ops.take(values, keras.ops.minimum(step, len(self.values) - 1))

    def get_config(self) -> dict[str, Any]:
        return {"values": self.values.tolist()}


def build(name: str, settings: Mapping[str, Any], rates: np.ndarray) -> Any:
    """The Keras optimizer called ``name`` with its further ``settings``.

    Args:
        name: any of ``keras.optimizers``, in any case.
        settings: further arguments of its constructor.
        rates: the learning rate of every step, from ``learning_rates``.

    Raises:
        RequestError: Keras has no such optimizer or it refuses the settings.
    """
    constant = len(rates) == 0 or bool(np.all(rates == rates[0]))
    rate = (float(rates[0]) if len(rates) else 0.0) if constant else _Listed(rates.astype(np.float32))
    try:
        return type(keras.optimizers.get(name))(learning_rate=rate, **settings)
    except (TypeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise RequestError(
            f"training.optimizer={name} with training.optimizer_settings={dict(settings)}: {reason}"
        ) from None


def is_elementwise(optimizer: Any) -> bool:
    """Whether each number's update depends on that number and its gradient alone."""
    return type(optimizer) in _ELEMENTWISE and not (optimizer.clipnorm or optimizer.global_clipnorm)


def row_rule(optimizer: Any) -> RowRule | None:
    """The optimizer written for rows, or None where it has no such form as set.

    Weight decay, clipping, averages of weights, gradient accumulation and amsgrad move rows in ways that are not
    known in advance, and so do a momentum of 0 decay or 1.
    """
    o = optimizer
    plain = not any(
        (o.weight_decay, o.clipnorm, o.clipvalue, o.global_clipnorm, o.use_ema, o.loss_scale_factor,
         o.gradient_accumulation_steps)
    )  # fmt: skip
    if not plain:
        return None
    if type(o) is keras.optimizers.SGD:
        if o.momentum == 0:
            return SGD()
        return MomentumSGD(o.momentum, o.nesterov) if o.momentum < 1 else None
    if type(o) is keras.optimizers.Adagrad:
        return Adagrad(o.initial_accumulator_value, o.epsilon)
    if type(o) is keras.optimizers.RMSprop and 0 < o.rho < 1 and o.momentum < 1:
        return RMSprop(o.rho, o.momentum, o.epsilon, o.centered)
    if type(o) is keras.optimizers.Adam and not o.amsgrad and Adam.holds(o.beta_1, o.beta_2):
        return Adam(o.beta_1, o.beta_2, o.epsilon)
    return None
