"""The command ``python -m bench.run``: one run, or a sweep with ``-m``.

Hydra composes settings, makes output folders and launches jobs. The whole request is checked, with every job of a
sweep, before a folder is made or a job starts.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import hydra

from bench import __version__, config
from bench.cli import engine, request, shell
from bench.cli.help import usage
from bench.cli.options import parse
from bench.cli.request import Request
from bench.config.quoting import command
from bench.errors import RequestError

if TYPE_CHECKING:  # these modules take time to import, which a refused request saves
    from bench.cli.sweep import Sweep
    from bench.sweeps.jobs import Outcome, Work

FORMER_NAMES = {"joblib": "workers"}
"""The present names of launchers, by their former names."""

KEPT = "finished runs are kept"
"""The end of the error line of a command that was interrupted."""


def main(argv: Sequence[str] | None = None, work: Work | None = None, name: str = "run") -> int:
    """Runs the command.

    Args:
        argv: the command's arguments. None for the process's own.
        work: the functions that the command calls with the settings of a run. None for the benchmark itself.
        name: the command's name, which the log file gets.

    Returns:
        The exit code: 0 all done, 1 a run failed, 2 the request is wrong, 130 interrupted (143 by SIGTERM, 129 by
        SIGHUP).
    """
    given = sys.argv[1:] if argv is None else list(argv)
    is_sweep = not {"-m", "--multirun"}.isdisjoint(given)
    rest = f"; to train the rest: {command(f'bench.{name}', given)}" if is_sweep else ""
    return shell.run(functools.partial(_main, work=work, name=name), given, KEPT + rest)


def _main(argv: Sequence[str], work: Work | None, name: str) -> int:
    options = parse(argv)
    if options.help:
        print(usage(options.overrides))
        return 0
    if options.version:
        print(f"embedding-bench {__version__} (Hydra {hydra.__version__}, Python {sys.version.split()[0]})")
        return 0
    config.loader.cache_clear()
    with engine.clean():
        asked = request.compose(options, name)
        sweep = _checked_sweep(asked, work) if asked.is_sweep else None
        runs = {}
        if sweep is None:
            alone = config.check(asked.cfg, asked.cfg.hydra.runtime.choices, asked.loader)
            runs = {0: (options.overrides, alone)}
        if options.plan:
            from bench.cli import plan

            return plan.show(sweep.planned() if sweep else runs, measure=options.plan == "measure")
        if options.shows:
            request.show(asked)
            return 0
        check_launcher(asked)
        return sweep.run() if sweep else _run(asked, work or benchmark())


def _checked_sweep(asked: Request, work: Work | None) -> Sweep:
    from bench.cli.sweep import Sweep

    sweep = Sweep(asked, work or benchmark)
    sweep.check()
    return sweep


def check_launcher(asked: Request) -> None:
    """Refuses a launcher that cannot be used, and prints the present name of one that was renamed.

    Raises:
        RequestError: the launcher cannot be used for this request.
    """
    if asked.launcher in FORMER_NAMES:
        now = FORMER_NAMES[asked.launcher]
        print(f"hydra/launcher={asked.launcher}: is called hydra/launcher={now} now", file=sys.stderr)
    from bench.sweeps import cluster

    cluster.check(asked.launcher, asked.is_sweep)


def _run(asked: Request, work: Work) -> int:
    """Does one run and prints its result."""
    outcome = run_alone(asked, work)
    if outcome.exit_code:
        raise shell.Ended(outcome.message, outcome.exit_code)
    if outcome.result is not None:
        from bench.records.showing import show

        show(outcome.result, outcome.folder)
    return 0


def run_alone(asked: Request, work: Work) -> Outcome:
    """Does one run in its output folder, and gives its outcome. A refused run leaves no folder.

    Args:
        asked: the request, composed and checked.
        work: the functions that are called with the settings of the run.

    Raises:
        BenchError: the output folder cannot be made.
    """
    from bench.sweeps.jobs import Job

    asked.folder.claim()
    secrets = asked.loader.secrets.known
    job = Job(work, asked.loader.config_dirs, shell.full_error(), secrets=secrets)
    returned = asked.engine.run(job, asked.overrides)
    outcome: Outcome = returned.return_value
    if outcome.exit_code == RequestError.exit_code:
        asked.folder.discard(f"{returned.task_name}.log")
    return outcome


def benchmark() -> Work:
    """The functions of the benchmark itself."""
    from bench import experiment, sizing
    from bench.sweeps import sources
    from bench.sweeps.jobs import Work
    from bench.sweeps.sizes import Sizes

    return Work(experiment.run, sizing.needed_memory, experiment.finished, sources.prepare, Sizes)
