"""The part of Hydra that the commands use: it composes requests, runs jobs, and saves their settings."""

from __future__ import annotations

import atexit
import contextlib
import logging
import weakref
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn
from hydra.types import RunMode, TaskFunction
from omegaconf import DictConfig, OmegaConf

from bench.config import Loader
from bench.config import hydra as insides
from bench.config.composing import CONFIG_NAME, opened
from bench.sweeps import once

SWEEP = "hydra.mode=MULTIRUN"
"""The override that makes a command a sweep."""


@contextlib.contextmanager
def clean() -> Iterator[None]:
    """Sets up loggers for the time before Hydra sets them up.

    At the end it restores the loggers and Hydra's state, for a caller that continues, such as a notebook.
    """
    root = logging.getLogger()
    handlers, level, raises = root.handlers[:], root.level, logging.raiseExceptions
    once.Once.shown.clear()
    with _handlers_stay_open(), insides.put_aside():
        root.addHandler(once.terminal())
        root.setLevel(logging.INFO)
        try:
            yield
        finally:
            root.handlers[:] = handlers
            root.setLevel(level)
            logging.raiseExceptions = raises


@contextlib.contextmanager
def _handlers_stay_open() -> Iterator[None]:
    """Keeps all handlers open that exist now. Hydra's set-up of loggers closes and forgets every handler there is."""
    loggers = [one for one in logging.root.manager.loggerDict.values() if isinstance(one, logging.Logger)]
    kept = {handler for logger in (logging.root, *loggers) for handler in logger.handlers}
    for handler in kept:
        vars(handler)["close"] = lambda: None
    try:
        yield
    finally:
        for handler in kept:
            vars(handler).pop("close", None)
            if handler.name:
                handler.set_name(handler.name)  # so that its name finds it again
        _kept_open.update(kept)


_kept_open: weakref.WeakSet[logging.Handler] = weakref.WeakSet()
"""The handlers that logging has forgotten, and so would not flush when the process ends."""


@atexit.register
def _flush() -> None:
    for handler in _kept_open:
        with contextlib.suppress(OSError, ValueError):
            handler.flush()


class Engine:
    """Hydra with this project's loader.

    Args:
        name: the command's name, which the log file gets.
        loader: the loader that composes settings.
    """

    def __init__(self, name: str, loader: Loader) -> None:
        insides.begin(name)
        self._hydra, self._loader = insides.Engine(name, loader, CONFIG_NAME), loader

    def compose(self, overrides: Sequence[str], sweep: bool = False) -> DictConfig:
        """Composes the configuration of a run, or of a sweep.

        Args:
            overrides: the overrides as on the command line.
            sweep: True for ``-m``. Settings can also ask for a sweep.
        """
        if sweep:
            return self._loader.compose([*overrides, SWEEP], RunMode.MULTIRUN)
        if any(override.is_sweep_override() for override in insides.parse(overrides)):
            cfg = self._loader.compose(overrides, RunMode.MULTIRUN)
            if cfg.hydra.mode == RunMode.MULTIRUN:
                return cfg
        return self._loader.compose(overrides)

    def jobs(self, cfg: DictConfig) -> list[list[str]]:
        """Gives the overrides of each job of a sweep. For a search it gives one job with the fixed overrides."""
        params = OmegaConf.select(cfg, "hydra.sweeper.params") or {}
        # unresolved, as the sweeper takes them: ${seed} stands for the seed of each job
        given: Any = OmegaConf.to_container(cfg.hydra.overrides.task, resolve=False)
        texts = [*(f"{key}={value}" for key, value in params.items()), *given]
        parsed = insides.parse(texts, self._loader)
        jobs = insides.jobs_of(cfg, parsed)
        if jobs is not None:
            return jobs
        return [[str(override.input_line) for override in parsed if not override.is_sweep_override()]]

    def run(self, task: TaskFunction, overrides: Sequence[str]) -> JobReturn:
        """Calls a task for one run."""
        return self._hydra.run(task, opened(overrides))

    def sweep(self, task: TaskFunction, overrides: Sequence[str]) -> list[JobReturn]:
        """Calls a task for each job of a sweep, with the chosen sweeper and launcher."""
        return self._hydra.multirun(task, opened(overrides))

    def show_info(self, what: str, overrides: Sequence[str]) -> None:
        """Prints the sources of the settings for ``--info``."""
        self._hydra.show_info(what, opened(overrides))

    def shown(self, cfg: DictConfig, what: str) -> DictConfig:
        """Gives the part of a configuration that ``--cfg`` shows: job, hydra or all."""
        return self._hydra.part(cfg, what)


def save(config: DictConfig, folder: Path) -> None:
    """Writes the same files into a job's output folder as Hydra: the job's settings, and a log, here empty.

    Args:
        config: the job's composed configuration. It is changed and cannot be used afterwards.
        folder: the job's output folder.
    """
    hydra = config.hydra
    (folder / f"{hydra.job.name}.log").touch()
    if hydra.output_subdir is None:
        return
    own = folder / str(hydra.output_subdir)
    own.mkdir(parents=True, exist_ok=True)
    OmegaConf.save(hydra.overrides.task, own / "overrides.yaml")
    OmegaConf.set_readonly(config, False)
    OmegaConf.set_struct(config, False)
    hydra.runtime.output_dir = str(folder.absolute())
    del config["hydra"]
    OmegaConf.save(config, own / "config.yaml")
    OmegaConf.save(
        OmegaConf.create({"hydra": hydra}, flags={"no_deepcopy_set_nodes": True}), own / "hydra.yaml"
    )
