"""A search of memory against error: Optuna proposes settings, Hydra's launcher runs them, a study keeps the numbers.

The search uses the task's headline metric on validation rows: an error, or the negative of a score. That of the
evaluation rows is shown beside it and decides nothing.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import compress
from pathlib import Path
from typing import IO, Any

from filelock import FileLock, Timeout
from hydra.core.utils import JobReturn
from hydra.errors import HydraException
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from bench.config.paths import SQLITE
from bench.errors import RequestError, line
from bench.measure import machine, units
from bench.measure.environment import tensorflow_version, version
from bench.records.fingerprint import NOT_DECIDING, canonical, code_digest
from bench.records.result import Status
from bench.sweeps.jobs import Outcome, Watched, as_returned
from bench.sweeps.space import Dimension, SearchSettings, read, split
from bench.tradeoff.headline import FIRST_TASK, Headline, task_of
from bench.tradeoff.statistics import finite, pareto

MEMORY = "embedding_bytes"
"""The key of a result that the search minimizes, beside the task's headline metric on validation rows as a cost."""

POPULATION = 20
"""The number of trials in a generation of ``nsgaii``."""

NOT_THE_STUDY = tuple(name for name in NOT_DECIDING if not name.startswith("dataset."))
"""Settings that change no number of a search. If they change, a command continues the same study."""

_AGAIN, _SEARCH = "again", "search"


def run(
    context: HydraContext, config: DictConfig, launcher: Launcher, job: Any, arguments: Sequence[str]
) -> list[Sequence[JobReturn]]:
    """Searches until ``n_trials`` trials have finished, and prints the Pareto front.

    Args:
        context: Hydra's context.
        config: the sweep's configuration.
        launcher: the launcher that starts the runs.
        job: the function that does a run.
        arguments: the command's overrides.

    Returns:
        The returns of the runs, a list for each batch.

    Raises:
        RequestError: the study cannot be read, belongs to another search, or is in use by another process.
    """
    settings = read(config)
    fixed, space = split(config, arguments, context.config_loader)
    folder = Path(str(config.hydra.sweep.dir))
    folder.mkdir(parents=True, exist_ok=True)
    OmegaConf.save(config, folder / "multirun.yaml")
    searched = digest(fixed, space)
    name = settings.study_name or f"search-{searched[:12]}"
    starter = _Starter(context, config, launcher, job, fixed, space)
    with _alone(settings, name):
        study = opened(settings, name, searched)
        take_up(study)
        returned: list[Sequence[JobReturn]] = []
        try:
            missing = settings.n_trials - len(finished(study))
            while missing > 0:
                trials = [ask(study, settings, space) for _ in range(min(settings.n_jobs, missing))]
                missing -= len(trials)
                first = sum(map(len, returned))
                returned.append(starter.batch(study, trials, first))
        finally:
            show(study, settings, space)
    return returned


def digest(fixed: Sequence[str], space: Sequence[Dimension]) -> str:
    """A digest that identifies a search: of its fixed settings, its space, and the code that decides results."""
    own = [text for text in fixed if not text.lstrip("+").startswith(NOT_THE_STUDY)]
    parts = {
        "fixed": sorted(own),
        "space": sorted([d.name, list(d.choices), d.low, d.high, d.step, d.log] for d in space),
        "code": code_digest(),
        "versions": [version("keras"), tensorflow_version()],
    }
    return hashlib.sha256(canonical(parts).encode()).hexdigest()


@contextlib.contextmanager
def _alone(settings: SearchSettings, name: str) -> Iterator[None]:
    """Lets only one process at a time work on a study. A process that is killed leaves no lock."""
    lock = machine.lock("searches", str(_database(settings)), name)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise RequestError(
            f"hydra.sweeper.study_name={name}: this search is under way in another process; wait for its "
            "end, or give another name"
        ) from None
    try:
        yield
    finally:
        lock.release()


def _database(settings: SearchSettings) -> Path:
    return Path(settings.storage.removeprefix(SQLITE))


def opened(settings: SearchSettings, name: str, searched: str) -> Any:
    """Opens the study of this name, or makes it.

    Raises:
        RequestError: the database cannot be opened, or the study belongs to another search.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    database = _database(settings)
    try:
        database.parent.mkdir(parents=True, exist_ok=True)
        # Optuna makes its tables one by one. After a kill the next process makes the missing ones, under this lock.
        with FileLock(f"{database}.lock"):
            storage = optuna.storages.RDBStorage(
                f"sqlite:///{database}", engine_kwargs={"connect_args": {"timeout": 60}}
            )
            study = optuna.create_study(
                storage=storage, study_name=name, load_if_exists=True, directions=["minimize"] * 2
            )
    except Exception as error:
        raise RequestError(
            f"hydra.sweeper.storage={settings.storage}: cannot be opened ({line(error)}); give another file, "
            "as sqlite:///FILE"
        ) from error
    if study.user_attrs.get(_SEARCH, searched) != searched:
        raise RequestError(
            f"hydra.sweeper.study_name={name}: has trials of other settings, another search space or other "
            "code; give another name"
        )
    study.set_user_attr(_SEARCH, searched)
    return study


def take_up(study: Any) -> None:
    """Marks the unfinished trials of a dead process as failed, and lets Optuna propose them once more."""
    for trial in _trials(study, "RUNNING"):
        _give_up(study, trial.number, trial.params, trial.user_attrs)


def _give_up(study: Any, number: int, params: Mapping[str, Any], attributes: Mapping[str, Any]) -> None:
    from optuna.trial import TrialState

    study.tell(number, state=TrialState.FAIL)
    # Once only: settings that end the process each time would otherwise be tried forever.
    if params and not attributes.get(_AGAIN):
        study.enqueue_trial(dict(params), user_attrs={_AGAIN: True})


def ask(study: Any, settings: SearchSettings, space: Sequence[Dimension]) -> Any:
    """Gives the next trial.

    The sampler gets a new seed each time. With the same seed after a kill, it would propose the same settings again.
    """
    from optuna.samplers import NSGAIISampler, TPESampler

    text = f"{settings.seed} {len(study.get_trials(deepcopy=False))}"
    seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")
    if settings.sampler == "tpe":
        study.sampler = TPESampler(seed=seed, constant_liar=True)  # keeps the trials of one batch apart
    else:
        study.sampler = NSGAIISampler(seed=seed, population_size=POPULATION)
    return study.ask({d.name: d.distribution() for d in space})


@dataclass(frozen=True)
class _Starter:
    """The starter of one search's trials.

    Attributes:
        context: Hydra's context.
        config: the sweep's configuration.
        launcher: the launcher that starts the runs.
        job: the function that does a run.
        fixed: the overrides that all trials have.
        space: the dimensions of the search.
    """

    context: HydraContext
    config: DictConfig
    launcher: Launcher
    job: Any
    fixed: Sequence[str]
    space: Sequence[Dimension]

    def batch(self, study: Any, trials: Sequence[Any], first: int) -> list[JobReturn]:
        """Runs trials and writes their outcomes to the study. Trials that an interrupt or an error ends are given up.

        Args:
            study: Optuna's study.
            trials: the trials that Optuna has proposed.
            first: the number of the first run.
        """
        waiting = {trial.number: trial for trial in trials}
        own = {t.number: [*self.fixed, *(d.override(t.params[d.name]) for d in self.space)] for t in trials}
        wrong = {number: error for number in own if (error := self._wrong_in(own[number]))}
        numbers = [number for number in own if number not in wrong]
        returned: list[JobReturn] = []

        def done(number: int, outcome: Outcome) -> None:
            tell(study, waiting[number], outcome)
            del waiting[number]

        try:
            if numbers:
                returned += self.launcher.launch([own[number] for number in numbers], initial_job_idx=first)
            for number, job_return in zip(numbers, returned, strict=True):
                done(number, job_return.return_value)
        finally:
            # Trials that had ended before an interrupt count.
            ended = self.job.board.outcomes if isinstance(self.job, Watched) else {}
            for position, number in enumerate(numbers, start=first):
                if number in waiting and position in ended:
                    done(number, ended[position])
            for number, message in wrong.items():
                outcome = Outcome("failed", tuple(own[number]), message=message, exit_code=1)
                done(number, outcome)
                returned.append(as_returned(outcome))
            for number, trial in waiting.items():
                _give_up(study, number, trial.params, trial.user_attrs)
        return returned

    def _wrong_in(self, overrides: list[str]) -> str:
        """Gives the reason why overrides make no run, or an empty text if they make one.

        Without this check the launcher would end the search at such overrides.
        """
        try:
            self.context.config_loader.load_sweep_config(self.config, overrides)
        except (HydraException, OmegaConfBaseException) as error:
            return line(error)
        return ""


def tell(study: Any, trial: Any, outcome: Outcome) -> None:
    """Writes the outcome of a trial to the study: its numbers, or a failure."""
    from optuna.trial import TrialState

    result = outcome.result
    headline = Headline.of(FIRST_TASK if result is None else task_of(result))
    for key in ("run_id", "fingerprint", "task", headline.name):
        if result is not None and getattr(result, key) is not None:
            trial.set_user_attr(key, getattr(result, key))
    values = [result and result.metric(MEMORY), result and headline.cost(result.metric(headline.validation))]
    if outcome.status in (Status.FINISHED, Status.SKIPPED) and all(map(finite, values)):
        study.tell(trial, values)
        return
    why = (
        outcome.message
        or (result and result.error)
        or f"no number for {MEMORY} and {headline.validation} in its result"
    )
    status = Status.REFUSED if outcome.status == Status.REFUSED else Status.FAILED
    trial.set_user_attr("error", f"{status}: {why}")
    study.tell(trial, state=TrialState.FAIL)


def _trials(study: Any, state: str) -> list[Any]:
    from optuna.trial import TrialState

    found: list[Any] = study.get_trials(deepcopy=False, states=(TrialState[state],))
    return found


def finished(study: Any) -> list[Any]:
    """The trials that have numbers, with those of earlier commands."""
    return _trials(study, "COMPLETE")


def front(trials: Sequence[Any]) -> list[Any]:
    """The trials of the Pareto front, ordered by memory. Equal settings appear once.

    No other trial is better in one number and at least as good in the other.
    """
    different = list({tuple(sorted(trial.params.items())): trial for trial in trials}.values())
    best = compress(different, pareto([tuple(trial.values) for trial in different]))
    return sorted(best, key=lambda trial: (trial.values, trial.number))


def show(
    study: Any, settings: SearchSettings, space: Sequence[Dimension], file: IO[str] | None = None
) -> None:
    """Prints the number of finished trials, and the Pareto front in aligned lines."""
    file = file or sys.stdout
    trials = finished(study)
    failed = [trial for trial in _trials(study, "FAIL") if "error" in trial.user_attrs]
    print(
        f"\n{study.study_name}: {len(trials)} of {settings.n_trials} trials have finished"
        + (f", {len(failed)} were refused or failed:" if failed else ""),
        file=file,
    )
    for trial in failed:
        print(f"  {_chosen(trial, space)}  {trial.user_attrs['error']}", file=file)
    best = front(trials)
    if not best:
        return
    headline = Headline.of(best[0].user_attrs.get("task", FIRST_TASK))
    rows = [("Pareto front", "memory", f"validation {headline.short}", f"evaluation {headline.short}")]
    for trial in best:
        size, cost = trial.values
        seen = trial.user_attrs.get(headline.name)
        rows.append(
            (
                _chosen(trial, space),
                units.short_size(size),
                f"{headline.cost(cost):.4f}",
                "-" if seen is None else f"{seen:.4f}",
            )
        )
    for text in units.aligned(rows, left=1):
        print(text, file=file)
    print(f"evaluation {headline.short}: of rows that were not looked at for choosing.", file=file)


def _chosen(trial: Any, space: Sequence[Dimension]) -> str:
    return " ".join(d.override(trial.params[d.name]) for d in space if d.name in trial.params)
