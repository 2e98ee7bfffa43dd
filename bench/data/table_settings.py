"""The settings of a user's own table. This module imports nothing that takes time."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path
from typing import Literal

from bench.config.typed import Value, nearest, shown
from bench.data.base import DataSettings
from bench.errors import RequestError

ROLES = ("label", "timestamp")
"""Columns of a table that are no categorical field."""

SEPARATORS = {".csv": ",", ".tsv": "\t"}
SUFFIXES = (*SEPARATORS, ".parquet")
"""Endings of the files that a table is read from; each may be followed by one of ``COMPRESSED``."""

COMPRESSED = {".gz": "gzip", ".zst": "zstd"}
"""Compressions by the ending of a file."""

TAKEN = ("default", "dense_columns")
"""Names that no field has: of the method of all fields, ``embeddings.default``, and of the input of numeric columns."""

HOUR_ENDINGS = ("", "_weekday", "_weekend")
"""Endings of the names of the fields that the transform ``hour_parts`` makes."""


@dataclass(frozen=True)
class Form:
    """The form of a CSV or TSV file.

    Attributes:
        separator: between columns; None for the usual one of the file's ending, or a ``;`` or tab in its header line.
        quoting: ``standard``: ``"`` quotes a field. ``none``: it is a letter.
        header: True if the first row names the columns.
        names: of the columns of a file without a header; None for ``0``, ``1``, ...
    """

    separator: str | None = None
    quoting: Literal["standard", "none"] = "standard"
    header: bool = True
    names: Sequence[str] | None = None


@dataclass(frozen=True)
class TableSettings(DataSettings):
    """Settings of a user's own table.

    Attributes:
        path: the file, or a pattern or list of files of one form.
        train_path: the file of the rows that train, in place of ``path`` and a split.
        validation_path: the file of the rows that validate, beside ``train_path``, or None.
        evaluation_path: the file of the rows that evaluate, beside ``train_path``.
        fields: the categorical columns; they replace those of ``columns``. None for those of ``columns``.
        dense: the numeric columns.
        label: the column that is predicted, or None for that of ``columns``.
        timestamp: the column of times, or None for that of ``columns``.
        user_field: the field that ``dataset.split.kind=last`` and errors by user go by; None for ``user``.
        item_field: the field that errors by popularity go by; None for ``item``.
        columns: the file's column for ``label``, for ``timestamp`` (or None), and for every categorical field
            by the field's name.
        separator: see ``Form``.
        quoting: see ``Form``.
        header: see ``Form``.
        names: see ``Form``.
        missing: of a missing id or number: ``refuse`` the table, ``drop`` the row, or ``keep`` it: a missing id is a
            value of its own, a missing number is 0.
        bad_rows: ``refuse`` a table with rows that cannot be used, or ``drop`` them.
        transforms: what is made of a column, by its name: ``none``, ``log1p`` (of a numeric one), ``ln2_bucket``,
            ``hour_parts`` or ``hash:ROWS`` (of a categorical one); see ``bench.data.transforms``.
        obtain: where the files are to be had and under which terms, said if one is missing; or None.
    """

    path: Path | list[Path] | None
    columns: dict[str, Value]
    bad_rows: Literal["refuse", "drop"]
    _: KW_ONLY
    train_path: Path | None = None
    validation_path: Path | None = None
    evaluation_path: Path | None = None
    fields: list[str] | None = None
    dense: list[str] | None = None
    label: str | None = None
    timestamp: str | None = None
    user_field: str | None = None
    item_field: str | None = None
    separator: str | None = None
    quoting: Literal["standard", "none"] = "standard"
    header: bool = True
    names: list[str] | None = None
    missing: Literal["refuse", "drop", "keep"] = "refuse"
    transforms: dict[str, Value] = field(default_factory=dict)
    obtain: str | None = None

    def __post_init__(self) -> None:
        """Refuses what the settings alone show to be wrong."""
        super().__post_init__()
        self._check_columns()
        self._check_paths()
        if self.names is not None and self.header:
            raise RequestError(
                f"dataset.names={shown(self.names)}: the file has a header line; add dataset.header=false if not"
            )
        separator = self.form.separator
        if separator is not None and (len(separator) != 1 or separator in '"\r\n'):
            raise RequestError(
                f"dataset.separator={self.separator!r}: give one character, such as ';', or tab or space"
            )
        for role, name in (("user_field", self.user_field), ("item_field", self.item_field)):
            if name is not None and name not in self.categorical:
                there = ", ".join(self.categorical)
                raise RequestError(
                    f"dataset.{role}={name}: no such field{nearest(name, self.categorical)} (there are: {there})"
                )
        if self.split.needs_timestamps and self.times is None and self.train_path is None:
            raise RequestError(
                f"dataset.split.kind={self.split.kind}: the rows have no timestamps; name their column with "
                "dataset.timestamp= or dataset.columns.timestamp=, or choose random"
            )
        if (
            self.split.kind == "last"
            and self.train_path is None
            and not (self.user_field or "user" in self.categorical)
        ):
            raise RequestError(
                f"dataset.split.kind=last: needs the field of users, and there are {', '.join(self.categorical)}; name "
                "it with dataset.user_field=, or choose random or time"
            )

    @property
    def validates(self) -> bool:
        """True if rows are set apart for early stopping and search."""
        return self.validation_path is not None or super().validates

    @property
    def field_names(self) -> tuple[str, ...]:
        """The names of the categorical fields."""
        return tuple(self.categorical)

    @property
    def users(self) -> str | None:
        """The name of the field of users, or None."""
        name = self.user_field or "user"
        return name if name in self.categorical else None

    @property
    def dense_dim(self) -> int:
        """The number of dense columns."""
        return len(self.dense or ())

    @property
    def categorical(self) -> dict[str, str]:
        """The file's categorical columns by field."""
        return {name: column for name, (column, _) in self.parts.items()}

    @property
    def parts(self) -> dict[str, tuple[str, str]]:
        """The column of each field, and the part of it by one of ``HOUR_ENDINGS``, which is empty for all of it."""
        return {
            name + ending: (column, ending)
            for name, column in zip(names_of(self._named), self._named.values(), strict=True)
            for ending in (HOUR_ENDINGS if self.transforms.get(column) == "hour_parts" else ("",))
        }

    @property
    def _named(self) -> dict[str, str]:
        """The file's categorical columns by what the settings call them."""
        if self.fields is not None:
            return dict(zip(self.fields, self.fields, strict=True))
        return {role: str(own) for role, own in self.columns.items() if role not in ROLES and own is not None}

    @property
    def target(self) -> str | None:
        """The column that is predicted."""
        given = self.label if self.label is not None else self.columns.get("label")
        return None if given is None else str(given)

    @property
    def times(self) -> str | None:
        """The column of times."""
        given = self.timestamp if self.timestamp is not None else self.columns.get("timestamp")
        return None if given is None else str(given)

    @property
    def form(self) -> Form:
        """The form of the file."""
        named = {"tab": "\t", "\\t": "\t", "space": " "}
        separator = None if self.separator is None else named.get(self.separator, self.separator)
        return Form(separator, self.quoting, self.header, self.names)

    @property
    def fixed(self) -> dict[str, Path]:
        """The files of the parts by ``train``, ``validation`` and ``evaluation``; empty for a table that is split."""
        own = {
            "train": self.train_path,
            "validation": self.validation_path,
            "evaluation": self.evaluation_path,
        }
        return {part: path for part, path in own.items() if path is not None}

    @property
    def paths(self) -> list[Path]:
        """The files, or patterns of files, of a table that is split."""
        return self.path if isinstance(self.path, list) else [] if self.path is None else [self.path]

    def name_of(self, column: str) -> str:
        """The setting that names a column, with its value, for messages."""
        for setting, own in (("label", self.label), ("timestamp", self.timestamp)):
            if own == column:
                return f"dataset.{setting}={column}"
        for setting, listed in (("fields", self.fields), ("dense", self.dense)):
            if column in (listed or ()):
                return f"dataset.{setting}=[...,{column},...]"
        role = next((role for role, own in self.columns.items() if str(own) == column), "?")
        return f"dataset.columns.{role}={column}"

    def _check_columns(self) -> None:
        for role, column in self.columns.items():
            if column is None and role in ("user", "item", "label") and self._uses(role):
                raise RequestError(f"dataset.columns.{role}=null: give the name of a column in dataset.path")
            if column is not None and (
                not isinstance(column, str | int) or isinstance(column, bool) or str(column) == ""
            ):
                raise RequestError(f"dataset.columns.{role}={shown(column)}: give the name of a column")
        if self.target is None or not self.categorical:
            raise RequestError(
                f"dataset.columns={shown(self.columns)}: name a column for label and for one field or more, "
                "as 'dataset.fields=[A,B]' dataset.label=C"
            )
        ids = self.fields or list(self._named.values())
        seen: set[str] = set()
        for column in (*ids, *(self.dense or ()), str(self.target), *([self.times] if self.times else ())):
            time_of_a_field = column == self.times and column in ids and column != self.target
            if column in seen and not time_of_a_field:
                raise RequestError(f"{self.name_of(column)}: the column is named twice; name another")
            seen.add(column)
        self._check_transforms(ids)

    def _check_transforms(self, ids: Sequence[str]) -> None:
        for column, transform in self.transforms.items():
            numeric, setting = column in (self.dense or ()), f"dataset.transforms.{column}={shown(transform)}"
            if column not in ids and not numeric:
                there = [*ids, *(self.dense or ())]
                raise RequestError(f"{setting}: no column of a field or a number{nearest(column, there)}")
            known = ("none", "log1p") if numeric else ("none", "ln2_bucket", "hour_parts", "hash:ROWS")
            hashes = not numeric and re.fullmatch(r"hash:[1-9]\d{0,8}", str(transform))
            if transform not in known[:3] and not hashes:
                kind = "numeric" if numeric else "categorical"
                raise RequestError(f"{setting}: of a {kind} column give {', '.join(known)}")

    def _uses(self, role: str) -> bool:
        return self.label is None if role == "label" else self.fields is None

    def _check_paths(self) -> None:
        if self.fixed and self.path is not None:
            raise RequestError(
                f"dataset.path={shown(str(self.path))}: the files of the parts are given too; give dataset.path= or "
                "dataset.train_path= and dataset.evaluation_path="
            )
        if self.fixed and not {"train", "evaluation"} <= self.fixed.keys():
            lacking = "train" if "train" not in self.fixed else "evaluation"
            raise RequestError(
                f"dataset.{lacking}_path=null: give it too; dataset.validation_path may be missing"
            )
        if not self.fixed and not self.paths:
            raise RequestError(f"dataset.path=null: give a file that ends in {endings()}")
        for path in (*self.paths, *self.fixed.values()):
            if suffix(path) not in SUFFIXES and self.separator is None:
                raise RequestError(
                    f"dataset.path={path}: an unknown kind of file; give one that ends in {endings()}, or the "
                    "separator of its columns, such as dataset.separator=';'"
                )


def names_of(columns: Iterable[str]) -> list[str]:
    """The fields' names of columns: each other letter than ``A-Z a-z 0-9 _`` becomes ``_``, without accents.

    A name that another column has already gets a number: ``a b`` and ``a_b`` become ``a_b`` and ``a_b_2``.
    """
    import unicodedata

    names: list[str] = []
    for column in columns:
        letters = unicodedata.normalize("NFKD", column)
        plain = "".join(letter for letter in letters if not unicodedata.combining(letter))
        base = name = re.sub(r"[^A-Za-z0-9_]", "_", plain)
        number = 1
        while name in (*names, *TAKEN):
            number += 1
            name = f"{base}_{number}"
        names.append(name)
    return names


def suffix(path: Path) -> str:
    """The ending of a table's file in small letters, without that of a compression."""
    name = path.name.lower()
    for ending in COMPRESSED:
        name = name.removesuffix(ending)
    return Path(name).suffix


def endings() -> str:
    """The endings of tables' files, in words."""
    return ", ".join(SUFFIXES) + f", or in one of these and {' or '.join(COMPRESSED)}"
