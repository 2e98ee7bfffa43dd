"""The check that turns a configuration composed by Hydra into typed settings.

Checked settings have no unknown names, are resolved and in range, and each given setting has an effect.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from omegaconf import DictConfig

from bench.config import files, parts, sharing, slips
from bench.config.composing import OPEN, Choices, Composed, Loader, root_names
from bench.config.files import options
from bench.config.names import SLOT, no_field, stranger
from bench.config.paths import located
from bench.config.readers import settings_class
from bench.config.resolving import at, interpolated, refuse_empty_variables, variables
from bench.config.schema import (
    NOT_DECIDING,
    DatasetSettings,
    Globals,
    Settings,
    Tracking,
    Training,
    check_together,
)
from bench.config.secrets import SAID, hides, mapped, without_password
from bench.config.typed import Choice, Tree, Value, build, nearest, plain, shown, sizes
from bench.errors import RequestError

T = TypeVar("T")

REQUIRED = ("dataset", "strategy", "model", "training", "tracking", "embedding@embeddings.default")
"""Config groups that every run needs."""

_SECTIONS = {"dataset", "embeddings", "model", "training", "tracking"}


def check(cfg: DictConfig, choices: Choices, by: Loader, start: Path | None = None) -> Settings:
    """Checks a composed configuration and gives the settings of one run.

    Args:
        cfg: the composed configuration, with or without its ``hydra`` node.
        choices: the option of each config group (``hydra.runtime.choices``).
        by: the loader that composed the configuration.
        start: the folder where the command was started (``hydra.runtime.cwd``). Relative paths begin there.
            None for the current folder.

    Raises:
        RequestError: a setting is wrong. The message has the first wrong setting's name, its value, and a remedy.
    """
    return judged(Composed.of(cfg, choices, start or Path.cwd()), by)


def judged(composed: Composed, by: Loader) -> Settings:
    """Does the work of ``check`` for a ``Composed`` run."""
    given, choices, start = composed.given, composed.choices, composed.start
    for group in REQUIRED:
        if not choices.get(group):
            listed = ", ".join(options(group.partition("@")[0]))
            raise RequestError(f"{group}=null: needed; choose one of {listed}")
    base = by.base(choices)
    _closed(given, base, lambda name, value: stranger(name, value, base, choices))
    values = by.secrets.revealed(composed.resolve())
    refuse_empty_variables(given, values)
    root = {name: values[name] for name in values.keys() - _SECTIONS}
    shared = build(Globals, {name: root.pop(name) for name in Globals.__annotations__})
    training = _section(Training, "training", values, by)
    tracking = _section(Tracking, "tracking", values, by)
    dataset = _dataset(below(values, "dataset"), below(base, "dataset"), choices, by)
    shared = replace(shared, task=shared.task or dataset.task)
    check_together(training, dataset, str(shared.task))
    model = _model(below(values, "model"), below(base, "model"), choices, by)
    if judge := getattr(model.settings, "check_data", None):  # what the model cannot take
        judge(dataset.field_names, dataset.dense_dim)
    methods = _methods(composed, below(values, "embeddings"), set(root), by)
    _effective(given, base, choices, sorted(dataset.field_names))
    sections = {"dataset": dataset, "training": training, "tracking": tracking}
    logged = {
        **plain(shared),
        **{name: by.once(("plain", id(own)), partial(plain, own)) for name, own in sections.items()},
        "embeddings": {
            slot: {"method": methods[slot].name, **plain(methods[slot].settings)} if slot in methods else None
            for slot in ("default", *sorted(dataset.field_names))
        },
        "model": {"name": model.name, **plain(model.settings)},
    }
    used: dict[str, Any] = {
        name: by.once(("located", id(own), start), partial(located, own, start, f"{name}.{{}}".format))
        for name, own in sections.items()
    }
    if hides(used["tracking"].uri):
        raise RequestError(
            f"tracking.uri={used['tracking'].uri}: its password is hidden; give the whole address"
        )
    settings = Settings(
        **vars(located(shared, start)),
        **used,
        model=model,
        methods=methods,
        values=_as_written(mapped(logged, without_password), given),
    )
    sharing.check(settings)
    return settings


def _section(cls: type[T], name: str, values: Tree, by: Loader) -> T:
    """The settings of a group. All jobs of a sweep with equal values share one object."""
    own = below(values, name)
    return by.once((cls, repr(own)), lambda: build(cls, own, lambda setting: f"{name}.{setting}"))


def _as_written(logged: Tree, given: Tree) -> Tree:
    """Puts the text as it was written in place of some values from environment variables, and gives ``logged``.

    These are the values of settings that decide no result. The values of the variables in ``SAID`` stay, because they
    show where data and results lie.
    """
    for path, text in interpolated({key: given[key] for key in given if key != "embeddings"}):
        names = (".".join(map(str, path[:length])) for length in range(1, len(path) + 1))
        if set(variables(text)) - set(SAID) and not set(NOT_DECIDING).isdisjoint(names):
            parent = at(logged, path[:-1])
            if isinstance(parent, dict) and path[-1] in parent:
                parent[str(path[-1])] = without_password(text)
    return logged


def _dataset(values: Tree, base: Tree, choices: Choices, by: Loader) -> DatasetSettings:
    """Checks the data set's file and the slots in it, and gives the data set's settings."""
    choice = str(choices["dataset"])
    file = by.once(("dataset", choice), lambda: files.shown(by.file("dataset", choice)))
    _need_settings(base, file)
    if not {"kind", "split"} <= base.keys():
        _need_defaults(by.file("dataset", choice), file)
    if "kind" not in base:
        raise RequestError(
            f"{file}: kind is missing; add kind: table, or that of another file in conf/dataset"
        )
    with slips.said_of(file) if base["kind"] == values["kind"] else nullcontext():
        cls = settings_class("dataset", values["kind"])
    by.once(("agree", file, cls), lambda: slips.compare(file, cls, base, "dataset"))
    dataset: DatasetSettings = by.once(
        (cls, repr(values)), lambda: build(cls, values, lambda name: f"dataset.{name}")
    )
    _check_slots(dataset, file, choices)
    return dataset


def _need_defaults(path: Path, file: str) -> None:
    """Refuses a data set's file that begins with no other one, and so lacks the settings that all data sets have."""
    if re.search(r"^defaults\s*:", path.read_text(encoding="utf-8"), re.MULTILINE) is None:
        raise RequestError(
            f"{file}: has no defaults, which bring the settings that every data set has, such as split; begin it with "
            "the line defaults: [table, _self_]"
        )


def _check_slots(dataset: DatasetSettings, file: str, choices: Choices) -> None:
    """Refuses a method for a field that the data set does not have, and a slot in its file for such a field."""
    fields = ("default", *sorted(dataset.field_names))
    known = [f"{SLOT}{field}" for field in fields]
    for group in choices:
        if not group.startswith(SLOT) or group in known:
            continue
        if choices[group]:
            raise RequestError(no_field(f"{group}={choices[group]}", group, choices, fields))
        if getattr(dataset, "fields", None) is None:  # else the settings name other fields than the file
            raise RequestError(
                f"{file}: the slot {group} is of no field{nearest(group, known)} (there are: {', '.join(known)})"
            )


def _model(values: Tree, base: Tree, choices: Choices, by: Loader) -> Choice:
    """Checks the model's two files, and gives the model and its settings."""
    choice, named = str(choices["model"]), base.get("name")
    file = by.once(("model", choice), lambda: files.shown(by.file("model", choice)))
    _need_settings(base, file)
    if named != choice:
        wrong = "name is missing" if named is None else f"name: {shown(named)}: not the file's name"
        raise RequestError(f"{file}: {wrong}; give name: {choice}")
    if values["name"] != choice:
        raise RequestError(f"model.name={shown(values['name'])}: choose a model with model=NAME")
    cls = settings_class("model", choice)
    by.once(("agree", file, cls), lambda: slips.compare(file, cls, _without(base, "name"), "model"))
    own = _without(values, "name")
    settings = by.once((cls, repr(own)), lambda: build(cls, own, lambda name: f"model.{name}"))
    parts.check(settings, "model.{}".format)
    return Choice(choice, settings)


def _need_settings(base: Tree, file: str) -> None:
    if not base:
        raise RequestError(f"{file}: holds no settings; write a line NAME: VALUE for each")


def below(values: Tree, name: str) -> Tree:
    """The settings of a group. An empty dict if the group has none, or is an interpolation."""
    found = values.get(name)
    return found if isinstance(found, Mapping) else {}


def _without(values: Tree, name: str) -> Tree:
    return {key: value for key, value in values.items() if key != name}


def _closed(given: Tree, base: Tree, strange: Callable[[str, Value], str], prefix: str = "") -> None:
    """Refuses names that the chosen files do not have, removed names, and dicts in place of values."""
    for key, value in given.items():
        name = f"{prefix}{key}"
        if key not in base:
            raise RequestError(strange(name, value))
        expected = base[key]
        if name in OPEN or value == expected:
            continue
        if isinstance(expected, Mapping):
            if isinstance(value, Mapping):
                _closed(value, expected, strange, f"{name}.")
            elif not isinstance(value, str) or "${" not in value:
                example = next(iter(expected), "NAME")
                raise RequestError(f"{name}={shown(value)}: a group of settings; give {name}.{example}=VALUE")
        elif isinstance(value, Mapping):
            choose = f"; choose a method with embedding@{name}=NAME" if prefix == "embeddings." else ""
            raise RequestError(f"{name}={shown(value)}: takes one value, not a group of settings{choose}")
    for key in base.keys() - given.keys():
        raise RequestError(
            f"~{prefix}{key}: a setting cannot be taken away; give {prefix}{key}=VALUE instead"
        )


def _methods(composed: Composed, values: Tree, root: set[str], by: Loader) -> dict[str, Choice]:
    given, methods = below(composed.given, "embeddings"), {}
    for slot in values:
        if values[slot] is None:
            continue
        node, chosen = below(values, slot), composed.choices.get(f"{SLOT}{slot}")
        method = node.get("method")
        if method != chosen:
            raise RequestError(
                f"embeddings.{slot}.method={shown(method)}: choose a method with embedding@embeddings.{slot}="
                f"{method if method in options('embedding') else 'NAME'}"
            )
        cls = settings_class("embedding", method)
        name = _Name(slot, below(given, slot), root)
        made = by.once((cls, repr(node)), partial(build, cls, _without(node, "method"), name, sizes))
        parts.check(made, name)
        methods[slot] = Choice(str(method), made)
    return methods


@dataclass(frozen=True)
class _Name:
    """The full name of a method's setting. It is the name at the root if the value comes from the root."""

    slot: str
    raw: Tree
    root: set[str]

    def __call__(self, name: str) -> str:
        at_root = [root for root in root_names({name: self.raw.get(name)}) if root in self.root]
        return at_root[0] if at_root else f"embeddings.{self.slot}.{name}"


def _effective(given: Tree, base: Tree, choices: Choices, fields: Sequence[str]) -> None:
    """Refuses a method's setting that was given but that no field reads."""
    embeddings = below(given, "embeddings")
    used = [slot for slot in fields if embeddings.get(slot)]
    default, before = below(embeddings, "default"), below(below(base, "embeddings"), "default")
    if not fields or len(used) < len(fields):
        used.append("default")
    elif default != before:
        name = next(key for key in default if default[key] != before.get(key))
        raise RequestError(
            f"embeddings.default.{name}={shown(default[name])}: has no effect, every field has a method of "
            f"its own; give embeddings.{fields[0]}.{name}"
        )
    read = {name for slot in used for name in root_names(below(embeddings, slot))}
    own = set(Globals.__annotations__) | _SECTIONS
    for name in given.keys() - own - read:
        if given[name] != base[name]:
            listed = ", ".join(f"{slot}: {choices[f'{SLOT}{slot}']}" for slot in used)
            raise RequestError(
                f"{name}={shown(given[name])}: has no effect, no field's method reads it ({listed}); "
                "leave it out"
            )
