"""The typed settings of a run: the checked result of composing ``conf/``.

Only ``conf/`` has the defaults. The line of each setting there also explains the setting.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol

from bench.config.optimizers import LAZY, check_names
from bench.config.typed import (
    Address,
    AsGroups,
    BytesText,
    Choice,
    Count,
    Range,
    Seed,
    Share,
    Value,
    nearest,
    shown,
)
from bench.errors import RequestError

KERAS_OPTIMIZERS = (
    "sgd", "adam", "adamw", "adagrad", "adadelta", "adamax", "adafactor",
    "ftrl", "lion", "muon", "nadam", "rmsprop",
)  # fmt: skip
"""The names that ``keras.optimizers.get`` knows. A wrong name is so refused before Keras is imported."""

OPTIMIZERS = (*KERAS_OPTIMIZERS, *LAZY)
"""The names that ``training.optimizer`` takes."""

MOST = 1e30
"""The highest number that training calculates with: its products stay below the largest float32, 3.4e38."""

FINDS_DATA = (
    "dataset.path",
    "dataset.train_path",
    "dataset.validation_path",
    "dataset.evaluation_path",
    "dataset.url",
    "dataset.checksum",
    "dataset.wheel",
    "dataset.archive",
    "dataset.folder",
)
"""Settings that name the place of the data. The data digest covers the data itself."""

NOT_DECIDING = (
    "tracking",  # the place that a result is sent to
    "data_dir",  # the folder of the data; the data digest covers the data itself
    "results_dir",  # the folder of the records
    *FINDS_DATA,
    "resume",  # decides if a finished run is used
    "save_weights",  # decides if the weights are kept
    "training.progress",  # decides what is shown during the run
    "training.checkpoint",  # decides what is kept for going on after a kill
    "dataset.verify",  # decides what is read again
    "dataset.memory_limit",  # decides how much is read at once
    "training.threads",  # equal seeds give equal results with any number of threads
)
"""Settings, by dotted name, that change no number of a result. A group stands for all settings below it.

``timing`` is not among them, because it changes the times in a result. Otherwise a run that is to be timed alone could
get the times of an equal run that was measured beside other runs.
"""


@dataclass(frozen=True)
class Schedule:
    """The settings of the learning rate's change over the steps of a run."""

    kind: Literal["cosine", "linear", "exponential", "inverse_time", "plateau"] | None
    warmup_steps: Annotated[int, Range(low=0)]
    decay_steps: Count | None
    decay_rate: Annotated[float, Range(above=0, high=MOST)] | None
    end_factor: Annotated[float, Range(low=0, high=1)] | None
    factor: Share | None
    patience: Count | None
    min_delta: Annotated[float, Range(low=0)] | None

    def __post_init__(self) -> None:
        plateau = self.kind == "plateau"
        uses = {
            "decay_steps": self.kind is not None and not plateau,
            "decay_rate": self.kind in ("exponential", "inverse_time"),
            "end_factor": self.kind in ("cosine", "linear"),
            "factor": plateau,
            "patience": plateau,
            "min_delta": plateau,
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
    """The settings that end training before its last epoch."""

    patience: Count | None
    min_delta: Annotated[float, Range(low=0)]


Monitored = Literal[
    "validation_loss", "validation_mae", "validation_rmse", "validation_auc", "validation_logloss"
]


@dataclass(frozen=True)
class Training:
    """The settings of a model's training."""

    epochs: Count
    batch_size: Count
    rows: Count | None
    shuffle: Literal["full", "blocks"]
    learning_rate: Annotated[float, Range(above=0)]
    optimizer: str
    optimizer_settings: dict[str, Value]
    table_updates: Literal["deferred", "dense"]
    jit: bool
    eval_batch_size: Count
    threads: Annotated[int, Range(low=1, high=1024)] | None  # TensorFlow sets up many more for minutes
    schedule: Schedule
    early_stopping: EarlyStopping
    monitor: Monitored | None
    best_weights: bool
    clipnorm: Annotated[float, Range(above=0, high=MOST)] | None
    embedding_l2: Annotated[float, Range(low=0, high=MOST)]
    checkpoint: bool | None
    progress: bool

    @property
    def monitors(self) -> str | None:
        """The first setting that goes by a metric of the validation rows, as it is typed; None if none does."""
        if self.early_stopping.patience is not None:
            return f"training.early_stopping.patience={self.early_stopping.patience}"
        if self.schedule.kind == "plateau":
            return "training.schedule.kind=plateau"
        return "training.best_weights=true" if self.best_weights else None

    def __post_init__(self) -> None:
        if self.monitor is not None and self.monitors is None:
            raise ValueError(
                f"training.monitor={self.monitor}: nothing goes by it; give training.best_weights=true, "
                "training.schedule.kind=plateau or training.early_stopping.patience too"
            )
        for own in ("clipnorm", "global_clipnorm", "clipvalue"):
            if self.clipnorm is not None and self.optimizer_settings.get(own) is not None:
                raise ValueError(
                    f"training.clipnorm={self.clipnorm}: gradients are clipped once; leave out "
                    f"training.optimizer_settings.{own}"
                )
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
        check_names(self.optimizer, self.optimizer_settings)
        if self.optimizer in LAZY:
            self._check_lazy()

    def _check_lazy(self) -> None:
        """Refuses settings that would move rows that a batch does not read, or that need all gradients."""
        moving = {
            "table_updates": self.table_updates == "dense",
            "embedding_l2": self.embedding_l2 > 0,
            "clipnorm": self.clipnorm is not None,
        }
        for name, is_set in moving.items():
            if is_set:
                raise ValueError(
                    f"training.{name}={shown(getattr(self, name))}: training.optimizer={self.optimizer} moves the rows "
                    "of a batch alone, each by its own gradient; leave one of both out"
                )


@dataclass(frozen=True)
class Tracking:
    """The MLflow address and experiment that runs are logged to."""

    uri: Address
    experiment: str


@dataclass(frozen=True)
class Globals:
    """The settings at the root that every strategy has.

    Attributes:
        task: what models predict; None for the data set's own.
        seed: the seed of the initial weights and the batch order.
        embedding_dim: width of the vectors that the model reads.
        budget: bytes of the served embeddings: a share of the full tables' bytes, or a number with a unit such as
            ``12MB``, or ``smallest`` for the smallest sizes of the methods; None for the sizes in the settings.
        budget_split: how a budget is divided over the fields, see ``bench.embeddings.budget``.
        full_below: fields with fewer ids than that stay full, whatever the strategy.
        share: fields that share one method over their joined ids: lists of fields, ``all``, or ``{above: N}`` for
            those with more than N ids; None for a table a field.
        resume: True if an equal finished run is not trained again.
        save_weights: True if the weights are kept beside the result.
        timing: True if steps and lookups are timed once more while no other run computes.
        data_dir: folder of archives and prepared data.
        results_dir: folder of the records of finished runs. It may not exist yet.
        strategy: the chosen strategy's name.
    """

    task: Literal["rating", "click"] | None
    seed: Seed
    embedding_dim: Count
    budget: Annotated[float, Range(above=0, high=1)] | Literal["smallest"] | BytesText | None
    budget_split: Literal["equal", "alpha", "size"]
    full_below: Annotated[int, Range(low=0)]
    share: Annotated[Literal["all"] | dict[str, int] | list[list[str]] | None, AsGroups()]
    resume: bool
    save_weights: bool
    timing: bool
    data_dir: Path
    results_dir: Path
    strategy: str


class DatasetSettings(Protocol):
    """The settings that every data set has. ``bench.data.settings`` has the dataclasses."""

    @property
    def name(self) -> str:
        """The data set's name in results."""

    @property
    def kind(self) -> str:
        """The name of the reader of the data set."""

    @property
    def validates(self) -> bool:
        """True if rows are set apart for early stopping and search."""

    @property
    def field_names(self) -> tuple[str, ...]:
        """The names of the categorical fields."""

    @property
    def dense_dim(self) -> int:
        """The number of dense columns."""

    @property
    def task(self) -> Literal["rating", "click"]:
        """The data set's own task."""


@dataclass(frozen=True)
class Settings(Globals):
    """All settings of one run, composed, resolved and checked. Paths are absolute.

    Attributes:
        task: what the model predicts.
        dataset: the data set's settings, a dataclass of ``bench.data.settings``.
        model: the model's name and its settings.
        training: the settings of the model's training.
        tracking: the MLflow address and experiment that the run is logged to. ``uri`` has its password.
        methods: the method's name and its settings for each filled slot.
        values: all settings as one plain nested dict, as they are logged: paths as given, without passwords.
    """

    task: Literal["rating", "click"]
    dataset: DatasetSettings
    model: Choice
    training: Training
    tracking: Tracking
    methods: Mapping[str, Choice]
    values: Mapping[str, Any]

    def method(self, field: str) -> Choice:
        """The name and the settings of the method that compresses ``field``: from its slot, or from ``default``."""
        return self.methods.get(field, self.methods["default"])


MONITORS: Mapping[str, tuple[str, ...]] = {
    "rating": ("validation_loss", "validation_mae", "validation_rmse"),
    "click": ("validation_loss", "validation_auc", "validation_logloss"),
}
"""The metrics of validation rows that training may go by, by task."""


def check_together(training: Training, dataset: DatasetSettings, task: str) -> None:
    """Refuses settings that are valid alone but not together.

    Raises:
        RequestError: there are no validation rows to go by, or the task lacks the metric that is monitored.
    """
    if training.monitors is not None and not dataset.validates:
        raise RequestError(
            f"{training.monitors}: it goes by validation rows and there are none; give "
            "dataset.split.validation_fraction, such as 0.1"
        )
    if training.monitor is not None and training.monitor not in MONITORS[task]:
        raise RequestError(
            f"training.monitor={training.monitor}: task={task} has no such metric; give one of "
            f"{', '.join(MONITORS[task])}"
        )
