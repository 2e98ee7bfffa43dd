"""Chooses what the columns of a table are for, and says why."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NoReturn

import numpy as np

from bench.config.typed import nearest
from bench.data.arrow import numbered
from bench.data.table import SHOWN
from bench.data.table_settings import names_of
from bench.errors import RequestError
from bench.measure import units
from bench.proposal import names, times
from bench.proposal.describing import is_truth, kind, lacking, number, short, span, values
from bench.proposal.looking import Look, Seen
from bench.proposal.uses import DENSE, FIELD, LABEL, LEFT_OUT, TIMESTAMP, Asked, Proposal, Use

FEW = 21
"""Most distinct values of a label that is known by them: half stars from 0 to 10."""

FEW_ROWS = 20
"""Of fewer rows, each may well have values of its own."""

ALL_OWN = 0.95
"""The share of values among all rows of a file that makes a column of no use. In more rows they may repeat."""

WORDS, LETTERS = 3.5, 60
"""The mean numbers of words and of letters in a value that make it free text."""

REPEATED = 0.1
"""Values a row below which even long texts are names of things."""

WIDE = 20.0
"""The largest number of a column of numbers without a logarithm."""

_UNNAMED = "several columns have this name"


def propose(look: Look, asked: Asked) -> Proposal:
    """Chooses what the columns are for.

    Raises:
        RequestError: a column that was asked for is not there or cannot be used so, or none can be the label or fields.
    """
    return _Choice(look, asked).made()


@dataclass
class _Choice:
    look: Look
    asked: Asked
    uses: dict[str, Use] = field(default_factory=dict)
    transforms: dict[str, str] = field(default_factory=dict)
    called: dict[str, str] = field(default_factory=dict)

    def made(self) -> Proposal:
        if len(self.look.names) == 1:
            self._refuse(
                "has one column; a model needs two fields and a label: if its columns are separated by a character of "
                "their own, give --separator; if by several, save it with one"
            )
        for option in ("label", "timestamp", "fields", "dense"):
            given = getattr(self.asked, option)
            for name in (given,) if isinstance(given, str) else given or ():
                self._check(option, name)
        self._use_label()
        self._use_time()
        for seen in self._open():
            self._use(seen)
        self._leave_out_repeated()
        fields = [seen for seen in self.look.columns.values() if self._is(seen.name, FIELD)]
        if len(fields) < 2:
            there = f"{fields[0].name} alone" if fields else "no column"
            there += f" (several are called {', '.join(self.look.unnamed)})" if self.look.unnamed else ""
            self._refuse(
                f"holds ids in {there}; a model needs two fields or more: name them with --fields A,B"
            )
        user, item = self._roles(fields)
        self.called = called = self._names(user, item)
        by_column = dict(zip([f.name for f in fields], names_of(called[f.name] for f in fields), strict=True))
        uses = [Use(called[name], self.uses[name].use, self.uses[name].why) for name in self.look.columns]
        return Proposal(
            [
                *uses,
                *(Use(name, LEFT_OUT, _UNNAMED if name.strip() else "no name") for name in self.look.unnamed),
            ],
            None if self.look.form.header else list(called.values()),
            by_column.get(user or ""),
            by_column.get(item or ""),
            {called[name]: transform for name, transform in self.transforms.items()},
            dict(self._settings()),
            self._has_hours(),
        )

    def _names(self, user: str | None, item: str | None) -> dict[str, str]:
        """The name of each column: its own, or without a header what it holds."""
        if self.look.form.header:
            return {name: name for name in self.look.names}
        found = {}
        for name in self.look.names:
            use = self.uses[name].use if name in self.uses else LEFT_OUT
            letter = {FIELD: "C", DENSE: "I", LEFT_OUT: "x"}.get(use)
            plain = "user" if name == user else "item" if name == item else use
            found[name] = plain if letter is None or name in (user, item) else f"{letter}{name}"
        return found

    # One column

    def _check(self, option: str, name: str) -> None:
        there = self.look.columns
        if name in there:
            return
        if name in self.look.unnamed:
            self._refuse(f"several columns are called {name}; give each its own name", f"--{option} {name}: ")
        listed = ", ".join([*there][:SHOWN]) + (", ..." if len(there) > SHOWN else "")
        hint = nearest(name, there)
        self._refuse(f"has no such column{hint} (there are: {listed})", f"--{option} {name}: ")

    def _refuse(self, why: str, what: str = "") -> NoReturn:
        raise RequestError(f"{what}{self.look.path} {why}")

    def _set(self, seen: Seen, use: str, why: str) -> None:
        self.uses[seen.name] = Use(seen.name, use, why)

    def _is(self, name: str, use: str) -> bool:
        return name in self.uses and self.uses[name].use == use

    def _open(self) -> Iterator[Seen]:
        """The columns without a use."""
        return (seen for seen in self.look.columns.values() if seen.name not in self.uses)

    # The label

    def _use_label(self) -> None:
        name = self.asked.label
        if name is None:
            seen, why = self._find_label()
        else:
            seen, why = self.look.columns[name], "as asked"
        if not seen.is_numeric:
            example = f", such as {short(seen.examples[0])}" if seen.examples else ""
            self._refuse(f"holds {kind(seen)} there{example}; a label is a number", f"--label {seen.name}: ")
        if seen.num_numbers < 2:
            self._refuse(
                f"has {number(seen.low)} in all of the {units.count(seen.rows)} rows looked at: nothing to learn; "
                "give another column" + ("" if self.look.is_all else ", or look at more with --rows"),
                f"--label {seen.name}: ",
            )
        self._set(seen, LABEL, f"{span(seen)}, {units.count(seen.num_numbers)} values; {why}")

    def _find_label(self) -> tuple[Seen, str]:
        kept = {*(self.asked.fields or ()), *(self.asked.dense or ()), self.asked.timestamp}
        able = [
            seen for seen in self.look.columns.values()
            if seen.is_numeric and seen.name not in kept and not times.epoch(seen)
        ]  # fmt: skip
        best = max((names.target(seen.name) for seen in able), default=0)
        if best:
            found, why = [seen for seen in able if names.target(seen.name) == best], "by its name"
        else:
            found = [seen for seen in able if 2 <= seen.num_numbers <= FEW and not names.is_id(seen.name)]
            truths = [seen for seen in found if is_truth(seen)]
            if not self.look.form.header and len(truths) == 1 and truths[0].name == "0":
                found = truths
            why = "the only numbers of few values"
        if len(found) == 1:
            return found[0], why
        if found:
            could = " or ".join(seen.name for seen in found[:SHOWN])
            self._refuse(f"has several columns that could be what is predicted; give --label {could}")
        numeric = ", ".join(seen.name for seen in able[:SHOWN])
        if not numeric:
            self._refuse("has no column of numbers that could be predicted, such as stars or clicks")
        return self._refuse(
            f"has no column that looks like ratings or clicks; give --label with one of its numbers: {numeric}"
        )

    # The time

    def _use_time(self) -> None:
        name = self.asked.timestamp
        if name is not None:
            seen = self.look.columns[name]
            if not (seen.kind == "time" or seen.is_numeric):
                self._refuse(
                    f"holds {kind(seen)} there; a timestamp is a date or a number", f"--timestamp {name}: "
                )
            self._set(seen, TIMESTAMP, f"{times.described(seen)}; as asked")
            return
        ranked = sorted(((times.rank(seen), seen) for seen in self._open()), key=lambda one: -one[0])
        for rank, seen in ranked:
            if rank and not self._taken_otherwise(seen):
                if any(self._is(name, TIMESTAMP) for name in self.uses):
                    self._set(seen, LEFT_OUT, "another time")
                else:
                    self._set(seen, TIMESTAMP, times.described(seen))

    def _taken_otherwise(self, seen: Seen) -> bool:
        return seen.name in (*(self.asked.fields or ()), *(self.asked.dense or ()))

    def _has_hours(self) -> bool:
        return any(
            self._is(seen.name, TIMESTAMP) and times.has_hours(seen) for seen in self.look.columns.values()
        )

    # The others

    def _use(self, seen: Seen) -> None:
        asked = self.asked
        if seen.name in (asked.fields or ()):
            if seen.codes is None:
                self._refuse(f"{seen.holds} there; ids are text or integers", f"--fields {seen.name}: ")
            self._set(seen, FIELD, f"{values(seen)}; as asked")
        elif seen.name in (asked.dense or ()):
            if not seen.is_numeric:
                self._refuse(f"holds {kind(seen)} there; give a column of numbers", f"--dense {seen.name}: ")
            self._use_dense(seen, "as asked")
        elif asked.fields is not None:
            self._set(seen, LEFT_OUT, "not asked for")
        else:
            self._use_open(seen)

    def _use_open(self, seen: Seen) -> None:
        """The use of a column of which nothing is said."""
        useless = self._useless(seen)
        if useless:
            self._set(seen, LEFT_OUT, useless)
        elif self._measures(seen):
            self._use_dense(seen, "numbers that measure or count")
        else:
            self._set(seen, FIELD, values(seen))

    def _useless(self, seen: Seen) -> str | None:
        """Why a column is of no use, if it is of none."""
        hinted = names.role(seen.name, names.USERS) == 2 or names.role(seen.name, names.ITEMS) == 2
        if seen.missing == seen.rows:
            return "empty"
        if seen.distinct < 2:
            return "the same in all rows"
        if seen.codes is None and not seen.is_numeric:
            return seen.holds or "neither ids nor numbers"
        if seen.rises and not hinted:
            return "counts the rows"
        repeated = seen.distinct < REPEATED * seen.rows
        if seen.kind == "text" and not repeated and (seen.words >= WORDS or seen.letters >= LETTERS):
            return f"free text, {seen.words:.0f} words in the mean"
        if seen.rows >= FEW_ROWS and not hinted and not self._measures(seen):
            if seen.is_key:
                return "another value in each row: a key of rows"
            if self.look.is_all and seen.distinct >= ALL_OWN * (seen.rows - seen.missing):
                return "nearly another value in each row: nothing to learn of"
        return None

    def _measures(self, seen: Seen) -> bool:
        """Returns True if its numbers say how much, and are not ids."""
        own = {*names.words(seen.name)}
        if not seen.is_numeric or (seen.odd and seen.codes is not None):
            return False
        if seen.codes is None or seen.kind == "number":
            return True
        if names.is_id(seen.name) and not own & (names.COUNTS - names.IDS):
            return False
        return bool(own & names.COUNTS) or seen.low < 0

    def _use_dense(self, seen: Seen, why: str) -> None:
        logged = seen.low >= 0 and seen.high > WIDE
        if logged:
            self.transforms[seen.name] = "log1p"
        self._set(seen, DENSE, f"{span(seen)}; {why}{'; log1p, as some are large' if logged else ''}")

    def _leave_out_repeated(self) -> None:
        """Leaves out fields that say the same as an earlier one, or as the label."""
        first: list[Seen] = [seen for seen in self.look.columns.values() if self._is(seen.name, LABEL)]
        for seen in self.look.columns.values():
            if not self._is(seen.name, FIELD):
                continue
            twin = next((other for other in first if _say_the_same(seen, other)), None)
            if twin is None or seen.name in (self.asked.fields or ()):
                first.append(seen)
            else:
                self._set(seen, LEFT_OUT, f"says the same as {twin.name}")

    # All columns

    def _roles(self, fields: Sequence[Seen]) -> tuple[str | None, str | None]:
        """The columns of users and of items, where their names say it, or there are two fields."""
        found: list[str | None] = []
        for hints, word in ((names.USERS, "the users"), (names.ITEMS, "the items")):
            ranked = sorted(
                (seen for seen in fields if names.role(seen.name, hints) and seen.name not in found),
                key=lambda seen: (-names.role(seen.name, hints), -seen.distinct),
            )
            found.append(ranked[0].name if ranked else None)
            if ranked:
                self._add(ranked[0].name, f"{word}, by the name")
        if len(fields) == 2 and None in found:
            rest = [seen.name for seen in fields if seen.name not in found]
            for place, word in ((0, "the users"), (1, "the items")):
                if found[place] is None:
                    found[place] = rest.pop(0)
                    self._add(str(found[place]), f"{word}, by the order of the two")
        return found[0], found[1]

    def _add(self, name: str, words: str) -> None:
        use = self.uses[name]
        self.uses[name] = Use(name, use.use, f"{use.why}; {words}")

    def _settings(self) -> Iterator[tuple[str, tuple[str, str]]]:
        columns = self.look.columns.values()
        label = next(seen for seen in columns if self._is(seen.name, LABEL))
        when = [seen for seen in columns if self._is(seen.name, TIMESTAMP)]
        if is_truth(label):
            yield "task", ("click", f"{self.called[label.name]} is 0 or 1")
        else:
            yield "task", ("rating", f"{self.called[label.name]} is a number on a scale")
        if when:
            yield (
                "split",
                (
                    "time",
                    f"the latest 15% by {self.called[when[0].name]} evaluate, as in use: the past predicts",
                ),
            )
        else:
            yield "split", ("random", "there is no timestamp: 15% of the rows are drawn to evaluate")
        gaps = [s for s in columns if s.missing and (self._is(s.name, FIELD) or self._is(s.name, DENSE))]
        if gaps:
            yield (
                "missing",
                ("keep", f"{lacking(self._gaps(gaps))}: a missing id is a value of its own, a number 0"),
            )
        else:
            yield "missing", ("refuse", "nothing is missing in the rows looked at")
        yield "bad_rows", self._bad_rows([label, *when, *(s for s in columns if self._is(s.name, DENSE))])

    def _gaps(self, columns: Collection[Seen]) -> dict[str, int]:
        return {self.called[seen.name]: seen.missing for seen in columns}

    def _bad_rows(self, needed: Collection[Seen]) -> tuple[str, str]:
        bad = [s for s in needed if s.odd or (s.missing and not self._is(s.name, DENSE))]
        reasons = [
            f"{self.called[s.name]} cannot be read in {units.plural(s.odd + s.missing, 'row')}" for s in bad
        ]
        if self.look.ragged:
            reasons.append(f"another number of columns in {units.plural(self.look.ragged, 'row')}")
        if reasons:
            return "drop", f"{'; '.join(reasons)}: left out and counted"
        return "refuse", "all rows looked at can be used"


def _say_the_same(one: Seen, other: Seen) -> bool:
    """Returns True if each value of one column goes with one value of the other, and the other way round."""
    if one.codes is None or other.codes is None or one.missing or other.missing:
        return False
    if one.distinct != other.distinct or one.is_key:
        return False
    pairs = one.codes.astype(np.int64) * (int(other.codes.max()) + 1) + other.codes
    return len(numbered(pairs)[1]) == one.distinct
