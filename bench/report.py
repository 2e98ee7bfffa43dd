"""The command ``python -m bench.report [OVERRIDE ...]``: the trade-off, from the runs that MLflow holds."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from bench import __version__, config, tracking
from bench.errors import BenchError, RequestError, interrupted
from bench.jobs import line
from bench.reporting import request
from bench.reporting.request import FILTERS, Request


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command.

    Returns:
        0 done, 1 MLflow cannot be reached, 2 the request is wrong or there is nothing to report, 130 interrupted.
    """
    full_error = os.environ.get("HYDRA_FULL_ERROR") == "1"
    config.loader.cache_clear()
    try:
        arguments = sys.argv[1:] if argv is None else list(argv)
        if {"--help", "-h"} & set(arguments):
            print(request.usage())
            return 0
        if "--version" in arguments:
            print(f"embedding-bench {__version__}")
            return 0
        for argument in arguments:
            if argument.startswith("-"):
                raise RequestError(f"{argument}: no such option; --help lists the settings")
        return _report(request.read(arguments))
    except BrokenPipeError:  # of a reader such as head, which has all that it wants
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123
        return 0
    except (Exception, KeyboardInterrupt) as error:
        if interrupted(error):
            message, code = "interrupted; an earlier report is as it was", 130
        elif isinstance(error, BenchError):
            message, code = line(error), error.exit_code
        else:
            code = 1
            message = f"{type(error).__name__}: {line(error)}; HYDRA_FULL_ERROR=1 shows the traceback"
        if full_error and code != 130:
            traceback.print_exception(error)
        print(f"error: {message}", file=sys.stderr)
        return code


def _report(asked: Request) -> int:
    target = tracking.check(asked.tracking.uri, asked.tracking.experiment)
    if asked.format != "page":
        print(_text(asked, _runs(asked, target)), end="", flush=True)
        return 0
    from bench.reporting import files

    files.prepare(asked.folder)
    with ThreadPoolExecutor(1) as beside:
        # while the runs are read and compared
        libraries = beside.submit(files.drawing)
        runs = _runs(asked, target)
        from bench.reporting import contents

        report = contents.build(runs, asked.ci)
        page = files.write(files.files(report, target.experiment, libraries.result), asked.folder)
    for section in report.sections[:1]:
        print(section.sentences[0])
    for text in report.left_out:
        print(text)
    if not report.sections:
        print("no run has finished: the page lists those that have not")
    print(f"report of {report.runs} runs: {page}")
    return 0


def _runs(asked: Request, target: tracking.Target) -> list[dict[str, Any]]:
    from bench.reporting import contents

    found = tracking.find_all(target)
    where = f"tracking.experiment={target.experiment}"
    if not found:
        raise RequestError(f"{where}: no runs there; python -m bench.run makes one")
    kept = contents.filtered(found, {name: asked.only.wanted(name) for name in FILTERS})
    if not kept:
        wanted = asked.only.wanted("dataset")
        have = sorted({str(run["dataset"]) for run in found if run.get("dataset")})
        given = " ".join(
            f"{name}={','.join(asked.only.wanted(name) or [])}" for name in FILTERS if asked.only.wanted(name)
        )
        listed = f"; there are runs on {', '.join(have)}" if wanted else "; give fewer filters"
        raise RequestError(f"{given}: none of the {len(found)} runs of {where}{listed}")
    return [dict(run) for run in kept]


def _text(asked: Request, runs: list[dict[str, Any]]) -> str:
    from bench.reporting import contents, tables

    report = contents.build(runs, asked.ci)
    return {"markdown": tables.markdown, "csv": tables.table, "json": tables.as_json}[asked.format](report)


if __name__ == "__main__":
    sys.exit(main())
