"""Notes on a report: the meaning of its numbers, and what was left out of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from bench.measure.units import plural
from bench.records.result import Result
from bench.reporting.entries import Entry, biases, biases_command, usual_machine
from bench.reporting.words import leading, number
from bench.tradeoff import showing
from bench.tradeoff.baselines import MODEL
from bench.tradeoff.grouping import Tradeoff, left_out
from bench.tradeoff.groups import Unfinished
from bench.tradeoff.sets import Comparable


def of_section(one: Comparable, found: Sequence[Entry], config_dirs: tuple[str, ...] = ()) -> Iterator[str]:
    """Gives notes on the meaning of a set's numbers, and on what its charts leave out."""
    yield from _of_intervals(one)
    yield from _of_constant(one, found)
    yield from _of_biases(one, config_dirs)
    yield from showing.of_p_values(one)
    if one.baseline is None:
        yield "No run of full tables with these settings, so there is no baseline; strategy=full gives one."
    unknown = sum(entry.value is None for entry in found)
    if unknown:
        word = one.headline.word
        article = "a" if one.headline.higher else "an"
        yield (
            f"{plural(unknown, 'group')} with a run that lacks {article} {word}: in the table, in no chart of {word}s."
        )
    yield from _of_times(one, found)


def _of_intervals(one: Comparable) -> Iterator[str]:
    several = sorted({len(group.runs) for group in one.groups if len(group.runs) > 1})
    if several:
        seeds = f"{several[0]}" if len(several) == 1 else f"{several[0]} to {several[-1]}"
        covers = (
            "initial weights, batch order and the draw of the split"
            if any(group.resplit for group in one.groups)
            else "initial weights and batch order on one split, not the choice of the rows held out"
        )
        kind = showing.KINDS[one.groups[0].ci]
        yield f"±: 95 % intervals of means over {seeds} seeds ({kind}). They cover {covers}."
    if any(len(group.runs) == 1 for group in one.groups):
        yield "Hollow marks have one seed and so no interval."


def _of_constant(one: Comparable, found: Sequence[Entry]) -> Iterator[str]:
    if one.constant is None:
        return
    worse = sum(entry.worse for entry in found)
    beyond = "below" if one.headline.higher else "above"
    text = (
        f"Best constant: {one.headline.short} {number(one.constant)}, what the same number for every row gets. "
        f"What lies {beyond} it is worse than no embeddings"
    )
    yield (
        f"{text}: {plural(worse, 'group')} here, in no chart of {one.headline.word}s."
        if worse
        else f"{text}."
    )


def _of_biases(one: Comparable, config_dirs: tuple[str, ...]) -> Iterator[str]:
    if one.settings.get("model.name") == MODEL:
        return
    if one.biases is None:
        command = biases_command(one, config_dirs)
        if command is not None:
            yield f"Biases alone have not been run with these data and training: {command} gives their line."
        return
    shown = biases("", one, config_dirs)
    again = f"; again: {shown.command}" if shown and shown.command else ""
    yield (
        f"Biases alone: {one.headline.short} {leading(one.biases.leading)}, what a number for each id gets without any "
        f"vectors (model=bias). They have no part in the front{again}."
    )


def _of_times(one: Comparable, found: Sequence[Entry]) -> Iterator[str]:
    machine = usual_machine(one)
    if machine is None:
        return
    where = " and ".join(filter(None, [machine.processor or "an unknown processor", machine.gpu]))
    load = "alone" if machine.jobs == 1 else f"{machine.jobs} runs at once"
    threads = "unknown threads" if machine.threads is None else plural(machine.threads, "thread")
    text = f"Times: {where}, {threads}, {load}."
    left = sum(not entry.timed for entry in found)
    if left:
        text += f" Those of {plural(left, 'group')} are left out: other machines, threads or load."
    yield text


def of_runs(results: Sequence[Result], found: Tradeoff, unreadable: Sequence[Unfinished]) -> Iterator[str]:
    """Gives lines on the runs that are not shown, with the reasons.

    Args:
        results: results of all runs.
        found: the trade-off of these results.
        unreadable: records that could not be read.
    """
    shown = {_identity(run) for run in results if id(run) in found.used}
    twice = sum(left_out(run) is None and _identity(run) not in shown for run in results)
    if twice:
        yield (
            f"{plural(twice, 'finished run')} of settings and seeds that were run again later, by the same or by other "
            "code: the latest counts."
        )
    listed = Counter(run.status for run in [*found.unfinished, *unreadable])
    if listed:
        named = ", ".join(f"{count} {status}" for status, count in listed.items())
        yield f"Runs without numbers ({named}): listed below, in no mean."
    if len(found.sets) > 1:
        yield (
            f"{len(found.sets)} sets of runs differ in data, task, split, model or training: each has a section of its "
            "own, and nothing is compared across them."
        )


def _identity(run: Result) -> tuple[object, ...]:
    """Gives what is equal for a run and for the copy that a skipped run has of it."""
    return run.fingerprint, run.run_id, run.train_s, run.headline
