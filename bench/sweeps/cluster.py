"""Sweeps on a cluster: additions to Hydra's launchers for submitit and Ray.

Both launchers raise an error at the first lost job, for example after a machine went down. The outcomes of all other
jobs are then lost, too. Here a lost job gets its own outcome, ``failed``, and the sweep continues.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn
from omegaconf import DictConfig, OmegaConf, open_dict

from bench.errors import RequestError, line
from bench.sweeps import folders
from bench.sweeps.jobs import as_returned, lost, relative


def check(launcher: str, sweep: bool) -> None:
    """Refuses a launcher that cannot work here.

    Args:
        launcher: the choice of ``hydra/launcher``.
        sweep: True if this command is a sweep.

    Raises:
        RequestError: the launcher starts only sweeps, or needs a cluster's commands that this machine lacks.
    """
    if launcher not in _LAUNCHERS:
        return
    if not sweep:
        raise RequestError(f"hydra/launcher={launcher}: starts the runs of a sweep; add -m")
    if launcher == "submitit_slurm" and shutil.which("srun") is None:
        raise RequestError(
            "hydra/launcher=submitit_slurm: no srun here; start it on a machine that has SLURM's commands, or "
            "give hydra/launcher=submitit_local"
        )


def elsewhere(launcher: str) -> bool:
    """Returns True if a launcher's jobs may run on other machines."""
    return launcher in _LAUNCHERS


@contextlib.contextmanager
def lost_jobs_listed(launcher: str) -> Iterator[None]:
    """Gives each job that the cluster loses inside the block an outcome with the reason.

    Args:
        launcher: the choice of ``hydra/launcher``. For launchers other than submitit's and Ray's nothing is changed.
    """
    with _LAUNCHERS.get(launcher, contextlib.nullcontext)():
        yield


@contextlib.contextmanager
def _submitit() -> Iterator[None]:
    submitit = importlib.import_module("submitit")
    errors = importlib.import_module("submitit.core.utils")
    wait = submitit.Job.results

    def results(job: Any) -> list[Any]:
        try:
            waited: list[Any] = wait(job)
            return waited
        except (errors.UncompletedJobError, errors.FailedJobError):
            submission = job.submission()
            own, number = submission.args[0], submission.args[2]
            context, config = submission.function.hydra_context, submission.function.config
            composed = context.config_loader.load_sweep_config(config, own)
            with open_dict(composed.hydra.job):
                composed.hydra.job.num, composed.hydra.job.id = number, job.job_id
            state = "" if job.state == "FINISHED" else f", {job.state}"  # submitit_local knows no other state
            said = f"submitit's job {job.job_id} ended without a result{state}"
            return [_lost(composed, f"{said}; what it printed is in {relative(job.paths.stderr)}")]

    with _replaced(submitit.Job, results=results):
        yield


@contextlib.contextmanager
def _ray() -> Iterator[None]:
    ray = importlib.import_module("ray")
    core = importlib.import_module("hydra_plugins.hydra_ray_launcher._core")
    start, here = core.start_ray, Path.cwd()
    configs: dict[Any, DictConfig] = {}

    def start_ray(init: DictConfig) -> None:
        # The launcher sets the size of the object store, which a running cluster refuses.
        if init.get("address") or os.environ.get("RAY_ADDRESS"):
            init = OmegaConf.masked_copy(init, [str(key) for key in init if key != "object_store_memory"])
        start(init)

    def launch(context: Any, options: DictConfig, config: DictConfig, task: Any, state: Any) -> Any:
        given: dict[str, Any] = OmegaConf.to_container(options, resolve=True)  # type: ignore[assignment]
        call = ray.remote(**given)(run_in) if given else ray.remote(run_in)
        job = call.remote(here, context, config, task, state)
        configs[job] = config
        return job

    class Results:
        @staticmethod
        def get(job: Any) -> Any:
            try:
                return ray.get(job)
            except ray.exceptions.RayTaskError as error:
                return _lost(configs[job], f"could not be run by Ray: {_last(error)}")
            except ray.exceptions.RayError as error:
                return _lost(configs[job], f"lost by Ray: {type(error).__name__}: {_first(error)}")

    try:
        with _replaced(core, start_ray=start_ray, launch_job_on_ray=launch, ray=Results):
            yield
    finally:
        ray.shutdown()  # otherwise Ray prints output of workers even after the command's last line


def run_in(folder: Path, context: Any, config: DictConfig, task: Any, state: Any) -> Any:
    """Runs a job in a worker of Ray, in the command's folder. Ray itself would use the folder of ``ray start``."""
    os.chdir(folder)
    util = importlib.import_module("hydra_plugins.hydra_ray_launcher._launcher_util")
    return util._run_job(context, config, task, state)


def _lost(config: DictConfig, message: str) -> JobReturn:
    overrides: Sequence[str] = list(config.hydra.overrides.task)
    return as_returned(lost(tuple(overrides), folders.of(config), message))


def _first(error: Exception) -> str:
    return line(next(iter(str(error).strip().splitlines()), ""))


def _last(error: Exception) -> str:
    return line((str(error).strip().splitlines() or [""])[-1])


@contextlib.contextmanager
def _replaced(owner: Any, **attributes: Any) -> Iterator[None]:
    """Replaces attributes of ``owner`` inside the block. At the end the former ones are restored."""
    own = {name: getattr(owner, name) for name in attributes}
    try:
        for name, value in attributes.items():
            setattr(owner, name, value)
        yield
    finally:
        for name, value in own.items():
            setattr(owner, name, value)


_LAUNCHERS: dict[str, Callable[[], contextlib.AbstractContextManager[None]]] = {
    "submitit_local": _submitit,
    "submitit_slurm": _submitit,
    "ray": _ray,
}
