"""Sweeps on a cluster, by Hydra's launchers for submitit and Ray: what those leave to be done.

Both raise at the first job that was lost, as by a machine that went down, and the outcomes of all others are
lost with it. Here such a job becomes an outcome of its own: failed, and the sweep goes on.
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

from bench.errors import RequestError
from bench.jobs import as_returned, line, lost, relative


def check(launcher: str, sweep: bool) -> None:
    """Refuses a launcher that cannot do anything here.

    Args:
        launcher: the choice of ``hydra/launcher``.
        sweep: whether this command is one.

    Raises:
        RequestError: it only starts sweeps, or wants a cluster's commands that are not there.
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
    """Whether a launcher's jobs go on on other machines, or might."""
    return launcher in _LAUNCHERS


@contextlib.contextmanager
def lost_jobs_listed(launcher: str) -> Iterator[None]:
    """While a sweep runs, gives a job that its cluster has lost an outcome that says so.

    Args:
        launcher: the choice of ``hydra/launcher``; of others than submitit's and Ray's nothing is changed.
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
            state = "" if job.state == "FINISHED" else f", {job.state}"  # all that submitit_local knows
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
        # The launcher gives a size of its own, which a cluster that runs already does not take.
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
        ray.shutdown()  # else it goes on to print what workers said, also behind the command's last line


def run_in(folder: Path, context: Any, config: DictConfig, task: Any, state: Any) -> Any:
    """A job, in a worker of Ray: in the command's folder, where Ray would be in that of ``ray start``."""
    os.chdir(folder)
    util = importlib.import_module("hydra_plugins.hydra_ray_launcher._launcher_util")
    return util._run_job(context, config, task, state)


def _lost(config: DictConfig, message: str) -> JobReturn:
    overrides: Sequence[str] = list(config.hydra.overrides.task)
    folder = Path(str(config.hydra.sweep.dir), str(config.hydra.sweep.subdir))
    return as_returned(lost(tuple(overrides), folder, message))


def _first(error: Exception) -> str:
    return line(next(iter(str(error).strip().splitlines()), ""))


def _last(error: Exception) -> str:
    return line((str(error).strip().splitlines() or [""])[-1])


@contextlib.contextmanager
def _replaced(owner: Any, **attributes: Any) -> Iterator[None]:
    """Within it, ``owner`` has these attributes; its own come back at the end."""
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
