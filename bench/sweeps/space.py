"""The space of a search: reads Hydra's sweep syntax as dimensions, and checks them before the first run."""

from __future__ import annotations

import importlib.util
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

from hydra.core.override_parser.types import ChoiceSweep, IntervalSweep, Override, RangeSweep
from omegaconf import DictConfig, OmegaConf

from bench.config import Settings
from bench.config.hydra import parse
from bench.config.paths import SQLITE, absolute
from bench.config.typed import Range, build
from bench.errors import RequestError

CHOICE = "hydra/sweeper=optuna"
"""The override that asks for a search."""

COUNTED = True
"""A search has ``n_trials`` runs."""

NOT_FOR_SEARCH = {
    "seed": "the best of several seeds is luck",
    "dataset": "errors on different rows cannot be compared",
}
"""The settings that a search must not choose, with all settings below them, and the reasons."""

_WHOLE = re.compile(r"interval\(\s*(?:start\s*=\s*)?[+-]?\d+\s*,\s*(?:end\s*=\s*)?[+-]?\d+\s*\)")


@dataclass(frozen=True)
class SearchSettings:
    """The settings of a search. ``conf/hydra/sweeper/optuna.yaml`` explains each of them."""

    n_trials: Annotated[int, Range(low=1)]
    n_jobs: Annotated[int, Range(low=1)]
    seed: Annotated[int, Range(low=0, high=2**32 - 1)]
    study_name: str | None
    storage: str
    sampler: Literal["tpe", "nsgaii"]

    def __post_init__(self) -> None:
        # With other stores one cannot find out if a running trial belongs to a dead process.
        if not re.fullmatch(r"sqlite:///[^?#]+", self.storage):
            raise ValueError(
                f"hydra.sweeper.storage={self.storage}: give a file, as sqlite:///outputs/optuna.db"
            )


@dataclass(frozen=True)
class Dimension:
    """A setting that is searched over.

    Attributes:
        name: the setting's name.
        given: the override as on the command line, for messages.
        choices: the texts that may follow ``name=``. Empty for a number.
        low: the smallest number. An int if only ints are allowed.
        high: the largest number, included.
        step: the distance between numbers. None if all numbers are allowed.
        log: True if numbers are drawn on a logarithmic scale.
    """

    name: str
    given: str
    choices: tuple[str, ...] = ()
    low: float = 0
    high: float = 0
    step: float | None = None
    log: bool = False

    @property
    def ends(self) -> tuple[str, ...]:
        """The overrides of all choices, or of the smallest and the largest number."""
        values = self.choices or dict.fromkeys((self.low, self.high))
        return tuple(self.override(value) for value in values)

    def override(self, value: float | str) -> str:
        """The override that gives the setting a value."""
        return f"{self.name}={value}"

    def distribution(self) -> Any:
        """The dimension as a distribution of Optuna."""
        from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

        if self.choices:
            return CategoricalDistribution(self.choices)
        if isinstance(self.low, int) and isinstance(self.high, int):
            return IntDistribution(self.low, self.high, self.log, int(self.step or 1))
        return FloatDistribution(self.low, self.high, self.log, self.step)


def dimension(override: Override) -> Dimension:
    """The dimension for an override with several values.

    Raises:
        RequestError: the range is empty, or cannot have the given scale.
    """
    name, given, sweep = override.get_key_element(), str(override.input_line), override.value()
    tags: set[str] = set(getattr(sweep, "tags", ()))
    if tags - {"log"}:
        raise RequestError(
            f"{given}: a search knows the tag log only, as {name}=tag(log,interval(0.001,0.1))"
        )
    log = bool(tags)
    if isinstance(sweep, RangeSweep):
        found = _of_range(name, given, sweep, log)
    elif isinstance(sweep, IntervalSweep):
        assert sweep.start is not None and sweep.end is not None
        whole = isinstance(sweep.start, int) or bool(_WHOLE.search(given))
        low, high = (int(sweep.start), int(sweep.end)) if whole else (float(sweep.start), float(sweep.end))
        found = Dimension(name, given, low=low, high=high, log=log)
    else:
        if log:
            raise RequestError(f"{given}: choices have no scale; leave tag(log,...) out, or give an interval")
        if isinstance(sweep, ChoiceSweep):
            sweep.shuffle = False  # the same order each time: Optuna treats another order as another space
        choices = tuple(dict.fromkeys(override.sweep_string_iterator()))
        if not choices:
            raise RequestError(f"{given}: holds no value")
        return Dimension(name, given, choices)
    if not (math.isfinite(found.low) and math.isfinite(found.high)) or found.low > found.high:
        raise RequestError(f"{given}: holds no value; give the smaller number first")
    if log and found.low <= 0:
        raise RequestError(f"{given}: a logarithmic scale has numbers above 0 only")
    return found


def _of_range(name: str, given: str, sweep: RangeSweep, log: bool) -> Dimension:
    assert sweep.start is not None and sweep.stop is not None
    numbers = (sweep.start, sweep.stop, sweep.step)
    if log and sweep.step != 1:
        raise RequestError(f"{given}: a logarithmic scale has no step; give tag(log,interval(LOW,HIGH))")
    # the end is left out, as Hydra does
    start, stop, step = (Decimal(str(number)) for number in numbers)
    count = math.ceil((stop - start) / step) if step else 0
    if count < 1:
        raise RequestError(f"{given}: holds no value; a range leaves its end out, as range(80,2000)")
    low, high = sorted((start, start + (count - 1) * step))
    if all(isinstance(number, int) for number in numbers):
        return Dimension(name, given, low=int(low), high=int(high), step=abs(int(step)), log=log)
    return Dimension(
        name, given, low=float(low), high=float(high), step=None if log else float(abs(step)), log=log
    )


def split(cfg: DictConfig, arguments: Sequence[str], loader: Any = None) -> tuple[list[str], list[Dimension]]:
    """Separates the overrides that are the same in every run from the dimensions of the search.

    Args:
        cfg: the sweep's configuration.
        arguments: the command's overrides.
        loader: Hydra's loader, which expands patterns of choices.

    Raises:
        RequestError: there is no dimension, or a search must not choose one of the settings.
    """
    params = OmegaConf.to_container(cfg.hydra.sweeper, resolve=False).get("params") or {}  # type: ignore[union-attr]
    texts = [*(f"{name}={value}" for name, value in params.items()), *arguments]
    parsed = parse(texts, loader)
    last = {override.get_key_element(): override for override in parsed}  # the last of several counts
    fixed = [str(o.input_line) for o in last.values() if not o.is_sweep_override()]
    dimensions = []
    for name, override in last.items():
        if not override.is_sweep_override():
            continue
        for group, why in NOT_FOR_SEARCH.items():
            if re.match(rf"\+*{group}(\.|$)", name):
                raise RequestError(f"{override.input_line}: {why}; give one value, and a search for each")
        dimensions.append(dimension(override))
    if not dimensions:
        raise RequestError(f"{CHOICE}: nothing to search over; give a range, as 'num_buckets=range(80,2000)'")
    return fixed, dimensions


def read(cfg: DictConfig) -> SearchSettings:
    """The settings of the search.

    Raises:
        RequestError: one of the settings is wrong.
    """
    values: Any = OmegaConf.to_container(cfg.hydra.sweeper, resolve=True)
    own = {name: value for name, value in values.items() if name not in ("_target_", "params")}
    settings = build(SearchSettings, own, "hydra.sweeper.{}".format)
    file = absolute(settings.storage.removeprefix(SQLITE), Path.cwd(), "hydra.sweeper.storage")
    return replace(settings, storage=f"{SQLITE}{file}")


def prepare(
    cfg: DictConfig,
    loader: Any,
    checked: Callable[[Sequence[str]], Settings],
    sized: Callable[[Settings], object] | None,
) -> list[list[str]]:
    """Checks a search as far as possible before its first run.

    Args:
        cfg: the sweep's configuration.
        loader: Hydra's loader.
        checked: a function that composes and checks a run.
        sized: a function that chooses the sizes of a run's tables.

    Returns:
        The overrides that are known before, for each run.

    Raises:
        RequestError: a choice can never run, neither end of a range of numbers can run, there are no validation rows,
            a setting of the search is wrong, or Optuna is not installed.
    """
    if importlib.util.find_spec("optuna") is None:
        raise RequestError(f'{CHOICE}: needs the package optuna; pip install "embedding-bench[search]"')
    settings = read(cfg)
    arguments: Any = OmegaConf.to_container(cfg.hydra.overrides.task, resolve=False)
    fixed, dimensions = split(cfg, arguments, loader)
    known: dict[tuple[str, ...], RequestError | None] = {}

    def wrong(chosen: dict[str, str]) -> RequestError | None:
        point = tuple(chosen.values())
        if point not in known:
            try:
                run = checked([*fixed, *point])
                need_validation(run, CHOICE)
                if sized is not None:
                    sized(run)
                known[point] = None
            except NoValidationError:
                raise
            except RequestError as error:
                known[point] = error
        return known[point]

    for one in dimensions:
        refused = []
        for end in one.ends:
            errors = [
                wrong({**{d.name: d.ends[corner] for d in dimensions}, one.name: end}) for corner in (0, -1)
            ]
            refused += [errors[0]] if all(errors) else []
        if refused and (one.choices or len(refused) == len(one.ends)):
            assert refused[0] is not None
            raise refused[0]
    return [fixed] * settings.n_trials


def example(cfg: DictConfig, loader: Any) -> list[str]:
    """The overrides of a run that a search may propose, with the first choice or smallest number of each dimension."""
    arguments: Any = OmegaConf.to_container(cfg.hydra.overrides.task, resolve=False)
    fixed, dimensions = split(cfg, arguments, loader)
    return [*fixed, *(one.ends[0] for one in dimensions)]


def identity(cfg: DictConfig, loader: Any) -> tuple[list[str], str]:
    """What tells the search from others, and its name."""
    from bench.sweeps import search

    arguments: Any = OmegaConf.to_container(cfg.hydra.overrides.task, resolve=False)
    fixed, dimensions = split(cfg, arguments, loader)
    study = read(cfg).study_name or search.digest(fixed, dimensions)
    return ["search", study], " ".join(["search", *(dimension.given for dimension in dimensions)])


class NoValidationError(RequestError):
    """The error for a search without validation rows."""


def need_validation(run: Settings, search: str) -> None:
    """Refuses a run without validation rows.

    Args:
        run: the settings of a run that a search may start.
        search: the override that asks for the search.

    Raises:
        NoValidationError: the run has no validation rows.
    """
    if not run.dataset.validates:
        raise NoValidationError(
            f"{search}: a search looks at validation rows and there are none; "
            "give dataset.split.validation_fraction, such as 0.1"
        )
