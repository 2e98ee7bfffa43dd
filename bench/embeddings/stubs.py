"""Writes ``bench/embeddings/__init__.pyi``, from which editors and type checkers read the layers' constructors.

Run ``python -m bench.embeddings.stubs`` after a method or a setting has changed. A test compares the file with the
methods.
"""

from __future__ import annotations

import inspect
import sys
import textwrap
import types
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from numpy.typing import ArrayLike

import bench.embeddings
from bench.embeddings.constructors import constructor_name, docstring, signature
from bench.embeddings.registry import names

FILE = Path(__file__).with_name("__init__.pyi")

_HEAD = '''\
"""{docstring}"""

# Written by python -m bench.embeddings.stubs: change the methods, not this file.

from collections.abc import Sequence
from typing import Any, Literal

from numpy.typing import ArrayLike

from bench.config.files import choices
from bench.embeddings.layer import CompressedEmbedding, Embedding
from bench.embeddings.registry import find, names, read, settings_class

__all__ = [
{exported}
]
'''


def stub() -> str:
    """Returns the text of the file."""
    constructors = sorted((constructor_name(method), method) for method in names())
    exported = [
        "CompressedEmbedding",
        "Embedding",
        *(name for name, _ in constructors),
        *bench.embeddings.__all__,
    ]
    listed = "\n".join(f'    "{name}",' for name in sorted(exported))
    head = _HEAD.format(docstring=bench.embeddings.__doc__, exported=listed)
    return "\n".join([head, *(_function(name, method) for name, method in constructors)])


def _function(name: str, method: str) -> str:
    lines, star = [], False
    for parameter in signature(method).parameters.values():
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY and not star:
            lines.append("*")
            star = True
        default = "" if parameter.default is parameter.empty else f" = {_literal(parameter.default)}"
        lines.append(f"{parameter.name}: {_hint(parameter.annotation)}{default}")
    listed = "".join(f"    {line},\n" for line in lines)
    text = docstring(method).replace("\\", "\\\\")
    indented = textwrap.indent(f'"""{text}\n"""', "    ")
    return f"def {name}(\n{listed}) -> CompressedEmbedding:\n{indented}\n"


def _literal(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else repr(value)


def _hint(hint: Any) -> str:
    """Returns a type as source text."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint == ArrayLike | None:
        return "ArrayLike | None"
    if origin is typing.Literal:
        return f"Literal[{', '.join(map(_literal, arguments))}]"
    if origin in (typing.Union, types.UnionType):
        return " | ".join(map(_hint, arguments))
    if origin is Sequence or getattr(origin, "__name__", "") == "Sequence":
        return f"Sequence[{_hint(arguments[0])}]"
    return "None" if hint is type(None) else "Any" if hint is Any else str(hint.__name__)


def main() -> int:
    """Writes the file."""
    FILE.write_text(stub(), encoding="utf-8")
    print(f"wrote {FILE}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
