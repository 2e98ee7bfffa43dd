"""The options of ``python -m bench.run``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

from bench.errors import RequestError

MEASURE = "--plan=measure"
"""The option that plans runs with times from a few steps of each strategy."""


@dataclass(frozen=True)
class Options:
    """The arguments of a command.

    Attributes:
        argv: all arguments, as they were typed.
        overrides: the arguments that are settings.
        config_dirs: the user's own folders of settings.
        help: print the help.
        version: print versions.
        multirun: run all combinations of comma-separated values.
        plan: print what each run would be in place of running. ``records``: with times from records alone. ``measure``:
            also from a few steps of each strategy.
        cfg: print the settings (``job``, ``hydra`` or ``all``) in place of running.
        resolve: print the settings resolved.
        package: print this part of the settings.
        info: print the sources of the settings.
    """

    argv: tuple[str, ...]
    overrides: tuple[str, ...]
    config_dirs: tuple[str, ...]
    help: bool
    version: bool
    multirun: bool
    plan: str | None
    cfg: str | None
    resolve: bool
    package: str | None
    info: str | None

    @property
    def shows(self) -> bool:
        """True if the command prints settings in place of running."""
        return bool(self.cfg or self.info)


def parse(argv: Sequence[str]) -> Options:
    """Reads a command's arguments.

    Raises:
        RequestError: an option does not exist, or two options exclude each other.
    """
    parser = _Parser(add_help=False, allow_abbrev=False)
    parser.add_argument("overrides", nargs="*")
    parser.add_argument("--help", "-h", action="store_true")
    parser.add_argument("--version", action="store_true")
    parser.add_argument("--multirun", "-m", action="store_true")
    parser.add_argument("--plan", action="store_const", const="records")
    parser.add_argument(MEASURE, action="store_const", const="measure", dest="plan")
    parser.add_argument("--cfg", "-c", choices=["job", "hydra", "all"])
    parser.add_argument("--resolve", action="store_true")
    parser.add_argument("--package", "-p")
    parser.add_argument(
        "--info", "-i", nargs="?", const="all",
        choices=["all", "config", "defaults", "defaults-tree", "plugins", "searchpath"],
    )  # fmt: skip
    parser.add_argument("--config-dir", "-cd", action="append", default=[], dest="config_dirs")
    for text in argv:
        if text.startswith("--plan=") and text != MEASURE:
            raise RequestError(f"{text}: give --plan or {MEASURE}; --help lists all options")
    found = vars(parser.parse_intermixed_args(list(argv)))
    overrides, config_dirs = tuple(found.pop("overrides")), tuple(found.pop("config_dirs"))
    options = Options(tuple(argv), overrides, config_dirs, **found)
    if (options.resolve or options.package) and not options.cfg:
        raise RequestError("--resolve and --package go with --cfg only; --help lists all options")
    if options.plan and options.shows:
        raise RequestError("--plan, --cfg and --info: give one of them; --help lists all options")
    if options.multirun + bool(options.cfg) + bool(options.info) > 1:
        raise RequestError("--multirun, --cfg and --info: give one of them; --help lists all options")
    return options


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise RequestError(f"{message}; --help lists all options")
