"""The sources of a report's runs: the records on this machine's disk, or MLflow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.config.paths import address
from bench.config.report import FILTERS, Request
from bench.config.secrets import without_password
from bench.errors import RequestError
from bench.measure.units import plural
from bench.records.result import Result
from bench.records.store import Record, Store
from bench.reporting import swept
from bench.reporting.contents import filtered
from bench.tradeoff.families import Scope
from bench.tradeoff.grouping import baselines_for
from bench.tradeoff.groups import Unfinished

SHOWN = 12
"""Number of characters of a fingerprint that name a record that cannot be read."""

NAMED = 4
"""Most names of files that a message about a folder without records lists."""


@dataclass(frozen=True)
class Found:
    """The runs of a report.

    Attributes:
        results: the runs' results, in the order in which the runs were started.
        unreadable: entries in place of records that cannot be read.
        origin: the source of the runs in words, for the page's heading.
        scope: the comparisons over which p values are corrected: those of a sweep, those that filters select, or, if
            nothing was selected, those of each section.
    """

    results: Sequence[Result]
    unreadable: Sequence[Unfinished]
    origin: str
    scope: Scope = "section"


def read(asked: Request) -> Found:
    """Gives the runs that a request asks for.

    Raises:
        RequestError: no runs are there, or the filters let none through.
        TrackingError: with ``source=mlflow``, the store cannot be reached or used.
    """
    if asked.sweep is not None and asked.source == "mlflow":
        raise RequestError(f"sweep={asked.sweep}: sweeps are found by their records; leave out source=mlflow")
    found = _logged(asked) if asked.source == "mlflow" else _recorded(asked)
    wanted = {name: asked.only.wanted(name) for name in FILTERS}
    kept = filtered(found.results, wanted)
    if found.results and not kept:
        raise RequestError(_none_left(asked, found))
    scope: Scope = "selection" if any(wanted.values()) else found.scope
    return Found(kept, found.unreadable, found.origin, scope)


def _recorded(asked: Request) -> Found:
    store = Store(asked.results_dir)
    if asked.sweep is not None:
        sweep = swept.find(store, asked.sweep)
        results, missing = swept.runs(store, sweep)
        others = [one.result for one in store.all() if isinstance(one, Record)]
        results += baselines_for(results, others)
        return Found(_of_place(results, asked), missing, f"sweep {sweep.name} in {sweep.folder}", "sweep")
    every = [*store.all(), *store.failed()]
    results = [one.result for one in every if isinstance(one, Record)]
    unreadable = [
        Unfinished("unreadable", one.fingerprint[:SHOWN], None, one.reason)
        for one in every if not isinstance(one, Record)
    ]  # fmt: skip
    if not every:
        raise RequestError(
            f"results_dir={asked.results_dir}: no records of runs in {_content(asked.results_dir)}; python -m "
            "bench.run makes one. Give the folder of records as results_dir=FOLDER or BENCH_RESULTS_DIR, or "
            "source=mlflow to ask MLflow"
        )
    return Found(_of_place(results, asked), unreadable, f"records in {asked.results_dir}")


def _content(folder: Path) -> str:
    """Gives a folder and what is in it, for a message: ``/a/results (no such folder)``."""
    if not folder.is_dir():
        return f"{folder} ({'a file' if folder.exists() else 'no such folder'})"
    names = sorted(path.name for path in folder.iterdir())
    there = (
        f"there are: {', '.join(names[:NAMED])}{', ...' if len(names) > NAMED else ''}" if names else "empty"
    )
    return f"{folder} ({there})"


def _of_place(results: Sequence[Result], asked: Request) -> list[Result]:
    """Gives the results of runs that were logged at the place that the request names; all if it names none.

    Raises:
        RequestError: no run was logged there.
    """
    given = {"tracking.uri": asked.tracking.uri, "tracking.experiment": asked.tracking.experiment}
    wanted = {name: without_password(value) for name, value in given.items() if value is not None}
    kept = [run for run in results if all(_place(run, name) == value for name, value in wanted.items())]
    if results and not kept:
        said = " ".join(f"{name}={value}" for name, value in wanted.items())
        raise RequestError(
            f"{said}: none of the {plural(len(results), 'record')} in results_dir={asked.results_dir} was logged "
            f"there, but to {_listed(results, wanted)}"
        )
    return kept


def _place(run: Result, name: str) -> str:
    """Gives the place where a run was logged, as in a request: a relative address begins at the current folder."""
    value = str(run.setting(name))
    return address(value, Path.cwd(), name) if name == "tracking.uri" else value


def _listed(results: Sequence[Result], names: Mapping[str, str]) -> str:
    places = [" ".join(f"{name}={run.setting(name)}" for name in names) for run in results]
    return ", ".join(sorted(set(places)))


def _logged(asked: Request) -> Found:
    from bench import tracking

    usual = asked.tracking.or_usual()
    target = tracking.check(usual.uri, usual.experiment)
    results: list[Result] = list(tracking.find_all(target))
    if not results:
        count = sum(1 for _ in Store(asked.results_dir).all())
        raise RequestError(
            f"tracking.experiment={target.experiment}: no runs there; python -m bench.run logs one, and "
            "python -m bench.track sends the records that MLflow lacks; without source=mlflow the report is of the "
            f"{plural(count, 'record')} in {_content(asked.results_dir)}"
        )
    return Found(results, (), f"MLflow's experiment {target.experiment}")


def _none_left(asked: Request, found: Found) -> str:
    """Gives the message for filters that no run passes."""
    wanted = {name: values for name in FILTERS if (values := asked.only.wanted(name))}
    given = " ".join(f"{name}={','.join(values)}" for name, values in wanted.items())
    have = sorted({run.dataset for run in found.results if run.dataset})
    help_ = f"there are runs on {', '.join(have)}" if "dataset" in wanted else "give fewer filters"
    return f"{given}: no run of the {plural(len(found.results), 'run')} of {found.origin}; {help_}"
