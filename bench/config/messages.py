"""Messages for the errors of Hydra and OmegaConf: one line with the setting, its value, and a remedy."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf.errors import OmegaConfBaseException

from bench.config.checking import REQUIRED
from bench.config.composing import SETTINGS_GROUP, Choices, Loader
from bench.config.files import CONF, options
from bench.config.method_file import without_settings_file
from bench.config.names import no_field, slots, stranger
from bench.config.secrets import without_password
from bench.config.typed import nearest, shown
from bench.errors import BenchError, RequestError, line

LAUNCHER_EXTRAS = {"submitit_local": "slurm", "submitit_slurm": "slurm", "ray": "ray"}
"""Launchers that are plugins of Hydra, each with the extra that installs it."""


@contextmanager
def explained(overrides: Sequence[str], by: Loader) -> Iterator[None]:
    """Turns an error that Hydra raises inside the block, while it composes ``overrides``, into one line.

    Raises:
        RequestError: the error that was raised inside, explained.
    """
    try:
        _refuse_choices(overrides)
        yield
    except BenchError:
        raise
    except Exception as error:
        raise RequestError(without_password(str(explain(error, overrides, by)))) from error


def _refuse_choices(overrides: Sequence[str]) -> None:
    """Refuses overrides for which Hydra has no clear message, such as strategy=null and ~dataset."""
    for override in overrides:
        name, _, value = override.partition("=")
        group = name.lstrip("~+").partition("@")[0]
        if name.lstrip("~+") == "hydra.searchpath":
            raise RequestError(f"{override}: give a folder of your own settings as --config-dir FOLDER")
        if group == SETTINGS_GROUP:
            listed = ", ".join(options("strategy"))
            raise RequestError(f"{override}: a strategy brings them; choose strategy={listed}")
        if not name or group not in _groups() or not (name[0] == "~" or value.strip() in ("", "null")):
            continue
        why = "needed;" if name.lstrip("~+") in REQUIRED else "cannot be emptied; leave it out or"
        raise RequestError(f"{override}: {why} choose one of {', '.join(options(group))}")


def explain(error: Exception, overrides: Sequence[str], by: Loader) -> RequestError:
    """Gives the error to show in place of an error of Hydra or OmegaConf.

    Args:
        error: the error that was raised.
        overrides: the overrides as they were given.
        by: the loader, which knows the names that exist.
    """
    if isinstance(error, OverrideParseException):
        return RequestError(
            f"{_line(error.override)}: cannot be read as NAME=VALUE; quote a value that holds spaces, "
            "commas, equal signs, quotes, brackets or letters such as é, as 'NAME=\"...\"'"
        )
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        return RequestError(_missing(error.missing_cfg_file, error.options, overrides))
    text = str(error)
    for pattern, message in _PATTERNS.items():
        found = re.search(pattern, text)
        if found:
            return RequestError(message(found, overrides, by))
    # Under a debugger OmegaConf's errors have a cause too, which names the setting no more.
    root = error if isinstance(error, OmegaConfBaseException) else error.__cause__
    if isinstance(root, OmegaConfBaseException):
        return RequestError(_omegaconf(root, overrides))
    if type(error).__module__.startswith("yaml"):
        return RequestError(f"a file of settings cannot be read as YAML: {_line(error)}")
    return RequestError(f"{' '.join(overrides) or 'settings'}: {_line(error)}; see --help")


def _line(error: object) -> str:
    return line(error) or type(error).__name__


def _given(name: str, overrides: Sequence[str]) -> str:
    """The override that sets ``name``, as it was given, or else the bare name."""
    for override in overrides:
        if override.lstrip("+~").partition("=")[0] == name:
            return override
    return name


def _value(name: str, overrides: Sequence[str]) -> str:
    return _given(name, overrides).partition("=")[2]


def _missing(path: str, known: Sequence[str] | None, overrides: Sequence[str]) -> str:
    group, _, name = path.rpartition("/")
    listed = sorted(known) if known else options(group)
    given = next(
        (override for override in overrides if re.split("[@=]", override.lstrip("+"))[0] == group),
        f"{group}={name}",
    )
    if group in ("strategy", "embedding") and (missing := without_settings_file(name, CONF / "embedding")):
        return missing
    there = f"there are: {', '.join(listed)}" if listed else "there is no such group of settings"
    if group == "hydra/launcher" and name in LAUNCHER_EXTRAS:
        return f'{given}: needs pip install "embedding-bench[{LAUNCHER_EXTRAS[name]}]" ({there})'
    return f"{given}: no {group} called {shown(name)}{nearest(name, listed)} ({there})"


def _of_the_data(overrides: Sequence[str], by: Loader) -> Choices:
    """Gives the option of each config group by the choice of a data set alone, an experiment's too if that composes."""
    data = [o for o in overrides if o.startswith("dataset=")]
    try:
        composed = by.compose([o for o in overrides if o.startswith("experiment=")] + data)
    except HydraException:
        composed = by.compose(data)
    choices: Choices = composed.hydra.runtime.choices
    return choices


def _override(found: re.Match[str], overrides: Sequence[str], by: Loader) -> str:
    name = found.group(1)
    given, value = _given(name, overrides), _value(name, overrides)
    try:
        choices: Choices = by.compose([o for o in overrides if _is_choice(o, name)]).hydra.runtime.choices
    except HydraException:
        choices = _of_the_data(overrides, by)
        if given == name:  # a file that was chosen sets it
            given = next((f"{o}: {name}" for o in overrides if o.startswith("strategy=")), name)
    if "@" in name or name in _groups():
        return no_field(given, name, choices, slots(choices))
    return stranger(name, value, by.base(choices), choices)


@functools.cache
def _groups() -> frozenset[str]:
    return frozenset(path.name for path in CONF.iterdir() if path.is_dir())


def _is_choice(override: str, wrong: str) -> bool:
    key = override.lstrip("+").partition("=")[0]
    return key != wrong and key.partition("@")[0] in _groups()


def _ambiguous(found: re.Match[str], overrides: Sequence[str], by: Loader) -> str:
    name, _, value = found.group(1).partition("=")
    return (
        f"{found.group(1)}: several values; add -m to run each of them, or give a list as '{name}=[{value}]'"
    )


def _sweep(found: re.Match[str], overrides: Sequence[str], by: Loader) -> str:
    return f"{found.group(1)}: several values; add -m to run each of them"


def _item(found: re.Match[str], overrides: Sequence[str], by: Loader) -> str:
    name = found.group(1)
    return f"{_given(name, overrides)}: the setting exists; write {name}={_value(name, overrides)} without +"


def _delete(found: re.Match[str], overrides: Sequence[str], by: Loader) -> str:
    return f"{_given(found.group(1), overrides)}: there is no such setting to take away; see --help"


def _group(found: re.Match[str], overrides: Sequence[str], by: Loader) -> str:
    override = found.group(1)
    return f"{override}: a choice is made without +, as {override.lstrip('+')}"


def _twice(found: re.Match[str], overrides: Sequence[str], by: Loader) -> str:
    name = found.group(1)
    return f"{_given(name, overrides)}: {name} is given more than once; give it once"


def _no_name(found: re.Match[str], overrides: Sequence[str], by: Loader) -> str:
    for override in overrides:
        name, _, value = override.partition("=")
        group = name.lstrip("+")
        if group.partition("@")[0] in _groups():
            return _missing(f"{group.partition('@')[0]}/{value}", None, [override])
    return f"{' '.join(overrides)}: cannot be read as NAME=VALUE; --help lists all names"


def _kind(error: OmegaConfBaseException, overrides: Sequence[str]) -> str:
    """The message for a list in place of a group of settings, and for a group in place of a list."""
    given = _given(error.full_key or "settings", overrides)
    name, _, value = given.lstrip("+").partition("=")
    if value.lstrip().startswith("["):
        return f"{given}: a group of settings, not a list; give {name}.NAME=VALUE"
    return f"{given}: takes a list, not a group of settings; give {name}=[VALUE]"


_PATTERNS = {
    r"Config group override must be a string": _no_name,
    r"Could not override '([^']+)'": _override,
    r"override (\S+?)=?\S* looks like a config group": _override,
    r"Ambiguous value for argument '([^']+)'": _ambiguous,
    r"Sweep parameters '(.+)' requires --multirun": _sweep,
    r"An item is already at '([^']+)'": _item,
    r"Could not delete\D*?'([^']+)'": _delete,
    r"force-add of config groups is not supported: '([^']+)'": _group,
    r"Multiple values for (\S+)\.": _twice,
}


def _omegaconf(error: OmegaConfBaseException, overrides: Sequence[str]) -> str:
    reason = _line(error.msg or error).split(" full_key:")[0]
    if re.search(r"Cannot merge (Dict|List)Config with (Dict|List)Config", reason):
        return _kind(error, overrides)
    return f"{_given(error.full_key or 'settings', overrides)}: {reason}"
