"""The command ``python -m bench.track OUTPUT_DIR ...``: sends to MLflow what an unreachable server missed."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NoReturn

from bench import results, tracking
from bench.errors import BenchError, RequestError

USAGE = """python -m bench.track OUTPUT_DIR ... [tracking.uri=URI] [tracking.experiment=NAME]

Sends the result of every run in these folders, and in all folders below them, to MLflow: to where the run was to be
logged, or to URI. A run that MLflow has already is left as it is, so that the command can be repeated."""

NAMES = ("tracking.uri", "tracking.experiment")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command.

    Returns:
        0 where all results are in MLflow, 1 where MLflow cannot be reached, 2 for a wrong request.
    """
    try:
        folders, given = _parse(argv)
        sent = 0
        for folder in folders:
            sent += _send(folder, given)
        print(f"{sent} of {len(folders)} results are in MLflow; the others have nothing to send")
    except BenchError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("error: interrupted; what has been sent is kept", file=sys.stderr)
        return 130
    return 0


def _parse(argv: Sequence[str] | None) -> tuple[list[Path], dict[str, str]]:
    class Parser(argparse.ArgumentParser):
        def error(self, message: str) -> NoReturn:
            raise RequestError(f"{message}; --help says more")

    parser = Parser(prog="python -m bench.track", usage=USAGE, allow_abbrev=False)
    parser.add_argument("arguments", nargs="*", help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv).arguments
    given = dict(argument.split("=", 1) for argument in arguments if argument.split("=", 1)[0] in NAMES)
    places = [argument for argument in arguments if argument.split("=", 1)[0] not in NAMES]
    if not places:
        raise RequestError("no folder; give the output folders of runs or sweeps, such as outputs")
    folders = [folder for place in places for folder in _results_below(Path(place))]
    return list(dict.fromkeys(folders)), given


def _results_below(place: Path) -> Iterator[Path]:
    if not place.is_dir():
        raise RequestError(f"{place}: there is no such folder; give the output folder of a run or a sweep")
    found = sorted(path.parent for path in place.rglob(results.FILE) if not _is_artifact(path))
    if not found:
        raise RequestError(f"{place}: no {results.FILE} there or below; give the output folder of a run")
    yield from found


def _is_artifact(path: Path) -> bool:
    # MLflow's own copies lie in folders called artifacts
    return path.parent.name == "artifacts"


def _send(folder: Path, given: dict[str, str]) -> bool:
    result = results.read(folder)
    own = (result.get("settings") or {}).get("tracking") or {}
    uri = given.get("tracking.uri", str(own.get("uri", "")))
    if ":***@" in uri:
        raise RequestError(f"tracking.uri={uri}: results do not keep its password; give tracking.uri=URI")
    target = tracking.check(
        uri,
        given.get("tracking.experiment", str(own.get("experiment", ""))),
    )
    run_id = tracking.log_result(result, folder, target)
    print(f"{folder}: {f'run {run_id}' if run_id else result['status'] + ', nothing to send'}")
    return run_id is not None


if __name__ == "__main__":
    sys.exit(main())
