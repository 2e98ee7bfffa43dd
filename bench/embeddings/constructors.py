"""The parameters and the docstrings of the layers' constructors, such as ``QREmbedding``.

Both follow from a method's class, its settings dataclass and their docstrings. Keras is not imported.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
import textwrap
import types
import typing
from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, Any

from numpy.typing import ArrayLike

from bench.embeddings.registry import find, names

WIDTH = 96
"""Most characters in a line of a docstring, without the indentation."""

COMMON = {
    "vocabulary_size": "Number of ids. Valid ids are 0 to vocabulary_size - 1.",
    "embedding_dim": "Width of the vectors.",
    "counts": "Training frequency of each id, integers of shape (vocabulary_size,). None: ids are sorted by falling "
    "frequency.",
    "field": "Name of the field. Messages show it, and hashes depend on it.",
    "seed": "Makes the initial values depend on this number and the field's name alone. None: Keras's global seed "
    "decides.",
    "name": "Name of the layer.",
    "dtype": "Type of the vectors, or a Keras dtype policy. None: Keras's default.",
}
"""The meaning of each parameter that all constructors have, by name."""


def constructor_name(method: str) -> str:
    """Returns the name of a method's constructor, such as ``QREmbedding``."""
    return f"{find(method).__name__}Embedding"


def by_constructor() -> dict[str, str]:
    """Returns the methods' names by the lower-case names of their constructors; no method is imported."""
    return {f"{method.replace('_', '')}embedding": method for method in names()}


def signature(method: str) -> inspect.Signature:
    """Returns the parameters of a method's constructor: those of every constructor, then the method's settings."""
    keyword, either = inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD
    common = [
        ("vocabulary_size", either, int, inspect.Parameter.empty),
        ("embedding_dim", either, int, 64),
        ("counts", keyword, ArrayLike | None, None),
        ("field", keyword, str, "ids"),
        ("seed", keyword, int | None, None),
        ("name", keyword, str | None, None),
        ("dtype", keyword, Any, None),
    ]
    settings = find(method).Settings
    hints = typing.get_type_hints(settings)  # without the bounds that Annotated adds
    fields = {field.name: field for field in dataclasses.fields(settings)}
    own = [
        (name, keyword, _given_as(hints[name]), _default(fields[name]))
        for name in inspect.signature(settings).parameters
    ]
    parameters = [
        inspect.Parameter(name, kind, default=default, annotation=hint)
        for name, kind, hint, default in (*common, *own)
    ]
    return inspect.Signature(parameters)


def docstring(method: str) -> str:
    """Returns the docstring of a method's constructor: formula, arguments, example, reference."""
    cls = find(method)
    text, sections = split_sections(inspect.cleandoc(cls.__doc__ or cls.__name__))
    documented = {**COMMON, **setting_docstrings(cls.Settings)}
    arguments = "\n".join(
        textwrap.fill(f"{name}: {documented.get(name, 'Not described.')}", WIDTH, subsequent_indent="    ")
        for name in signature(method).parameters
    )
    returns = "A ``CompressedEmbedding``: it turns integers (...) into vectors (..., embedding_dim)."
    raises = "RequestError: a setting does not work for this vocabulary and width."
    found = {"Args": arguments, "Returns": returns, "Raises": raises, **sections}
    title = inspect.cleandoc(inspect.getmodule(cls).__doc__ or "").partition("\n")[0]
    parts = [
        title,
        text,
        *(f"{title}:\n{textwrap.indent(body, '    ')}" for title, body in found.items() if body),
    ]
    return "\n\n".join(part for part in parts if part)


def split_sections(text: str) -> tuple[str, dict[str, str]]:
    """Cuts the sections ``Example`` and ``Reference`` off the end of a docstring.

    Args:
        text: the docstring, without indentation.

    Returns:
        The text before these sections, and the text of each section without indentation, by its title.
    """
    before, *parts = re.split(r"^(Example|Reference):\n", text, flags=re.MULTILINE)
    bodies = {
        title: textwrap.dedent(body).strip() for title, body in zip(parts[::2], parts[1::2], strict=True)
    }
    return before.strip(), bodies


def setting_docstrings(settings: type[Any]) -> dict[str, str]:
    """Returns the text below each field of a settings dataclass, in one line; inherited fields included."""
    found: dict[str, str] = {}
    for cls in reversed(settings.__mro__):
        if not dataclasses.is_dataclass(cls):
            continue
        node = ast.parse(textwrap.dedent(inspect.getsource(cls))).body[0]
        assert isinstance(node, ast.ClassDef)
        for line, below in pairwise(node.body):
            if isinstance(line, ast.AnnAssign) and isinstance(below, ast.Expr):
                value = getattr(below.value, "value", None)
                if isinstance(line.target, ast.Name) and isinstance(value, str):
                    found[line.target.id] = " ".join(value.split())
    return found


def _default(field: dataclasses.Field[Any]) -> Any:
    return field.default if field.default_factory is dataclasses.MISSING else field.default_factory()


def _given_as(hint: Any) -> Any:
    """Returns the type that an argument may have. A list may be given as any sequence."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        return _given_as(arguments[0])
    if origin in (typing.Union, types.UnionType):
        return typing.Union[tuple(map(_given_as, arguments))]  # noqa: UP007
    return Sequence[_given_as(arguments[0])] if origin is list else hint  # type: ignore[misc]
