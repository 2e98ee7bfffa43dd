"""The command ``python -m bench.init``: looks at a table and writes a settings file for it."""

from __future__ import annotations

import argparse
import csv
import os
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.cli import shell
from bench.config.files import choices
from bench.config.paths import refuse_long
from bench.config.quoting import command
from bench.errors import BenchError, RequestError

if TYPE_CHECKING:  # they import NumPy, which --help saves
    from bench.proposal.looking import Look
    from bench.proposal.uses import Proposal

ROWS = 200_000
"""Rows that are looked at."""

USAGE = f"""\
Looks at a CSV, TSV or Parquet file (also .gz, .zst) and writes a settings file for it, conf/dataset/NAME.yaml below
this folder. Prints what each column is for and why, and the commands that use the file. Change in it what is wrong.

usage: python -m bench.init FILE [OPTION ...]

options:
  --label COLUMN         what is predicted, a number
  --fields A,B           the categorical columns, at least two; no other is used
  --dense C,D            the numeric columns
  --timestamp COLUMN     when; the latest rows evaluate
  --separator CHARACTER  between columns, such as ';', or tab or space
  --rows N               how many rows are looked at ({ROWS})
  --name NAME            of the data set (made from the file's name)
  --config-dir DIR       the folder of your own settings (conf)
  --force                write over the settings file, if it is there
  -h, --help             this text

The first rows decide. Rows further down are checked by the first run.
exit codes: 0 done; 1 the settings file cannot be written; 2 the request is wrong; 130 stopped. Standard error then has
one line that starts with "error:"."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command.

    Args:
        argv: the command's arguments. None for the process's own.

    Returns:
        The exit code: 0 done, 1 the settings file cannot be written, 2 the request is wrong, 130 interrupted.
    """
    return shell.run(init, argv, "nothing was written")


def init(arguments: Sequence[str]) -> int:
    """Writes the settings file that the arguments ask for, and gives the exit code.

    Args:
        arguments: the command's arguments.

    Raises:
        RequestError: the request is wrong, or the file cannot be used.
        BenchError: the settings file cannot be written.
    """
    if not arguments or {"-h", "--help"} & set(arguments):
        print(USAGE)
        return 0
    given = _parsed(arguments)
    refuse_long(given.file, "FILE")
    target = Path(given.config_dir) / "dataset" / f"{given.name}.yaml"
    if target.exists() and not given.force:
        raise RequestError(f"{target}: is there; --force writes over it, or choose another --name")
    look, found = _proposed(given)
    from bench.proposal.writing import text

    path = Path(given.file)
    path = path if given.is_below else Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would follow links
    written = text(given.name, path, look, found)
    _check(given.name, found.model, written)
    _write(target, written)
    print("\n".join(lines(given.file, look, found)))
    print(f"\nwrote {target}; change in it what is wrong, then")
    words = ["--config-dir", given.config_dir, f"dataset={given.name}", f"model={found.model}"]
    print(f"  {command('bench.run', [*words, '--plan'])}\n  {command('bench.run', words)}")
    return 0


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> Any:
        raise RequestError(f"{message}; python -m bench.init --help says more")


def _parsed(arguments: Sequence[str]) -> argparse.Namespace:
    parser = _Parser(add_help=False, allow_abbrev=False)
    parser.add_argument("file")
    for option in ("label", "fields", "dense", "timestamp", "separator", "name"):
        parser.add_argument(f"--{option}")
    parser.add_argument("--rows", default=str(ROWS))
    parser.add_argument("--config-dir", "-cd", default="conf")
    parser.add_argument("--force", action="store_true")
    given = parser.parse_intermixed_args(list(arguments))
    if not re.fullmatch(r"[1-9]\d{0,9}", given.rows):
        raise RequestError(f"--rows {given.rows}: give a whole number, at least 1")
    given.rows = int(given.rows)
    given.separator = {"tab": "\t", "\\t": "\t", "space": " "}.get(given.separator, given.separator)
    if given.separator is not None and (len(given.separator) != 1 or given.separator in '"\r\n'):
        raise RequestError(
            f"--separator {given.separator!r}: give one character, such as ';', or tab or space"
        )
    for option in ("fields", "dense"):
        setattr(given, option, _columns(option, getattr(given, option)))
    _check_once(given)
    given.name = _name(given.file, given.name)
    given.is_below = Path(os.path.abspath(given.file)).is_relative_to(Path.cwd())  # noqa: PTH100 - as above
    return given


def _columns(option: str, text: str | None) -> tuple[str, ...] | None:
    """Names of columns; one that has a comma is quoted, as in a CSV file."""
    if text is None:
        return None
    found = tuple(name for name in next(csv.reader([text], skipinitialspace=True), []) if name)
    if not found:
        raise RequestError(f"--{option} {text!r}: give names of columns, such as --{option} A,B")
    return found


def _check_once(given: argparse.Namespace) -> None:
    """Refuses a column that is named twice."""
    seen: dict[str, str] = {}
    for option in ("label", "timestamp", "fields", "dense"):
        own = getattr(given, option)
        for name in (own,) if isinstance(own, str) else own or ():
            if name in seen:
                raise RequestError(
                    f"--{option} {name}: the column is named twice, in --{seen[name]} too; name it once"
                )
            seen[name] = option


def _name(file: str, given: str | None) -> str:
    """The data set's name: the given one, or one made of the file's."""
    from bench.data.table_settings import COMPRESSED, SUFFIXES, names_of

    taken = choices("dataset")
    if given is not None:
        if not re.fullmatch(r"[A-Za-z]\w*", given, re.ASCII) or given.lower() in ("null", "true", "false"):
            raise RequestError(f"--name {given}: give letters, digits and _, a letter first")
        if given in taken:
            raise RequestError(f"--name {given}: a data set of the harness is called so; give another name")
        return given
    stem = Path(file).name
    for ending in (*COMPRESSED, *SUFFIXES):
        stem = stem[: -len(ending)] if stem.lower().endswith(ending) else stem
    made = [
        re.sub("_+", "_", name).strip("_")
        for name in names_of([stem.partition(".")[0], Path(file).parent.name])
    ]
    name = made[0] or made[1]
    if (
        not name
        or not name[0].isalpha()
        or name in taken
        or name.lower() in ("null", "true", "false", "nan", "inf")
    ):
        name = f"my_{name or 'data'}"
    return name


def _proposed(given: argparse.Namespace) -> tuple[Look, Proposal]:
    """What was seen of the file, and what is proposed. Errors call the file by its name alone."""
    from bench.data.table import MAGIC, check_file
    from bench.proposal import choosing, looking
    from bench.proposal.uses import Asked

    path = Path(given.file)
    if not path.exists() and any(letter in path.name for letter in MAGIC):
        path = next(iter(sorted(path.parent.glob(path.name))), path)
    check_file(path, str(path), "give one that is there")
    asked = Asked(given.label, given.timestamp, given.fields, given.dense)
    try:
        look = looking.look(path, given.separator, given.rows, asked.columns)
        return look, choosing.propose(look, asked)
    except RequestError as error:
        words = (
            str(error).removeprefix("dataset.path=").replace("give dataset.separator=", "give --separator ")
        )
        raise RequestError(words) from error


def _check(name: str, model: str, text: str) -> None:
    """Composes settings with the text in a folder that is removed again, so that no file is written that cannot run.

    Raises:
        RequestError: it cannot.
    """
    from bench.config import Loader, compose

    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "dataset").mkdir()
        (Path(folder) / "dataset" / f"{name}.yaml").write_text(text, "utf-8")
        compose([f"dataset={name}", f"model={model}"], Loader((folder,)))


def _write(target: Path, text: str) -> None:
    from bench.records.files import write_whole

    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        write_whole(target, text)
    except OSError as error:
        raise BenchError(
            f"{target}: cannot be written ({error.strerror}); give another folder with --config-dir"
        ) from error


def lines(file: str, look: Look, found: Proposal) -> list[str]:
    """What was seen and what is proposed, with reasons, as lines for a terminal."""
    from bench.measure import units
    from bench.proposal.describing import short

    part = "all" if look.is_all else "the first"
    first = f"{file}: {part} {units.plural(look.rows, 'row')}, {units.plural(len(look.names), 'column')}"
    if found.names is not None:
        first += "; without a header, so columns are named by what they hold"
    rows = [("column", "use", "why"), *((short(use.name), use.use, use.why) for use in found.uses)]
    form = {"quoting": ("none", "a quote that opens does not close: quotes are letters")}
    if look.form.quoting == "standard":
        form.clear()
    if look.sniffed is not None:
        form["separator"] = (repr(look.sniffed), "between columns of the first line")
    settings = [("setting", "value", "why"), *((n, *pair) for n, pair in {**form, **found.settings}.items())]
    return [first, "", *units.aligned(rows, left=3), "", *units.aligned(settings, left=3)]
