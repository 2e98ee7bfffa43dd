"""A search of memory against error: Optuna proposes settings, Hydra's launcher runs them, a study keeps the numbers.

The error is that on validation rows. Evaluation rows are reported beside it and decide nothing.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
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

from bench import results
from bench.errors import RequestError
from bench.fingerprint import NOT_DECIDING, canonical, code_digest
from bench.jobs import Outcome, as_returned, line
from bench.measure import machine
from bench.measure.environment import tensorflow_version, version
from bench.results import Status
from bench.sweeps.space import Dimension, SearchSettings, read, split
from bench.tradeoff.statistics import finite, pareto

OBJECTIVES = ("embedding_bytes", "validation_mae")
"""Keys of a result that are made small."""

POPULATION = 20
"""Trials in a generation of ``nsgaii``."""

NOT_THE_STUDY = tuple(name for name in NOT_DECIDING if not name.startswith("dataset."))
"""Settings that change no number of a search: with another one, a command goes on with the same study."""

_AGAIN, _SEARCH = "again", "search"


def run(
    context: HydraContext, config: DictConfig, launcher: Launcher, job: Any, arguments: Sequence[str]
) -> list[Sequence[JobReturn]]:
    """Searches until as many trials have finished as are asked for; prints the Pareto front.

    Args:
        context: Hydra's.
        config: of the sweep.
        launcher: starts the runs.
        job: the run.
        arguments: the command's overrides.

    Returns:
        What became of the runs, a list for each batch.

    Raises:
        RequestError: a study that cannot be read, is another search's, or is under way.
    """
    settings = read(config)
    fixed, space = split(config, arguments, context.config_loader)
    folder = Path(str(config.hydra.sweep.dir))
    folder.mkdir(parents=True, exist_ok=True)
    OmegaConf.save(config, folder / "multirun.yaml")
    searched = digest(fixed, space)
    name = settings.study_name or f"search-{searched[:12]}"
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
                returned.append(_batch(context, config, launcher, job, study, trials, fixed, space, first))
        finally:
            show(study, settings, space)
    return returned


def digest(fixed: Sequence[str], space: Sequence[Dimension]) -> str:
    """What tells one search from others: fixed settings, search space, and the code that decides results."""
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
    """Lets one process at a time work on a study; one that is killed leaves no lock."""
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
    return Path(settings.storage.removeprefix("sqlite:///")).absolute()


def opened(settings: SearchSettings, name: str, searched: str) -> Any:
    """The study of that name, a new one where there is none.

    Raises:
        RequestError: the database cannot be opened, or the study is another search's.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    database = _database(settings)
    try:
        database.parent.mkdir(parents=True, exist_ok=True)
        # Optuna makes its tables one by one: what a kill leaves of them, the next process completes alone.
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
    """Gives up the trials that a process left which is gone: failed, and to be proposed once more."""
    for trial in _trials(study, "RUNNING"):
        _give_up(study, trial.number, trial.params, trial.user_attrs)


def _give_up(study: Any, number: int, params: Mapping[str, Any], attributes: Mapping[str, Any]) -> None:
    from optuna.trial import TrialState

    study.tell(number, state=TrialState.FAIL)
    # Once only, lest settings that end the process each time are all that is ever tried.
    if params and not attributes.get(_AGAIN):
        study.enqueue_trial(dict(params), user_attrs={_AGAIN: True})


def ask(study: Any, settings: SearchSettings, space: Sequence[Dimension]) -> Any:
    """The next trial.

    The sampler starts from a seed of its own each time: one that went on from the same seed after a kill would
    propose what it has proposed before.
    """
    from optuna.samplers import NSGAIISampler, TPESampler

    text = f"{settings.seed} {len(study.get_trials(deepcopy=False))}"
    seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")
    if settings.sampler == "tpe":
        study.sampler = TPESampler(seed=seed, constant_liar=True)  # trials of one batch keep apart
    else:
        study.sampler = NSGAIISampler(seed=seed, population_size=POPULATION)
    return study.ask({d.name: d.distribution() for d in space})


def _batch(
    context: HydraContext,
    config: DictConfig,
    launcher: Launcher,
    job: Any,
    study: Any,
    trials: Sequence[Any],
    fixed: Sequence[str],
    space: Sequence[Dimension],
    first: int,
) -> list[JobReturn]:
    """Runs trials and tells the study; gives up those that an interrupt or an error leaves."""
    waiting = {trial.number: trial for trial in trials}
    own = {t.number: [*fixed, *(d.override(t.params[d.name]) for d in space)] for t in trials}
    wrong = {number: error for number in own if (error := _not_composed(context, config, own[number]))}
    numbers = [number for number in own if number not in wrong]
    returned: list[JobReturn] = []

    def done(number: int, outcome: Outcome) -> None:
        tell(study, waiting[number], outcome)
        del waiting[number]

    try:
        if numbers:
            returned += launcher.launch([own[number] for number in numbers], initial_job_idx=first)
        for number, job_return in zip(numbers, returned, strict=True):
            done(number, job_return.return_value)
    finally:
        # What had ended before an interrupt counts.
        ended: Mapping[int, Outcome] = getattr(getattr(job, "board", None), "outcomes", {})
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


def _not_composed(context: HydraContext, config: DictConfig, overrides: list[str]) -> str:
    """Why settings make no run at all, empty where they do; the launcher would end the search with it."""
    try:
        context.config_loader.load_sweep_config(config, overrides)
    except (HydraException, OmegaConfBaseException) as error:
        return line(error)
    return ""


def tell(study: Any, trial: Any, outcome: Outcome) -> None:
    """Tells the study what became of a trial: its numbers, or that it failed."""
    from optuna.trial import TrialState

    result = outcome.result
    for key in ("run_id", "fingerprint", "val_mae"):
        if result.get(key) is not None:
            trial.set_user_attr(key, result[key])
    values = [result.get(key) for key in OBJECTIVES]
    if outcome.status in (Status.FINISHED, Status.SKIPPED) and all(map(finite, values)):
        study.tell(trial, values)
        return
    why = outcome.message or result.get("error") or f"no number for {' and '.join(OBJECTIVES)} in its result"
    status = Status.REFUSED if outcome.status == Status.REFUSED else Status.FAILED
    trial.set_user_attr("error", f"{status}: {why}")
    study.tell(trial, state=TrialState.FAIL)


def _trials(study: Any, state: str) -> list[Any]:
    from optuna.trial import TrialState

    found: list[Any] = study.get_trials(deepcopy=False, states=(TrialState[state],))
    return found


def finished(study: Any) -> list[Any]:
    """The trials that have numbers, earlier commands' included."""
    return _trials(study, "COMPLETE")


def front(trials: Sequence[Any]) -> list[Any]:
    """The trials that no other beats in one number and equals in the rest, by memory; equal settings once."""
    different = list({tuple(sorted(trial.params.items())): trial for trial in trials}.values())
    best = compress(different, pareto([tuple(trial.values) for trial in different]))
    return sorted(best, key=lambda trial: (trial.values, trial.number))


def show(
    study: Any, settings: SearchSettings, space: Sequence[Dimension], file: IO[str] | None = None
) -> None:
    """Prints how far the search is, and its Pareto front in aligned lines."""
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
    rows = [("Pareto front", "memory", "validation MAE", "evaluation MAE")]
    for trial in best:
        size, error = trial.values
        seen = trial.user_attrs.get("val_mae")
        rows.append(
            (
                _chosen(trial, space),
                results.short_size(size),
                f"{error:.4f}",
                "-" if seen is None else f"{seen:.4f}",
            )
        )
    for text in results.aligned(rows, left=1):
        print(text, file=file)
    print("evaluation MAE: of rows that were not looked at for choosing.", file=file)


def _chosen(trial: Any, space: Sequence[Dimension]) -> str:
    return " ".join(d.override(trial.params[d.name]) for d in space if d.name in trial.params)
