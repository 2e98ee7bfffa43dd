"""The manifest of an export, ``export.json``: what was exported, how it is served, and what each file holds."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.config.parts import MOST_PARTS, PARTS
from bench.config.typed import build, sizes
from bench.embeddings.base import MAX_IDS, Method, Vocabulary
from bench.embeddings.registry import unjudged
from bench.errors import BenchError
from bench.serving import checked, files, formats
from bench.serving.checked import Tree
from bench.serving.errors import ServingError
from bench.serving.layout import FIELDS, FORMAT_VERSION, IDS, MANIFEST, Stored, digest

LONGEST_KEY = 64
"""Most bytes of an id that is stored at a fixed width."""

MOST_DIM, MOST_NUMBER, MOST_FIELDS, MOST_LETTERS = 1 << 16, 1 << 48, 1 << 16, 1 << 13
"""Largest width of vectors, largest number in settings, most fields, and most letters of settings."""

KINDS = ("none", "range", "integers", "text", "long_text")
"""Kinds of ids: not known, a range of integers, integers, text up to 64 bytes, and any text."""

_NAME = re.compile(r"[^/\x00-\x1f\x7f]{1,200}")
_SUM = re.compile(r"[0-9a-f]{64}")
_TRANSFORM = re.compile(r"none|ln2_bucket|hour_parts|hash:[1-9]\d{0,8}")
_TOP = {
    "format_version", "bench_version", "fingerprint", "run", "fields", "model", "dense", "bytes", "promise", "files",
    "formats", "left_out", "digest", "reconstruction", "shared",
}  # fmt: skip
_RECONSTRUCTION = {
    "rmse", "relative_error", "cosine_mean", "cosine_p1", "zero_rows", "queries", "neighbours", "recall_inner_product",
    "recall_cosine",
}  # fmt: skip


@dataclass(frozen=True)
class Ids:
    """How the ids of a field are stored.

    Attributes:
        kind: one of ``KINDS``.
        count: number of ids.
        first: of a range, the first id.
        row: the row of the first id, where no rows are stored: the ids' rows ascend from it.
        mapped: True if the row of each id is stored.
        width: of ``text``, bytes of an id.
        nbytes: of ``long_text``, bytes of all ids.
    """

    kind: str
    count: int = 0
    first: int = 0
    row: int = 0
    mapped: bool = False
    width: int = 0
    nbytes: int = 0

    def stored(self, field: str) -> list[Stored]:
        """Lists the arrays that hold the ids."""
        place = f"{IDS}/{field}"
        found = {
            "integers": [Stored(f"{place}/keys", "int64", (self.count,))],
            "text": [Stored(f"{place}/keys", "uint8", (self.count, self.width))],
            "long_text": [
                Stored(f"{place}/ends", "int64", (self.count,)),
                Stored(f"{place}/text", "uint8", (self.nbytes,)),
            ],
        }.get(self.kind, [])
        return [*found, Stored(f"{place}/rows", "int32", (self.count,))] if self.mapped else found


@dataclass(frozen=True)
class Entry:
    """A field of an export.

    Attributes:
        name: name of the field.
        size: number of rows.
        dim: width of the vectors.
        method: the name of the method that trained.
        settings: the method's settings.
        ids: how the ids are stored.
        unknown_row: the row of all ids that are not known, or None.
        column: the column of the data that holds the ids.
        part: the part of the column by its ending, for ``hour_parts``.
        transform: what is made of a value before it is an id.
        keeps_missing: True if a missing id is an id of its own, the empty text.
        from_text: True if the data are text, in which a missing value is the empty text.
    """

    name: str
    size: int
    dim: int
    method: str
    settings: Tree
    ids: Ids
    unknown_row: int | None
    column: str
    part: str = ""
    transform: str = "none"
    keeps_missing: bool = False
    from_text: bool = False

    def form(self, vocabulary: Vocabulary) -> Method[Any]:
        """Makes the description that serves.

        Args:
            vocabulary: of the field, or of all fields that share its table.

        Raises:
            ServingError: the method is none of ours, or its settings do not work.
        """
        where = f"export.json: field {self.name!r}"
        try:
            method = unjudged(self.method)
        except BenchError:
            raise ServingError(f"{where}: {self.method!r} is no method of this version") from None
        try:
            settings = build(method.Settings, dict(self.settings), refine=sizes)
            form = method(vocabulary, self.dim, settings).served()
            if max([1, *(array.nbytes for array in form.arrays())]) > MOST_NUMBER:
                raise ValueError("its arrays are too large")
            return form
        except Exception as error:  # whatever a method makes of settings that no export has
            reason = " ".join(str(error).split())[:300]
            raise ServingError(f"{where}: these settings of {self.method} do not work ({reason})") from None

    def stored(self, form: Method[Any]) -> list[Stored]:
        """Lists the arrays of the field in the file: those that serve, then the ids.

        Those that several fields share are with the first one.
        """
        vocabulary = form.vocabulary
        place = f"{FIELDS}/{vocabulary.name}"
        served = [Stored(f"{place}/{array.name}", array.dtype, array.shape) for array in form.arrays()]
        return [*(served if vocabulary.members[0].name == self.name else []), *self.ids.stored(self.name)]


@dataclass(frozen=True)
class Dense:
    """A numeric column.

    Attributes:
        column: its name in the data.
        is_log: True if ``log1p`` is applied.
        keeps_missing: True if a missing number is 0.
    """

    column: str
    is_log: bool = False
    keeps_missing: bool = False


@dataclass(frozen=True)
class Head:
    """The model over the vectors.

    Attributes:
        name: name of the model.
        settings: its settings.
        label_range: the smallest and the largest label of the output's scale; None for logits.
    """

    name: str
    settings: Tree
    label_range: tuple[float, float] | None


@dataclass(frozen=True)
class File:
    """A file of an export: its size in bytes and its SHA-256."""

    nbytes: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """All of ``export.json`` that serving reads.

    Attributes:
        fields: the fields, in the order of the model.
        dense: the numeric columns, in order.
        head: the model; None if it is not exported.
        files: the files by name.
        left_out: what was left out, with the reason.
        tree: the whole content.
        formats: the further formats by name. Nothing here reads them.
        shared: the fields that share a table, by the name of the group.
    """

    fields: Mapping[str, Entry]
    dense: tuple[Dense, ...]
    head: Head | None
    files: Mapping[str, File]
    left_out: Mapping[str, str]
    tree: Tree
    formats: Mapping[str, formats.Format] = field(default_factory=dict)
    shared: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def forms(self) -> dict[str, Method[Any]]:
        """Makes the description that serves each field. Fields that share a table have the same one.

        Raises:
            ServingError: a method is none of ours, or its settings do not work.
        """
        found: dict[str, Method[Any]] = {}
        group_of = {name: group for group in self.shared.values() for name in group}
        for name, entry in self.fields.items():
            if name not in found:
                group = group_of.get(name, [name])
                found |= dict.fromkeys(group, entry.form(_joined([self.fields[one] for one in group])))
        return {name: found[name] for name in self.fields}


def read(folder: Path) -> Manifest:
    """Reads and checks an export's manifest.

    Raises:
        ServingError: it is missing, of another version, altered, or describes what no export has.
    """
    tree = files.read_json(folder, MANIFEST)
    version = tree.get("format_version")
    if type(version) is not int or version != FORMAT_VERSION:
        raise ServingError(
            f"{folder / MANIFEST}: format version {str(version)[:40]}; this version of bench.serving reads "
            f"{FORMAT_VERSION}: install the version that wrote it, or export again"
        )
    if checked.text(tree, "digest") != _digest(tree):
        raise ServingError(f"{folder / MANIFEST}: altered since it was written; export again")
    if unknown := tree.keys() - _TOP:
        raise ServingError(f"export.json: {min(unknown)[:80]!r} is no key of format version {FORMAT_VERSION}")
    try:
        return _manifest(tree)
    except (TypeError, ValueError, OverflowError) as error:
        if isinstance(error, ServingError):
            raise
        raise ServingError(f"export.json: {' '.join(str(error).split())[:300]}") from None


def _digest(tree: Tree) -> str:
    try:
        return digest(tree)
    except (ValueError, RecursionError):
        return ""


def _manifest(tree: Tree) -> Manifest:
    fields = {name: _entry(name, own) for name, own in checked.mapping(tree, "fields").items()}
    if not 1 <= len(fields) <= MOST_FIELDS:
        raise ServingError(f"export.json: {len(fields)} fields")
    dense = [_dense(own) for own in checked.items(tree, "dense")]
    model = tree.get("model")
    listed = {name: _file(name, own) for name, own in checked.mapping(tree, "files").items()}
    if "reconstruction" in tree:
        _check_reconstruction(checked.mapping(tree, "reconstruction"))
    return Manifest(
        fields,
        tuple(dense),
        None if model is None else _head(checked.of(model, dict, "model")),
        listed,
        {name: str(reason) for name, reason in checked.mapping(tree, "left_out").items()},
        tree,
        formats.read(checked.mapping(tree, "formats"), {name: own.nbytes for name, own in listed.items()}),
        _shared(checked.mapping(tree, "shared"), fields) if "shared" in tree else {},
    )


def _shared(groups: Tree, fields: Mapping[str, Entry]) -> dict[str, list[str]]:
    """Refuses groups of fields that cannot share a table."""
    found: dict[str, list[str]] = {}
    for name, listed in groups.items():
        where = f"shared.{name[:80]!r}"
        members = [str(one) for one in checked.of(listed, list, where)]
        taken = [one for group in found.values() for one in group]
        own = [entry for one, entry in fields.items() if one in members and one not in taken]
        if len(own) < 2 or [entry.name for entry in own] != members:
            raise ServingError(f"export.json: {where}: give two fields or more, each once, in their order")
        if any(
            (one.method, one.settings, one.dim) != (own[0].method, own[0].settings, own[0].dim) for one in own
        ):
            raise ServingError(f"export.json: {where}: fields of several methods or settings")
        if name in fields or name != _joined(own).name:
            raise ServingError(f"export.json: {where}: not the name of these fields together")
        found[name] = members
    return found


def _joined(fields: Sequence[Entry]) -> Vocabulary:
    return Vocabulary.joined([Vocabulary(one.name, one.size) for one in fields])


def _check_reconstruction(own: Tree) -> None:
    """Refuses what ``bench.compress`` does not write of the errors of a table. Serving does not use it."""
    checked.only(own, _RECONSTRUCTION, "reconstruction")
    for name, value in own.items():
        if value is not None and type(value) not in (int, float):
            raise ServingError(f"export.json: reconstruction: {name} is no number")


def _entry(name: str, tree: Any) -> Entry:
    where = f"fields.{name[:80]!r}"
    if not _NAME.fullmatch(name):
        raise ServingError(f"export.json: {where}: no name of a field")
    own = checked.of(tree, dict, where)
    known = {"size", "dim", "method", "settings", "ids", "unknown_row", "column", "part", "transform",
             "keeps_missing", "from_text"}  # fmt: skip
    checked.only(own, known, where)
    size = checked.whole(own, "size", 1, MAX_IDS, where)
    unknown_row = (
        None if own.get("unknown_row") is None else checked.whole(own, "unknown_row", 0, size - 1, where)
    )
    transform, part = checked.text(own, "transform", where), checked.text(own, "part", where)
    if not _TRANSFORM.fullmatch(transform) or part not in ("", "_weekday", "_weekend"):
        raise ServingError(f"export.json: {where}: {transform[:40]!r} is no transform of this version")
    settings = checked.mapping(own, "settings", where)
    _bounded(settings, where)
    return Entry(
        name, size, checked.whole(own, "dim", 1, MOST_DIM, where), checked.text(own, "method", where), settings,
        _ids(checked.mapping(own, "ids", where), size, where), unknown_row,
        checked.text(own, "column", where), part, transform,
        checked.flag(own, "keeps_missing", where), checked.flag(own, "from_text", where),
    )  # fmt: skip


def _ids(own: Tree, size: int, where: str) -> Ids:
    checked.only(own, set(Ids.__annotations__), where)
    kind = checked.text(own, "kind", where)
    if kind not in KINDS:
        raise ServingError(f"export.json: {where}: {kind[:40]!r} is no kind of ids")
    found = Ids(
        kind, checked.whole(own, "count", 0, size, where), checked.whole(own, "first", -(2**63), 2**63 - 1, where),
        checked.whole(own, "row", 0, size, where), checked.flag(own, "mapped", where),
        checked.whole(own, "width", 0, LONGEST_KEY, where), checked.whole(own, "nbytes", 0, MOST_NUMBER, where),
    )  # fmt: skip
    wrong = (
        (kind == "none" and found.count)
        or (kind in ("none", "range") and found.mapped)
        or (not found.mapped and found.row + found.count > size)
        or (kind == "range" and found.first + found.count > 2**63)
        or ((kind == "text") != (found.width > 0))
    )
    if wrong:
        raise ServingError(f"export.json: {where}: ids that do not fit {size} rows")
    return found


def _dense(tree: Any) -> Dense:
    own = checked.of(tree, dict, "dense")
    checked.only(own, set(Dense.__annotations__), "dense")
    return Dense(checked.text(own, "column"), checked.flag(own, "is_log"), checked.flag(own, "keeps_missing"))


def _head(own: Tree) -> Head:
    checked.only(own, set(Head.__annotations__), "model")
    settings = checked.mapping(own, "settings", "model")
    _bounded(settings, "model")
    scale = own.get("label_range")
    if scale is None:
        return Head(checked.text(own, "name", "model"), settings, None)
    ends = [float(end) for end in checked.of(scale, list, "model.label_range") if type(end) in (int, float)]
    if len(scale) != 2 or len(ends) != 2:
        raise ServingError("export.json: model.label_range: give two numbers")
    return Head(checked.text(own, "name", "model"), settings, (ends[0], ends[1]))


def _file(name: str, tree: Any) -> File:
    files.check_name(name)
    own = checked.of(tree, dict, f"files.{name}")
    found = File(checked.whole(own, "bytes", 0, MOST_NUMBER, "files"), checked.text(own, "sha256", "files"))
    if not _SUM.fullmatch(found.sha256):
        raise ServingError(f"export.json: files.{name}: no SHA-256")
    return found


def _bounded(settings: Tree, where: str) -> None:
    """Refuses settings that could only serve to make work before the arrays are compared with them."""
    text = json.dumps(settings)
    if len(text) > MOST_LETTERS:
        raise ServingError(f"export.json: {where}: settings of {len(text)} letters")
    for name, value in settings.items():
        numbers = value if isinstance(value, list) else [value]
        most = MOST_PARTS if name in PARTS else MOST_NUMBER
        if any(isinstance(number, int | float) and abs(number) > most for number in numbers):
            raise ServingError(f"export.json: {where}: {name[:80]!r} is above {most}")
