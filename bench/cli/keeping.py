"""The parts that the commands share that list what is kept, and remove some of it."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.config.files import CONF
from bench.config.paths import absolute
from bench.errors import RequestError

AGES = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


def parser(command: str) -> argparse.ArgumentParser:
    """Gives a parser of an action, filters, ``--older-than`` and ``--yes``, whose errors are a RequestError.

    Args:
        command: the name behind ``python -m``, for messages.
    """

    class Parser(argparse.ArgumentParser):
        def error(self, message: str) -> Any:
            raise RequestError(f"{message}; python -m {command} --help says more")

    made = Parser(add_help=False, allow_abbrev=False)
    made.add_argument("action")
    made.add_argument("filters", nargs="*")
    made.add_argument("--older-than", default="")
    made.add_argument("--yes", action="store_true")
    return made


def age(text: str) -> float:
    """Gives the seconds of an age such as ``12h`` or ``30d``; 0 for an empty text.

    Raises:
        RequestError: it is no age.
    """
    if not text:
        return 0.0
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhdw])", text)
    if found is None:
        raise RequestError(f"--older-than {text}: give a number and a unit, as 90s, 45m, 12h, 30d or 8w")
    return float(found[1]) * AGES[found[2]]


def folder(setting: str, given: str | None) -> Path:
    """Gives the folder that a setting names, or its default in ``conf/config.yaml``."""
    from omegaconf import OmegaConf

    defaults: Any = OmegaConf.load(CONF / "config.yaml")
    return absolute(given or str(defaults[setting]), Path.cwd(), setting)


def agreed(what: str, yes: bool, ask: Callable[[str], str]) -> bool:
    """Asks before something is removed, and gives the answer.

    Args:
        what: is to be removed.
        yes: the answer is known.
        ask: a function that asks a question on the terminal and gives the answer.

    Raises:
        RequestError: there is no terminal to ask on.
    """
    if yes:
        return True
    if not sys.stdin.isatty() and ask is input:
        raise RequestError(f"remove: asks before it removes {what}, and here is no terminal; add --yes")
    if ask(f"Remove {what}? [y/N] ").strip().lower() in ("y", "yes"):
        return True
    print("nothing was removed")
    return False
