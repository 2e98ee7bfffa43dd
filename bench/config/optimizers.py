"""The names and arguments of optimizers, so that a wrong name is refused before data is read and Keras is imported."""

from __future__ import annotations

from collections.abc import Mapping

from bench.config.typed import Value, nearest, shown

SHARED = (
    "clipnorm", "clipvalue", "ema_momentum", "ema_overwrite_frequency", "global_clipnorm",
    "gradient_accumulation_steps", "loss_scale_factor", "use_ema", "weight_decay",
)  # fmt: skip
"""Arguments that all of Keras's optimizers have."""

LAZY = ("lazy_adam", "lazy_adagrad", "rowwise_adagrad")
"""The optimizers that move a batch's rows alone: see ``bench.training.lazy``."""

_ADAM = ("beta_1", "beta_2", "epsilon")

OWN: Mapping[str, tuple[str, ...]] = {
    "adadelta": ("epsilon", "rho"),
    "adafactor": ("beta_2_decay", "clip_threshold", "epsilon_1", "epsilon_2", "relative_step"),
    "adagrad": ("epsilon", "initial_accumulator_value"),
    "adam": ("amsgrad", *_ADAM),
    "adamax": _ADAM,
    "adamw": ("amsgrad", *_ADAM),
    "ftrl": (
        "beta", "initial_accumulator_value", "l1_regularization_strength", "l2_regularization_strength",
        "l2_shrinkage_regularization_strength", "learning_rate_power",
    ),
    "lazy_adagrad": ("epsilon", "initial_accumulator_value"),
    "lazy_adam": _ADAM,
    "lion": ("beta_1", "beta_2"),
    "muon": (
        "adam_beta_1", "adam_beta_2", "adam_lr_ratio", "adam_weight_decay", "epsilon", "exclude_embeddings",
        "exclude_layers", "momentum", "muon_a", "muon_b", "muon_c", "nesterov", "ns_steps", "rms_rate",
    ),
    "nadam": _ADAM,
    "rmsprop": ("centered", "epsilon", "momentum", "rho"),
    "rowwise_adagrad": ("epsilon", "initial_accumulator_value"),
    "sgd": ("momentum", "nesterov"),
}  # fmt: skip
"""Further arguments of each."""

MOMENTS: Mapping[str, int] = {
    "adadelta": 2, "adagrad": 1, "adam": 2, "adamax": 2, "adamw": 2, "ftrl": 2, "lazy_adagrad": 1, "lazy_adam": 2,
    "lion": 1, "nadam": 2, "rmsprop": 1,
}  # fmt: skip
"""How many numbers each keeps beside a number of a table, at least; the others may keep none."""


BY_ROWS = (*LAZY, "adagrad", "adam", "rmsprop", "sgd")
"""The optimizers that have a form for rows, at least with their usual settings."""

HELD_ONCE = 1 << 24
"""Numbers in a table above which training by rows holds its weights once."""


def check_names(optimizer: str, settings: Mapping[str, Value]) -> None:
    """Refuses settings that an optimizer does not have. Values are judged later, by Keras.

    Raises:
        ValueError: names the first of them.
    """
    if optimizer not in OWN:
        return
    known = sorted((*(() if optimizer in LAZY else SHARED), *OWN[optimizer]))
    for name, value in settings.items():
        if name not in known:
            raise ValueError(
                f"training.optimizer_settings.{name}={shown(value)}: {optimizer} has no such setting"
                f"{nearest(name, known)} (there are: {', '.join(known)})"
            )
