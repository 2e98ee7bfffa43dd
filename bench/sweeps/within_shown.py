"""The print of a search of ``experiment=within``, and its file ``within.json``."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from bench.measure import units
from bench.records.files import write_whole
from bench.records.result import METRICS
from bench.reporting import repeat
from bench.sweeps.within import BASELINE, Searched, WithinSearch
from bench.tradeoff.statistics import Difference

FILE = "within.json"


def show(
    search: WithinSearch, folder: Path, config_dirs: tuple[str, ...] = (), file: IO[str] | None = None
) -> None:
    """Prints the answer of a search, also of one that was interrupted, and writes it into the sweep's folder.

    Args:
        search: the search.
        folder: the sweep's folder.
        config_dirs: the user's own folders of settings, for the printed command.
        file: the stream to print to. Standard output by default.
    """
    print("\n".join(lines(search, config_dirs)), file=file or sys.stdout)
    write_whole(folder / FILE, json.dumps(content(search), indent=1) + "\n")


def lines(search: WithinSearch, config_dirs: tuple[str, ...] = ()) -> Iterator[str]:
    """Gives the answer of a search as lines: a sentence, a line for each method, a table, and the next command."""
    yield ""
    if search.problem:
        yield f"nothing to compare with: {search.problem}"
    if not search.full:
        return
    found = sorted(
        ((one.answer.size, one) for one in search.searched if one.answer), key=lambda pair: pair[0]
    )
    answered = [one for _, one in found]
    yield _sentence(search, answered[0] if answered else None)
    for one in [*answered, *(one for one in search.searched if one not in answered)]:
        yield f"  {one.strategy}: {_answer(one, search.full_bytes)}"
    yield ""
    yield from units.aligned([HEADER, *_rows(search.searched)], left=1)
    yield (
        f"loss: against {BASELINE} on validation rows, mean over {units.plural(len(search.full), 'seed')}, with its "
        f"95 % interval, whose upper end may be {search.allowed:.4g}; evaluation rows were not looked at for choosing"
    )
    best = answered[0].answer if answered else None
    again = best and repeat.command(best.settings, [int(search.asked.seeds[0])], config_dirs=config_dirs)
    if again:
        yield f"to have its weights: {again} save_weights=true"


def _sentence(search: WithinSearch, best: Searched | None) -> str:
    what = METRICS[search.task.validation].title or search.task.validation
    so_far = " so far" if any(one.next for one in search.searched) else ""
    if best is None or best.answer is None:
        return f"Within {search.asked.margin} of {BASELINE}'s {what}: no size of these methods{so_far}."
    size = units.short_size(best.answer.size)
    return (
        f"Within {search.asked.margin} of {BASELINE}'s {what}: {best.strategy} is the smallest{so_far}, {size}, "
        f"{best.answer.ratio:.1f} times smaller."
    )


def _answer(one: Searched, full_bytes: int) -> str:
    """What is known of one method."""
    if one.problem:
        return f"ended by {one.problem}"
    if one.bisection is None:
        return f"has no size below the {units.short_size(full_bytes)} of {BASELINE}"
    answer, below = one.answer, one.below
    words = []
    if answer is not None:
        words.append(f"{units.short_size(answer.size)}, {answer.ratio:.1f} times smaller")
    if below is not None:
        words.append(f"{'' if answer else 'even '}{units.short_size(below.size)} is not within")
    if one.next is not None:
        words.append("not finished")
    elif below is None:
        words.append("its smallest size is this one or at most a fifth smaller")
    return "; ".join(words)


HEADER = ("method", "size", "bytes", "smaller", "loss", "95 % interval", "within", "on evaluation rows")


def _rows(searched: Sequence[Searched]) -> Iterator[tuple[str, ...]]:
    for one in searched:
        for tried in sorted(one.tried, key=lambda tried: tried.size):
            low, high = tried.loss.ci95 or (math.nan, math.nan)
            yield (
                one.strategy,
                units.short_size(tried.size),
                units.count(tried.size),
                f"{tried.ratio:.1f}x",
                f"{tried.loss.mean:+.4f}",
                f"{low:+.4f} to {high:+.4f}",
                "yes" if tried.keeps else "no",
                f"{tried.seen.mean:+.4f}",
            )


def content(search: WithinSearch) -> dict[str, Any]:
    """Gives what ``within.json`` holds: the margin, full tables, and each method with the sizes that were tried."""
    return {
        "margin": str(search.asked.margin),
        "allowed": search.allowed if search.full else None,
        "metric": search.task.validation,
        "seeds": list(search.asked.seeds),
        "full_embedding_bytes": search.full_bytes,
        "problem": search.problem or None,
        "methods": [_method(one) for one in search.searched],
    }


def _method(one: Searched) -> dict[str, Any]:
    return {
        "strategy": one.strategy,
        "finished": one.next is None and not one.problem,
        "problem": one.problem or None,
        "embedding_bytes": one.answer.size if one.answer else None,
        "not_within": one.below.size if one.below else None,
        "tried": [
            {
                "embedding_bytes": tried.size,
                "compression_ratio": tried.ratio,
                "validation": _difference(tried.loss),
                "evaluation": _difference(tried.seen),
                "within": tried.keeps,
            }
            for tried in one.tried
        ],
    }


def _difference(one: Difference) -> dict[str, Any]:
    return {"loss": one.mean, "loss_ci95": list(one.ci95) if one.ci95 else None}
