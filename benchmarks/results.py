"""RESULTS.md, the tables of docs/methods.md and the README's picture: every method on ratings and clicks.

Run it with ``make results``, which is ``python -m benchmarks.results [studies=ratings,...] [jobs=2] [folder=FOLDER]``.
It goes on where it was stopped. ``plan=true`` prints what each run would be, and how long it would take, without
training. ``write=only`` makes the files from the numbers that are kept. ``folder=`` is where they are: this repository.

Each study is a sweep. Its runs are records like all others: they are not trained again, and their commands are those of
the tables. The numbers of a study are kept in ``docs/measured``; ``studies=`` makes those of some anew and leaves the
others as they are. A study whose data are missing is named, and its kept numbers stay.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bench.config.typed import Count
from bench.errors import BenchError, RequestError, RunFailed, line
from bench.records.files import write_whole
from bench.reporting import contents, files
from benchmarks.options import options_of
from benchmarks.published import pages
from benchmarks.published.kept import Kept, keep, results
from benchmarks.published.studies import MORE_SEEDS, SEEDS, STUDIES, Study

SWEEPS = Path("outputs") / "studies"
PICTURED, PICTURE = ("ratings", "sizes"), Path("docs") / "images" / "tradeoff.png"
MOST = 10
"""Number of strategies of a study that get more seeds: those that lead at the middle budget."""


@dataclass(frozen=True)
class Options:
    """What is run; see the module."""

    studies: str = ",".join(study.name for study in STUDIES)
    jobs: Count = 2
    plan: bool = False
    write: Literal["after", "only"] = "after"
    folder: str = str(pages.ROOT)


def run(arguments: Sequence[str], folder: Path, options: Options) -> None:
    """Runs a sweep, or plans it.

    Raises:
        RunFailed: some runs failed; the others have finished.
    """
    where = [f"hydra.sweep.dir={folder}", "hydra/launcher=workers", f"hydra.launcher.n_jobs={options.jobs}"]
    extra = ["--plan"] if options.plan else where
    done = subprocess.run([sys.executable, "-m", "bench.run", *arguments, *extra], check=False)
    if done.returncode == 130:
        raise KeyboardInterrupt
    if done.returncode:
        raise RunFailed(
            f"python -m bench.run {shlex.join(arguments)}: ended with {done.returncode}, see above"
        )


def make(study: Study, options: Options) -> None:
    """Runs a study and keeps its numbers.

    Raises:
        RunFailed: its data are missing, or some of its runs failed.
    """
    folders, commands = [SWEEPS / study.name], [study.command(SEEDS)]
    run(commands[0], folders[0], options)
    if options.plan:
        return
    kept = _kept(folders, commands)
    if study.more_seeds:
        folders.append(SWEEPS / f"{study.name}-more")
        commands.append(study.command(MORE_SEEDS, kept.best(MOST)))
        run(commands[1], folders[1], options)
        kept = _kept(folders, commands)
    kept.write(Path(options.folder) / pages.FOLDER / f"{study.name}.json")


def picture() -> bytes | None:
    """Draws error against memory of the ratings; None without their runs."""
    found = results([SWEEPS / name for name in PICTURED])
    report = contents.build(found) if found else None
    return files.pictures(report)["memory-error.png"] if report else None


def _kept(folders: Sequence[Path], commands: Sequence[Sequence[str]]) -> Kept:
    return keep(results(folders), [f"python -m bench.run {shlex.join(one)}" for one in commands])


def publish(options: Options) -> None:
    """Runs the studies and writes the files.

    Raises:
        BenchError: a study is unknown, or its runs failed though its data are there.
    """
    names = options.studies.split(",")
    if unknown := [name for name in names if name not in {study.name for study in STUDIES}]:
        known = ", ".join(study.name for study in STUDIES)
        raise RequestError(f"studies={','.join(unknown)}: not found; give some of {known}")
    for study in (one for one in STUDIES if one.name in names and options.write == "after"):
        try:
            make(study, options)
        except RunFailed as error:
            if not study.data or any((SWEEPS / study.name).glob("*/result.json")):
                raise
            print(f"{study.title}: left out, {study.data} is not there ({line(error)})")
    if options.plan:
        return
    for path, text in pages.written(Path(options.folder)):
        write_whole(path, text)
        print(f"wrote {path}")
    if drawn := picture():
        path = Path(options.folder) / PICTURE
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(drawn)
        print(f"wrote {path}")


def main(arguments: Sequence[str]) -> int:
    """Runs the command and gives its exit code."""
    try:
        publish(options_of(Options, arguments))
    except BenchError as error:
        print(f"error: {line(error)}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
