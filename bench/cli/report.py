"""The command ``python -m bench.report [OVERRIDE ...]``: the trade-off, from the records of finished runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from bench import __version__, config
from bench.cli import options, shell
from bench.config import report as request
from bench.config.report import Request
from bench.errors import RequestError
from bench.measure.units import plural

if TYPE_CHECKING:
    from bench.reporting.contents import Report
    from bench.tradeoff.margin import Margin


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command.

    Args:
        argv: the command's arguments. None for the process's own.

    Returns:
        The exit code: 0 done, 1 MLflow cannot be reached, 2 the request is wrong or there is nothing to report, 130
        interrupted (143 by SIGTERM, 129 by SIGHUP).
    """
    return shell.run(_main, argv, "an earlier report is as it was")


def _main(argv: Sequence[str]) -> int:
    config.loader.cache_clear()
    if {"--help", "-h"} & set(argv):
        print(request.usage())
        return 0
    if "--version" in argv:
        print(f"embedding-bench {__version__}")
        return 0
    for argument in argv:
        if argument.startswith("-") and not argument.startswith(("-cd", "--config-dir")):
            raise RequestError(f"{argument}: no such option; --help lists the settings")
    given = options.parse(argv)
    return _report(request.read(given.overrides), config.loader(given.config_dirs).config_dirs)


def _report(asked: Request, config_dirs: tuple[str, ...]) -> int:
    _margin(asked)
    if asked.format != "page":
        report, origin = _built(asked, config_dirs)
        print(_text(asked, report), end="", flush=True)
        _need_runs(report, origin)
        return 0
    from bench.reporting import files

    files.prepare(asked.output_dir)
    with ThreadPoolExecutor(1) as beside:
        # imports the libraries for drawing while the runs are read and compared
        libraries = beside.submit(files.drawing)
        report, origin = _built(asked, config_dirs)
        page = files.write(files.files(report, origin, libraries.result), asked.output_dir)
    for section in report.sections:
        if section.within:
            print(
                "\n".join([*([section.title] if len(report.sections) > 1 else []), *section.within.texts()])
            )
    for one in report.across:
        print(f"{one.title}: {one.key}.png")
    for section in report.sections[:1]:
        print("\n".join([section.sentences[0], *section.pays]))
    for text in report.left_out:
        print(text)
    print(f"report of {plural(report.runs, 'run')}: {page}")
    _need_runs(report, origin)
    return 0


def _need_runs(report: Report, origin: str) -> None:
    """Ends the command if there was nothing to compare. What there is has been shown.

    Raises:
        RequestError: no run has finished. The message names the place of the runs, and what is there.
    """
    if not report.sections:
        counted = Counter(run.status for run in report.unfinished)
        there = ", ".join(f"{count} {status}" for status, count in counted.items()) or "none"
        raise RequestError(
            f"no finished run to report on in {origin}: of the {plural(len(report.unfinished), 'run')} there {there}; "
            "the report lists why"
        )


def _built(asked: Request, config_dirs: tuple[str, ...]) -> tuple[Report, str]:
    """Gives the report and the source of its runs."""
    from bench.reporting import contents, sources

    found = sources.read(asked)
    built = contents.build(
        found.results, asked.ci, found.unreadable, config_dirs, found.scope, _margin(asked), asked.beside
    )
    _need_answer(asked, built)
    return built, found.origin


def _margin(asked: Request) -> Margin | None:
    """Gives the margin that was asked for; None if none was.

    Raises:
        RequestError: it cannot be read as one.
    """
    from bench.tradeoff.margin import Margin

    return None if asked.within is None else Margin.read("within", asked.within)


def _need_answer(asked: Request, report: Report) -> None:
    """Refuses a margin that can be asked for in no section.

    Raises:
        RequestError: the message says why.
    """
    problems = [section.within.found.problem for section in report.sections if section.within]
    if problems and all(problems):
        raise RequestError(f"within={asked.within}: {problems[0]}")


def _text(asked: Request, report: Report) -> str:
    from bench.reporting import tables

    return {"markdown": tables.markdown, "csv": tables.table, "json": tables.as_json}[asked.format](report)
