"""What changes in a module's source count, and what do not."""

from __future__ import annotations

import ast
import hashlib
import textwrap

import pytest

from bench.records.syntax import what_it_does

MODULE = '''
"""Means."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)

LIMIT: int = 3
"""The most."""


class Mean:
    """A mean."""

    decay: float = 0.9
    """Of the average."""

    def of(self, values: list[float], start: Any = None) -> float:
        """The mean of values."""
        total: float = 0.0
        for value in values[:LIMIT]:
            total += value * self.decay  # weighted
        if not values:
            raise ValueError(f"mean of {len(values)} values")
        if len(values) > LIMIT:
            log.warning("%d values, %s", len(values), "too many")
        return total / len(values)
'''


def read(source: str) -> str:
    return what_it_does(textwrap.dedent(source).encode())


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"""Means."""\n', ""),
        ('"""A mean."""', '"""Another."""'),
        ('        """The mean of values."""\n', ""),
        ('    """Of the average."""\n', ""),
        ("  # weighted", ""),
        ("total += value", "total   +=   (value)"),
        ("        if not values", "\n\n        # empty\n        if not values"),
        ('f"mean of {len(values)} values"', '"no values"'),
        ('f"mean of {len(values)} values"', '"mean of " + str(values) + " values"'),
        ('f"mean of {len(values)} values"', '"mean of {}".format(values)'),
        ('f"mean of {len(values)} values"', '"mean of %d" % len(values)'),
        ('f"mean of {len(values)} values"', '"none" if values else "some"'),
        ('values")\n', 'values") from None\n'),
        ('"%d values, %s"', '"%d numbers, %s"'),
        ('"too many"', '"more than can be used"'),
        ("log.warning", "log.info"),
        ("        if not values", '        log.info("%s", LIMIT + 1)\n        if not values'),
        ("        if not values", "        pass\n        if not values"),
        (": list[float]", ""),
        ("values: list[float], start: Any", "values: 'list[int]', start: float | None"),
        (" -> float", ""),
        ("total: float = 0.0", "total = 0.0"),
        ("LIMIT: int = 3", "LIMIT = 3"),
        ("from typing import TYPE_CHECKING, Any", "from typing import TYPE_CHECKING"),
        ("TYPE_CHECKING, Any", "TYPE_CHECKING, Any\nfrom collections.abc import Mapping"),
        ("    import pandas as pd\n", "    import numpy as np\n"),
        ("if TYPE_CHECKING:\n    import pandas as pd\n", ""),
        ("import logging", "import logging\n\n\n"),
    ],
)  # fmt: skip
def test_what_does_not_count(old: str, new: str) -> None:
    assert MODULE.count(old) == 1
    assert read(MODULE.replace(old, new)) == read(MODULE)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("LIMIT: int = 3", "LIMIT: int = 4"),
        ("values[:LIMIT]", "values[LIMIT:]"),
        ("value * self", "value / self"),
        ("total += value", "total -= value"),
        ("if not values", "if values"),
        (") > LIMIT", ") >= LIMIT"),
        ("start: Any = None", "start: Any = 0"),
        ("start: Any = None", "*, start: Any = None"),
        ("0.0", "0"),
        ("0.9", "0.90000001"),
        ("decay: float = 0.9", "decay: ClassVar[float] = 0.9"),
        ("decay: float = 0.9", "decay: Annotated[float, Range(high=2)] = 0.9"),
        ("class Mean:", "class Mean(dict):"),
        ("raise ValueError", "raise KeyError"),
        ('(f"mean of {len(values)} values")', '(f"mean of {len(values)} values", 3)'),
        ("len(values), \"too", "values.pop(), \"too"),
        ("    def of", "    @staticmethod\n    def of"),
        ("return total", "yield total"),
        ("import logging", "import logging, numpy"),
        ("        total: float = 0.0\n", ""),
    ],
)  # fmt: skip
def test_what_counts(old: str, new: str) -> None:
    assert MODULE.count(old) == 1
    assert read(MODULE.replace(old, new)) != read(MODULE)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("x = 'a'", "x = 'b'"),
        ("x = 'a'", "x = b'a'"),
        ("x = 1", "x = 1.0"),
        ("x = 1", "x = True"),
        ("x = 0.0", "x = -0.0"),
        ("x = None", "x = ..."),
        ("x = [1, 2], 3", "x = [1], 2, 3"),
        ("x = a[1:]", "x = a[:1]"),
        ("x = {**a}", "x = {a: a}"),
        ("def f(*, a, b=1): f", "def f(*, b=1, a): f"),
        ("x = f'{a}'", "x = f'{a!r}'"),
        ("x = f'{a}'", "x = f'{a:.2f}'"),
        ("from a import b", "from .a import b"),
        ("raise a", "a"),
        ("x = y = 1", "x = 1; y = 1"),
        ("if a:\n  b\nelse:\n  c", "if a:\n  b\nc"),
        ("for a in b: a", "async def f():\n  async for a in b: a"),
        ("xp.log(x)", "xp.log1p(x)"),
        ("x = log.warning('a')", "x = log.warning('b')"),
        ("log.append('a')", "log.append('b')"),
        ("if TYPE_CHECKING: a\nelse: b", "if TYPE_CHECKING: a\nelse: c"),
        ("x = error('a')", "x = error('b')"),
    ],
)
def test_what_is_told_apart(one: str, other: str) -> None:
    assert read(one) != read(other)


EVERYTHING = """
import os, a.b as c
from . import d
@c(1, *a, k=2, **e)
class A(c.D, metaclass=m):
    x: int
    y: "int" = -1
    def f(self, a, /, b=1, *args, c, d=0x10, **more): return lambda z=1, *q: (yield)
    async def g(self):
        async with a as b, c: await b
        return [i async for i in b if i if not i]
try: x, *y = {1: 2, **z}, {1, 2}, 1e-7, 2j, b"\\x00", "\\u00e9\\ud800\\t", None, ..., 10**400
except (A, B) as e: del x[1:2, ::3], y.z
else: global g
finally: assert (w := 1) < 2 <= 3 is not 4 not in 5, "no"
try: raise A(1) from b
except* C: raise
while a and b or c:
    if x: break
    elif y: continue
    else: z @= 1 // 2 << 3 % 4
match x:
    case {"a": [1, *_, b], **rest} | A(1, k=None) as w if w: pass
    case _: u"text" f"{a!r:>{w}.{p}f}b{{" "c"
s = u"text" f"{a=}{a:}" f"" rf"\\d{a:%Y}" "é"
with (a as b, c as (d, e)): t = x if y else z
"""
"""Python 3.11's syntax, above all what versions after it parse in another way."""


def test_it_is_the_same_text_in_every_version_of_python() -> None:
    text = what_it_does(EVERYTHING.encode())
    assert (
        hashlib.sha256(text.encode()).hexdigest()
        == "d69fcbb1f1491040d677dcaf09db65d4fc3660bcf7303c33239a1481b0cb8536"
    )


def test_the_message_of_an_assertion_does_not_count() -> None:
    assert read("assert a, 'b'") == read("assert a, f'{c()}'") == read("assert a") != read("assert b")


def test_what_is_not_python() -> None:
    for source in (b"def", b"a = \x00"):
        with pytest.raises((SyntaxError, ValueError)):
            what_it_does(source)


def test_the_tree_is_written_in_full() -> None:
    assert read("x = a[1:] + 'é'") == (
        "(Module body=[(Assign targets=[(Name id=\"x\")] value=(BinOp left=(Subscript value=(Name id=\"a\")"
        " slice=(Slice lower=(int 0x1))) op=(Add) right=(\"\\u00e9\")))])"
    )  # fmt: skip


def test_formatting_by_python_itself() -> None:
    assert read(ast.unparse(ast.parse(MODULE))) == read(MODULE)
