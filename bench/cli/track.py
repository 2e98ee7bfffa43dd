"""The command ``python -m bench.track``: sends records, or the results of output folders, that MLflow lacks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from bench import tracking
from bench.cli import keeping, shell
from bench.cli.addresses import target_of
from bench.config import report
from bench.config.paths import refuse_long
from bench.config.schema import Tracking
from bench.errors import BenchError, RequestError
from bench.measure.apart import has_ended
from bench.records import result as results
from bench.records.result import Result, Status
from bench.records.store import RECORD, Record, Store, Unreadable
from bench.records.sweeps import SweepRecord, all_sweeps

USAGE = """\
Sends to MLflow the results that it lacks, with the sweeps that they belong to.

usage: python -m bench.track [FOLDER ...] [NAME=VALUE ...]

  FOLDER                 output folders of runs or sweeps: all results in them and below them, to where each run was
                         to be logged; without a folder all records
  results_dir=           folder of the records (outputs/results; the environment variable BENCH_RESULTS_DIR where set)
  tracking.uri=          where to send; without a folder the same default as of python -m bench.run
  tracking.experiment=   MLflow's experiment; by default that of each run

What MLflow has already is left as it is, so that the command can be repeated. A removed record is not sent.
exit codes: 0 done; 1 MLflow cannot be reached, or a result cannot be read (the others are sent); 2 the request is
wrong; 130 stopped. Standard error then has one line that starts with "error:"."""

NAMES = ("results_dir", "tracking.uri", "tracking.experiment")


@dataclass
class Asked:
    """The request of the command, and its state.

    Attributes:
        folders: output folders. Empty for all records.
        given: settings by name.
        store: the records.
        bad: the results that cannot be sent, with the reasons.
        ids: MLflow's ids of runs, by MLflow experiment and fingerprint.
    """

    folders: list[Path]
    given: dict[str, str]
    store: Store
    bad: list[str] = field(default_factory=list)
    ids: dict[tracking.Target, dict[str, str]] = field(default_factory=dict)

    @property
    def usual(self) -> Tracking:
        """The MLflow address and experiment that ``python -m bench.run`` logs to by default."""
        return report.Asked(None, None).or_usual()

    @property
    def uri(self) -> str | None:
        """The MLflow address for all results. None if each result is sent to its own address."""
        return self.given.get("tracking.uri", None if self.folders else self.usual.uri)

    def target(self, result: Result) -> tracking.Target:
        """Gives the MLflow experiment that a result is sent to.

        Raises:
            BenchError: the address is wrong, or no server answers there.
        """
        target = target_of(result, self.uri, self.given.get("tracking.experiment"))
        if target not in self.ids:
            target.knock()
            self.ids[target] = tracking.find_logged(target)
        return target

    def says(self, text: str) -> None:
        """Prints and keeps the message for a result that cannot be sent."""
        self.bad.append(text)
        print(f"not sent: {text}", flush=True)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command and gives its exit code.

    Args:
        argv: the command's arguments. None for the process's own.
    """
    return shell.run(_track, argv, "what has been sent is kept")


def _track(arguments: list[str]) -> int:
    if {"-h", "--help"} & set(arguments):
        print(USAGE)
        return 0
    asked = _read(arguments)
    ends = Counter(_send(asked, folder, result) for folder, result in _results(asked))
    sent, there, nothing = ends["sent"], ends["there"], ends["nothing"]
    recorded = {
        record.fingerprint: record.result for record in asked.store.all() if isinstance(record, Record)
    }
    sweeps = sum(_send_sweep(asked, sweep, recorded) for sweep in _sweeps(asked))
    said = [f"sent {sent} run{'' if sent == 1 else 's'} and {sweeps} sweep{'' if sweeps == 1 else 's'}"]
    said += [f"{there} {'was' if there == 1 else 'were'} there already"] if there else []
    said += [f"{nothing} {'has' if nothing == 1 else 'have'} nothing to send"] if nothing else []
    print("; ".join(said), flush=True)
    if asked.bad:
        raise BenchError(f"{len(asked.bad)} not sent, as named above; the others are in MLflow")
    return 0


def _read(arguments: list[str]) -> Asked:
    given: dict[str, str] = {}
    places: list[Path] = []
    for argument in arguments:
        name, equals, value = argument.partition("=")
        if equals and name in NAMES:
            given[name] = value
            continue
        refuse_long(argument, "FOLDER")
        if Path(argument).is_dir():
            places.append(Path(argument))
        elif argument.startswith("-"):
            raise RequestError(f"{argument}: no such option; --help says more")
        else:
            what = f"no such setting ({', '.join(NAMES)})" if equals else "no such folder"
            raise RequestError(f"{argument}: {what}; give the output folder of a run or a sweep")
    asked = Asked(places, given, Store(keeping.folder("results_dir", given.get("results_dir"))))
    if asked.uri is not None:
        tracking.check(asked.uri)
    return asked


def _results(asked: Asked) -> Iterator[tuple[Path, Result]]:
    """Gives the results to send, each with its folder. Prints a line for each that cannot be read."""
    if asked.folders:
        yield from _of_folders(asked)
        return
    found = [*asked.store.all(), *asked.store.failed()]
    if not found:
        raise RequestError(
            f"results_dir={asked.store.folder}: no records there; python -m bench.run makes one"
        )
    for record in found:
        if isinstance(record, Unreadable):
            asked.says(record.reason)
        else:
            yield record.folder, record.result


def _of_folders(asked: Asked) -> Iterator[tuple[Path, Result]]:
    removed, known = asked.store.removed(), set()
    for place in asked.folders:
        # MLflow's own copies lie in folders called artifacts; a folder whose name begins with a dot is unfinished
        paths = [
            path.parent
            for path in place.rglob(results.FILE)
            if path.parent.name != "artifacts"
            and not any(part.startswith(".") for part in path.relative_to(place).parts)
        ]
        if not paths:
            raise RequestError(f"{place}: no {results.FILE} there or below; give the output folder of a run")
        # output folders come before records, since they hold more about a run
        for folder in sorted(paths, key=lambda path: ((path / RECORD).exists(), path)):
            try:
                result = Result.read(folder)
            except RequestError as error:
                asked.says(str(error))
                continue
            if result.fingerprint in removed:
                print(f"{folder}: its record was removed; not sent")
            elif (result.fingerprint or folder, result.status) not in known:
                known.add((result.fingerprint or folder, result.status))
                yield folder, result


def _send(asked: Asked, folder: Path, result: Result) -> str:
    """Sends a result if MLflow lacks it. Gives ``sent``, ``there``, ``nothing`` (nothing to send) or ``bad``."""
    if result.status not in (Status.FINISHED, Status.FAILED) or result.fingerprint is None:
        return "nothing"  # refused, skipped, or failed before its fingerprint was known
    try:
        target = asked.target(result)
        ids, fingerprint = asked.ids[target], str(result.fingerprint)
        if fingerprint in ids:
            return "there"
        run_id, new = tracking.send(target, result, folder.absolute())
    except RequestError as error:  # for example, the MLflow experiment was deleted
        asked.says(f"{folder}: {error}")
        return "bad"
    if result.status == Status.FINISHED:
        ids[fingerprint] = run_id
    if new:
        print(f"{folder}: run {run_id}", flush=True)
    return "sent" if new else "there"


def _sweeps(asked: Asked) -> Iterator[SweepRecord]:
    """Gives the sweeps to send: all, or those of the given folders. Prints a line for each that cannot be read."""
    places = [place.resolve() for place in asked.folders]
    for sweep in all_sweeps(asked.store):
        if isinstance(sweep, RequestError):
            if not places:
                asked.says(str(sweep))
        elif sweep.status == "running" and not has_ended(sweep.process):
            continue
        elif not places or any(Path(sweep.folder).resolve().is_relative_to(place) for place in places):
            yield sweep


def _send_sweep(asked: Asked, sweep: SweepRecord, recorded: Mapping[str, Result]) -> bool:
    """Sends a sweep, with its runs below it. Returns True if MLflow lacked the sweep."""
    found = [
        recorded[job.fingerprint] for job in sweep.jobs if job.fingerprint and job.fingerprint in recorded
    ]
    if not any(result.fingerprint in sweep.trained for result in found):
        return False
    try:
        target = asked.target(found[0])
        ids = asked.ids[target]
        with_ids = [replace(result, run_id=ids.get(str(result.fingerprint))) for result in found]
        new = tracking.send_sweep(target, sweep, with_ids)
    except RequestError as error:
        asked.says(f"sweep {sweep.name}: {error}")
        return False
    if new:
        print(f"sweep {sweep.name}", flush=True)
    return new
