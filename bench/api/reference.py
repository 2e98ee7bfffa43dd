"""Writes ``docs/reference.md`` from the code: ``python -m bench.api.reference``, which ``make generate`` calls.

A test compares the page with the code.
"""

from __future__ import annotations

import ast
import contextlib
import importlib
import inspect
import io
import re
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

from bench.api import listed
from bench.config.files import PACKAGE
from bench.embeddings.constructors import COMMON

PAGE = PACKAGE.parent / "docs" / "reference.md"

COMMANDS = ("init", "export", "serve", "compress", "results", "prepared", "track")
"""Commands that have their settings in ``--help`` alone."""

PUBLIC = {
    "bench.api": ("run", "sweep", "results", "load", "Run"),
    "bench.serving": ("load", "Tables", "ServingError", "UnknownId"),
    "bench.embeddings": ("Embedding", "CompressedEmbedding", "find", "names", "read", "settings_class"),
}
"""The packages for code of one's own, and their names in the order of the page."""

PLACES = {"Embedding": "layer", "CompressedEmbedding": "layer"}
"""Modules of names that a package finds when they are used."""

HIDDEN = ("build", "call", "compute_output_shape", "compute_output_spec", "get_config", "from_config")
"""Methods that Keras calls."""

LONGEST = 100
"""Most characters of a signature in one line."""

_SECTIONS = ("Args", "Attributes", "Returns", "Raises", "Example")

_HEAD = """\
# Reference

Every setting with its default and the values it takes, and every public function. `make generate` makes this page of
the code. [settings.md](settings.md) says how settings are given, and [own-code.md](own-code.md) how functions are used.

## Settings of a run

`python -m bench.run NAME=VALUE ...` takes them, with `-m` several values of each. Some choose a file of `conf/`:

"""

_METHODS = """
## Methods and their settings

Each is a strategy, the method of one field (`embedding@embeddings.FIELD=NAME`), and a layer of `bench.embeddings`. The
settings below are those of all three. [methods.md](methods.md#all-methods) has papers, formulas and bytes.
A layer also takes:

"""

_REPORT = """
## Settings of a report

`python -m bench.report NAME=VALUE ...` takes them.

"""

Function = ast.FunctionDef | ast.AsyncFunctionDef


def page() -> str:
    """Gives the text of the page."""
    lines = [
        *_HEAD.splitlines(),
        *listed.of_choices(),
        *listed.of_runs(),
        *_METHODS.splitlines(),
        *(f"- `{name}`: {text}" for name, text in COMMON.items()),
        *listed.of_methods(),
        *_REPORT.splitlines(),
        *listed.of_reports(),
        "",
        "## Other commands",
    ]
    for name in COMMANDS:
        lines += ["", f"### `python -m bench.{name}`", "", "```", *_help(name).splitlines(), "```"]
    for package, names in PUBLIC.items():
        lines += ["", f"## Package `{package}`", "", *text(importlib.import_module(package).__doc__ or "")]
        for name in names:
            lines += _described(package, name)
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _help(command: str) -> str:
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        importlib.import_module(f"bench.cli.{command}").main(["--help"])
    return said.getvalue().rstrip()


def _described(package: str, name: str) -> Iterator[str]:
    """Gives the lines on a function or a class, from its source: nothing slow is imported for its sake."""
    node = _defined(package, name)
    yield from ("", f"### `{package}.{name}`", "")
    doc = ast.get_docstring(node) or ""
    if isinstance(node, ast.ClassDef):
        yield from text(doc)
        for inner in node.body:
            if isinstance(inner, Function) and not inner.name.startswith("_") and inner.name not in HIDDEN:
                yield from ("", f"#### `{name}.{inner.name}`", "", *_signature(inner))
                yield from text(ast.get_docstring(inner) or "")
    else:
        yield from _signature(node)
        yield from text(doc)


def _defined(package: str, name: str) -> Function | ast.ClassDef:
    """Finds the definition of a name that a package exports.

    Raises:
        LookupError: there is none.
    """
    if name in PLACES:
        place = PACKAGE / package.removeprefix("bench.") / f"{PLACES[name]}.py"
    else:
        found = inspect.getsourcefile(inspect.unwrap(getattr(importlib.import_module(package), name)))
        place = Path(found or "")
    for node in ast.parse(place.read_text(encoding="utf-8")).body:
        if isinstance(node, Function | ast.ClassDef) and node.name == name:
            return node
    raise LookupError(f"{package}.{name}")


def _signature(node: Function) -> Iterator[str]:
    if any(isinstance(one, ast.Name) and one.id == "property" for one in node.decorator_list):
        yield from ("A property.", "")
        return
    found = [one for one in _parts(ast.unparse(node.args)) if one != "self"]
    parameters = [re.sub(r"^(\w+: [^=]+)=", r"\1 = ", one) for one in found]
    end = f") -> {ast.unparse(node.returns)}" if node.returns else ")"
    line = f"{node.name}({', '.join(parameters)}{end}"
    if len(line) > LONGEST:
        line = "\n".join([f"{node.name}(", *(f"    {one}," for one in parameters), end])
    yield from ("```python", *line.splitlines(), "```", "")


def _parts(parameters: str) -> Iterator[str]:
    """Cuts parameters at the commas that are in no bracket."""
    depth, start = 0, 0
    for place, letter in enumerate(parameters):
        depth += (letter in "([{") - (letter in ")]}")
        if letter == "," and not depth:
            yield parameters[start:place].strip()
            start = place + 1
    if parameters[start:].strip():
        yield parameters[start:].strip()


def text(doc: str) -> Iterator[str]:
    """Turns a docstring in Google's style into Markdown."""
    parts = re.split(rf"^({'|'.join(_SECTIONS)}):\n", inspect.cleandoc(doc), flags=re.MULTILINE)
    yield from (listed.plain(line) for line in parts[0].strip().splitlines())
    for title, body in zip(parts[1::2], parts[2::2], strict=True):
        text = textwrap.dedent(body).strip()
        yield ""
        if title == "Example" and ">>>" in text:
            yield from (
                "```python",
                *(re.sub(r"  # doctest:.*", "", line) for line in text.splitlines()),
                "```",
            )
        elif title in ("Returns", "Example"):
            yield from f"{title}: {listed.plain(text)}".splitlines()
        else:
            yield from (f"{title}:", "")
            for line in text.splitlines():
                found = re.match(r"(\**\w+): (.*)", line)
                yield (
                    f"- `{found[1]}`: {listed.plain(found[2])}"
                    if found
                    else f"  {listed.plain(line.strip())}"
                )


def main() -> int:
    """Writes the page."""
    PAGE.write_text(page(), encoding="utf-8")
    print(f"wrote {PAGE}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
