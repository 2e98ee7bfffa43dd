"""The reader of a method's settings file, ``conf/embedding/NAME.yaml``, and the messages for faults in it.

The first line of the file is ``method: NAME``. Each other line is ``SETTING: ${oc.select:SETTING,DEFAULT}``. It stands
for the value of the same name at the root of the settings, or else for the default. Every message begins with the
file's name.
"""

from __future__ import annotations

import dataclasses
import functools
import re
import typing
from pathlib import Path
from typing import Any

from bench.config.typed import Value, shown
from bench.errors import RequestError

METHODS = Path(__file__).resolve().parents[1] / "embeddings" / "methods"
"""The folder of the methods' modules."""

OF_LAYERS = {"vocabulary_size", "counts", "field", "name", "dtype"}
"""Names that the constructor of every layer uses."""

_TAKEN = "the name is taken by a setting of every run or of every layer; choose another one"
_DEFAULT = re.compile(r"\$\{oc\.select: *(\w+) *, *(.+)\}")


@functools.cache
def taken() -> frozenset[str]:
    """Lists the names that no method's setting may have: every run or the constructor of every layer uses them."""
    from bench.config.schema import Globals, Settings  # of runs; an export is loaded without it

    of_runs = {"hydra", "embeddings", *Globals.__annotations__, *Settings.__annotations__}
    return frozenset({"method", *of_runs, *OF_LAYERS})


def settings_file(method: str) -> str:
    """Gives the name of a method's settings file, as messages show it."""
    return f"conf/embedding/{method}.yaml"


def without_settings_file(method: str, folder: Path) -> str | None:
    """Gives the message for a method that has a module but no settings file. Gives None for any other name.

    Args:
        method: the name that was given.
        folder: the folder ``conf/embedding``.
    """
    if not method.isidentifier() or len(method) > 200:  # no module's name, and perhaps too long for a file's
        return None
    if not (METHODS / f"{method}.py").is_file() or (folder / f"{method}.yaml").is_file():
        return None
    if (folder / f"{method}.yml").is_file():
        return f"conf/embedding/{method}.yml: rename it to {method}.yaml; other endings are not read"
    return (
        f"bench/embeddings/methods/{method}.py: its settings file {settings_file(method)} is missing; add it"
    )


def read_defaults(path: Path) -> dict[str, Value]:
    """Reads the settings in a method's file and their defaults.

    Args:
        path: the file ``conf/embedding/NAME.yaml``.

    Raises:
        RequestError: the file is no valid settings file of the method NAME.
    """
    method, file = path.stem, settings_file(path.stem)
    lines = _lines(path, file)
    named = lines.pop("method", None)
    if named != method:
        wrong = "method: missing" if named is None else f"method: {shown(named)}: not the file's name"
        raise RequestError(f"{file}: {wrong}; give method: {method}")
    return {name: _default(file, name, value) for name, value in lines.items()}


def _lines(path: Path, file: str) -> dict[str, object]:
    import yaml
    from omegaconf import OmegaConf  # takes a tenth of a second; the search for a method does not need it
    from omegaconf.errors import OmegaConfBaseException

    try:
        lines: Any = OmegaConf.to_container(OmegaConf.load(path), resolve=False)
    except OmegaConfBaseException:  # an interpolation is broken: the message of _default names it
        lines = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        reason = getattr(error, "problem", None) or str(error)
        raise RequestError(f"{file}{where}: no valid YAML ({' '.join(str(reason).split())})") from error
    except (OSError, UnicodeDecodeError) as error:
        raise RequestError(f"{file}: cannot be read as text ({error})") from error
    if not isinstance(lines, dict):
        raise RequestError(f"{file}: no lines of the form NAME: VALUE; begin with method: {path.stem}")
    return {str(name): value for name, value in lines.items()}


def _default(file: str, name: str, value: Any) -> Value:
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    if name in taken():
        raise RequestError(f"{file}: {name}: {_TAKEN}")
    found = _DEFAULT.fullmatch(value.strip()) if isinstance(value, str) else None
    if not found or found[1] != name:
        default = found[2].strip() if found else "DEFAULT" if "${" in str(value) else shown(value)
        raise RequestError(f"{file}: {name}: {shown(value)}: give ${{oc.select:{name},{default}}}")
    try:
        resolved = OmegaConf.to_container(OmegaConf.create({"method": {name: value}}), resolve=True)
    except OmegaConfBaseException as error:
        reason = " ".join(str(error.msg or error).split())
        raise RequestError(f"{file}: {name}: {value}: no valid default ({reason})") from error
    read: Value = typing.cast(Any, resolved)["method"][name]
    return read


def check_names(file: str, cls: type[Any]) -> None:
    """Refuses a settings dataclass with a name of ``taken``, or with a setting that has no default.

    Args:
        file: the module of the method.
        cls: the dataclass.

    Raises:
        RequestError: a name is taken, or a default is missing. The message names the setting.
    """
    for field in dataclasses.fields(cls):
        if field.name in taken():
            raise RequestError(f"{file}: {cls.__name__}.{field.name}: {_TAKEN}")
        if field.default is field.default_factory is dataclasses.MISSING:
            raise RequestError(f"{file}: {cls.__name__}.{field.name}: no default; give one")
