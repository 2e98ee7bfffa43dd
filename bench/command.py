"""The shell of a command: options, one run or a sweep, one ``error:`` line, the exit code.

Hydra composes, makes output folders and launches; what it would print when something is wrong is said here in
one line. A request is checked whole, every job of a sweep included, before a folder is made or a job starts.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import itertools
import logging
import os
import shutil
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
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

from bench import __version__, results
from bench.config import Loader, Settings, check, explained
from bench.config.composing import CONFIG_NAME, opened
from bench.errors import BenchError, RequestError
from bench.usage import usage

log = logging.getLogger(__name__)

_SWEEP = "hydra.mode=MULTIRUN"

Task = Callable[[Settings, Path], Mapping[str, Any]]
"""One run: its settings and its output folder in, its result out; raises a BenchError for what went wrong."""


@dataclass(frozen=True)
class Outcome:
    """What became of one run: a job returns it and raises nothing, so that one failure ends no sweep.

    Attributes:
        status: ``finished``, ``failed``, ``refused`` (a budget that cannot be met), or what the result says.
        overrides: of this run.
        result: what the task returned, empty if it failed.
        message: the error's line.
        exit_code: of the command, were this its only run.
    """

    status: str
    overrides: tuple[str, ...]
    result: Mapping[str, Any] = field(default_factory=dict)
    message: str = ""
    exit_code: int = 0


@dataclass(frozen=True)
class Job:
    """The function that Hydra calls for a run, also in other processes.

    Attributes:
        task: the run.
        config_dirs: the user's own folders of settings.
        full_error: print tracebacks.
    """

    task: Task
    config_dirs: tuple[str, ...] = ()
    full_error: bool = False

    def __call__(self, cfg: DictConfig) -> Outcome:
        """The run's outcome; only an interrupt is raised."""
        node = HydraConfig.get()
        overrides, folder = tuple(node.overrides.task), Path(node.runtime.output_dir)
        known: dict[str, Any] = {}
        try:
            settings = check(cfg, node.runtime.choices, _loader(self.config_dirs))
            known = {"strategy": settings.strategy, "seed": settings.seed, "settings": settings.values}
            result = self.task(settings, folder)
            return Outcome(str(result.get("status", "finished")), overrides, result)
        except Exception as error:
            _keep_traceback(error, self.full_error)
            if isinstance(error, BenchError):
                status, message, code = _status(error), _line(error), error.exit_code
            else:
                log_file = _relative(folder / f"{node.job.name}.log")
                status, code = "failed", 1
                message = f"{type(error).__name__}: {_line(error)}; the traceback is in {log_file}"
            # A request that is wrong leaves nothing; a point of a sweep is listed with the others.
            if (code == 1 or node.mode == RunMode.MULTIRUN) and not (folder / results.FILE).exists():
                with contextlib.suppress(OSError):
                    results.write(results.complete(status=status, error=message, **known), folder)
            return Outcome(status, overrides, message=message, exit_code=code)


def main(task: Task, argv: Sequence[str] | None = None, name: str = "run") -> int:
    """Runs a command.

    Args:
        task: one run.
        argv: its arguments; None for the process's own.
        name: the command's, for the log file.

    Returns:
        The exit code: 0 all done, 1 a run failed, 2 the request is wrong, 130 interrupted.
    """
    full_error = os.environ.get("HYDRA_FULL_ERROR") == "1"
    _loader.cache_clear()
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        return _main(task, sys.argv[1:] if argv is None else list(argv), name, full_error)
    except BenchError as error:
        if full_error:
            traceback.print_exception(error)
        return _fail(_line(error), error.exit_code)
    except KeyboardInterrupt:
        return _fail("interrupted; finished runs are kept", 130)
    except Exception as error:
        if full_error:
            traceback.print_exception(error)
        return _fail(f"{type(error).__name__}: {_line(error)}; HYDRA_FULL_ERROR=1 shows the traceback", 1)
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


def _main(task: Task, argv: Sequence[str], name: str, full_error: bool) -> int:
    options = _parse(argv)
    if options.help:
        print(usage(options.overrides))
        return 0
    if options.version:
        print(f"embedding-bench {__version__} (Hydra {hydra.__version__}, Python {sys.version.split()[0]})")
        return 0
    JobRuntime.instance().set("name", name)  # composing reads it
    overrides, loader = options.overrides, _loader(tuple(options.config_dir))
    with explained(overrides, loader):
        sweep, cfg = _compose(overrides, loader, options.multirun)
        folder = _Folder.of(cfg, "hydra.sweep.dir" if sweep else "hydra.run.dir", overrides)
        if sweep:
            cfg = loader.compose([*overrides, *folder.overrides, _SWEEP], RunMode.MULTIRUN)
        jobs = _jobs(cfg) if sweep else []
    for job in jobs:
        with explained(job, loader):
            composed = loader.load_sweep_config(cfg, job)
            _refuse_inner_sweep(cfg, composed)
        check(composed, composed.hydra.runtime.choices, loader)
    if not sweep:
        check(cfg, cfg.hydra.runtime.choices, loader)
    engine = Hydra(task_name=name, config_loader=loader)
    GlobalHydra.instance().initialize(engine)
    if options.cfg or options.info:
        with explained(overrides, loader):
            return _show(engine, options, cfg)
    run = Job(task, tuple(options.config_dir), full_error)
    folder.claim()
    if sweep:
        return _sweep(engine, run, [*overrides, *folder.overrides, _SWEEP])
    return _run(engine, run, [*overrides, *folder.overrides], folder)


@functools.cache
def _loader(config_dirs: tuple[str, ...]) -> Loader:
    return Loader(config_dirs)


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


def _jobs(cfg: DictConfig) -> list[list[str]]:
    """The overrides of each job of a sweep; for a sweeper that finds them as it goes, those fixed for all."""
    params = OmegaConf.select(cfg, "hydra.sweeper.params") or {}
    # unresolved, as the sweeper takes them: ${seed} is each job's
    given: Any = OmegaConf.to_container(cfg.hydra.overrides.task, resolve=False)
    texts = [*(f"{key}={value}" for key, value in params.items()), *given]
    parsed = OverridesParser.create().parse_overrides(texts)
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


def _sweep(engine: Any, job: Job, overrides: list[str]) -> int:
    batches: list[list[JobReturn]] = engine.multirun(
        config_name=CONFIG_NAME, task_function=job, overrides=opened(overrides)
    )
    return report([returned.return_value for batch in batches for returned in batch])


def report(outcomes: Sequence[Outcome]) -> int:
    """Names a sweep's runs that did not finish, and gives the sweep's exit code.

    A run that was refused for its budget is listed and is no failure.
    """
    for number, outcome in enumerate(outcomes):
        if outcome.message:
            print(f"run {number} ({' '.join(outcome.overrides)}) {outcome.status}: {outcome.message}")
    failed = [number for number, outcome in enumerate(outcomes) if outcome.status == "failed"]
    if not failed:
        return 0
    listed = "; ".join(f"{number} ({' '.join(outcomes[number].overrides)})" for number in failed)
    return _fail(f"{len(failed)} of {len(outcomes)} runs failed: {listed}; the others are kept", 1)


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

    def discard(self, log_name: str) -> None:
        """Removes the folder of a refused run if it is ours and holds only what Hydra wrote."""
        logging.shutdown()
        if self.named_by_user or {path.name for path in self.path.iterdir()} - {".hydra", log_name}:
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


def _keep_traceback(error: Exception, on_terminal: bool) -> None:
    """Writes the traceback into the run's log file, and to the terminal if asked for."""
    record = log.makeRecord(
        log.name, logging.ERROR, __file__, 0, _line(error), (), (type(error), error, error.__traceback__)
    )
    for handler in logging.getLogger().handlers:
        if isinstance(handler, logging.FileHandler):
            handler.handle(record)
    if on_terminal:
        traceback.print_exception(error)


def _status(error: BenchError) -> str:
    from bench.embeddings.base import OverBudget

    return "refused" if isinstance(error, OverBudget) else "failed"


def _relative(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _line(error: object) -> str:
    return " ".join(str(error).split())


def _fail(message: str, exit_code: int) -> int:
    sys.stdout.flush()
    print(f"error: {message}", file=sys.stderr)
    return exit_code
