"""Methods by name: the list of them, and the class of each."""

from __future__ import annotations

import functools
import inspect
from types import ModuleType
from typing import Any

from bench.config import slips
from bench.config.files import CONF, choices
from bench.config.method_file import METHODS, check_names, read_defaults, settings_file, without_settings_file
from bench.config.typed import Tree, build, nearest, sizes
from bench.embeddings.base import Method
from bench.errors import RequestError


def names() -> list[str]:
    """Lists the names of all methods: those with a settings file in ``conf/embedding``."""
    return choices("embedding")


def modules() -> list[str]:
    """Lists the names of all modules in ``bench/embeddings/methods``, sorted."""
    return sorted(path.stem for path in METHODS.glob("*.py") if path.stem != "__init__")


@functools.cache
def find(name: str) -> type[Method[Any]]:
    """Finds the class of a method.

    Args:
        name: the method's name, such as ``qr``.

    Raises:
        RequestError: the name is unknown, or the method's module is not valid; the message names the file.
    """
    method = unjudged(name)
    _check_class(method)
    return method


@functools.cache
def unjudged(name: str) -> type[Method[Any]]:
    """Finds the class of a method as its module has it. It may lack what a method needs.

    An export is loaded so: what it was trained with has been judged, and judging takes as long as the rest of loading.

    Raises:
        RequestError: the name is unknown, or the module cannot be imported or has no such class.
    """
    if name not in names():
        missing = without_settings_file(name, CONF / "embedding")
        known = f"{nearest(name, names())}; there are {', '.join(names())}"
        raise RequestError(missing or f"embedding method {name} does not exist{known}")
    module = slips.module("bench.embeddings.methods", name, settings_file(name))
    return _class_in(module, name)


@functools.cache
def checked(name: str) -> type[Method[Any]]:
    """Finds the class of a method, and checks the method's two files.

    It compares the settings file with the settings class, and tries the method on a few ids. This takes a few
    milliseconds, so that a command can check the methods that it uses.

    Raises:
        RequestError: what is wrong in one of the two files, with the file's name.
    """
    from bench.embeddings.trial import try_out

    method = find(name)
    defaults = read_defaults(CONF / "embedding" / f"{name}.yaml")
    slips.compare(settings_file(name), method.Settings, defaults, "embedding", refine=sizes)
    with slips.blamed(slips.file_of(method.__module__)):
        try_out(method)
    return method


def settings_class(name: str) -> type[Any]:
    """Checks a method's two files, and returns the dataclass that takes its settings.

    Raises:
        RequestError: the method is unknown, or something is wrong in its files.
    """
    cls: type[Any] = checked(name).Settings
    return cls


def read(spec: Tree) -> tuple[type[Method[Any]], Any]:
    """Returns the method and the settings that a mapping names.

    Example:
        >>> method, settings = read({"method": "qr", "num_buckets": 120})

    Args:
        spec: ``method``, the method's name, and any of its settings.

    Raises:
        RequestError: the method or a setting is unknown, or a value has the wrong type.
    """
    values = dict(spec)
    method = find(str(values.pop("method", None)))
    return method, build(method.Settings, values, refine=sizes)


def _class_in(module: ModuleType, name: str) -> type[Method[Any]]:
    file = slips.file_of(module.__name__)
    defined = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Method) and value.__module__ == module.__name__
    ]
    named = [value for value in defined if value.__name__.lower() == name.replace("_", "")]
    if not defined:
        raise RequestError(f"{file}: no subclass of Method; write class {_camel(name)}(Method[...])")
    if len(named or defined) > 1:
        found = ", ".join(value.__name__ for value in defined)
        raise RequestError(f"{file}: several methods ({found}); name one of them {_camel(name)}")
    return (named or defined)[0]


def _check_class(method: type[Method[Any]]) -> None:
    """Refuses a class without settings or without a part that every method has."""
    file = slips.file_of(method.__module__)
    if not hasattr(method, "Settings"):
        raise RequestError(
            f"{file}: {method.__name__} has no Settings; write a dataclass {method.__name__}Settings, and "
            f"Settings = {method.__name__}Settings in the class"
        )
    check_names(file, slips.check_dataclass(file, method.Settings, sizes))
    if lacking := sorted(method.__abstractmethods__):
        raise RequestError(f"{file}: {method.__name__} lacks {', '.join(lacking)}; every method has them")
    for part, other in (("is_due", "change"), ("rounded", "after_update"), ("served", "serve")):
        if _overrides(method, part) and not _overrides(method, other):
            raise RequestError(f"{file}: {method.__name__} has {part} and lacks {other}; write both")
    for part in vars(Method):
        if part.startswith("_") or not _overrides(method, part) or not callable(getattr(Method, part)):
            continue
        _check_signature(f"{file}: {method.__name__}.{part}", getattr(Method, part), getattr(method, part))


def _overrides(method: type[Method[Any]], part: str) -> bool:
    return inspect.getattr_static(method, part) is not inspect.getattr_static(Method, part)


def _check_signature(where: str, declared: Any, own: Any) -> None:
    """Refuses a part of a method that cannot be called as ``Method`` says."""
    if not callable(own):
        raise RequestError(f"{where}: not a method; write def {where.rpartition('.')[2]}{_shown(declared)}")
    wanted = [p for p in inspect.signature(declared).parameters.values() if p.default is p.empty]
    try:
        inspect.signature(own).bind(*wanted)
    except TypeError as error:
        raise RequestError(f"{where}: takes {_shown(own)}, and is called with {_shown(declared)}") from error


def _shown(function: Any) -> str:
    return f"({', '.join(inspect.signature(function).parameters)})"


def _camel(name: str) -> str:
    return name.title().replace("_", "")
