"""Tries mutants: ``python -m tests.mutants [NAME ...] [rotation=N] [processes=N]``. CONTRIBUTING.md says more."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from bench.config.typed import Range, nearest
from bench.errors import BenchError, RequestError
from benchmarks.options import options_of

from .changes import MUTANTS
from .mutant import Mutant, rotated
from .trial import Outcome, try_all

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Options:
    """The options."""

    rotation: Annotated[int, Range(low=0)] | None = None
    """Try six of them: those of this number. None: all."""

    processes: Annotated[int, Range(low=1)] = 1
    """How many are tried at once."""


def chosen(names: Sequence[str], rotation: int | None) -> list[Mutant]:
    """Gives the mutants with these names, or those of a rotation, or all.

    Raises:
        RequestError: there is no such mutant, or names and a rotation are given.
    """
    known = {mutant.name: mutant for mutant in MUTANTS}
    for name in names:
        if name not in known:
            raise RequestError(
                f"{name}: no such mutant{nearest(name, known)}; tests/mutants/changes.py has them"
            )
    if names and rotation is not None:
        raise RequestError(f"rotation={rotation}: chooses among all mutants; give names or a rotation")
    if names:
        return [known[name] for name in dict.fromkeys(names)]
    return list(MUTANTS) if rotation is None else rotated(MUTANTS, rotation)


def main(arguments: Sequence[str]) -> int:
    """Tries mutants and prints a line for each.

    Returns:
        The exit code: 0 if all were caught, 1 if not, 2 if the request is wrong.
    """
    try:
        options = options_of(Options, [text for text in arguments if "=" in text])
        mutants = chosen([text for text in arguments if "=" not in text], options.rotation)
        began = time.monotonic()
        width = max(len(mutant.name) for mutant in mutants)

        def told(one: Outcome) -> None:
            where = f"{one.mutant.room:<11}  {one.mutant.name:<{width}}"
            print(f"{one.status:<8}  {where}  {one.seconds:5.1f} s  {one.mutant.test}", flush=True)
            if one.reason:
                print(f"{one.mutant.name}: {one.reason}\n{one.output}", flush=True)

        with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
            outcomes = try_all(ROOT, Path(folder), mutants, options.processes, told)
    except BenchError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    states = [one.status for one in outcomes]
    counts = ", ".join(f"{states.count(name)} {name}" for name in ("caught", "survived", "invalid"))
    print(f"{len(outcomes)} mutants: {counts}; {time.monotonic() - began:.0f} s")
    return 0 if states.count("caught") == len(states) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
