"""The worker processes: they do several runs at once. Each serves many runs and computes with one thread.

On Linux they are forked from one process that has imported TensorFlow for all of them. Elsewhere each worker imports
TensorFlow once. If a process is killed, only its own run is lost.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing import connection, forkserver, get_context, parent_process, set_forkserver_preload
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import cloudpickle
from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, JobStatus, run_job
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from bench import tracking
from bench.errors import BenchError, line
from bench.measure.machine import THREADS_VARIABLE
from bench.sweeps import folders
from bench.sweeps.jobs import Board, Job, Silent, Watched, as_returned, lost

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

PATIENCE_SECONDS = 60.0
"""The time, in seconds, that interrupted runs have to end cleanly."""

END_SECONDS = 10.0
"""The time, in seconds, that a process without work has to end."""

START_METHOD = "forkserver" if sys.platform == "linux" else "spawn"
"""The way in which worker processes start. It is no fork on macOS, whose own libraries do not survive a fork."""

LOG = "workers.log"
"""The file in the sweep's folder that takes the output of the processes."""

_SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


def prepare() -> None:
    """Begins to import the modules that workers need, and returns at once. The caller can do other work meanwhile."""
    if START_METHOD == "forkserver":
        set_forkserver_preload([f"{__package__}.preloaded"])
        forkserver.ensure_running()


@dataclass(frozen=True)
class Batch:
    """Jobs that Hydra gives to a launcher at once.

    Attributes:
        context: Hydra's context, with the loader that composes each job.
        config: the sweep's configuration.
        task: the function that is called for each job.
        jobs: the overrides of each job, by number.
    """

    context: HydraContext
    config: DictConfig
    task: TaskFunction
    jobs: Mapping[int, Sequence[str]]

    @property
    def board(self) -> Board:
        """The board that gets news of the jobs."""
        return self.task.board if isinstance(self.task, Watched) else Silent()

    def composed(self, number: int) -> DictConfig:
        """The configuration of a job."""
        config = self.context.config_loader.load_sweep_config(self.config, list(self.jobs[number]))
        return folders.number(config, number)

    def lost(self, number: int, message: str) -> JobReturn:
        """The return of a job whose process has died or failed before it sent an outcome."""
        overrides = tuple(self.jobs[number])
        if isinstance(self.task, Watched | Job):
            return as_returned(lost(overrides, folders.of(self.composed(number)), message))
        return JobReturn(overrides=overrides, _return_value=BenchError(message), status=JobStatus.FAILED)


class Died(Exception):  # noqa: N818 - an outcome
    """The error for a worker's process that has died, in the middle of a call or before it."""


class Worker:
    """A process that makes one call after another.

    Args:
        log_file: the file to which the process's output is appended.
        environment: all environment variables of the process.
        state: Hydra's state in this process, as ``Singleton.get_state`` gives it.
    """

    def __init__(self, log_file: Path, environment: Mapping[str, str], state: Any = None) -> None:
        context = get_context(START_METHOD)
        self.link, theirs = context.Pipe()
        begin = cloudpickle.dumps((str(log_file), dict(environment), state))
        self.process = context.Process(target=_work, args=(theirs, begin))  # type: ignore[attr-defined]
        self.process.start()
        theirs.close()

    def begin(self, call: Callable[..., Any], *arguments: Any) -> None:
        """Sends a call to the process, and returns at once.

        Raises:
            Died: the process has died.
        """
        try:
            self.link.send_bytes(cloudpickle.dumps((call, arguments)))
        except OSError as error:
            raise Died from error

    def end(self) -> Any:
        """Waits for the end of the call, and returns the call's value.

        Raises:
            Died: the process has died.
            BenchError: the call has raised an error. The message is one line.
        """
        try:
            succeeded, value = cloudpickle.loads(self.link.recv_bytes())
        except (EOFError, OSError) as error:
            raise Died from error
        if not succeeded:
            raise BenchError(value)
        return value

    def interrupt(self, how: int = signal.SIGINT) -> None:
        """Sends a signal to the process, as Ctrl-C on the terminal does."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.process.pid, how)

    def close(self) -> None:
        """Lets the process end after its present call."""
        self.link.close()

    def wait(self) -> None:
        """Waits for the end of the process, and kills it after ``END_SECONDS``."""
        self.process.join(END_SECONDS)
        if self.process.exitcode is None:
            self.process.kill()
            self.process.join()


class Team:
    """The workers of a batch, and their present jobs.

    Args:
        batch: the jobs.
        environment: the environment variables of the workers.

    Attributes:
        returned: the returns of the jobs that have ended, by number.
    """

    def __init__(self, batch: Batch, environment: Mapping[str, str]) -> None:
        self._batch, self._environment, self._board = batch, environment, batch.board
        self._state = Singleton.get_state()
        self._task = batch.task.job if isinstance(batch.task, Watched) else batch.task
        self._waiting, self._at_once = sorted(batch.jobs), 1
        self._workers: list[Worker] = []
        self._busy: dict[object, tuple[int, Worker]] = {}  # by the worker's link
        self.returned: dict[int, JobReturn] = {}

    def run(self, workers: int) -> None:
        """Runs all jobs on this number of workers. A worker that has ended a job gets the next one."""
        self._at_once = workers
        for _ in range(workers):
            self._next(self._worker())
        while self._busy:
            for link in connection.wait(self._links()):
                self._next(self._ended(link))

    def interrupt(self) -> None:
        """Interrupts the running jobs so that they end cleanly. It keeps the returns of jobs that finish meanwhile."""
        for _, worker in self._busy.values():
            worker.interrupt()
        end = time.monotonic() + PATIENCE_SECONDS
        while self._busy and (links := connection.wait(self._links(), max(0.0, end - time.monotonic()))):
            for link in links:
                self._ended(link, interrupted=True)

    def close(self) -> None:
        """Ends all processes. Processes with a running job are killed."""
        for worker in self._workers:
            worker.close()
        for _, worker in self._busy.values():
            worker.process.kill()
        for worker in self._workers:
            worker.wait()

    def _links(self) -> list[Connection[Any, Any]]:
        return [worker.link for _, worker in self._busy.values()]

    def _worker(self) -> Worker:
        folder = Path(str(self._batch.config.hydra.sweep.dir))
        self._workers.append(Worker(folder / LOG, self._environment, self._state))
        return self._workers[-1]

    def _next(self, worker: Worker) -> None:
        if not self._waiting:
            return
        number = self._board.choose(self._waiting, self._at_once)
        self._waiting.remove(number)
        arguments = self._batch.composed(number), self._batch.context, self._task
        try:
            worker.begin(run_one, *arguments)
        except Died:  # the worker was killed between two jobs
            worker = self._worker()
            worker.begin(run_one, *arguments)
        self._busy[worker.link] = number, worker
        self._board.started(number, tuple(self._batch.jobs[number]))

    def _ended(self, link: object, interrupted: bool = False) -> Worker:
        number, worker = self._busy.pop(link)
        try:
            returned = worker.end()
        except Died:
            if interrupted:
                return worker
            worker = self._worker()
            message = "its process was killed, perhaps for want of memory; the same command trains it again"
            returned = self._batch.lost(number, message)
        except BenchError as error:
            returned = self._batch.lost(number, line(error))
        self.returned[number] = returned
        if isinstance(self._batch.task, Watched):
            self._board.ended(number, returned.return_value)
        return worker


def run_all(batch: Batch, workers: int, threads: int = 1) -> dict[int, JobReturn]:
    """Runs jobs on several workers. A worker that has ended a job gets the next one.

    Args:
        batch: the jobs.
        workers: the number of workers.
        threads: the number of threads of each worker.

    Returns:
        The return of each job, by number. A job whose process was killed counts as failed.

    Raises:
        KeyboardInterrupt: the command was interrupted. It is raised once the running jobs have ended.
    """
    if not batch.jobs:
        return {}
    if isinstance(batch.task, Watched | Job):
        prepare()
    Path(str(batch.config.hydra.sweep.dir)).mkdir(parents=True, exist_ok=True)
    with _scratch() as scratch:
        environment = {
            **os.environ, THREADS_VARIABLE: str(threads), "TMPDIR": scratch, **tracking.shared()
        }  # fmt: skip
        team = Team(batch, environment)
        try:
            team.run(min(workers, len(batch.jobs)))
        except KeyboardInterrupt:
            team.interrupt()
            raise
        finally:
            team.close()
    return team.returned


@contextlib.contextmanager
def _scratch() -> Iterator[str]:
    """Makes a folder for the temporary files of workers, and removes it at the end. A killed worker cannot do that."""
    with tempfile.TemporaryDirectory(prefix="embedding-bench-", ignore_cleanup_errors=True) as folder:
        yield folder


def run_one(config: DictConfig, context: HydraContext, task: TaskFunction) -> JobReturn:
    """Runs one job in a worker.

    Args:
        config: the job's composed configuration.
        context: Hydra's context.
        task: the function that is called for the job.
    """
    return run_job(
        task_function=task,
        config=config,
        job_dir_key="hydra.sweep.dir",
        job_subdir_key="hydra.sweep.subdir",
        hydra_context=context,
    )


def _work(link: Connection[Any, Any], begin: bytes) -> None:
    """The main function of a worker: makes calls until the parent closes the link."""
    _listen(signal.SIG_IGN)  # between jobs, the parent decides
    _begin(*cloudpickle.loads(begin))
    while True:
        try:
            call, arguments = cloudpickle.loads(link.recv_bytes())
        except (EOFError, OSError):
            return
        _listen(_interrupted)
        try:
            reply = True, call(*arguments)
        except KeyboardInterrupt:
            return
        except Exception as error:
            reply = False, f"{type(error).__name__}: {line(error)}"
        finally:
            _listen(signal.SIG_IGN)
        link.send_bytes(cloudpickle.dumps(reply))


def _listen(handler: Any) -> None:
    for number in _SIGNALS:
        signal.signal(number, handler)


def _interrupted(*_: object) -> NoReturn:
    _listen(signal.SIG_IGN)  # a second signal must not end the cleanup
    raise KeyboardInterrupt


def _begin(log_file: str, environment: Mapping[str, str], state: Any) -> None:
    """Sets up a worker: its environment variables, its output file, and Hydra's state."""
    os.environ.clear()
    os.environ.update(environment)  # replaces the variables of the process that the worker was forked from
    tempfile.tempdir = None  # the environment names the folder
    with open(log_file, "ab") as file:  # noqa: PTH123 - for its descriptor
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
            os.dup2(file.fileno(), stream.fileno())
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if state is not None:
        Singleton.set_state(state)


def _end_with_parent() -> NoReturn:
    parent = parent_process()
    assert parent is not None
    connection.wait([parent.sentinel])
    os._exit(1)
