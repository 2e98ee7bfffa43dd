"""Runs beside each other in processes that stay, each computing with one thread.

On Linux they are forked from one process that has imported TensorFlow for all of them; elsewhere each imports it
once. Every worker is a pool of one process, so that one that is killed takes its own run with it and no other.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import connection, forkserver, get_context, parent_process, set_forkserver_preload
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from hydra import version
from hydra.core.utils import JobReturn, JobRuntime, run_job, setup_globals
from hydra.types import HydraContext
from omegaconf import DictConfig, open_dict

from bench import tracking
from bench.config.composing import HYDRA_VERSION_BASE
from bench.jobs import Job, Outcome, as_returned, line, lost
from bench.measure.machine import THREADS_VARIABLE

T = TypeVar("T")

PATIENCE_SECONDS = 60.0
"""How long runs may take to end cleanly once they are interrupted."""


START_METHOD = "forkserver" if sys.platform == "linux" else "spawn"
"""How worker processes start; macOS's own libraries do not survive a fork."""


def prepare() -> None:
    """Begins to import what workers need; returns at once, so that something can be done meanwhile."""
    if START_METHOD == "forkserver":
        set_forkserver_preload([f"{__package__}.preloaded"])
        forkserver.ensure_running()


class Worker:
    """A process that runs one job after the other.

    Args:
        log_file: what the process prints goes to its end.
        environment: its variables, all of them.
    """

    def __init__(self, log_file: Path, environment: Mapping[str, str]) -> None:
        self._pool = ProcessPoolExecutor(
            1, get_context(START_METHOD), _begin, (str(log_file), dict(environment))
        )
        self._pid = self._pool.submit(os.getpid)

    def submit(self, call: Callable[..., T], *arguments: Any) -> Future[T]:
        """Has the process call a function once it is done with what came before."""
        return self._pool.submit(call, *arguments)

    def interrupt(self, how: int) -> None:
        """Sends the process a signal, as Ctrl-C on the terminal would."""
        with contextlib.suppress(OSError, BrokenProcessPool):
            os.kill(self._pid.result(timeout=PATIENCE_SECONDS), how)

    def close(self) -> None:
        """Lets the process end."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def run_all(
    context: HydraContext,
    config: DictConfig,
    job: Job,
    overrides: Sequence[Sequence[str]],
    first: int,
    workers: int,
    threads: int = 1,
) -> list[JobReturn]:
    """Runs jobs beside each other, and the next one wherever one has ended.

    Args:
        context: Hydra's, with the loader that composes each job.
        config: of the sweep.
        job: the run.
        overrides: of each job.
        first: the first job's number.
        workers: how many at once.
        threads: of each.

    Returns:
        What each job returned, in order. A job whose process was killed is a failed one.

    Raises:
        KeyboardInterrupt: once those that were running have ended.
    """
    folder = Path(str(config.hydra.sweep.dir))
    folder.mkdir(parents=True, exist_ok=True)
    outcomes: dict[int, Outcome] = {}
    waiting = iter(enumerate(overrides, start=first))
    busy: dict[Future[Outcome], tuple[int, Sequence[str], Worker]] = {}

    def begin(worker: Worker) -> None:
        number, own = next(waiting, (None, ()))
        if number is None:
            return
        composed = context.config_loader.load_sweep_config(config, list(own))
        with open_dict(composed):
            composed.hydra.job.id = composed.hydra.job.num = number
        arguments = composed, context, job
        try:
            future = worker.submit(run_one, *arguments)
        except BrokenProcessPool:  # it was killed between two jobs
            worker = replaced(worker)
            future = worker.submit(run_one, *arguments)
        busy[future] = number, own, worker
        if job.board is not None:
            job.board.started(number, tuple(own))

    def replaced(worker: Worker) -> Worker:
        worker.close()
        team.append(Worker(folder / "workers.log", environment))
        return team[-1]

    def end(future: Future[Outcome]) -> Worker:
        number, own, worker = busy.pop(future)
        place = folder / str(number)
        try:
            outcome = future.result()
        except BrokenProcessPool:
            worker = replaced(worker)
            message = "its process was killed, perhaps for want of memory; the same command trains it again"
            outcome = lost(tuple(own), place, message)
        except Exception as error:
            outcome = lost(tuple(own), place, f"{type(error).__name__}: {line(error)}")
        outcomes[number] = outcome
        if job.board is not None:
            job.board.ended(number, outcome)
        return worker

    prepare()
    environment = {**os.environ, THREADS_VARIABLE: str(threads), **tracking.shared()}
    team = [Worker(folder / "workers.log", environment) for _ in range(min(workers, len(overrides)))]
    with _ended_at_last(busy, team):
        for worker in team:
            begin(worker)
        while busy:
            for future in wait(busy, return_when=FIRST_COMPLETED).done:
                begin(end(future))
    return [as_returned(outcomes[number]) for number in sorted(outcomes)]


@contextlib.contextmanager
def _ended_at_last(
    busy: Mapping[Future[Outcome], tuple[int, Any, Worker]], team: list[Worker]
) -> Iterator[None]:
    """Has all processes end after the block; those that still run end cleanly where it was interrupted."""
    try:
        yield
    except KeyboardInterrupt:
        for _, _, worker in busy.values():
            worker.interrupt(signal.SIGINT)
        try:
            wait(busy, timeout=PATIENCE_SECONDS)
        except KeyboardInterrupt:
            for _, _, worker in busy.values():
                worker.interrupt(signal.SIGTERM)
        raise
    finally:
        for worker in team:
            worker.close()


def run_one(config: DictConfig, context: HydraContext, job: Job) -> Outcome:
    """One job, in a worker.

    Args:
        config: the job's, composed.
        context: Hydra's.
        job: the run.
    """
    signal.signal(signal.SIGINT, _interrupted)
    try:
        version.setbase(HYDRA_VERSION_BASE)
        setup_globals()
        JobRuntime.instance().set("name", str(config.hydra.job.name))  # composing reads it
        returned = run_job(job, config, "hydra.sweep.dir", "hydra.sweep.subdir", context)
        outcome: Outcome = returned.return_value
        return outcome
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def _interrupted(*_: object) -> NoReturn:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second one must not end the cleaning up
    raise KeyboardInterrupt


def _begin(log_file: str, environment: Mapping[str, str]) -> None:
    """What a worker does first."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # between jobs, the parent decides
    os.environ.clear()
    os.environ.update(environment)  # not those of the process that it was forked from
    with open(log_file, "ab") as file:  # noqa: PTH123 - for its descriptor
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
            os.dup2(file.fileno(), stream.fileno())
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> NoReturn:
    parent = parent_process()
    assert parent is not None
    connection.wait([parent.sentinel])
    os._exit(1)
