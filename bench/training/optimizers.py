"""The Keras optimizer that the settings name, its learning rate at every step, and its rule for rows if it has one."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import keras
import numpy as np

from bench.config.schema import Schedule, Training
from bench.config.typed import Range, convert, describe, nearest, shown
from bench.errors import RequestError
from bench.training import lazy, rules
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
    *lazy.BY_NAME.values(),
)

_POSITIVE = Annotated[float, Range(above=0)] | None

_TYPES: dict[str, Any] = {
    "clipnorm": _POSITIVE,
    "clipvalue": _POSITIVE,
    "global_clipnorm": _POSITIVE,
    "loss_scale_factor": _POSITIVE,
    "gradient_accumulation_steps": Annotated[int, Range(low=2)] | None,
    "ema_overwrite_frequency": Annotated[int, Range(low=1)] | None,
    "ns_steps": Annotated[int, Range(low=1)],
    "exclude_layers": list[str] | None,
    "rms_rate": float | None,
    "adam_weight_decay": float | None,
    "weight_decay": float | None,
}
"""Types of Keras's arguments where their defaults do not tell them."""

_NEEDS = {"ema_momentum": "use_ema", "ema_overwrite_frequency": "use_ema", "nesterov": "momentum"}
"""Arguments that do nothing unless another one is set."""

_OWN_PLACE = ("self", "learning_rate", "name", "kwargs")
"""Arguments that have a place of their own in the settings, or none."""


def learning_rates(learning_rate: float, schedule: Schedule, steps: int) -> np.ndarray:
    """The learning rate of every step.

    Args:
        learning_rate: the highest.
        schedule: how it changes.
        steps: how many.

    Returns:
        float64 of shape (steps,).
    """
    step = np.arange(steps, dtype=np.float64)
    warmup = schedule.warmup_steps
    since = np.maximum(step - warmup, 0.0)
    decay_steps = float(schedule.decay_steps or max(steps - warmup, 1))
    share = np.minimum(since / decay_steps, 1.0)
    end = schedule.end_factor or 0.0
    rate = schedule.decay_rate or 1.0
    match schedule.kind:
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
        case "plateau":  # ``Updates.scale`` is what changes it
            factor = np.ones_like(step)
    if warmup:
        factor = np.where(step < warmup, (step + 1) / warmup, factor)
    return learning_rate * factor


class _Listed(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]
    """A schedule that looks its value up, so that both forms of an update see the same numbers.

    Args:
        values: float32 (steps,).
        scale: a variable that all values are multiplied by, or None.
    """

    def __init__(self, values: np.ndarray, scale: Any = None) -> None:
        self.values, self.scale = values, scale

    def __call__(self, step: Any) -> Any:
        values = keras.ops.convert_to_tensor(self.values, "float32")
        rate = keras.ops.take(values, keras.ops.minimum(step, len(self.values) - 1))
        return rate if self.scale is None else rate * self.scale

    def get_config(self) -> dict[str, Any]:
        return {"values": self.values.tolist(), "scale": self.scale}


def build(name: str, settings: Mapping[str, Any], rates: np.ndarray, scale: Any = None) -> Any:
    """The Keras optimizer called ``name`` with its further ``settings``.

    Args:
        name: any of ``keras.optimizers`` or of ``bench.training.lazy``, in small letters.
        settings: further arguments of its constructor.
        rates: the learning rate of every step, from ``learning_rates``.
        scale: a variable that all rates are multiplied by, or None.

    Raises:
        RequestError: an argument that the optimizer lacks, that would do nothing, or whose value is invalid.
    """
    constant = len(rates) == 0 or (scale is None and bool(np.all(rates == rates[0])))
    rate = (float(rates[0]) if len(rates) else 0.0) if constant else _Listed(rates.astype(np.float32), scale)
    kind = lazy.BY_NAME.get(name) or type(keras.optimizers.get(name))
    given = {key: _checked(name, kind, key, value) for key, value in settings.items()}
    try:
        optimizer = kind(learning_rate=rate, **given)
    except (TypeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise RequestError(
            f"training.optimizer={name} with training.optimizer_settings={shown(settings)}: {reason}"
        ) from None
    for key, needed in _NEEDS.items():
        if given.get(key) is not None and given[key] is not False and not getattr(optimizer, needed):
            raise RequestError(
                f"training.optimizer_settings.{key}={shown(given[key])}: does nothing without {needed}; "
                f"give training.optimizer_settings.{needed} too"
            )
    return optimizer


def arguments(kind: type) -> dict[str, Any]:
    """Returns the names that ``training.optimizer_settings`` may hold for a class, with Keras's defaults."""
    found = inspect.signature(kind).parameters.values()
    return {argument.name: argument.default for argument in found if argument.name not in _OWN_PLACE}


def _checked(name: str, kind: type, key: str, value: Any) -> Any:
    """A setting's value as the type that Keras needs: Keras itself would take some wrong ones, and ignore some."""
    known = arguments(kind)
    setting = f"training.optimizer_settings.{key}={shown(value)}"
    if key not in known:
        raise RequestError(
            f"{setting}: {name} has no such setting{nearest(key, known)} (there are: {', '.join(sorted(known))})"
        )
    default = known[key]
    hint = _TYPES.get(
        key, bool if isinstance(default, bool) else float if default is not None else float | None
    )
    try:
        return convert(value, hint)
    except ValueError:
        raise RequestError(f"{setting}: give {describe(hint)}") from None


def is_elementwise(optimizer: Any) -> bool:
    """Returns True if each number's update depends on that number and its gradient alone."""
    return type(optimizer) in _ELEMENTWISE and not (
        optimizer.clipnorm or optimizer.global_clipnorm or optimizer.use_ema
    )


def row_rule(optimizer: Any) -> RowRule | None:
    """The optimizer written for rows, or None where it has no such form as set.

    Weight decay, clipping, averages of weights, gradient accumulation and amsgrad move rows in ways that are not
    known in advance, and so do a momentum of 0 decay or 1.
    """
    o = optimizer
    match o:
        case lazy.LazyAdam():
            return rules.LazyAdam(o.beta_1, o.beta_2, o.epsilon)
        case lazy.LazyAdagrad():
            kind = rules.RowwiseAdagrad if isinstance(o, lazy.RowwiseAdagrad) else rules.LazyAdagrad
            return kind(o.initial_accumulator_value, o.epsilon)
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


@dataclass(frozen=True)
class Updates:
    """The change that a step makes to trainable arrays.

    Attributes:
        optimizer: Keras's, not built yet; it updates arrays as a whole.
        rule: the same optimizer for single rows; None where all is updated as a whole.
        rates: float64 (steps,), the learning rate of every step of training.
        scale: the optimizer's variable that all rates are multiplied by, or None where rates are known in advance.
        embedding_l2: r/2 times the squared norm of all tables is added to the loss.
        keeps_best: the weights are read whole after epochs, to keep the best.
    """

    optimizer: Any
    rule: RowRule | None
    rates: np.ndarray
    scale: Any = None
    embedding_l2: float = 0.0
    keeps_best: bool = False

    def coefficients(self, scale: float = 1.0) -> np.ndarray:
        """The rule's coefficients for all of training, float32 (steps + 1, columns); zeros without a rule.

        Args:
            scale: all rates are multiplied by it.
        """
        if self.rule is None:
            return np.zeros((1, 1), np.float32)
        return self.rule.coefficients(self.rates * scale)

    @classmethod
    def of(cls, training: Training, steps: int) -> Updates:
        """Reads what the settings ask for.

        Args:
            training: all of them.
            steps: of all epochs together.

        Raises:
            RequestError: an optimizer's setting that is invalid.
        """
        rates = learning_rates(training.learning_rate, training.schedule, steps)
        scale = keras.Variable(1.0, name="scale") if training.schedule.kind == "plateau" else None
        clipped = {} if training.clipnorm is None else {"global_clipnorm": training.clipnorm}
        optimizer = build(training.optimizer, {**training.optimizer_settings, **clipped}, rates, scale)
        by_rows = training.table_updates == "deferred" and not training.embedding_l2
        rule = row_rule(optimizer) if by_rows else None
        return cls(optimizer, rule, rates, scale, training.embedding_l2, training.best_weights)


def why_whole(training: Training) -> str:
    """Says which setting moves rows that a batch does not read, or needs all gradients, so that no row may wait."""
    if training.embedding_l2:
        return f"training.embedding_l2={training.embedding_l2} moves all rows in every step"
    if training.clipnorm is not None:
        return f"training.clipnorm={training.clipnorm} needs the gradients of all tables"
    return f"training.optimizer={training.optimizer} as set has no form for rows"
