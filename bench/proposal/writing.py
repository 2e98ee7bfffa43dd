"""The settings file of a proposal."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.data.base import DataSettings
from bench.proposal.looking import Look
from bench.proposal.uses import DENSE, FIELD, LABEL, LEFT_OUT, TIMESTAMP, Proposal, Use

_PLAIN = re.compile(r"[A-Za-z][\w ./-]*[\w./-]|[A-Za-z]", re.ASCII)
_WORDS = ("true", "false", "null", "yes", "no", "on", "off", "y", "n", "nan", "inf")


def text(name: str, path: Path, look: Look, found: Proposal) -> str:
    """The settings file as YAML, with a comment on each line that says why.

    Args:
        name: of the data set.
        path: the file, as a run is to find it.
        look: what was seen of it.
        found: what is proposed.
    """
    return "\n".join(_lines(name, path, look, found)) + "\n"


def _lines(name: str, path: Path, look: Look, found: Proposal) -> Iterator[str]:
    part = "all its" if look.is_all else "its first"
    yield f"# {_comment(path.name)}: proposed by bench.init from {part} {look.rows:,} rows; change what is wrong"
    yield from ("defaults:", "  - table   # dataset/table.yaml: the settings that are not below")
    yield from ("  - _self_  # the values below", "")
    yield f"name: {scalar(name)}  # what results call it"
    relative = "" if path.is_absolute() else "; a relative path begins in the folder where a command starts"
    yield f"path: {scalar(str(path))}  # the file{relative}"
    yield from _form(look, found)
    yield "fields:  # the categorical columns: each has an embedding table"
    yield from _items(found, FIELD)
    if found.columns(DENSE):
        yield "dense:  # the numeric columns"
        yield from _items(found, DENSE)
    for use in found.uses:
        if use.use in (LABEL, TIMESTAMP):
            yield f"{use.use}: {scalar(use.name)}  # {_comment(use.why)}"
    for role, of in (("user", "the split last"), ("item", "the error by popularity")):
        own = getattr(found, f"{role}_field")
        if own is not None:
            yield f"{role}_field: {scalar(own)}  # the field of {role}s: {of} needs it"
    if found.transforms:
        pairs = ", ".join(f"{scalar(column)}: {transform}" for column, transform in found.transforms.items())
        yield f"transforms: {{{pairs}}}  # log1p: ln(1 + max(x, 0))"
    yield from _settings(found)
    yield from _notes(found)


def _form(look: Look, found: Proposal) -> Iterator[str]:
    if look.sniffed is not None:
        yield f"separator: {scalar({chr(9): 'tab', ' ': 'space'}.get(look.sniffed, look.sniffed))}  # between columns"
    if look.form.quoting == "none":
        yield "quoting: none  # quotes are letters: one that opens does not close"
    if found.names is not None:
        yield "header: false  # the first row looks like those that follow"
        yield f"names: [{', '.join(map(scalar, found.names))}]  # the columns, named by what they hold"


def _items(found: Proposal, use: str) -> Iterator[str]:
    for one in found.uses:
        if one.use == use:
            yield f"  - {scalar(one.name)}  # {_comment(one.why)}"


def _settings(found: Proposal) -> Iterator[str]:
    task, why = found.settings["task"]
    if "task" in DataSettings.__dataclass_fields__:
        yield f"task: {task}  # {_comment(why)}"
    kind, why = found.settings["split"]
    yield from ("split:", f"  kind: {kind}  # {_comment(why)}")
    for name in ("missing", "bad_rows"):
        value, why = found.settings[name]
        yield f"{name}: {value}  # {_comment(why)}"


def _notes(found: Proposal) -> Iterator[str]:
    left: Sequence[Use] = [use for use in found.uses if use.use == LEFT_OUT]
    if left:
        yield from ("", "# Left out:")
        yield from (f"#   {_comment(use.name)}: {_comment(use.why)}" for use in left)
    if found.hour_parts:
        column = found.columns(TIMESTAMP)[0]
        yield from ("", "# Hour, weekday and weekend as fields: add the timestamp to the fields, and")
        yield f"# transforms: {{{_comment(column)}: hour_parts}}"


def scalar(value: str) -> str:
    """A text as YAML, also within brackets, which neither YAML nor OmegaConf takes for something else."""
    if _PLAIN.fullmatch(value) and value.lower() not in _WORDS:
        return value
    escaped = re.sub(r"(\\*)\$\{", lambda found: 2 * found[1] + r"\${", value)  # no interpolation
    return '"' + "".join(map(_letter, escaped)) + '"'


def _letter(letter: str) -> str:
    """A letter within YAML's double quotes."""
    if letter in '"\\':
        return f"\\{letter}"
    return letter if letter.isprintable() else f"\\U{ord(letter):08x}"


def _comment(words: str) -> str:
    """Words as a part of a comment: YAML refuses what cannot be printed."""
    return "".join(letter if letter.isprintable() else "?" for letter in " ".join(words.split()))
