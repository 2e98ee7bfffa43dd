"""Sections side by side: ``across=model,optimizer`` draws in one chart what is never mixed in a group or a test."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bench.config.typed import nearest
from bench.errors import RequestError
from bench.records.fingerprint import canonical
from bench.reporting.looks import Look
from bench.reporting.words import number
from bench.tradeoff import naming
from bench.tradeoff.headline import Headline
from bench.tradeoff.showing import CONSTANT

if TYPE_CHECKING:
    from bench.reporting.contents import Section

SHORT: Mapping[str, tuple[str, ...]] = {
    "model": ("model",),
    "optimizer": ("training.optimizer", "training.optimizer_settings"),
    "split": ("dataset.split",),
    "dataset": ("dataset",),
    "training": ("training",),
}
"""Short names, and the settings that they stand for: those of this name, and those below it."""

HEADING = ("", "run", "memory", "smaller")
"""The beginning of the heading of the table, behind the column of what differs."""


@dataclass(frozen=True)
class Part:
    """A section in a comparison side by side.

    Attributes:
        label: what tells it apart: ``model=dot, optimizer=adam``.
        section: the section.
    """

    label: str
    section: Section


@dataclass(frozen=True, eq=False)
class Across:
    """Sections that differ only in the settings that were named.

    Attributes:
        key: ``across-1``, for names of files and elements.
        names: the names, as they were given.
        parts: the sections, in the order of the report.
    """

    key: str
    names: tuple[str, ...]
    parts: tuple[Part, ...]

    @property
    def headline(self) -> Headline:
        """The metric that leads in all sections."""
        return self.parts[0].section.headline

    @property
    def title(self) -> str:
        """The heading: ``movielens_1m, side by side: model=dot; model=neumf``."""
        named = dict.fromkeys(part.section.dataset for part in self.parts)
        return f"{' and '.join(named)}, side by side: {'; '.join(part.label for part in self.parts)}"

    @property
    def looks(self) -> dict[str, Look]:
        """The look of each method, in the order of legends."""
        found = {name: look for part in self.parts for name, look in part.section.looks.items()}
        families = list(dict.fromkeys(look.family for look in found.values()))
        return dict(sorted(found.items(), key=lambda one: families.index(one[1].family)))

    @property
    def note(self) -> str:
        """What is compared, and what is not."""
        return (
            "Each part has its own baselines: the front, differences to full tables and p values are those within it. "
            "Nothing is tested across parts."
        )

    def heading(self) -> tuple[str, ...]:
        """Gives the heading of the table."""
        return (", ".join(self.names), *HEADING, self.headline.title, "to full", "p")

    def rows(self) -> Iterator[tuple[str, ...]]:
        """Gives a row for each group, and for biases alone and the best constant of each part."""
        for part in self.parts:
            section = part.section
            for entry in [*section.entries, *([section.biases] if section.biases else [])]:
                yield (
                    part.label, "★" if entry.group.pareto else "", entry.name, entry.memory, entry.ratio,
                    entry.text(section.headline.name), entry.delta, entry.p_value,
                )  # fmt: skip
            if section.constant is not None:
                base = next((entry.value for entry in section.entries if entry.is_baseline), None)
                apart = "-" if base is None else f"{section.constant - base:+.4f}"
                yield part.label, "", CONSTANT, "-", "-", number(section.constant), apart, ""

    def values(self) -> dict[str, Any]:
        """Gives the comparison as JSON has it; the groups are those of the sets that it names."""
        return {
            "across": self.key,
            "settings": list(self.names),
            "title": self.title,
            "parts": [{"label": part.label, "set": part.section.key} for part in self.parts],
        }


def across(sections: Sequence[Section], names: Sequence[str]) -> list[Across]:
    """Puts sections side by side that differ only in some settings.

    Args:
        sections: the sections of a report.
        names: names of settings: a short name (``SHORT``), a full name, its last part, or a group of settings.

    Raises:
        RequestError: a name is of no setting, or no two sections differ in these settings alone. The message says
            what would work.
    """
    differing = _differing(sections)
    chosen = [name for given in names for name in _meant(given, sections, differing)]
    of_data = any(name == "dataset" or name.startswith("dataset.") for name in chosen)
    alike: dict[str, list[Section]] = defaultdict(list)
    for section in sections:
        rest = {name: value for name, value in section.settings.items() if not _below(name, chosen)}
        digest = None if of_data else section.common.data_digest
        alike[canonical([section.common.task, digest, rest])].append(section)
    several = [own for own in alike.values() if len(own) > 1]
    if not several:
        left = [name for name in differing if not _below(name, chosen)]
        raise RequestError(
            f"across={','.join(names)}: no two sections differ in that alone; "
            + (f"they differ in {', '.join(left)} too" if left else "their data differ too")
        )
    return [
        Across(f"across-{count}", tuple(names), tuple(_parts(own, chosen)))
        for count, own in enumerate(several, 1)
    ]


def _below(name: str, groups: Sequence[str]) -> bool:
    return any(name == group or name.startswith(f"{group}.") for group in groups)


def _differing(sections: Sequence[Section]) -> list[str]:
    """Names the settings in which sections differ."""
    absent = object()
    every = dict.fromkeys(name for section in sections for name in section.settings)
    return [
        name
        for name in every
        if any(s.settings.get(name, absent) != sections[0].settings.get(name, absent) for s in sections)
    ]


def _meant(given: str, sections: Sequence[Section], differing: Sequence[str]) -> list[str]:
    """Gives the settings, or groups of settings, that a name stands for."""
    known = dict.fromkeys(name for section in sections for name in section.settings)
    groups = {name.rsplit(".", count)[0] for name in known for count in range(1, name.count(".") + 1)}
    found = list(SHORT.get(given, ()))
    if not found and (given in known or given in groups):
        found = [given]
    found = found or [name for name in known if name.rsplit(".", 1)[-1] == given]
    would = (
        f"sections differ in {', '.join(map(_short, differing))}"
        if differing
        else "all runs are of one section"
    )
    if not found:
        raise RequestError(f"across={given}: no such setting{nearest(given, [*SHORT, *known])}; {would}")
    if not any(_below(name, found) for name in differing):
        raise RequestError(f"across={given}: equal in all sections; {would}")
    return found


def _short(name: str) -> str:
    return {"model.name": "model", "training.optimizer": "optimizer", "dataset.name": "dataset"}.get(
        name, name
    )


def _parts(sections: Sequence[Section], chosen: Sequence[str]) -> Iterator[Part]:
    """Gives the sections with their labels: the settings that differ, in the order of the names that were given."""
    differing = _differing(sections)
    names = list(dict.fromkeys(name for group in chosen for name in differing if _below(name, [group])))
    names.sort(key=lambda name: any(name not in section.settings for section in sections))
    count = 1
    while count < len(names) and len({_label(section, names[:count]) for section in sections}) < len(
        sections
    ):
        count += 1
    shared = [name for name in names[count:] if name in ("training.optimizer", "model.name", "dataset.name")]
    for section in sections:
        label = _label(section, [*names[:count], *shared])
        same = sum(_label(other, [*names[:count], *shared]) == label for other in sections) > 1
        yield Part(
            f"{label}, data {(section.common.data_digest or 'unknown')[:8]}" if same else label, section
        )


def _label(section: Section, names: Sequence[str]) -> str:
    own = section.settings
    return ", ".join(f"{_short(name)}={naming.text(own[name])}" for name in names if name in own)
