"""What clients ask: JSON or octets, checked before anything is looked up."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn, get_args

import numpy as np

from bench.serving import ServingError, Tables, UnknownId
from bench.serving.columns import Unknown

JSON, OCTETS = "application/json", "application/octet-stream"

KEYS = {"lookup": ("field", "ids", "unknown"), "predict": ("columns", "unknown")}
"""Keys of the JSON object of each request."""

KINDS = {"lookup": (JSON, OCTETS), "predict": (JSON,)}
"""Media types of the body of each request."""

_UNKNOWN = get_args(Unknown)
_ID, _VALUE = (str, int, float, type(None)), (str, int, float, bool, type(None))


class Refused(Exception):  # noqa: N818 - an answer, not a mistake in the code
    """A request that gets no numbers.

    Args:
        status: status code of HTTP.
        message: one line.
        close: True ends the connection, as the body was not read whole.
    """

    def __init__(self, status: int, message: str, close: bool = False) -> None:
        super().__init__(message)
        self.status, self.close = status, close


@dataclass(frozen=True)
class Asked:
    """A request, as far as it decides the answer.

    Attributes:
        kind: media type of the body.
        query: names and values behind the question mark, in order.
        body: the body.
        max_ids: most ids or rows.
    """

    kind: str
    query: tuple[tuple[str, str], ...]
    body: bytes
    max_ids: int


Given = Mapping[str, Any]
"""The body of a request, as JSON has it: values of any type by name."""

Answer = Callable[[Tables, Asked], np.ndarray]
"""Computes what a request asks for, float32 (n, embedding_dim) or (n,)."""


def lookup(tables: Tables, asked: Asked) -> np.ndarray:
    """Looks up vectors, float32 (n, embedding_dim).

    Raises:
        Refused: the request is wrong, or an id is not known.
    """
    given = _octets(asked) if asked.kind == OCTETS else _tree(asked, "lookup")
    field, ids, unknown = _text(given, "field", tables.fields), given.get("ids"), _unknown(given)
    if not isinstance(ids, np.ndarray):
        _check_list("ids", ids, _ID, "text and whole numbers", asked.max_ids)
    return _answered(lambda: tables.lookup(field, ids, unknown))


def predict(tables: Tables, asked: Asked) -> np.ndarray:
    """Computes the model's output, float32 (n,).

    Raises:
        Refused: the request is wrong, or an id is not known.
    """
    given = _tree(asked, "predict")
    columns, unknown = given.get("columns"), _unknown(given)
    if not isinstance(columns, dict) or not columns:
        raise Refused(422, 'columns: give an object of a list by column, such as {"user": [42], "item": [7]}')
    for name, values in columns.items():
        _check_list(
            f"columns: {_short(name)}", values, _VALUE, "text, numbers, true, false and null", asked.max_ids
        )
    return _answered(lambda: tables.predict(columns, unknown))


def _answered(answer: Callable[[], np.ndarray]) -> np.ndarray:
    try:
        return answer()
    except UnknownId as error:
        raise Refused(404, str(error).removesuffix("; see known()")) from None  # of the Python interface
    except ServingError as error:
        raise Refused(422, str(error)) from None


def _tree(asked: Asked, what: str) -> Given:
    """Reads the body as an object of JSON with the keys of such a request."""
    known = KEYS[what]
    if asked.kind != JSON:
        raise Refused(
            415, f"content-type: {_short(asked.kind) or 'missing'}; give {' or '.join(KINDS[what])}"
        )
    if asked.query:
        raise Refused(422, f"{_short(asked.query[0][0])}: with JSON there is no query; put it into the body")
    try:
        tree = json.loads(asked.body.decode("utf-8"), object_pairs_hook=_once, parse_constant=_no_number)
    except Refused:
        raise
    except (ValueError, RecursionError) as error:
        raise Refused(400, f"the body is no valid JSON ({' '.join(str(error).split())[:200]})") from None
    if not isinstance(tree, dict):
        raise Refused(422, f"the body: give an object with {', '.join(known)}")
    if other := tree.keys() - set(known):
        raise Refused(422, f"{_short(min(other))}: no such key; the keys are {', '.join(known)}")
    return tree


def _octets(asked: Asked) -> Given:
    """Reads the body as int64 of little-endian order, and the rest from the query."""
    given: dict[str, object] = {}
    for name, value in asked.query:
        if name not in ("field", "unknown"):
            raise Refused(422, f"{_short(name)}: no such name; the query has field= and unknown=")
        if name in given:
            raise Refused(422, f"{name}: given twice")
        given[name] = value
    count, rest = divmod(len(asked.body), 8)
    if rest:
        raise Refused(400, f"the body has {len(asked.body)} bytes; ids are little-endian int64, 8 bytes each")
    if count > asked.max_ids:
        raise Refused(413, _too_many("ids", count, asked.max_ids))
    return {**given, "ids": np.frombuffer(asked.body, "<i8")}


def _text(given: Given, key: str, choices: tuple[str, ...]) -> str:
    found = given.get(key)
    if not isinstance(found, str):
        raise Refused(422, f"{key}: give one of {', '.join(choices)[:200]}")
    return found


def _unknown(given: Given) -> Unknown:
    found: Unknown = given.get("unknown", "error")
    if found not in _UNKNOWN:
        raise Refused(422, f"unknown: {_short(found)}; give {', '.join(_UNKNOWN)}")
    return found


def _check_list(name: str, values: Any, kinds: tuple[type, ...], what: str, most: int) -> None:
    if not isinstance(values, list):
        raise Refused(422, f"{name}: give a list of {what}")
    if len(values) > most:
        raise Refused(413, _too_many(name, len(values), most))
    if other := {type(value) for value in values}.difference(kinds):
        place = next(place for place, value in enumerate(values) if type(value) in other)
        raise Refused(422, f"{name}: number {place} is {_short(values[place])}; give a list of {what}")


def _too_many(name: str, count: int, most: int) -> str:
    return f"{name}: {count:,} of them; at most {most:,} in one request (max_ids= of the server)"


def _short(value: object) -> str:
    if isinstance(value, list | dict):  # it may be deep
        return "a list" if isinstance(value, list) else "an object"
    text = value[:80] if isinstance(value, str) else json.dumps(value)[:80]
    return text if text.isprintable() else repr(text)


def _once(pairs: list[tuple[str, Any]]) -> Given:
    found = dict(pairs)
    if len(found) != len(pairs):
        counts = Counter(name for name, _ in pairs)
        twice = max(counts, key=counts.__getitem__)
        raise Refused(400, f"{_short(twice)}: given twice in one object")
    return found


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")
