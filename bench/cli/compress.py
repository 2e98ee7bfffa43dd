"""The command ``python -m bench.compress``: compresses a table that the user already has, without training."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench.cli import shell
from bench.config.paths import absolute
from bench.config.typed import shown
from bench.errors import RequestError
from bench.measure import units

if TYPE_CHECKING:  # it imports NumPy
    from bench.exporting.content import Tree

USAGE = """\
Compresses a table of vectors that you already have, without any training, into a folder for bench.serving.

usage: python -m bench.compress TABLE method=METHOD output_dir=FOLDER [budget=BUDGET] [NAME=VALUE ...]

  TABLE            a .npy file of floats, (rows, width); a .safetensors file; or a Keras model, .keras
  method=          {methods}
  budget=          bytes of the result: a share of the float32 table (0.1: ten times smaller), 12MB, or smallest
  SETTING=         a setting of the method, such as num_parts=8 (pq) or rank=16 (svd)
  output_dir=      the folder to make; it may be there if it is empty
  ids=             the rows' ids: a text file with one id a line, or a .npy file of integers (the rows' numbers)
  field=           name of the field in the export (item)
  tensor=          name of the tensor in a .safetensors file (the only one with two dimensions)
  layer=           name of the layer in a .keras file (the only embedding)
  sample=          rows whose nearest neighbours are compared before and after; 0 for none (1000)
  seed=            of all random draws, such as the starts of k-means (0)

Prints what was lost: errors of the numbers, cosines of the rows, and the share of the ten nearest neighbours that are
kept. The folder is read again in a fresh process before it is put in place. It is there whole or not at all.
exit codes: 0 done; 1 the export is not what was computed, or cannot be written; 2 the request is wrong; 130 stopped.
Standard error then has one line that starts with "error:"."""

NAMES = ("method", "budget", "output_dir", "ids", "field", "tensor", "layer", "sample", "seed")
SAMPLE = 1000

_SETTING = re.compile(r"([A-Za-z_]\w*)=(.*)", re.DOTALL)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command and gives its exit code.

    Args:
        argv: the command's arguments. None for the process's own.
    """
    return shell.run(_compress, argv, "nothing was written")


def _compress(arguments: Sequence[str]) -> int:
    if not arguments or {"-h", "--help"} & set(arguments):
        print(_usage())
        return 0
    table, given = _parsed(arguments)
    from bench.compressing import choosing
    from bench.compressing.run import Request, compress

    method = choosing.method_of(given["method"])
    own = {name: value for name, value in given.items() if name not in NAMES}
    start = Path.cwd()
    asked = Request(
        absolute(table, start, "TABLE"),
        absolute(given["output_dir"], start, "output_dir"),
        method,
        choosing.settings_of(method, own, NAMES),
        choosing.budget_of(given.get("budget")),
        absolute(given["ids"], start, "ids") if "ids" in given else None,
        given.get("field", "item"),
        given.get("tensor"),
        given.get("layer"),
        choosing.seed_of(given.get("seed", "0")),
        choosing.sample_of(given.get("sample", str(SAMPLE))),
    )
    tree = compress(asked, lambda text: print(text, file=sys.stderr, flush=True))
    for line in lines(given["output_dir"], method.name(), tree):
        print(line)
    return 0


def lines(folder: str, wanted: str, tree: Tree) -> list[str]:
    """Tells what was written, as lines for a terminal.

    Args:
        folder: the folder as it was given.
        wanted: the method that was asked for.
        tree: the manifest.
    """
    from bench.compressing.quality import Quality
    from bench.compressing.run import rows

    size, (own,) = tree["bytes"], tree["fields"].values()
    settings = "".join(f" {name}={shown(value)}" for name, value in own["settings"].items())
    found = [f"wrote {folder}: {own['size']:,} rows of width {own['dim']} by {own['method']}{settings}"]
    if own["method"] != wanted:
        found.append(
            f"{wanted} would take more bytes than the table as it is, so the table was not compressed"
        )
    numbers = [
        ("bytes before, float32", f"{size['full']:,}"),
        ("bytes after", f"{size['served']:,}"),
        ("times smaller", f"{size['full'] / size['served']:.2f}"),
        ("bytes of ids, on top", f"{size['ids']:,}"),
        *rows(Quality(**tree["reconstruction"])),
    ]
    return [*found, *(f"  {line}" for line in units.aligned(numbers, 1))]


def _usage() -> str:
    from bench.compressing.choosing import post_training

    return USAGE.format(methods=", ".join(post_training()))


def _parsed(arguments: Sequence[str]) -> tuple[str, dict[str, str]]:
    """Gives the table's file, and the settings by name."""
    given: dict[str, str] = {}
    tables: list[str] = []
    for argument in arguments:
        found = _SETTING.fullmatch(argument)
        if argument.startswith("-"):
            raise RequestError(f"{argument}: no such option; give NAME=VALUE, or --help alone")
        if found is None:
            tables.append(argument)
            continue
        name, value = found.groups()
        if name in given:
            raise RequestError(f"{argument}: {name} is given twice")
        if not value:
            raise RequestError(f"{argument}: give a value")
        given[name] = value
    if len(tables) != 1:
        named = f"{tables[1]}: a second table" if tables else "TABLE: missing"
        raise RequestError(f"{named}; give one file, such as items.npy")
    for name, example in (("method", "method=pq"), ("output_dir", "output_dir=shop")):
        if name not in given:
            raise RequestError(f"{name}=: missing; give {example}")
    return tables[0], given
