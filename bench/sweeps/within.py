"""The search of ``experiment=within``: the smallest size of each method that loses no more than a margin.

Each size is trained with several seeds. It keeps the margin if the upper end of the interval of its mean loss against
full tables, paired by seed, is at most the margin. The search looks at validation rows only. The loss on evaluation
rows is shown beside it and decides nothing.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf

from bench.config import Settings, check_job
from bench.config.hydra import Override, parse
from bench.config.names import belongs_to_methods
from bench.errors import RequestError
from bench.records.result import METRICS, Tree
from bench.sweeps.bisection import Bisection
from bench.sweeps.jobs import Job, Outcome, Sizes, Watched, Work
from bench.sweeps.space import need_validation
from bench.tasks import find as find_task
from bench.tradeoff.margin import Margin
from bench.tradeoff.statistics import Difference, difference

CHOICE = "experiment=within"
"""The override that asks for this search."""

COUNTED = False
"""The number of its runs is not known before."""

BASELINE = "full"
"""The strategy that the others are compared with."""

MARGIN = "hydra.sweeper.within"
"""The setting with the margin."""


@dataclass(frozen=True)
class Asked:
    """A search that is asked for.

    Attributes:
        margin: what a method may lose.
        strategies: the strategies whose sizes are searched.
        seeds: the seeds of each size.
        fixed: the other overrides, which all runs of these strategies have.
    """

    margin: Margin
    strategies: tuple[str, ...]
    seeds: tuple[str, ...]
    fixed: tuple[str, ...]

    def runs(self, strategy: str, size: int | None = None) -> list[list[str]]:
        """The overrides of the runs of one size, a list for each seed.

        Args:
            strategy: the strategy. The baseline has no size, and none of the settings of methods.
            size: the bytes that serving may take. None for the smallest.
        """
        if strategy == BASELINE:
            own = [
                *(text for text in self.fixed if not belongs_to_methods(_name(text))),
                f"strategy={BASELINE}",
            ]
        else:
            own = [
                *self.fixed,
                f"strategy={strategy}",
                f"budget={'smallest' if size is None else f'{size}B'}",
            ]
        return [[*own, f"seed={seed}"] for seed in self.seeds]


@dataclass(frozen=True)
class Tried:
    """A size of a strategy that has been tried.

    Attributes:
        size: bytes that serving the embeddings takes.
        ratio: full bytes over these.
        loss: mean loss against full tables on validation rows, paired by seed. Above 0 is worse.
        seen: the same on evaluation rows.
        keeps: True if the upper end of the interval of ``loss`` is at most the margin.
        settings: settings of one of its runs.
    """

    size: int
    ratio: float
    loss: Difference
    seen: Difference
    keeps: bool
    settings: Tree


@dataclass
class Searched:
    """The search of one strategy.

    Attributes:
        strategy: its name.
        bisection: what is known of its sizes. None if it has no size below full tables.
        tried: the sizes that have been tried.
        problem: the reason why the search could not go on, or an empty text.
    """

    strategy: str
    bisection: Bisection | None
    tried: list[Tried] = field(default_factory=list)
    problem: str = ""

    @property
    def answer(self) -> Tried | None:
        """The smallest size that keeps the margin, or None."""
        return min((one for one in self.tried if one.keeps), key=lambda one: one.size, default=None)

    @property
    def below(self) -> Tried | None:
        """The largest size that breaks the margin, or None."""
        return max((one for one in self.tried if not one.keeps), key=lambda one: one.size, default=None)

    @property
    def next(self) -> int | None:
        """The size to try next, or None if the search has ended."""
        return None if self.problem or self.bisection is None else self.bisection.next()


def asked_of(cfg: DictConfig, loader: Any = None) -> Asked:
    """Reads the search that a sweep's configuration asks for.

    Args:
        cfg: the sweep's configuration.
        loader: Hydra's loader, which expands patterns of choices.

    Raises:
        RequestError: the margin is none, or a setting has several values that must have one, or one that needs several.
    """
    params = OmegaConf.to_container(cfg.hydra.sweeper, resolve=False).get("params") or {}  # type: ignore[union-attr]
    given: Any = OmegaConf.to_container(cfg.hydra.overrides.task, resolve=False)
    parsed = parse([*(f"{name}={value}" for name, value in params.items()), *given], loader)
    last = {override.get_key_element(): override for override in parsed}  # the last of several counts
    strategies = tuple(name for name in _values(last.pop("strategy", None)) if name != BASELINE)
    seeds = _values(last.pop("seed", None))
    if not strategies:
        raise RequestError(f"{CHOICE}: no method to search; name some, as strategy=md,qr")
    if len(seeds) < 2:
        raise RequestError(
            f"seed={','.join(seeds) or 'null'}: one seed has no interval; give several, as seed=0,1,2"
        )
    for name, override in last.items():
        if name == "budget":
            raise RequestError(f"{override.input_line}: {CHOICE} chooses the sizes itself; leave it out")
        if override.is_sweep_override():
            raise RequestError(
                f"{override.input_line}: {CHOICE} takes several values of strategy and seed only; give one value, "
                "and a search for each"
            )
    fixed = tuple(str(override.input_line) for override in last.values())
    return Asked(Margin.read(MARGIN, cfg.hydra.sweeper.within), strategies, seeds, fixed)


def _values(override: Override | None) -> tuple[str, ...]:
    if override is None:
        return ()
    if override.is_sweep_override():
        return tuple(dict.fromkeys(override.sweep_string_iterator()))
    return (override.get_value_element_as_str(),)


def _name(text: str) -> str:
    return text.partition("=")[0].lstrip("+~")


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
        The overrides of the runs with full tables, which come first.

    Raises:
        RequestError: a strategy can never run, there are no validation rows, or a setting of the search is wrong.
    """
    asked = asked_of(cfg, loader)
    baseline = asked.runs(BASELINE)
    for overrides in (baseline[0], *(asked.runs(strategy)[0] for strategy in asked.strategies)):
        run = checked(overrides)
        need_validation(run, CHOICE)
        _need_difference(asked.margin, run)
        if sized is not None:
            sized(run)
    return baseline


def _need_difference(margin: Margin, run: Settings) -> None:
    """Refuses a share of a score, such as AUC, of which a share says little."""
    headline = find_task(run.task).headline
    if margin.is_share and METRICS[headline].better == "higher":
        raise RequestError(
            f"{MARGIN}={margin}: {headline} is a score, of which a share says little; give a difference, as "
            f"{MARGIN}=0.001"
        )


def example(cfg: DictConfig, loader: Any) -> list[str]:
    """The overrides of a run that the search may start."""
    return asked_of(cfg, loader).runs(BASELINE)[0]


def identity(cfg: DictConfig, loader: Any) -> tuple[list[str], str]:
    """What tells the search from others, and its name."""
    asked = asked_of(cfg, loader)
    name = f"within {asked.margin} of full: strategy={','.join(asked.strategies)}"
    return ["within", str(asked.margin), *sorted(asked.fixed), *asked.strategies, "seeds", *asked.seeds], name


def run(
    context: HydraContext, config: DictConfig, launcher: Launcher, job: Any, arguments: Sequence[str]
) -> list[Sequence[JobReturn]]:
    """Searches, prints what was found, and writes it into ``within.json`` in the sweep's folder.

    Args:
        context: Hydra's context.
        config: the sweep's configuration.
        launcher: the launcher that starts the runs.
        job: the function that does a run.
        arguments: the command's overrides.

    Returns:
        The returns of the runs, a list for each batch.

    Raises:
        RequestError: the sizes of a strategy cannot be chosen.
    """
    from bench.sweeps import within_shown

    loader: Any = context.config_loader
    folder = Path(str(config.hydra.sweep.dir))
    folder.mkdir(parents=True, exist_ok=True)
    OmegaConf.save(config, folder / "multirun.yaml")
    plain = job.job if isinstance(job, Watched) else job
    search = WithinSearch(asked_of(config, loader), launcher, job)
    search.begin(config, loader, plain.work)
    try:
        search.go()
    finally:
        dirs = plain.config_dirs if isinstance(plain, Job) else ()
        within_shown.show(search, folder, dirs)
    return search.returned


class WithinSearch:
    """A search under way.

    Args:
        asked: what is asked for.
        launcher: the launcher that starts the runs.
        job: the function that does a run.

    Attributes:
        searched: the search of each strategy.
        full: the metrics of full tables by seed: on validation and evaluation rows. Empty before they are known.
        full_bytes: bytes of the full tables.
        task: the task of the runs. Known once full tables are.
        problem: the reason why there is nothing to compare with, or an empty text.
        returned: the returns of all runs.
    """

    def __init__(self, asked: Asked, launcher: Launcher, job: Any) -> None:
        self.asked, self._launcher, self._job = asked, launcher, job
        self.searched: list[Searched] = []
        self.full: dict[str, tuple[float, float]] = {}
        self.full_bytes = 0
        self.task = find_task("rating")
        self.problem = ""
        self.returned: list[Sequence[JobReturn]] = []

    def begin(self, config: DictConfig, loader: Any, work: Work) -> None:
        """Finds the sizes that each strategy can have.

        Raises:
            RequestError: the sizes of a strategy cannot be chosen.
        """
        assert work.sizes is not None
        for strategy in self.asked.strategies:
            overrides = self.asked.runs(strategy)[0]
            sizes = work.sizes(check_job(config, overrides, loader))
            smallest, below_full = sizes("smallest"), sizes.full_bytes - 1
            bisection = None
            if smallest <= below_full:
                bisection = Bisection(smallest, sizes(f"{below_full}B"), _fits(sizes))
            self.searched.append(Searched(strategy, bisection))
            self.full_bytes = sizes.full_bytes

    def go(self) -> None:
        """Trains full tables, and then one size of each strategy after the other until all searches have ended."""
        (full,) = self._batch([(BASELINE, None)])
        self.problem = _problem(full)
        if self.problem:
            return
        task = str(full[0].result and full[0].result.task)
        self.task = find_task(task)
        self.full = dict(zip(self.asked.seeds, self._metrics(full), strict=True))
        while waiting := [(one, size) for one in self.searched if (size := one.next) is not None]:
            found = self._batch([(one.strategy, size) for one, size in waiting])
            for (one, size), outcomes in zip(waiting, found, strict=True):
                self._judge(one, size, outcomes)

    def _batch(self, sizes: Sequence[tuple[str, int | None]]) -> list[list[Outcome]]:
        """Runs all seeds of some sizes, and gives their outcomes."""
        runs = [self.asked.runs(strategy, size) for strategy, size in sizes]
        first = sum(map(len, self.returned))
        self.returned.append(
            self._launcher.launch(list(itertools.chain.from_iterable(runs)), initial_job_idx=first)
        )
        outcomes = [one.return_value for one in self.returned[-1]]
        seeds = len(self.asked.seeds)
        return [outcomes[start : start + seeds] for start in range(0, len(outcomes), seeds)]

    def _metrics(self, outcomes: Sequence[Outcome]) -> list[tuple[float, float]]:
        """The task's metric on validation and on evaluation rows, with the sign that makes a lower number better."""
        found = []
        for outcome in outcomes:
            assert outcome.result is not None
            names = (self.task.validation, self.task.headline)
            values = [outcome.result.metric(name) for name in names]
            sign = -1.0 if METRICS[self.task.headline].better == "higher" else 1.0
            found.append((sign * (values[0] or 0.0), sign * (values[1] or 0.0)))
        return found

    def _judge(self, one: Searched, size: int, outcomes: Sequence[Outcome]) -> None:
        one.problem = _problem(outcomes)
        if one.problem or one.bisection is None:
            return
        validation, evaluation = zip(*self._metrics(outcomes), strict=True)
        full_validation, full_evaluation = zip(*self.full.values(), strict=True)
        loss = difference(validation, full_validation)
        keeps = loss.ci95 is not None and loss.ci95[1] <= self.allowed
        seen = difference(evaluation, full_evaluation)
        result = outcomes[0].result
        one.tried.append(
            Tried(size, self.full_bytes / size, loss, seen, keeps, (result and result.settings) or {})
        )
        one.bisection.tell(size, keeps)

    @property
    def allowed(self) -> float:
        """The loss that is allowed, in the metric's unit."""
        values = [validation for validation, _ in self.full.values()]
        return self.asked.margin.of(sum(values) / len(values))


def _fits(sizes: Sizes) -> Callable[[int], int]:
    return lambda size: sizes(f"{size}B")


def _problem(outcomes: Sequence[Outcome]) -> str:
    """The reason why a size has no number for each seed, or an empty text."""
    for outcome in outcomes:
        result = outcome.result
        if result is None or result.headline is None:
            return f"{' '.join(outcome.overrides)}: {outcome.message or (result and result.error) or 'no number'}"
        if result.metric(find_task(str(result.task)).validation) is None:
            return f"{' '.join(outcome.overrides)}: its result has no number of validation rows"
    return ""
