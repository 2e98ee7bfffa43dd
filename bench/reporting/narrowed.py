"""The answer to ``within=1%`` as texts and values: the smallest size of each method that loses no more."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from bench.measure.units import plural, short_size
from bench.reporting import repeat
from bench.reporting.entries import Entry
from bench.reporting.words import number
from bench.tradeoff.margin import Margin
from bench.tradeoff.sets import Comparable
from bench.tradeoff.statistics import Difference
from bench.tradeoff.within import Answer, Tried, Within, within

HEADING = ("method", "smallest within", "memory", "smaller", "loss", "at most", "not within", "sizes")
"""The heading of the table of methods."""

NAMED = 4
"""Most methods that the sentence gives with their sizes."""


@dataclass(frozen=True)
class Line:
    """The answer for one method, as a report shows it.

    Attributes:
        answer: the sizes, and the chosen one.
        entry: the chosen group; None if no size keeps the margin.
        command: the command that tries sizes which would narrow the answer down; None if none would.
        validated: True if validation rows chose.
    """

    answer: Answer
    entry: Entry | None
    command: str | None
    validated: bool

    @property
    def words(self) -> str:
        """The answer in words: ``md: 461 KiB, 5.1 times smaller``."""
        answer = self.answer
        chosen, failed = answer.chosen, answer.failed
        if not answer.decided:
            return f"{answer.method}: {_undecided(answer)}; seed=0,1,2,3,4 gives intervals"
        beyond = f"; {short_size(failed.size)} is not within (at most {_upper(failed)})" if failed else ""
        if chosen is None:
            return f"{answer.method}: {_none_of(answer)}{beyond}"
        seen, rows = (" on evaluation rows", " on validation rows") if self.validated else ("", "")
        return (
            f"{answer.method}: {_size(chosen, answer)}, loss {_loss(chosen.seen)}{seen}, at most {_upper(chosen)}{rows}"
            f"{beyond or ('; no smaller size was tried' if self.command else '; it has no smaller size')}"
        )

    @property
    def cells(self) -> tuple[str, ...]:
        """The cells of its row, below ``HEADING``."""
        answer, chosen, failed = self.answer, self.answer.chosen, self.answer.failed
        count = f"{sum(bool(one.keeps) for one in answer.tried)} of {len(answer.tried)}"
        below = f"{short_size(failed.size)} ({_upper(failed)})" if failed else "-"
        if chosen is None:
            return answer.method, "none" if answer.decided else "one seed", "-", "-", "-", "-", below, count
        name = self.entry.name if self.entry else answer.method
        ratio = f"{answer.full_bytes / chosen.size:.1f}x"
        return (
            answer.method,
            name,
            short_size(chosen.size),
            ratio,
            _loss(chosen.seen),
            _upper(chosen),
            below,
            count,
        )

    def values(self) -> dict[str, Any]:
        """Gives the answer as JSON has it."""
        answer, chosen, failed = self.answer, self.answer.chosen, self.answer.failed
        return {
            "method": answer.method,
            "decided": answer.decided,
            "name": self.entry.name if self.entry else None,
            "id": self.entry.key if self.entry else None,
            "embedding_bytes": chosen.size if chosen else None,
            "times_smaller": answer.full_bytes / chosen.size if chosen else None,
            "upper": chosen.upper if chosen else None,
            **_evaluation(chosen),
            "not_within_bytes": failed.size if failed else None,
            "not_within_upper": failed.upper if failed else None,
            "sizes": len(answer.tried),
            "sizes_within": sum(bool(one.keeps) for one in answer.tried),
            "command": self.command,
        }


@dataclass(frozen=True)
class Narrowed:
    """The answer for the methods of a section.

    Attributes:
        found: the answer.
        lines: the methods, those with an answer first, from the fewest bytes.
    """

    found: Within
    lines: Sequence[Line]

    @property
    def title(self) -> str:
        """The question as a heading: ``Within 1 % of full's val MAE``."""
        return f"Within {self.found.margin} of full's {self.found.headline.title}"

    @property
    def sentence(self) -> str:
        """The answer in a sentence."""
        if self.found.problem:
            return f"{self.title}: not answered: {self.found.problem}."
        chosen = [line.answer for line in self.lines if line.answer.chosen]
        parts = []
        for place, answer in enumerate(chosen[:NAMED]):
            first = "is the smallest, " if place == 0 else ""
            head = "" if place == 0 else "then "
            parts.append(f"{head}{answer.method} {first}{_size(answer.chosen, answer)}")
        parts += [f"then {', '.join(one.method for one in chosen[NAMED:])}"] if chosen[NAMED:] else []
        parts = parts or ["no size that was tried"]
        others = [line.answer for line in self.lines if not line.answer.chosen]
        none = [one for one in others if one.decided]
        if len(none) == 1:
            parts.append(f"{none[0].method} {_none_of(none[0])}")
        elif none:
            listed = ", ".join(f"{one.method} ({len(one.tried)})" for one in none)
            parts.append(f"at none of their sizes: {listed}")
        parts += [f"{one.method} {_undecided(one)}" for one in others if not one.decided]
        return f"{self.title}: {'; '.join(parts)}."

    @property
    def basis(self) -> str:
        """How sizes were chosen, and the rows that the losses are of."""
        found = self.found
        if found.problem:
            return ""
        share = f" ({found.margin} of {number(found.full or 0.0)})" if found.margin.is_share else ""
        rule = (
            "A size is within if the upper end of the 95 % interval of its loss against full tables, paired by seed, "
            f"is at most {number(found.allowed)}{share}"
        )
        if found.validated:
            return (
                f"{rule} on the validation rows, which choose; the losses in the table are of the evaluation rows, its "
                "upper ends (at most, not within) of the validation rows."
            )
        return (
            f"{rule}. There are no validation rows: the choice and the losses are of the same rows, so they are "
            "optimistic; dataset.split.validation_fraction=0.1 sets rows apart to choose on."
        )

    @property
    def commands(self) -> list[tuple[str, str]]:
        """Methods, and the commands that would narrow their answers down."""
        return [(line.answer.method, line.command) for line in self.lines if line.command]

    def texts(self) -> Iterator[str]:
        """Gives the answer for a terminal: the sentence, its basis, a line a method, and below it what to run next."""
        yield self.sentence
        if self.basis:
            yield self.basis
        for line in self.lines:
            yield f"  {line.words}"
            if line.command:
                yield f"    to narrow it: {line.command}"

    def values(self) -> dict[str, Any]:
        """Gives the answer as JSON has it."""
        found = self.found
        return {
            "margin": str(found.margin),
            "metric": found.metric,
            "chosen_on": "validation" if found.validated else "evaluation",
            "full": found.full,
            "allowed": None if found.full is None else found.allowed,
            "problem": found.problem or None,
            "sentence": self.sentence,
            "methods": [line.values() for line in self.lines],
        }

    def of_group(self, entry: Entry) -> dict[str, float | None]:
        """Gives the cells of a group in CSV: whether it is within, whether it is the chosen one, and its upper end."""
        tried = {id(one.group): one for line in self.lines for one in line.answer.tried}.get(id(entry.group))
        if tried is None:
            return {}
        chosen = any(line.entry is entry for line in self.lines)
        keeps = None if tried.keeps is None else int(tried.keeps)
        return {"within": keeps, "within_chosen": int(chosen), "within_upper": tried.upper}


def narrowed(
    one: Comparable, margin: Margin, entries: Sequence[Entry], config_dirs: tuple[str, ...] = ()
) -> Narrowed:
    """Gives the answer for a section.

    Args:
        one: its set.
        margin: what a method may lose.
        entries: the groups of the section.
        config_dirs: the user's own folders of settings, for the commands.
    """
    found = within(one, [entry.method for entry in entries], margin)
    follow = [name for name, value in one.settings.items() if value == "${seed}"]
    by_group = {id(entry.group): entry for entry in entries}
    lines = []
    for answer in found.answers:
        entry = by_group[id(answer.chosen.group)] if answer.chosen else None
        lines.append(Line(answer, entry, _command(answer, follow, config_dirs), found.validated))
    return Narrowed(found, lines)


def _command(answer: Answer, follow: Sequence[str], config_dirs: tuple[str, ...]) -> str | None:
    """Gives the command that tries sizes which would narrow an answer down."""
    near = answer.chosen or answer.failed
    sizes = answer.next_sizes()
    if near is None or not sizes or not any(map(repeat.has_sizes, near.group.methods.values())):
        return None
    group = near.group
    full = group.embedding_bytes * group.compression_ratio
    budgets = sorted({float(f"{size / full:.3g}") for size in sizes if size < full}, reverse=True)
    settings = group.runs[0].settings
    if not budgets or settings is None:
        return None
    return repeat.other_sizes(settings, group.seeds, budgets, follow, config_dirs)


def _size(tried: Tried | None, answer: Answer) -> str:
    if tried is None:
        return "-"
    return f"{short_size(tried.size)} ({answer.full_bytes / tried.size:.1f} times smaller)"


def _loss(found: Difference) -> str:
    if found.mean is None or found.ci95 is None:
        return "-"
    return f"{found.mean:+.4f} ± {number((found.ci95[1] - found.ci95[0]) / 2)}"


def _upper(tried: Tried) -> str:
    return "-" if tried.upper is None else f"{tried.upper:+.4f}"


def _none_of(answer: Answer) -> str:
    count = len(answer.tried)
    return "not at its only size" if count == 1 else f"at none of its {count} sizes"


def _undecided(answer: Answer) -> str:
    return f"cannot be answered with one seed in common with full ({plural(len(answer.tried), 'size')})"


def _evaluation(chosen: Tried | None) -> dict[str, Any]:
    seen = chosen.seen if chosen else Difference()
    return {"loss": seen.mean, "loss_ci95": list(seen.ci95) if seen.ci95 else None, "seeds": seen.n}
