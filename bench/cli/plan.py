"""The print of ``--plan``: a table of what each run of a command would be, and the total."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from bench.config import Settings
from bench.measure import units
from bench.records.showing import embedding
from bench.sweeps.plan import Plan, Times, plan

SHOWN = 60
"""Most letters of a run's sizes in the table."""


def show(runs: Mapping[int, tuple[Sequence[str], Settings]], measure: bool = False) -> int:
    """Prints the plan of some runs and gives the exit code 0. Nothing is written but prepared data.

    Args:
        runs: overrides and settings by number.
        measure: True to run a few steps of each strategy of which no record tells the time.

    Raises:
        BenchError: the data of a run is not available.
    """
    folders = dict.fromkeys(settings.results_dir for _, settings in runs.values())
    times = _measured(folders) if measure else Times(folders)
    planned = {number: plan(settings, times) for number, (_, settings) in runs.items()}
    print("\n".join(lines({number: overrides for number, (overrides, _) in runs.items()}, planned)))
    if strategies := dict.fromkeys(times.measured):
        print(f"measured by a few steps on this machine: {', '.join(strategies)}")
    return 0


def _measured(folders: Iterable[Path]) -> Times:
    from bench.sweeps.measuring import MeasuredTimes

    return MeasuredTimes(folders)


def lines(overrides: Mapping[int, Sequence[str]], planned: Mapping[int, Plan]) -> list[str]:
    """Gives what all runs have in common, a line for each run, one for each reason to refuse some, and the total.

    Args:
        overrides: of each run.
        planned: the runs.
    """
    common = [word for word in next(iter(overrides.values())) if len(overrides) > 1
              and all(word in words for words in overrides.values())]  # fmt: skip
    rows: list[tuple[str, ...]] = [
        ("run", "settings", "status", "sizes", "bytes", "smaller", "parameters", "memory", "time")
    ]
    status = _statuses(planned)
    for number, own in planned.items():
        words = " ".join(word for word in overrides[number] if word not in common)
        rows.append((str(number), words, status[number], *_cells(own, status[number])))
    refused: dict[str, list[str]] = {}
    for number, own in planned.items():
        if own.message:
            refused.setdefault(own.message, []).append(str(number))
    return [
        *([f"all runs: {' '.join(common)}"] if common else []),
        *units.aligned(rows, left=4),
        *(f"refused, run {', '.join(numbers)}: {text}" for text, numbers in refused.items()),
        _total(planned, status),
    ]


def _statuses(planned: Mapping[int, Plan]) -> dict[int, str]:
    """The status of each run. Of equal runs, only the first is trained."""
    first: dict[str, int] = {}
    found = {}
    for number, own in planned.items():
        found[number] = own.status
        if own.status == "to train" and own.fingerprint is not None:
            earlier = first.setdefault(own.fingerprint, number)
            found[number] = own.status if earlier == number else f"equals {earlier}"
    return found


def _cells(own: Plan, status: str) -> tuple[str, ...]:
    if own.status == "refused":
        return ("-",) * 6
    return (
        _cut(_sizes(own)),
        units.count(own.embedding_bytes),
        f"{own.full_embedding_bytes / own.embedding_bytes:.1f}x",
        units.count(own.params_embedding),
        units.short_size(own.peak_bytes),
        "-" if status != "to train" else "unknown" if own.seconds is None else units.duration(own.seconds),
    )


def _sizes(own: Plan) -> str:
    """The methods and sizes of all fields, once where they are equal."""
    by_text: dict[str, list[str]] = {}
    for name, used in own.embeddings.items():
        by_text.setdefault(embedding(used), []).append(name)
    if len(by_text) == 1:
        return next(iter(by_text))
    return "; ".join(f"{', '.join(names)} {text}" for text, names in by_text.items())


def _cut(text: str) -> str:
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 3]}..."


def _total(planned: Mapping[int, Plan], status: Mapping[int, str]) -> str:
    training = [own for number, own in planned.items() if status[number] == "to train"]
    equal = sum(word.startswith("equals") for word in status.values())
    counts = {
        "to train": len(training),
        "done": list(status.values()).count("done"),
        "equal to others": equal,
        "refused": list(status.values()).count("refused"),
    }
    known = [own.seconds for own in training if own.seconds is not None]
    words = [f"{number} {word}" for word, number in counts.items() if number]
    time = f"; {units.duration(sum(known))} one after the other on this machine" if known else ""
    unknown = len(training) - len(known)
    time += f"; the time of {unknown} is unknown" if unknown else ""
    return f"{units.plural(len(planned), 'run')}: {', '.join(words)}{time}"
