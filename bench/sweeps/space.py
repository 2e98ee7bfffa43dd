"""What a search may choose from: Hydra's sweep syntax as dimensions, all checked before the first run."""

from __future__ import annotations

import importlib.util
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any, Literal

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, IntervalSweep, Override, RangeSweep
from omegaconf import DictConfig, OmegaConf

from bench.config import Settings
from bench.errors import RequestError
from bench.settings import Range, build

CHOICE = "hydra/sweeper=optuna"
"""How a search is asked for."""

TARGET = "hydra_plugins.bench_optuna.OptunaSweeper"

NOT_FOR_SEARCH = {
    "seed": "the best of several seeds is luck",
    "dataset": "errors on different rows cannot be compared",
}
"""Settings, with all below them, that a search must not choose, and why."""

_WHOLE = re.compile(r"interval\(\s*(?:start\s*=\s*)?[+-]?\d+\s*,\s*(?:end\s*=\s*)?[+-]?\d+\s*\)")


@dataclass(frozen=True)
class SearchSettings:
    """The settings of a search; ``conf/hydra/sweeper/optuna.yaml`` says what each means."""

    n_trials: Annotated[int, Range(low=1)]
    n_jobs: Annotated[int, Range(low=1)]
    seed: Annotated[int, Range(low=0, high=2**32 - 1)]
    study_name: str | None
    storage: str
    sampler: Literal["tpe", "nsgaii"]

    def __post_init__(self) -> None:
        # Of other stores it cannot be told whether a trial under way belongs to a process that is gone.
        if not re.fullmatch(r"sqlite:///[^?#]+", self.storage):
            raise ValueError(
                f"hydra.sweeper.storage={self.storage}: give a file, as sqlite:///outputs/optuna.db"
            )


@dataclass(frozen=True)
class Dimension:
    """A setting that is searched over.

    Attributes:
        name: of the setting.
        given: as on the command line, for messages.
        choices: what may stand behind ``name=``; empty for a number.
        low: the smallest number, an int where only ints are meant.
        high: the largest, included.
        step: between numbers, or None for all of them.
        log: whether numbers are drawn on a logarithmic scale.
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
        """All choices, or the smallest and the largest number, as overrides."""
        values = self.choices or dict.fromkeys((self.low, self.high))
        return tuple(self.override(value) for value in values)

    def override(self, value: float | str) -> str:
        """The override that gives the setting a value."""
        return f"{self.name}={value}"

    def distribution(self) -> Any:
        """The same for Optuna."""
        from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

        if self.choices:
            return CategoricalDistribution(self.choices)
        if isinstance(self.low, int) and isinstance(self.high, int):
            return IntDistribution(self.low, self.high, self.log, int(self.step or 1))
        return FloatDistribution(self.low, self.high, self.log, self.step)


def dimension(override: Override) -> Dimension:
    """The dimension that an override with several values stands for.

    Raises:
        RequestError: an empty range, or a scale that it cannot have.
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
            sweep.shuffle = False  # in the same order each time: Optuna takes another one for another space
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
    # as Hydra counts: the end is left out
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
    """The settings that are the same in every run, and those to search over.

    Args:
        cfg: of the sweep.
        arguments: the command's overrides.
        loader: Hydra's, which knows what a pattern of choices stands for.

    Raises:
        RequestError: nothing to search over, or something that a search must not choose.
    """
    params = OmegaConf.to_container(cfg.hydra.sweeper, resolve=False).get("params") or {}  # type: ignore[union-attr]
    texts = [*(f"{name}={value}" for name, value in params.items()), *arguments]
    parsed = OverridesParser.create(config_loader=loader).parse_overrides(texts)
    last = {override.get_key_element(): override for override in parsed}  # given again, the later one counts
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


def asked_for(cfg: DictConfig) -> bool:
    """Whether a sweep is a search."""
    return str(cfg.hydra.sweeper._target_) == TARGET


def read(cfg: DictConfig) -> SearchSettings:
    """The settings of the search.

    Raises:
        RequestError: one of them is wrong.
    """
    values: Any = OmegaConf.to_container(cfg.hydra.sweeper, resolve=True)
    own = {name: value for name, value in values.items() if name not in ("_target_", "params")}
    return build(SearchSettings, own, lambda name: f"hydra.sweeper.{name}")


def prepare(
    cfg: DictConfig,
    loader: Any,
    checked: Callable[[Sequence[str]], Settings],
    sized: Callable[[Settings], object] | None,
) -> list[list[str]]:
    """Checks a search as far as it can be known before its first run.

    Args:
        cfg: of the sweep.
        loader: Hydra's.
        checked: composes and checks a run.
        sized: chooses the sizes of a run's tables.

    Returns:
        For each run the overrides that are known before.

    Raises:
        RequestError: a choice that can never run, a number whose both ends cannot, no validation rows, a wrong
            setting of the search, or no Optuna.
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
                _need_validation(run)
                if sized is not None:
                    sized(run)
                known[point] = None
            except _NoValidationError:
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


class _NoValidationError(RequestError):
    """Nothing to measure a search's error on."""


def _need_validation(run: Settings) -> None:
    if not run.dataset.get("split", {}).get("validation_fraction"):
        raise _NoValidationError(
            f"{CHOICE}: a search looks at validation rows and there are none; "
            "give dataset.split.validation_fraction, such as 0.1"
        )
