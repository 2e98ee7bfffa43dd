"""All that a report says, as plain values: for the page, the plots, the tables and JSON alike."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.reporting import choice, repeat, words
from bench.results import Status, short_size
from bench.tradeoff import naming, showing, statistics
from bench.tradeoff.grouping import Comparable, Group, Result, Tradeoff, tradeoff

BYTES = ("tables", "networks", "maps", "codes", "other")
"""What a run's ``embedding_bytes`` are made of."""

CURVES = 8
"""Groups that the plots of curves have room for; see ``_ranked``."""


@dataclass(frozen=True)
class Section:
    """A set of groups that may be compared.

    Attributes:
        key: ``set-1``, for names of files and elements.
        title: data set and model, and what else tells the set from the others.
        dataset: its name.
        settings: what all groups have in common, by dotted name.
        sentences: what to choose.
        notes: what the numbers mean and what was left out.
        groups: a dict each, with what JSON, plots and tables need.
        curves: ``id``, ``epoch``, ``mean``, ``lo``, ``hi``, ``base`` of val_mae.
        deciles: the same with ``decile``, 1 the most popular tenth of the items.
        hypervolume: of the whole front and of each strategy's own.
    """

    key: str
    title: str
    dataset: str
    settings: dict[str, Any]
    sentences: list[str]
    notes: list[str]
    groups: list[dict[str, Any]]
    curves: list[dict[str, Any]]
    deciles: list[dict[str, Any]]
    hypervolume: dict[str, float]

    @property
    def compares(self) -> bool:
        """Whether there is more than one group."""
        return len(self.groups) > 1


@dataclass(frozen=True)
class Report:
    """Everything.

    Attributes:
        sections: those of the most groups first.
        unfinished: runs without numbers: status, name, seed, reason.
        missing: the same in lines, a line a cause.
        left_out: what of the runs is not shown, and why.
        runs: how many runs are in the groups.
        ci: how intervals are made.
    """

    sections: list[Section]
    unfinished: list[dict[str, Any]]
    missing: list[str]
    left_out: list[str]
    runs: int
    ci: statistics.Kind

    def values(self) -> dict[str, Any]:
        """As ``format=json`` and ``report.json`` have it."""
        return {
            "groups": [
                {name: value for name, value in group.items() if name != "shown"}
                for section in self.sections
                for group in section.groups
            ],
            "sets": [
                {
                    "set": section.key, "title": section.title, "settings": section.settings,
                    "choice": section.sentences, "notes": section.notes, "hypervolume": section.hypervolume,
                }
                for section in self.sections
            ],
            "unfinished": self.unfinished,
            "left_out": self.left_out,
        }  # fmt: skip


def build(results: Sequence[Result], ci: statistics.Kind = "t") -> Report:
    """A report on some runs.

    Args:
        results: in the order they were started; of equal runs the last one counts.
        ci: how intervals are made.
    """
    found = tradeoff(results, ci)
    titles = showing.titles(found.sets)
    order = sorted(range(len(found.sets)), key=lambda i: -len(found.sets[i].groups))
    sections = [_section(f"set-{number}", titles[i], found.sets[i], ci) for number, i in enumerate(order, 1)]
    methods = {group["method"] for section in sections for group in section.groups}
    # the reference first, so that it looks alike in every report
    places = {name: i for i, name in enumerate(sorted(methods, key=lambda name: (name != "full", name)))}
    for section in sections:
        for group in section.groups:
            group["shown"]["place"] = places[group["method"]]
    used = sum(len(group.runs) for group in {id(g.runs): g for g in found.groups}.values())
    return Report(
        sections,
        [vars(run).copy() for run in found.unfinished],
        list(showing.missing(found.unfinished)),
        list(_left_out(results, found)),
        used,
        ci,
    )


def _left_out(results: Sequence[Result], found: Tradeoff) -> Iterator[str]:
    finished = [
        run for run in results if run["status"] in (Status.FINISHED, Status.SKIPPED) and run.get("settings")
    ]
    used = {id(run) for group in found.groups for run in group.runs}
    twice = sum(id(run) not in used for run in finished)
    if twice:
        yield (
            f"{twice} finished run{'s' if twice > 1 else ''} of settings and seeds that were run again later, "
            "by the same or by other code: the latest counts."
        )
    if found.unfinished:
        listed = Counter(run.status for run in found.unfinished)
        named = ", ".join(f"{count} {status}" for status, count in listed.items())
        yield f"Runs without numbers ({named}): listed below, in no mean."
    if len(found.sets) > 1:
        yield (
            f"{len(found.sets)} sets of runs differ in data, split, model or training: each has a section of its own, "
            "and nothing is compared across them."
        )


def _section(key: str, title: str, one: Comparable, ci: statistics.Kind) -> Section:
    names = _distinct(showing.names(one))
    machine, kept = _timed(one)
    ranks = _ranked(one)
    follow = [name for name, value in one.settings.items() if value == "${seed}"]
    groups = [
        _group(f"{key}-{number}", key, name, group, one, ranks[number], group in kept, follow)
        for number, (name, group) in enumerate(zip(names, one.groups, strict=True))
    ]
    base = one.baseline
    shown = [(values["id"], group) for values, group in zip(groups, one.groups, strict=True)]
    strategies = dict.fromkeys(group.strategy for group in one.groups)
    return Section(
        key, title, str(one.settings.get("dataset.name")), one.settings,
        list(choice.sentences(one, names)), list(_notes(one, machine, kept)), groups,
        [row for name, group in shown for row in _over(name, group, base, "epoch", _history, ci)],
        [row for name, group in shown for row in _over(name, group, base, "decile", _by_decile, ci)],
        {"all": one.hypervolume(), **{name: one.hypervolume(name) for name in strategies}},
    )  # fmt: skip


def _distinct(names: list[str]) -> list[str]:
    """Names of groups that differ in what no name says get a number."""
    seen: Counter[str] = Counter()
    count = Counter(names)
    out = []
    for name in names:
        seen[name] += 1
        out.append(f"{name} ({seen[name]})" if count[name] > 1 else name)
    return out


def _group(
    key: str,
    section: str,
    name: str,
    group: Group,
    one: Comparable,
    rank: int,
    timed: bool,
    follow: list[str],
) -> dict[str, Any]:
    first = group.runs[0]
    found = group.statistics
    step = found["step_time_ms"]
    ratio = choice.times_smaller(group, one)
    return {
        **group.values(),
        "set": section,
        "id": key,
        "name": name,
        "method": _method(group),
        "baseline": group is one.baseline,
        "knee": group is one.knee,
        "full_embedding_bytes": group.embedding_bytes * group.compression_ratio,
        "params_embedding": _mean(group, "params_embedding"),
        "optimizer_bytes": _mean(group, "optimizer_bytes"),
        "bytes": {part: _mean(group, "bytes", part) or 0 for part in BYTES} if first.get("bytes") else None,
        "step_time_comparable": timed and step.mean is not None,
        "command": repeat.command(first["settings"], group.seeds, follow if group.resplit else ()),
        "shown": {
            "rank": rank,
            "settings": name.removeprefix(group.strategy).strip(),
            "memory": short_size(group.embedding_bytes),
            "ratio": f"{ratio:.1f}x",
            "share": 1 / ratio,
            "mae": words.error(found["val_mae"]),
            "rmse": words.error(found["val_rmse"]),
            "delta": words.difference(group, one.baseline),
            "step": words.milliseconds(step.mean) if timed else "-",
            "seeds": str(len(group.runs)),
        },
    }


def _method(group: Group) -> str:
    """The strategy, and the fields that have a method beside it: ``full, item=md``."""
    named = naming.words(group.runs[0])
    own = [f"{field}={named[field]}" for field in group.embeddings if field in named]
    return ", ".join([group.strategy, *own])


def _mean(group: Group, key: str, part: str | None = None) -> float | None:
    values = [run.get(key) if part is None else (run.get(key) or {}).get(part) for run in group.runs]
    found = statistics.statistic(values)
    return found.mean


def _ranked(one: Comparable) -> list[int]:
    """A place for each group where there is room for few: the baseline, the front, each method's best, the rest."""
    seen: set[str] = set()
    best: set[int] = set()
    by_error = sorted(range(len(one.groups)), key=lambda i: _error(one.groups[i]))
    for number in by_error:
        if one.groups[number].strategy not in seen:
            seen.add(one.groups[number].strategy)
            best.add(number)

    def key(number: int) -> tuple[bool, bool, bool, float]:
        group = one.groups[number]
        return group is not one.baseline, not group.pareto, number not in best, _error(group)

    ranks = [0] * len(one.groups)
    for place, number in enumerate(sorted(range(len(one.groups)), key=key)):
        ranks[number] = place
    return ranks


def _error(group: Group) -> float:
    mean = group.statistics["val_mae"].mean
    return float("inf") if mean is None else mean


def _history(run: Result) -> Sequence[float | None]:
    found: Sequence[float | None] = (run.get("history") or {}).get("val_mae") or []
    return found


def _by_decile(run: Result) -> Sequence[float | None]:
    found: Sequence[float | None] = run.get("val_mae_by_decile") or []
    return found


def _over(
    key: str, group: Group, baseline: Group | None, axis: str, values: Any, ci: statistics.Kind
) -> Iterator[dict[str, Any]]:
    """Mean and interval of each place of a list, up to the shortest list's end."""
    beside = [] if baseline is None else _columns(baseline, values)
    for number, column in enumerate(_columns(group, values)):
        found = statistics.statistic(column, ci)
        if found.mean is None:
            continue
        low, high = found.ci95 or (None, None)
        base = statistics.statistic(beside[number], ci).mean if number < len(beside) else None
        yield {"id": key, axis: number + 1, "mean": found.mean, "lo": low, "hi": high, "base": base}


def _columns(group: Group, values: Any) -> list[list[float | None]]:
    return [list(column) for column in zip(*(values(run) for run in group.runs), strict=False)]


def _timed(one: Comparable) -> tuple[tuple[Any, ...] | None, list[Group]]:
    """The machine, threads and load that most groups were timed under, and these groups."""
    alone = [group for group in one.groups if len(group.machines) == 1]
    count = Counter(machine for group in alone for machine in group.machines)
    if not count:
        return None, []
    # of equally many groups, those with the fewest runs beside them
    machine = max(count, key=lambda found: (count[found], -found[-1]))
    return machine, [group for group in alone if machine in group.machines]


def _notes(one: Comparable, machine: tuple[Any, ...] | None, kept: Sequence[Group]) -> Iterator[str]:
    several = sorted({len(group.runs) for group in one.groups if len(group.runs) > 1})
    resplit = any(group.resplit for group in one.groups)
    if several:
        seeds = f"{several[0]}" if len(several) == 1 else f"{several[0]} to {several[-1]}"
        covers = "initial weights, batch order and the draw of the split" if resplit else (
            "initial weights and batch order on one split, not the choice of the rows held out"
        )  # fmt: skip
        yield (
            f"±: 95 % intervals of means over {seeds} seeds ({showing.KINDS[one.groups[0].ci]}). They cover {covers}."
        )
    if any(len(group.runs) == 1 for group in one.groups):
        yield "Hollow marks have one seed and so no interval."
    if any(group.p_value is not None for group in one.groups):
        yield (
            "To full: mean difference, paired by seed; ~ where it is not told apart from 0 "
            f"(p ≥ {showing.SIGNIFICANT}, paired t test, Holm's correction)."
        )
    if one.baseline is None:
        yield "No run of full tables with these settings, so there is no baseline; strategy=full gives one."
    unknown = sum(group.statistics["val_mae"].mean is None for group in one.groups)
    if unknown:
        yield (
            f"{unknown} group{'s' if unknown > 1 else ''} with a run that has no error: in the table, "
            "in no plot of errors."
        )
    if machine is not None:
        processor, gpu, threads, jobs = machine
        where = " and ".join(filter(None, [f"{processor or 'an unknown processor'}", gpu and str(gpu)]))
        load = "alone" if jobs == 1 else f"{jobs} runs at once"
        left = sum(group not in kept for group in one.groups)
        text = f"Step times: {where}, {threads} thread{'' if threads == 1 else 's'}, {load}."
        if left:
            plural = "s" if left > 1 else ""
            text += f" Those of {left} group{plural} are left out: other machines, threads or load."
        yield text


def filtered(results: Sequence[Mapping[str, Any]], only: Mapping[str, Sequence[str] | None]) -> list[Result]:
    """The runs that some filters let through; ``strategy=full``, the baseline, always is.

    Args:
        results: of all runs.
        only: values by ``dataset``, ``strategy``, ``model``; None lets all through.
    """

    def through(run: Mapping[str, Any]) -> bool:
        model = ((run.get("settings") or {}).get("model") or {}).get("name")
        own = {"dataset": run.get("dataset"), "strategy": run.get("strategy"), "model": model}
        return all(
            wanted is None or own[name] in wanted or (name == "strategy" and own[name] == "full")
            for name, wanted in only.items()
        )

    return [run for run in results if through(run)]
