"""From what Hydra composes to typed settings: closed, resolved, in range, and nothing without effect."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from bench.config.composing import OPEN, Loader, options, plain, root_names
from bench.config.names import SLOT, slots, stranger
from bench.config.schema import HINTS, Globals, Settings, Tracking, Training, check_together
from bench.errors import RequestError
from bench.settings import build, checked, shown, sizes, without_password

REQUIRED = ("dataset", "strategy", "model", "training", "tracking", "embedding@embeddings.default")
"""Config groups that a run cannot do without."""

_SECTIONS = {"dataset", "embeddings", "model", "training", "tracking"}


def check(cfg: DictConfig, choices: Mapping[str, str | None], by: Loader) -> Settings:
    """The settings of one run.

    Args:
        cfg: the composed configuration, with or without its ``hydra`` node.
        choices: the option of each config group (``hydra.runtime.choices``).
        by: the loader that composed it.

    Raises:
        RequestError: the first setting found wrong: its name, its value, what would work.
    """
    for group in REQUIRED:
        if not choices.get(group):
            listed = ", ".join(options(group.partition("@")[0]))
            raise RequestError(f"{group}=null: needed; choose one of {listed}")
    given, base = plain(cfg), by.base(choices)
    _closed(given, base, lambda name, value: stranger(name, value, base, choices))
    values = _resolved(cfg)
    root = {name: values[name] for name in values.keys() - _SECTIONS}
    shared = build(Globals, {name: root.pop(name) for name in Globals.__annotations__})
    methods = _methods(given["embeddings"], values["embeddings"], set(root), choices)
    _effective(given, base, values["embeddings"], choices)
    dataset = _like(values["dataset"], base["dataset"], "dataset")
    model = _like(values["model"], base["model"], "model")
    if model.get("name") != choices["model"]:
        raise RequestError(f"model.name={shown(model.get('name'))}: choose a model with model=NAME")
    training = build(Training, values["training"], lambda name: f"training.{name}")
    tracking = build(Tracking, values["tracking"], lambda name: f"tracking.{name}")
    check_together(training, dataset)
    logged_methods = {
        slot: {"method": methods[slot][0], **asdict(methods[slot][1])} if slot in methods else None
        for slot in slots(choices)
    }
    logged = {
        **asdict(shared),
        "dataset": dataset,
        "embeddings": logged_methods,
        "model": model,
        "training": asdict(training),
        "tracking": {
            **asdict(tracking),
            "uri": without_password(tracking.uri),
        },  # it is logged, for all to see
    }
    return Settings(
        **{**asdict(shared), "data_dir": Path(shared.data_dir).expanduser()},
        dataset=dataset,
        model=model,
        training=training,
        tracking=tracking,
        methods=methods,
        values=logged,
    )


def _resolved(cfg: DictConfig) -> dict[str, Any]:
    own = OmegaConf.masked_copy(cfg, [str(name) for name in cfg if name != "hydra"])
    try:
        values: Any = OmegaConf.to_container(own, resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        name = error.full_key or "settings"
        if isinstance(error, MissingMandatoryValue):
            raise RequestError(f"{name}: not set; give {name}=VALUE") from error
        given = shown(OmegaConf.to_container(own, resolve=False) if not error.full_key else raw_at(own, name))
        reason = " ".join(str(error.msg or error).split()).split(" full_key:")[0]
        raise RequestError(
            f"{name}={given}: refers to what cannot be read ({reason}); give a value"
        ) from error
    return dict(values)


def raw_at(cfg: Any, name: str) -> Any:
    """The unresolved value at a dotted name, None where there is none."""
    found = OmegaConf.to_container(cfg, resolve=False)
    for part in re.findall(r"[^.\[\]]+", name):
        if isinstance(found, dict):
            found = found.get(part)
        elif isinstance(found, list) and part.isdigit():
            found = found[int(part)] if int(part) < len(found) else None
    return found


def _closed(
    given: Mapping[str, Any], base: Mapping[str, Any], strange: Callable[[str, Any], str], prefix: str = ""
) -> None:
    """Refuses names that the chosen files do not have, names taken away, and dicts in place of values."""
    for key, value in given.items():
        name = f"{prefix}{key}"
        if key not in base:
            raise RequestError(strange(name, value))
        if name in OPEN:
            continue
        expected = base[key]
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


def _methods(
    given: Mapping[str, Any], values: Mapping[str, Any], root: set[str], choices: Mapping[str, Any]
) -> dict[str, tuple[str, Any]]:
    from bench.embeddings import find  # methods need NumPy, which composing and its errors can do without

    methods = {}
    for slot, node in values.items():
        if node is None:
            continue
        chosen = choices.get(f"{SLOT}{slot}")
        method = node.get("method")
        if method != chosen:
            raise RequestError(
                f"embeddings.{slot}.method={shown(method)}: choose a method with embedding@embeddings.{slot}="
                f"{method if method in options('embedding') else 'NAME'}"
            )
        raw = given[slot] if isinstance(given[slot], Mapping) else {}
        own = {name: value for name, value in node.items() if name != "method"}
        methods[slot] = (method, build(find(method).Settings, own, _Name(slot, raw, root), sizes))
    return methods


@dataclass(frozen=True)
class _Name:
    """The full name of a method's setting: the one at the root where the value comes from there."""

    slot: str
    raw: Mapping[str, Any]
    root: set[str]

    def __call__(self, name: str) -> str:
        at_root = [root for root in root_names({name: self.raw.get(name)}) if root in self.root]
        return at_root[0] if at_root else f"embeddings.{self.slot}.{name}"


def _effective(
    given: Mapping[str, Any],
    base: Mapping[str, Any],
    embeddings: Mapping[str, Any],
    choices: Mapping[str, Any],
) -> None:
    """Refuses a method setting that was given and that no field reads."""
    fields = slots(choices)[1:]
    used = [slot for slot in fields if embeddings.get(slot)]
    idle = bool(fields) and len(used) == len(fields)
    if not idle:
        used.append("default")
    elif given["embeddings"]["default"] != base["embeddings"]["default"]:
        default, before = given["embeddings"]["default"], base["embeddings"]["default"]
        name = next(key for key in default if default[key] != before.get(key))
        raise RequestError(
            f"embeddings.default.{name}={shown(default[name])}: has no effect, every field has a method of "
            f"its own; give embeddings.{fields[0]}.{name}"
        )
    read = {name for slot in used for name in root_names(given["embeddings"][slot])}
    own = set(Globals.__annotations__) | _SECTIONS
    for name in given.keys() - own - read:
        if given[name] != base[name]:
            listed = ", ".join(f"{slot}: {embeddings[slot]['method']}" for slot in used)
            raise RequestError(
                f"{name}={shown(given[name])}: has no effect, no field's method reads it ({listed}); "
                "leave it out"
            )


def _like(values: Any, base: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """``values`` with the types of the defaults in their file, or of ``HINTS`` where these say more."""
    out: dict[str, Any] = {}
    for key, value in values.items():
        name, default = f"{prefix}.{key}", base.get(key)
        if isinstance(default, Mapping):
            out[key] = _like(value, default, name)
        elif name in HINTS:
            out[key] = checked(name, value, HINTS[name])
        else:
            out[key] = checked(name, value, _hint(default))
    return out


def _hint(default: Any) -> Any:
    if default is None or (isinstance(default, str) and (default == "???" or "${" in default)):
        return str | int | float | bool | list[Any] | None
    if isinstance(default, list):
        kinds = {type(item) for item in default}
        return list[kinds.pop()] if len(kinds) == 1 else list[Any]  # type: ignore[misc]
    return type(default)
