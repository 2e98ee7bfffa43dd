"""The shell of a command: options, one run or a sweep, one ``error:`` line, the exit code.

Hydra composes, makes output folders and launches; what it would print when something is wrong is said here in
one line. A request is checked whole, every job of a sweep included, before a folder is made or a job starts.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import logging
import os
import shlex
import shutil
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn

import hydra
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper  # hydra-core is pinned to one version
from hydra._internal.hydra import Hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobReturn, JobRuntime
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from bench import __version__, config, tradeoff
from bench.config import Loader, Settings, check, explained
from bench.config.composing import CONF, CONFIG_NAME, opened
from bench.errors import BenchError, RequestError, interrupted
from bench.jobs import Job, Outcome, Task, line, measured
from bench.sweeps import cluster, launch, logged, space
from bench.sweeps.board import SweepBoard
from bench.usage import usage

_SWEEP = "hydra.mode=MULTIRUN"

SWEEP_CONFIG = "multirun.yaml"
"""What Hydra writes into a sweep's folder before its first run."""


def main(
    task: Task,
    argv: Sequence[str] | None = None,
    name: str = "run",
    memory: Callable[[Settings], int] | None = None,
) -> int:
    """Runs a command.

    Args:
        task: one run.
        argv: its arguments; None for the process's own.
        name: the command's, for the log file.
        memory: bytes that a run with these settings will take at most.

    Returns:
        The exit code: 0 all done, 1 a run failed, 2 the request is wrong, 130 interrupted.
    """
    full_error = os.environ.get("HYDRA_FULL_ERROR") == "1"
    config.loader.cache_clear()
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        arguments = sys.argv[1:] if argv is None else list(argv)
        return _main(task, arguments, name, full_error, memory)
    except (Exception, KeyboardInterrupt) as error:
        if interrupted(error):
            return _fail("interrupted; finished runs are kept", 130)
        if full_error:
            traceback.print_exception(error)
        if isinstance(error, BenchError):
            return _fail(line(error), error.exit_code)
        return _fail(f"{type(error).__name__}: {line(error)}; HYDRA_FULL_ERROR=1 shows the traceback", 1)
    finally:
        GlobalHydra.instance().clear()
        root.handlers[:], root.level = handlers, level  # for a caller that goes on, such as a notebook


def leave(exit_code: int) -> NoReturn:
    """Ends the process, at once where TensorFlow would take a second to be taken down."""
    if "tensorflow" not in sys.modules:
        sys.exit(exit_code)
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(exit_code)


def _main(
    task: Task,
    argv: Sequence[str],
    name: str,
    full_error: bool,
    memory: Callable[[Settings], int] | None,
) -> int:
    options = _parse(argv)
    if options.help:
        print(usage(options.overrides))
        return 0
    if options.version:
        print(f"embedding-bench {__version__} (Hydra {hydra.__version__}, Python {sys.version.split()[0]})")
        return 0
    JobRuntime.instance().set("name", name)  # composing reads it
    overrides, loader = options.overrides, config.loader(tuple(options.config_dir))
    with explained(overrides, loader):
        sweep, cfg = _compose(overrides, loader, options.multirun)
        folder = _Folder.of(cfg, "hydra.sweep.dir" if sweep else "hydra.run.dir", overrides)
        if sweep:
            cfg = loader.compose([*overrides, *folder.overrides, _SWEEP], RunMode.MULTIRUN)
        jobs = _jobs(cfg, loader) if sweep else []

    def checked(job: Sequence[str]) -> Settings:
        with explained(job, loader):
            composed = loader.load_sweep_config(cfg, list(job))
            _refuse_inner_sweep(cfg, composed)
        return check(composed, composed.hydra.runtime.choices, loader)

    searching = sweep and space.asked_for(cfg)
    if searching:
        jobs = space.prepare(cfg, loader, checked, memory)
    beside = sweep and _beside_each_other(cfg)
    if beside and jobs:
        launch.prepare(checked(jobs[0]))  # most of what can be wrong is wrong with all of them
    of_jobs = [] if searching else [checked(job) for job in jobs]
    if not sweep:
        check(cfg, cfg.hydra.runtime.choices, loader)
    engine = Hydra(task_name=name, config_loader=loader)
    GlobalHydra.instance().initialize(engine)
    if options.cfg or options.info:
        with explained(overrides, loader):
            return _show(engine, options, cfg)
    run = Job(task, tuple(options.config_dir), full_error, memory)
    launcher = str(cfg.hydra.runtime.choices["hydra/launcher"])
    cluster.check(launcher, sweep)
    folder.claim()
    if sweep:
        command = shlex.join(["python", "-m", f"bench.{name}", *argv])
        started = logged.Started(command, folder.path, cluster.elsewhere(launcher))
        own = logged.search_of(cfg, loader, started) if searching else logged.sweep_of(jobs, of_jobs, started)
        board = SweepBoard(jobs, live=beside, trained=own.begin_report)
        try:
            given = [*overrides, *folder.overrides, _SWEEP]
            return _sweep(engine, run, given, board, own, command, launcher)
        except RequestError:
            folder.discard(SWEEP_CONFIG)
            raise
    return _run(engine, run, [*overrides, *folder.overrides], folder)


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    class Parser(argparse.ArgumentParser):
        def error(self, message: str) -> NoReturn:
            raise RequestError(f"{message}; --help lists all options")

    parser = Parser(add_help=False, allow_abbrev=False)
    parser.add_argument("overrides", nargs="*")
    parser.add_argument("--help", "-h", action="store_true")
    parser.add_argument("--version", action="store_true")
    parser.add_argument("--multirun", "-m", action="store_true")
    parser.add_argument("--cfg", "-c", choices=["job", "hydra", "all"])
    parser.add_argument("--resolve", action="store_true")
    parser.add_argument("--package", "-p")
    parser.add_argument(
        "--info", "-i", nargs="?", const="all",
        choices=["all", "config", "defaults", "defaults-tree", "plugins", "searchpath"],
    )  # fmt: skip
    parser.add_argument("--config-dir", "-cd", action="append", default=[])
    options = parser.parse_intermixed_args(list(argv))
    if (options.resolve or options.package) and not options.cfg:
        raise RequestError("--resolve and --package go with --cfg only; --help lists all options")
    if options.multirun + bool(options.cfg) + bool(options.info) > 1:
        raise RequestError("--multirun, --cfg and --info: give one of them; --help lists all options")
    return options


def _compose(overrides: Sequence[str], loader: Loader, multirun: bool) -> tuple[bool, DictConfig]:
    """Whether this is a sweep (``-m``, or ``hydra.mode`` in the settings), and the configuration."""
    parsed = OverridesParser.create().parse_overrides(list(overrides))
    if multirun or any(override.is_sweep_override() for override in parsed):
        cfg = loader.compose(overrides, RunMode.MULTIRUN)
        if multirun or cfg.hydra.mode == RunMode.MULTIRUN:
            return True, cfg
    cfg = loader.compose(overrides)
    return cfg.hydra.mode == RunMode.MULTIRUN, cfg


def _jobs(cfg: DictConfig, loader: Loader) -> list[list[str]]:
    """The overrides of each job of a sweep; for a sweeper that finds them as it goes, those fixed for all."""
    params = OmegaConf.select(cfg, "hydra.sweeper.params") or {}
    # unresolved, as the sweeper takes them: ${seed} is each job's
    given: Any = OmegaConf.to_container(cfg.hydra.overrides.task, resolve=False)
    texts = [*(f"{key}={value}" for key, value in params.items()), *given]
    parsed = OverridesParser.create(config_loader=loader).parse_overrides(texts)
    if str(cfg.hydra.sweeper._target_).rpartition(".")[2] == BasicSweeper.__name__:
        batches: list[list[list[str]]] = BasicSweeper.split_arguments(parsed, None)
        return list(itertools.chain.from_iterable(batches))
    return [[override.input_line for override in parsed if not override.is_sweep_override()]]


def _refuse_inner_sweep(sweep: DictConfig, job: DictConfig) -> None:
    """Refuses a job that chooses an experiment with values to sweep: it would be one run without them."""
    own = OmegaConf.select(job, "hydra.sweeper.params")
    if own and own != OmegaConf.select(sweep, "hydra.sweeper.params"):
        name = job.hydra.runtime.choices.experiment
        raise RequestError(f"experiment={name}: a sweep itself; give it alone, as experiment={name}")


def _show(engine: Any, options: argparse.Namespace, cfg: DictConfig) -> int:
    if options.info:
        overrides = opened(options.overrides)
        engine.show_info(options.info, config_name=CONFIG_NAME, overrides=overrides)
        return 0
    HydraConfig.instance().set_config(cfg)
    OmegaConf.set_readonly(cfg.hydra, None)
    cfg = engine.get_sanitized_cfg(cfg, options.cfg)
    part = OmegaConf.select(cfg, options.package) if options.package else cfg
    if part is None:
        raise RequestError(f"--package {options.package}: no such part; --cfg {options.cfg} shows all")
    if options.resolve and OmegaConf.is_config(part):
        OmegaConf.resolve(part)
    print(OmegaConf.to_yaml(part).rstrip() if OmegaConf.is_config(part) else part)
    return 0


def _run(engine: Any, job: Job, overrides: list[str], folder: _Folder) -> int:
    returned: JobReturn = engine.run(config_name=CONFIG_NAME, task_function=job, overrides=opened(overrides))
    outcome: Outcome = returned.return_value
    if outcome.exit_code == RequestError.exit_code:
        folder.discard(f"{returned.task_name}.log")
    return _fail(outcome.message, outcome.exit_code) if outcome.exit_code else 0


def _beside_each_other(cfg: DictConfig) -> bool:
    return str(cfg.hydra.launcher._target_).startswith("hydra_plugins.bench_joblib.")


def _sweep(
    engine: Any,
    job: Job,
    overrides: list[str],
    board: SweepBoard,
    own: logged.Logged,
    command: str,
    launcher: str,
) -> int:
    ranked = own.known
    own.begin()
    try:
        with cluster.lost_jobs_listed(launcher), board:
            batches: list[list[JobReturn]] = engine.multirun(
                config_name=CONFIG_NAME,
                task_function=replace(job, board=board, sweep=own.opening),
                overrides=opened(overrides),
            )
    except KeyboardInterrupt:
        own.end(board.outcomes, interrupted=True)
        report(board.outcomes, ranked)
        done = sum(outcome.status in ("finished", "skipped") for outcome in board.outcomes.values())
        return _fail(
            f"interrupted; {done} runs have finished and are kept; to train the rest: {command}", 130
        )
    for number, returned in enumerate(itertools.chain.from_iterable(batches)):
        if number not in board.outcomes:  # it ran on another machine
            board.ended(number, returned.return_value)
    page = own.report(board.outcomes)
    own.end(board.outcomes)
    return report(board.outcomes, ranked, page)


def report(outcomes: Mapping[int, Outcome], ranked: bool = True, page: Path | None = None) -> int:
    """Names a sweep's runs that did not finish, shows the trade-off of those that did, gives the exit code.

    A run that was refused for its budget is listed and is no failure.

    Args:
        outcomes: of the runs, by number.
        ranked: whether to show both; a search does it itself, by what it may look at.
        page: of the report of these runs, if there is one.
    """
    for number, outcome in sorted(outcomes.items()):
        if ranked and outcome.message:
            print(f"run {number} ({' '.join(outcome.overrides)}) {outcome.status}: {outcome.message}")
    trained = measured(outcomes)
    if ranked and len(trained) > 1:
        tradeoff.show(tradeoff.tradeoff(trained))
        print(f"\nreport of these runs: {page}" if page else "")
        print(f"plots and a page of all runs: {_report_command(trained[-1])}")
    failed = sorted(number for number, outcome in outcomes.items() if outcome.status == "failed")
    if not failed:
        return 0
    listed = "; ".join(f"{number} ({' '.join(outcomes[number].overrides)})" for number in failed)
    return _fail(f"{len(failed)} of {len(outcomes)} runs failed: {listed}; the others are kept", 1)


def _report_command(result: Mapping[str, Any]) -> str:
    """What shows this run and all others that are logged where it is."""
    tracking = (result.get("settings") or {}).get("tracking") or {}
    usual: Any = OmegaConf.to_container(OmegaConf.load(CONF / "tracking" / "mlflow.yaml"), resolve=True)
    given = [f"tracking.{name}={value}" for name, value in tracking.items() if value != usual.get(name)]
    return shlex.join(["python", "-m", "bench.report", *given])


@dataclass
class _Folder:
    """The output folder of a run or a sweep: a new one, or the one that the user names."""

    key: str
    wanted: Path
    named_by_user: bool
    path: Path

    @classmethod
    def of(cls, cfg: DictConfig, key: str, overrides: Sequence[str]) -> _Folder:
        given = [override for override in overrides if override.lstrip("+").startswith(f"{key}=")]
        if given and not given[-1].partition("=")[2].strip("\"' "):
            raise RequestError(f"{given[-1]}: give a folder")
        wanted = Path(str(OmegaConf.select(cfg, key)))
        return cls(key, wanted, bool(given), wanted if given else _free(wanted))

    @property
    def overrides(self) -> list[str]:
        quoted = str(self.path).replace("\\", "\\\\").replace("'", "\\'")
        return [] if self.named_by_user else [f"{self.key}='{quoted}'"]

    def claim(self) -> None:
        """Makes the folder; another command may have taken its name since."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            while not self.named_by_user:
                try:
                    return self.path.mkdir()
                except FileExistsError:
                    self.path = _free(self.wanted)
        except OSError as error:
            raise BenchError(
                f"{self.path}: the output folder cannot be made ({error.strerror}); start in a folder where "
                f"you may write, or give {self.key}=FOLDER"
            ) from error

    def discard(self, file: str) -> None:
        """Removes the folder of what was refused if it is ours and holds only what Hydra wrote."""
        logging.shutdown()
        if self.named_by_user or {path.name for path in self.path.iterdir()} - {".hydra", file}:
            return
        shutil.rmtree(self.path, ignore_errors=True)
        for parent in self.path.absolute().parents:
            if parent == Path.cwd() or any(parent.iterdir()):
                break
            parent.rmdir()


def _free(wanted: Path) -> Path:
    # two commands may start within one second
    names = (wanted.with_name(f"{wanted.name}-{number}") for number in itertools.count(2))
    return next(path for path in itertools.chain([wanted], names) if not path.exists())


def _fail(message: str, exit_code: int) -> int:
    sys.stdout.flush()
    print(f"error: {message}", file=sys.stderr)
    return exit_code
