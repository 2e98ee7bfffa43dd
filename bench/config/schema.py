"""The settings of a run, typed: what ``conf/`` composes to, once it has been checked.

Defaults are in ``conf/`` alone; what each setting means is said there, on its line.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from bench.errors import RequestError
from bench.settings import Range, nearest, shown

Count = Annotated[int, Range(low=1)]
Seed = Annotated[int, Range(low=0, high=2**32 - 1)]  # what NumPy's and Keras's seeds take
Share = Annotated[float, Range(above=0, below=1)]
Rest = Annotated[float, Range(low=0, below=1)]

OPTIMIZERS = (
    "sgd", "adam", "adamw", "adagrad", "adadelta", "adamax", "adafactor",
    "ftrl", "lion", "muon", "nadam", "rmsprop",
)  # fmt: skip
"""Names that ``keras.optimizers.get`` knows, so that a misspelt one is refused before Keras is imported."""

HINTS: dict[str, Any] = {
    "dataset.vocabulary": Literal["all", "train"],
    "dataset.bad_rows": Literal["refuse", "drop"],
    "dataset.path": str | None,
    "dataset.seed": Seed,
    "dataset.num_users": Count,
    "dataset.num_items": Count,
    "dataset.num_ratings": Count,
    "dataset.split.kind": Literal["random", "last", "time"],
    "dataset.split.train_fraction": Share,
    "dataset.split.last_n": Count,
    "dataset.split.seed": Seed,
    "dataset.split.validation_fraction": Rest,
    "model.hidden_units": list[Count],
    "model.dropout": Rest,
}
"""Types of data sets' and models' settings that say more than the type of the default in their file."""


@dataclass(frozen=True)
class Schedule:
    """How the learning rate changes over the steps of a run."""

    kind: Literal["cosine", "linear", "exponential", "inverse_time"] | None
    warmup_steps: Annotated[int, Range(low=0)]
    decay_steps: Count | None
    decay_rate: Annotated[float, Range(above=0)] | None
    end_factor: Annotated[float, Range(low=0, high=1)] | None

    def __post_init__(self) -> None:
        uses = {
            "decay_steps": self.kind is not None,
            "decay_rate": self.kind in ("exponential", "inverse_time"),
            "end_factor": self.kind in ("cosine", "linear"),
        }
        for name, used in uses.items():
            value = getattr(self, name)
            if value is not None and not used:
                raise ValueError(
                    f"training.schedule.{name}={shown(value)}: not used by training.schedule.kind="
                    f"{shown(self.kind)}; leave it null or choose a kind that uses it"
                )
        if uses["decay_rate"] and self.decay_rate is None:
            raise ValueError(
                f"training.schedule.decay_rate=null: give the rate of training.schedule.kind={self.kind}, "
                "such as 0.96"
            )


@dataclass(frozen=True)
class EarlyStopping:
    """When training ends before its last epoch."""

    patience: Count | None
    min_delta: Annotated[float, Range(low=0)]


@dataclass(frozen=True)
class Training:
    """How a model is trained."""

    epochs: Count
    batch_size: Count
    learning_rate: Annotated[float, Range(above=0)]
    optimizer: str
    optimizer_settings: dict[str, Any]
    table_updates: Literal["deferred", "dense"]
    jit: bool
    eval_batch_size: Count
    threads: Count | None
    schedule: Schedule
    early_stopping: EarlyStopping
    progress: bool

    def __post_init__(self) -> None:
        if self.optimizer not in OPTIMIZERS:
            raise ValueError(
                f"training.optimizer={shown(self.optimizer)}: no such optimizer"
                f"{nearest(self.optimizer.lower(), OPTIMIZERS)} (there are: {', '.join(sorted(OPTIMIZERS))})"
            )
        for own in ("learning_rate", "name"):
            if own in self.optimizer_settings:
                raise ValueError(
                    f"training.optimizer_settings.{own}={shown(self.optimizer_settings[own])}: "
                    f"give training.{'optimizer' if own == 'name' else own} instead"
                )


@dataclass(frozen=True)
class Tracking:
    """Where runs are logged."""

    uri: str
    experiment: str


@dataclass(frozen=True)
class Globals:
    """The settings at the root that every strategy has."""

    seed: Seed
    embedding_dim: Count
    budget: Annotated[float, Range(above=0, high=1)] | None
    resume: bool
    save_weights: bool
    timing: bool
    data_dir: str
    strategy: str


@dataclass(frozen=True)
class Settings:
    """All settings of one run, composed, resolved and checked.

    Attributes:
        seed: decides initial weights and batch order.
        embedding_dim: width of the vectors that the model sees.
        budget: bytes to serve the embeddings as a share of the full tables, or None.
        resume: an equal finished run is not trained again.
        save_weights: leave the weights beside the result.
        timing: time steps and lookups once more while no other run computes.
        data_dir: folder of archives and prepared data.
        strategy: the chosen strategy's name.
        dataset: the data set's settings, a plain nested dict.
        model: the model's settings; ``name`` says which.
        training: how the model is trained.
        tracking: where the run is logged.
        methods: the method's name and an instance of its ``Settings``, by slot: ``default``, and each field
            that has a method of its own.
        values: everything as one plain nested dict, as it is logged.
    """

    seed: int
    embedding_dim: int
    budget: float | None
    resume: bool
    save_weights: bool
    timing: bool
    data_dir: Path
    strategy: str
    dataset: Mapping[str, Any]
    model: Mapping[str, Any]
    training: Training
    tracking: Tracking
    methods: Mapping[str, tuple[str, Any]]
    values: Mapping[str, Any]

    def method(self, field: str) -> tuple[str, Any]:
        """The name and the settings of the method that compresses ``field``: its own or the default's."""
        return self.methods.get(field, self.methods["default"])


def check_together(training: Training, dataset: Mapping[str, Any]) -> None:
    """Refuses settings that are right alone and wrong beside each other.

    Raises:
        RequestError: early stopping without validation rows, a table without a file.
    """
    if "path" in dataset and dataset["path"] is None:
        raise RequestError("dataset.path=null: give a file: .csv, .tsv or .parquet, or one of these and .gz")
    patience = training.early_stopping.patience
    if patience is not None and not dataset.get("split", {}).get("validation_fraction"):
        raise RequestError(
            f"training.early_stopping.patience={patience}: early stopping looks at validation rows and there "
            "are none; give dataset.split.validation_fraction, such as 0.1"
        )
