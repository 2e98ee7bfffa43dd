"""The smallest size of each method that loses no more than a margin against full tables.

A size keeps the margin if the upper end of the interval of its mean loss, paired by seed, is at most the margin. If all
groups have the metric of the validation rows, these rows choose. The losses that are reported are of the evaluation
rows in any case.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite

from bench.tradeoff import statistics
from bench.tradeoff.groups import Group
from bench.tradeoff.headline import Headline
from bench.tradeoff.margin import Margin
from bench.tradeoff.sets import Comparable
from bench.tradeoff.statistics import Difference

APART = 1.25
"""The factor between the bytes of two neighbouring sizes above which a size between them is worth a try."""

DOWN = 4.0
"""The factor by which sizes are tried below the smallest one, if that keeps the margin."""

MOST = 3
"""Most sizes that are tried next."""


@dataclass(frozen=True)
class Tried:
    """A size of a method that has been trained.

    Attributes:
        group: its runs.
        loss: mean loss against full tables on the rows that choose. A positive loss is worse.
        seen: the same on the evaluation rows.
        keeps: True if the size keeps the margin; None with fewer than two seeds in common with full tables.
    """

    group: Group
    loss: Difference
    seen: Difference
    keeps: bool | None

    @property
    def size(self) -> float:
        """Bytes to serve the embeddings."""
        return self.group.embedding_bytes

    @property
    def upper(self) -> float | None:
        """The upper end of the interval of ``loss``; None with fewer than two seeds."""
        return self.loss.ci95[1] if self.loss.ci95 else None


@dataclass(frozen=True)
class Answer:
    """The answer for one method.

    Attributes:
        method: its name in reports.
        tried: its sizes below that of full tables, from the fewest bytes.
        full_bytes: bytes of full tables.
    """

    method: str
    tried: tuple[Tried, ...]
    full_bytes: float

    @property
    def chosen(self) -> Tried | None:
        """The smallest size that keeps the margin; None if there is none."""
        return next((one for one in self.tried if one.keeps), None)

    @property
    def failed(self) -> Tried | None:
        """The largest size that does not keep the margin, among those below the chosen one if there is one."""
        end = self.chosen.size if self.chosen else float("inf")
        return next((one for one in reversed(self.tried) if one.keeps is False and one.size < end), None)

    @property
    def decided(self) -> bool:
        """True if a size has the two seeds that an answer needs."""
        return any(one.keeps is not None for one in self.tried)

    def next_sizes(self) -> list[float]:
        """Gives bytes of sizes that would narrow the answer down, ascending; empty if none would."""
        chosen, failed = self.chosen, self.failed
        if not self.decided:
            return []
        high = chosen.size if chosen else self.full_bytes
        low = failed.size if failed else high / DOWN
        ratio = high / low
        if ratio <= APART:
            return []
        count = next((n for n in range(1, MOST) if ratio <= APART ** (n + 1)), MOST)
        places = range(1, count + 1) if failed else range(count)
        return [low * ratio ** (place / (count + bool(failed))) for place in places]


@dataclass(frozen=True)
class Within:
    """The answers for the methods of a set.

    Attributes:
        margin: what a method may lose, as asked for.
        headline: the headline metric.
        validated: True if validation rows chose.
        full: the mean of full tables' metric on the rows that choose; None without full tables.
        problem: the reason why the question cannot be answered, in a line; empty if it can.
        answers: the answers, those with a chosen size first, from the fewest bytes.
    """

    margin: Margin
    headline: Headline
    validated: bool
    full: float | None
    problem: str
    answers: tuple[Answer, ...] = ()

    @property
    def metric(self) -> str:
        """The name of the metric that chose."""
        return self.headline.validation if self.validated else self.headline.name

    @property
    def allowed(self) -> float:
        """The largest loss that keeps the margin, in the metric's unit; NaN without full tables."""
        return float("nan") if self.full is None else self.margin.of(self.full)


def within(one: Comparable, methods: Sequence[str], margin: Margin) -> Within:
    """Answers for each method of a set which of its sizes is the smallest that keeps a margin.

    Args:
        one: the set.
        methods: the method of each group, in the order of the groups.
        margin: what a method may lose.
    """
    headline, validated = one.headline, one.validated
    metric = headline.validation if validated else headline.name
    full = None if one.baseline is None else one.baseline.statistics[metric].mean
    problem = _problem(headline, full, margin)
    if problem or one.baseline is None or full is None:
        return Within(margin, headline, validated, full, problem)
    tried: dict[str, list[Tried]] = {}
    for group, method in zip(one.groups, methods, strict=True):
        if group is not one.baseline and group.embedding_bytes < one.baseline.embedding_bytes:
            loss = _loss(group, one.baseline, metric)
            keeps = loss.ci95[1] <= margin.of(full) if loss.ci95 else None
            seen = _loss(group, one.baseline, headline.name)
            tried.setdefault(method, []).append(Tried(group, loss, seen, keeps))
    answers = [
        Answer(method, tuple(sorted(own, key=lambda one: one.size)), one.baseline.embedding_bytes)
        for method, own in tried.items()
    ]
    answers.sort(key=lambda answer: (answer.chosen.size if answer.chosen else float("inf"), answer.method))
    return Within(margin, headline, validated, full, "", tuple(answers))


def _problem(headline: Headline, full: float | None, margin: Margin) -> str:
    """Gives the reason why a margin cannot be asked for; empty if it can."""
    if margin.is_share and headline.higher:
        return (
            f"{headline.title} is a score, of which a share says little; give a difference, as within=0.001"
        )
    if full is None:
        return f"no run of full tables with {headline.title} to compare with; strategy=full with equal settings is one"
    if margin.of(full) >= abs(full):
        return (
            f"{margin} is no margin: full tables have {headline.title} {full:.4f}; give less, such as "
            f"within={'0.001' if headline.higher else '1%'}"
        )
    return ""


def _loss(group: Group, baseline: Group, metric: str) -> Difference:
    """Gives the mean loss of a group in a metric against the baseline, for the seeds that both have."""
    mine, theirs = (
        {s: group.headline.cost(v) for s, v in own.by_seed(metric).items()} for own in (group, baseline)
    )
    pairs = [(mine[seed], theirs[seed]) for seed in mine if seed in theirs]
    known = [(a, b) for a, b in pairs if a is not None and b is not None and isfinite(a) and isfinite(b)]
    if len(known) < len(pairs):
        return Difference()
    return statistics.difference([a for a, _ in known], [b for _, b in known], group.ci)
