"""What columns are for, with the reasons; what the user has said of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

FIELD, DENSE, LABEL, TIMESTAMP, LEFT_OUT = "field", "dense", "label", "timestamp", "left out"


@dataclass(frozen=True)
class Asked:
    """What the user has said of the columns; None for what is to be chosen.

    Attributes:
        label: what is predicted.
        timestamp: when.
        fields: the categorical columns.
        dense: the numeric columns.
    """

    label: str | None = None
    timestamp: str | None = None
    fields: tuple[str, ...] | None = None
    dense: tuple[str, ...] | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns that are named, if they are all that is needed; else none."""
        if self.label is None or self.fields is None:
            return ()
        return (*self.fields, *(self.dense or ()), self.label, *([self.timestamp] if self.timestamp else ()))


@dataclass(frozen=True)
class Use:
    """What a column is for.

    Attributes:
        name: of the column.
        use: ``field``, ``dense``, ``label``, ``timestamp`` or ``left out``.
        why: in words.
    """

    name: str
    use: str
    why: str


@dataclass(frozen=True)
class Proposal:
    """Settings of a table, each with its reason.

    Attributes:
        uses: of all columns that were looked at, in order.
        names: of all columns of a file without a header, chosen by what they hold; else None.
        user_field: the field of users, or None.
        item_field: the field of items, or None.
        transforms: by column.
        settings: ``task``, ``split``, ``missing`` and ``bad_rows``, each with its reason.
        hour_parts: True if parts of the timestamp could be fields.
    """

    uses: Sequence[Use]
    names: Sequence[str] | None
    user_field: str | None
    item_field: str | None
    transforms: Mapping[str, str]
    settings: Mapping[str, tuple[str, str]]
    hour_parts: bool

    def columns(self, use: str) -> list[str]:
        """The columns of a use."""
        return [one.name for one in self.uses if one.use == use]

    @property
    def model(self) -> str:
        """A model that takes these columns."""
        return "dot" if len(self.columns(FIELD)) == 2 and not self.columns(DENSE) else "neumf"
