"""The contents of a report as plain values, for the page, the charts, the tables and JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from bench.records.result import Result, Tree
from bench.reporting import by_popularity, choice, notes, series, worst
from bench.reporting.across import Across, across
from bench.reporting.entries import Entry, biases, columns, entries, fields_of
from bench.reporting.looks import Look, looks
from bench.reporting.narrowed import Narrowed, narrowed
from bench.reporting.series import Place
from bench.reporting.worst import WorstByField
from bench.tradeoff import popularity, showing, statistics
from bench.tradeoff.baselines import MODEL
from bench.tradeoff.families import Family, Scope
from bench.tradeoff.grouping import tradeoff
from bench.tradeoff.groups import Unfinished
from bench.tradeoff.headline import Headline
from bench.tradeoff.margin import Margin
from bench.tradeoff.sets import Common, Comparable


@dataclass(frozen=True, eq=False)  # compared by identity, so that results for a section can be cached
class Section:
    """A set of groups that may be compared.

    Attributes:
        key: ``set-1``, for names of files and elements.
        title: data set and model, and the other differences from the other sets.
        common: task, data and settings that all groups have in common.
        headline: the metric that leads.
        family: the comparisons over which p values are corrected; None if there is no p value.
        constant: the value of that metric for the best constant; None if it is not known.
        biases: the group of biases alone; None if it has not been run.
        columns: the metrics that tables show beside the headline metric.
        sentences: sentences on what to choose.
        notes: notes on the meaning of the numbers, and on what was left out.
        entries: the groups, from the most bytes to the fewest.
        curves: the headline metric by epoch.
        tenths: the headline metric by popularity of the ids of each field.
        pays: sentences on who pays, see ``bench.tradeoff.popularity``.
        worst: the worst-served ids of each group, by the group's key.
        hypervolume: hypervolume of the whole front, as ``all``, and of each strategy's groups.
        looks: the look of each method, in the order of legends.
        within: the smallest size of each method within a margin; None if no margin was asked for.
    """

    key: str
    title: str
    common: Common
    headline: Headline
    family: Family | None
    constant: float | None
    biases: Entry | None
    columns: list[str]
    sentences: list[str]
    notes: list[str]
    entries: list[Entry]
    curves: list[Place]
    tenths: dict[str, list[Place]]
    pays: list[str]
    worst: Mapping[str, WorstByField]
    hypervolume: dict[str, float]
    looks: dict[str, Look]
    within: Narrowed | None = None

    @property
    def settings(self) -> Tree:
        """The settings that all groups have in common, by dotted name."""
        return self.common.settings

    @property
    def dataset(self) -> str:
        """The data set's name."""
        return str(self.settings.get("dataset.name"))

    @property
    def compares(self) -> bool:
        """True if there is more than one group."""
        return len(self.entries) > 1

    @property
    def edge(self) -> float | None:
        """The value beyond which charts draw nothing: that of the best constant. None if no group is better."""
        known = [entry for entry in self.entries if entry.value is not None]
        return self.constant if any(not entry.worse for entry in known) else None

    @property
    def beyond(self) -> dict[str, list[Entry]]:
        """The groups beyond the edge, by method."""
        found: dict[str, list[Entry]] = {}
        for entry in self.entries:
            if entry.worse and self.edge is not None:
                found.setdefault(entry.method, []).append(entry)
        return found

    def values(self) -> dict[str, Any]:
        """Gives the section as JSON has it, without its groups."""
        return {
            "set": self.key, "title": self.title, "task": self.common.task, "headline": self.headline.name,
            "data_digest": self.common.data_digest, "p_family": self.family and str(self.family),
            "val_constant": self.constant, "settings": self.settings,
            "choice": self.sentences, "who_pays": self.pays, "notes": self.notes, "hypervolume": self.hypervolume,
            "biases": self.biases.values() if self.biases else None,
        }  # fmt: skip


@dataclass(frozen=True)
class Report:
    """All contents of a report.

    Attributes:
        sections: the sections, those with the most groups first.
        unfinished: runs without numbers.
        missing: the same runs as text, a line for each cause.
        left_out: lines on runs that are not shown, with the reason.
        runs: number of runs in the groups.
        ci: the kind of the intervals.
        across: sections side by side that differ in settings which were named.
    """

    sections: list[Section]
    unfinished: list[Unfinished]
    missing: list[str]
    left_out: list[str]
    runs: int
    ci: statistics.Kind
    across: list[Across] = field(default_factory=list)

    @property
    def entries(self) -> list[Entry]:
        """The groups of all sections."""
        return [entry for section in self.sections for entry in section.entries]

    def values(self) -> dict[str, Any]:
        """Gives the report as ``format=json`` and ``report.json`` have it."""
        within = [
            {"set": section.key, **section.within.values()} for section in self.sections if section.within
        ]
        return {
            "groups": [
                {**entry.values(), **by_popularity.values(entry, section.worst[entry.key])}
                for section in self.sections
                for entry in section.entries
            ],
            "within": within or None,
            "across": [one.values() for one in self.across] or None,
            "sets": [section.values() for section in self.sections],
            "unfinished": [asdict(run) for run in self.unfinished],
            "left_out": self.left_out,
        }


def build(
    results: Sequence[Result],
    ci: statistics.Kind = "t",
    unreadable: Sequence[Unfinished] = (),
    config_dirs: tuple[str, ...] = (),
    scope: Scope = "section",
    margin: Margin | None = None,
    beside: Sequence[str] = (),
) -> Report:
    """Makes a report on some runs.

    Args:
        results: results in the order in which the runs were started; of equal runs the last one counts.
        ci: the kind of the intervals.
        unreadable: entries in place of runs whose results cannot be read.
        config_dirs: the user's own folders of settings, for the commands that repeat runs.
        scope: the comparisons over which p values are corrected, see ``bench.tradeoff.tradeoff``.
        margin: what a method may lose if the report is to name its smallest size that loses no more; None if not.
        beside: settings across which sections are drawn side by side.

    Raises:
        RequestError: no sections differ in these settings alone.
    """
    found = tradeoff(results, ci, scope)
    titles = showing.titles(found.sets)
    order = sorted(range(len(found.sets)), key=lambda i: -len(found.sets[i].groups))
    own = {i: entries(f"set-{number}", found.sets[i], config_dirs) for number, i in enumerate(order, 1)}
    every = looks({name: methods for part in own.values() for name, methods in fields_of(part).items()})
    unfinished = [*found.unfinished, *unreadable]
    asked = {
        i: None if margin is None else narrowed(found.sets[i], margin, part, config_dirs)
        for i, part in own.items()
    }
    sections = [
        replace(_section(titles[i], found.sets[i], part, every, config_dirs), within=asked[i])
        for i, part in own.items()
    ]
    return Report(
        sections,
        unfinished,
        list(showing.missing(unfinished)),
        list(notes.of_runs(results, found, unreadable)),
        len(found.used),
        ci,
        across(sections, beside) if beside and sections else [],
    )


def _section(
    title: str, one: Comparable, found: list[Entry], every: Mapping[str, Look], config_dirs: tuple[str, ...]
) -> Section:
    methods = {entry.method for entry in found}
    strategies = dict.fromkeys(group.strategy for group in one.groups)
    return Section(
        key=found[0].section,
        title=title,
        common=one.common,
        headline=one.headline,
        family=one.family,
        constant=one.constant,
        biases=biases(found[0].section, one, config_dirs),
        columns=columns(one),
        sentences=list(choice.sentences(one, [entry.name for entry in found])),
        notes=list(notes.of_section(one, found, config_dirs)),
        entries=found,
        curves=series.by_epoch(found),
        tenths=series.by_popularity(found),
        pays=list(popularity.sentences(one, [entry.name for entry in found])),
        worst=worst.of_entries(found),
        hypervolume={"all": one.hypervolume(), **{name: one.hypervolume(name) for name in strategies}},
        looks={name: look for name, look in every.items() if name in methods},
    )


def filtered(results: Sequence[Result], only: Mapping[str, Sequence[str] | None]) -> list[Result]:
    """Gives the runs that pass some filters.

    The baseline ``full`` always passes the filter by strategy. Biases alone pass that by model if other runs do.

    Args:
        results: results of all runs.
        only: values by ``dataset``, ``strategy``, ``model``; all runs pass None.
    """

    def through(run: Result, biases: bool = False) -> bool:
        own = {"dataset": run.dataset, "strategy": run.strategy, "model": run.setting("model.name")}
        return all(
            wanted is None
            or own[name] in wanted
            or (name == "strategy" and own[name] == "full")
            or (biases and name == "model" and own[name] == MODEL)
            for name, wanted in only.items()
        )

    biases = any(map(through, results))
    return [run for run in results if through(run, biases)]
