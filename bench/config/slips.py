"""Checks that a settings file and the Python module that reads it agree, for those who add a part to the project.

Every message begins with the file to correct. The checks serve models, data sets and methods. The checks that only the
settings file of a method needs are in ``bench.config.method_file``.
"""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from bench.config import files
from bench.config.typed import Tree, Value, checked, group, hints, nearest, plain, shown
from bench.errors import BenchError, RequestError


def file_of(module: str) -> str:
    """The file of a module of ``bench`` as messages name it, such as ``bench/models/dot.py``."""
    return f"{module.replace('.', '/')}.py"


def module(package: str, name: str, file: str) -> ModuleType:
    """Imports the module of a choice.

    Args:
        package: the package of such modules, such as ``bench.models``.
        name: the choice's name.
        file: the choice's settings file, as messages name it.

    Raises:
        RequestError: the module is missing, or an error was raised while it was imported.
    """
    full = f"{package}.{name}"
    if not name.isidentifier():
        raise RequestError(
            f"{file}: a name has letters, digits and _ only; rename the file, and its module alike"
        )
    if importlib.util.find_spec(full) is None:
        raise RequestError(f"{file}: its module {file_of(full)} is missing; write it, or remove the file")
    with blamed(file_of(full)):
        return importlib.import_module(full)


@contextmanager
def blamed(file: str) -> Iterator[None]:
    """Turns an error inside the block into one line with the file, and with the line number if that is known.

    Args:
        file: the path of the file to correct, relative to the project's folder.

    Raises:
        RequestError: an error was raised inside. Errors for the user pass unchanged.
    """
    try:
        yield
    except BenchError:
        raise
    except SyntaxError as error:
        raise RequestError(
            f"{files.shown(Path(error.filename or file))}, line {error.lineno}: {error.msg}"
        ) from error
    except Exception as error:
        import traceback

        frames = traceback.extract_tb(error.__traceback__)
        own = [frame.lineno for frame in frames if files.shown(Path(frame.filename)) == file]
        where = f"{file}, line {own[-1]}" if own else file
        raise RequestError(f"{where}: {type(error).__name__}: {' '.join(str(error).split())}") from error


@contextmanager
def said_of(file: str) -> Iterator[None]:
    """Puts the name of a settings file before the message of a RequestError inside the block.

    Raises:
        RequestError: the same error, with the file's name.
    """
    try:
        yield
    except RequestError as error:
        raise RequestError(f"{file}: {error}") from None


def need_dataclass(found: ModuleType) -> type[Any]:
    """Gives a module's dataclass ``Settings``.

    Raises:
        RequestError: the class is missing, is no dataclass, or has a type that no setting can have.
    """
    file, cls = file_of(found.__name__), getattr(found, "Settings", None)
    if cls is None:
        raise RequestError(
            f"{file}: the dataclass Settings is missing; write one, without fields if there are none"
        )
    return check_dataclass(file, cls)


def check_dataclass(file: str, cls: object, refine: Callable[[Any], Any] = lambda hint: hint) -> type[Any]:
    """Refuses an object that is no dataclass of settings.

    Args:
        file: the file that defines the dataclass.
        cls: the dataclass.
        refine: a function that narrows the type hint of a setting.

    Raises:
        RequestError: the object is no dataclass, it has a type that no setting can have, or a default does not have
            its setting's type.
    """
    name = getattr(cls, "__name__", repr(cls))
    if not isinstance(cls, type) or not dataclasses.is_dataclass(cls):
        raise RequestError(f"{file}: {name} is no dataclass; write @dataclass above it")
    try:
        types = hints(cls, refine)
    except Exception as error:
        raise RequestError(f"{file}: {name}: a type cannot be read ({error}); import its parts") from error
    for field in dataclasses.fields(cls):
        default = _default(field)
        if default is dataclasses.MISSING:
            continue
        try:
            checked(field.name, default, types[field.name])
        except TypeError as error:
            raise RequestError(
                f"{file}: {name}.{field.name}: {error}; use int, float, bool, str, Literal, a list of them, or one "
                "of them | None"
            ) from error
        except RequestError as error:
            raise RequestError(f"{file}: {name}: the default {error}") from None
    return cls


def need_function(found: ModuleType, name: str, parameters: str) -> None:
    """Refuses a module without a function that can be called with these parameters.

    Args:
        found: the module.
        name: the function's name.
        parameters: the parameters' names, separated by commas as in a definition.

    Raises:
        RequestError: the function is missing, or takes other parameters.
    """
    file, function = file_of(found.__name__), getattr(found, name, None)
    if not callable(function):
        raise RequestError(f"{file}: the function {name} is missing; write def {name}({parameters})")
    signature = inspect.signature(function)
    try:
        signature.bind(*parameters.split(", "))
    except TypeError as error:
        own = ", ".join(signature.parameters)
        raise RequestError(
            f"{file}: {name}({own}) cannot be called; write def {name}({parameters})"
        ) from error


def compare(
    file: str,
    cls: type[Any],
    defaults: Tree,
    config_group: str,
    prefix: str = "",
    refine: Callable[[Any], Any] = lambda hint: hint,
) -> None:
    """Refuses a settings file that does not agree with its dataclass.

    Args:
        file: the settings file, as messages name it.
        cls: the dataclass that takes the file's settings.
        defaults: the settings in the file, unresolved.
        config_group: the file's config group, such as ``dataset``.
        prefix: the text before each name in messages, with its dot.
        refine: a function that narrows the type hint of a setting.

    Raises:
        RequestError: only the file or only the dataclass has a setting, a default has the wrong type, or the file and
            the dataclass have different defaults.
    """
    types, owner = hints(cls, refine), f"{cls.__name__} in {file_of(cls.__module__)}"
    own = {field.name: _default(field) for field in dataclasses.fields(cls) if field.init}
    for name in defaults:
        if name not in own:
            raise RequestError(f"{file}: {prefix}{name}: {owner} has no such setting{nearest(name, own)}")
    for name, default in own.items():
        if name not in defaults:
            raise RequestError(
                f"{file}: {prefix}{name} is missing; {_advice(config_group, name, types[name], default)}"
            )
        given, nested = defaults[name], group(types[name])
        if nested is not None and isinstance(given, Mapping):
            compare(file, nested, given, f"{config_group}/{name}", f"{prefix}{name}.")
        else:
            _judge(file, f"{prefix}{name}", given, types[name])
        # the files of data sets of one kind differ
        if config_group == "dataset" or default is dataclasses.MISSING or _is_open(given):
            continue
        if given != plain(default):
            raise RequestError(
                f"{file}: {prefix}{name}: its default is {shown(given)}, and {shown(plain(default))} in {owner}; "
                "give both the same"
            )


def _judge(file: str, name: str, value: Value, hint: Any) -> None:
    """Refuses a default of the wrong type."""
    if group(hint) is not None and value is not None:
        raise RequestError(f"{file}: {name}: {shown(value)}: give its settings below it, one a line")
    if group(hint) is None and not _is_open(value):
        with said_of(f"{file}: the default"):
            checked(name, value, hint)


def _is_open(value: Value) -> bool:
    """Returns True if the user must give the value (``???``), or if it is an interpolation."""
    return isinstance(value, str) and (value == "???" or "${" in value)


def _advice(config_group: str, name: str, hint: Any, default: Any) -> str:
    cls = group(hint)
    if config_group == "embedding":
        return f"add {name}: ${{oc.select:{name},{shown(plain(default))}}}"
    if cls is None:
        return f"add {name}: {'VALUE' if default is dataclasses.MISSING else shown(plain(default))}"
    if (files.CONF / config_group / name).is_dir():
        return (
            f"add `- {name}: default` to its defaults, or the settings {', '.join(hints(cls))} below {name}"
        )
    return f"add {', '.join(hints(cls))} below {name}"


def _default(field: dataclasses.Field[Any]) -> Any:
    return field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
