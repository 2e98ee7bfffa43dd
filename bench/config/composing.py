"""The loader of this project: Hydra over ``conf/``, with a strategy for every method.

Each file in ``conf/embedding`` without a namesake in ``conf/strategy`` gets a strategy ``strategy=NAME``. It is made
here from the method's file, and puts the method's settings at the root.
"""

from __future__ import annotations

import functools
import pickle
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, TypeAlias, TypeVar, cast

from hydra.core.config_store import ConfigStore
from hydra.errors import HydraException
from hydra.plugins.config_source import ConfigResult
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from bench.config.files import CONF, options
from bench.config.hydra import BaseLoader, Override, OverrideType, begin, search_path
from bench.config.method_file import read_defaults
from bench.config.paths import absolute, refuse_long
from bench.config.readers import settings_class
from bench.config.resolving import Memory, at, resolved, with_value
from bench.config.secrets import Secrets, mapped
from bench.config.typed import Tree, Value
from bench.errors import RequestError

T = TypeVar("T")

CONFIG_NAME = "config"
SETTINGS_GROUP = "embedding/settings"
DATASET = "dataset"
Choices: TypeAlias = Mapping[str, str | None]
"""The option of each config group, as in ``hydra.runtime.choices``."""

OPEN = ("training.optimizer_settings", "dataset.transforms", "share")
"""Settings that may be dicts, with names that no file here defines. Any name may be given there."""

_ROOT_NAME = re.compile(r"\$\{oc\.select:\s*(\w+)\s*[,}]")


def root_names(node: Tree | None) -> list[str]:
    """The names of the root settings that an embedding's unresolved settings read, in their order."""
    texts = [value for value in (node or {}).values() if isinstance(value, str)]
    return list(dict.fromkeys(match.group(1) for text in texts for match in _ROOT_NAME.finditer(text)))


@functools.cache
def method_defaults(method: str) -> Tree:
    """Gives the settings that a method reads from the root, with the defaults in its file in ``conf/embedding``.

    Raises:
        RequestError: the file is not a valid settings file of this method.
    """
    return cast(Tree, read_defaults(CONF / "embedding" / f"{method}.yaml"))


def readable_defaults(method: str) -> Tree:
    """Gives ``method_defaults``, or an empty dict if the file is broken.

    An error message names the fault of a broken file once the method is chosen.
    """
    try:
        return method_defaults(method)
    except RequestError:
        return {}


@functools.cache
def _register() -> None:
    """Adds the methods' strategies to Hydra's store, and empty entries for their settings, which ``_before`` fills."""
    store = ConfigStore.instance()
    for method in options("embedding"):
        store.store(group=SETTINGS_GROUP, name=method, node={}, package="_global_")
        if not (CONF / "strategy" / f"{method}.yaml").exists():
            defaults: list[Any] = [
                {f"/{SETTINGS_GROUP}@_global_": [method]},
                "_self_",
                {"override /embedding@embeddings.default": method},
            ]
            node = {"defaults": defaults, "strategy": method}
            store.store(group="strategy", name=method, node=node, package="_global_")


def _before(file: str) -> None:
    """Refuses a broken settings file of a method, before Hydra raises its own error.

    To read the files of all methods takes a fifth of a second. So each file is read when Hydra asks for it.
    """
    group, _, name = file.rpartition("/")
    if group == "embedding" and name in options(group):
        method_defaults(name)
    elif group == SETTINGS_GROUP and name in options("embedding"):
        node = dict(readable_defaults(name))
        ConfigStore.instance().store(group=group, name=name, node=node, package="_global_")


def _is_slot(override: Override) -> bool:
    slot = str(override.package or "").startswith("embeddings.")
    return override.key_or_group == "embedding" and slot and override.type == OverrideType.CHANGE


def _added(override: Override) -> Override:
    """The override with the ``+`` that Hydra needs for a choice that no file makes."""
    return replace(override, type=OverrideType.ADD, input_line=f"+{override.input_line}")


def _add_left_out(file: ConfigResult) -> None:
    """Adds the settings that a data set's file leaves out and that have a default in the dataclass of its kind.

    A file that begins with another data set's file, as ``defaults: [table, _self_]``, has them from there.
    """
    kind = file.config.get("kind") if isinstance(file.config, DictConfig) else None
    entries = [entry.getText() if hasattr(entry, "getText") else entry for entry in file.defaults_list or ()]
    if kind is None or any(isinstance(entry, str) and entry != "_self_" for entry in entries):
        return
    try:
        own = settings_class(DATASET, kind)
    except RequestError:  # said once it is chosen
        return
    for setting in fields(own):
        if setting.name in file.config:
            continue
        if setting.default is not MISSING:
            file.config[setting.name] = setting.default
        elif setting.default_factory is not MISSING:
            file.config[setting.name] = setting.default_factory()


class Loader(BaseLoader):
    """Hydra's loader over ``conf/``.

    Args:
        config_dirs: the user's own folders, which are searched first.

    Attributes:
        config_dirs: absolute paths of the user's own folders.
        secrets: the secrets that were hidden in the given settings.

    Raises:
        RequestError: a folder does not exist.
    """

    def __init__(self, config_dirs: Sequence[str] = ()) -> None:
        _register()
        begin()
        for folder in config_dirs:
            refuse_long(folder, "--config-dir")
            if not Path(folder).is_dir():
                raise RequestError(f"--config-dir {folder}: there is no such folder")
        self.config_dirs = tuple(str(Path(folder).resolve()) for folder in config_dirs)
        self.folders = [*map(Path, reversed(self.config_dirs)), CONF]
        self.secrets = Secrets()
        super().__init__(search_path(CONF, config_dirs), _before, self._change, self.secrets.hidden)

    def clear(self) -> None:
        """Forgets all composed configurations."""
        super().clear()
        self._bases: dict[tuple[str, ...], Tree] = {}
        self._made: dict[tuple[object, ...], object] = {}

    def __getstate__(self) -> dict[str, object]:
        # a launcher sends the loader to each of its jobs
        return {**vars(self), **dict.fromkeys(("_overrides", "_is_group", "_composed", "_bases", "_made"))}

    def __setstate__(self, state: dict[str, object]) -> None:
        vars(self).update(state)  # type: ignore[attr-defined]
        self.clear()

    def _change(self, name: str, file: ConfigResult) -> None:
        """Hides the secrets in one of the user's own settings files. Adds what the file of a data set leaves out."""
        if name.rpartition("/")[0] == DATASET:
            _add_left_out(file)
        if file.provider != "command-line" or not OmegaConf.is_config(file.config):
            return
        raw = OmegaConf.to_container(file.config, resolve=False)
        hidden = mapped(raw, self.secrets.hidden)
        if hidden != raw:
            file.config = OmegaConf.create(hidden)

    def adapt(self, cfg: DictConfig, structure: Sequence[Override]) -> None:
        """Expands ``~`` in the output folders, because Hydra does not.

        It also keeps the configuration for ``base``, which would otherwise compose it again.
        """
        choices = cfg.hydra.runtime.choices
        chosen = all(override.type == OverrideType.CHANGE for override in structure)
        if chosen and not choices.get("experiment"):
            self._bases.setdefault(_base_key(choices), plain(cfg))
        for mode in ("run", "sweep"):
            folder = str(OmegaConf.to_container(cfg.hydra[mode], resolve=False)["dir"])  # type: ignore[call-overload,index]
            if folder.startswith("~"):
                home, slash, rest = folder.partition("/")
                cfg.hydra[mode].dir = f"{absolute(home, Path.cwd(), f'hydra.{mode}.dir')}{slash}{rest}"

    def file(self, group: str, choice: str) -> Path:
        """The settings file of a choice: the user's own file, or else the file in ``conf/``."""
        places = [folder / group / f"{choice}.yaml" for folder in self.folders]
        return next((place for place in places if place.exists()), places[-1])

    def compose(self, overrides: Sequence[str], mode: RunMode = RunMode.RUN) -> DictConfig:
        """Composes a configuration with Hydra. It has the ``hydra`` node, and is neither resolved nor checked."""
        sweep_values = mode == RunMode.RUN  # in a sweep, the sweeper splits values at commas
        return self.load_configuration(
            CONFIG_NAME, opened(overrides), mode, validate_sweep_overrides=sweep_values
        )

    def separated(self, overrides: Iterable[Override]) -> tuple[list[Override], list[Override]]:
        """Separates overrides as Hydra does. The slot of a field that the data set's file does not list is added."""
        structure, values = super().separated(overrides)
        others = [override for override in structure if not _is_slot(override)]
        if len(others) == len(structure):
            return structure, values
        made = self.composed(CONFIG_NAME, others, RunMode.RUN)
        there = self.once(("choices", made), lambda: frozenset(pickle.loads(made).hydra.runtime.choices))
        return [
            _added(o) if _is_slot(o) and o.get_key_element() not in there else o for o in structure
        ], values

    def job(self, sweep: DictConfig, overrides: Sequence[str]) -> Composed:
        """Composes the settings of a job of a sweep in plain values, which takes a fraction of Hydra's time.

        The result equals that of ``load_sweep_config`` for the same arguments.

        Args:
            sweep: the sweep's configuration.
            overrides: the job's overrides.

        Raises:
            HydraException: an override is wrong.
            RequestError: the job chooses an experiment that is itself a sweep.
        """
        of_hydra: Any = OmegaConf.to_container(sweep.hydra.overrides.hydra)
        parsed = self.parsed([*of_hydra, *overrides])
        self.validate_sweep_overrides_legal(parsed, RunMode.RUN, from_shell=True)
        structure, values = self.separated(parsed)
        made = self.composed(sweep.hydra.job.config_name, structure, RunMode.RUN)
        part = self.once(("part", made), lambda: _Part(pickle.loads(made)))
        if part.swept and part.swept != OmegaConf.select(sweep, "hydra.sweeper.params"):
            name = part.choices["experiment"]
            raise RequestError(f"experiment={name}: a sweep itself; give it alone, as experiment={name}")
        return part.with_values(values)

    def once(self, key: tuple[object, ...], make: Callable[[], T]) -> T:
        """Calls ``make`` once for equal keys and gives its result. All callers share the object, so none may change it.

        The jobs of a sweep have most of their settings in common.
        """
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]  # type: ignore[return-value]

    def base(self, choices: Choices) -> Tree:
        """The unresolved settings of the chosen files, without an experiment and without changed values.

        Their names are all allowed names. The check of settings refuses any other.

        Args:
            choices: the option of each config group, as in ``hydra.runtime.choices``.

        Raises:
            RequestError: a config group was added that no file knows.
        """
        key = _base_key(choices)
        if key not in self._bases:
            try:
                cfg = self.load_configuration(CONFIG_NAME, list(key), RunMode.RUN)
            except HydraException as error:
                added = next((group for group in choices if f"'{group}'" in str(error)), "")
                raise RequestError(
                    f"{added}={choices.get(added, '')}: nothing is known of {added}; see --help"
                ) from error
            self._bases[key] = plain(cfg)
        return self._bases[key]


def _base_key(choices: Choices) -> tuple[str, ...]:
    """The overrides for the choices that decide which settings exist."""
    own = (k for k in choices if choices[k] and not k.startswith("hydra/") and k != "experiment")
    return tuple(f"{group}={choices[group]}" for group in sorted(own))


class _Part:
    """The settings of a run within a composed configuration. Settings with other values are made from them.

    Args:
        cfg: the composed configuration, without changed values.
    """

    def __init__(self, cfg: DictConfig) -> None:
        own = _without_hydra(cfg)
        OmegaConf.set_struct(own, True)  # as for the whole configuration
        self._own, self._given = pickle.dumps(own), plain(own)
        self.choices: Choices = dict(cfg.hydra.runtime.choices)
        self.swept = OmegaConf.select(cfg, "hydra.sweeper.params")
        self._memory = Memory()

    def with_values(self, overrides: list[Override]) -> Composed:
        """The settings with the overrides' values set in them.

        Raises:
            HydraException: a name does not exist, or does not take the value.
        """
        given: Tree | None = self._given
        for override in overrides:
            given = given and _with_value(given, override)
        own = functools.cache(lambda: self._set(overrides))
        if given is None:
            given = plain(own())
        settings = given
        return Composed(self.choices, settings, Path.cwd(), lambda: self._memory.resolved(own, settings))

    def _set(self, overrides: list[Override]) -> DictConfig:
        own: DictConfig = pickle.loads(self._own)
        BaseLoader.give(own, overrides)
        return own


def _with_value(given: Tree, override: Override) -> Tree | None:
    """Gives ``given`` with the value of an override, or None if the override does more than replace a value.

    This function saves time: OmegaConf needs longer to set one value and to return all values than all other steps
    together.
    """
    path, value = tuple(override.key_or_group.split(".")), override.value()
    before = at(given, path[:-1])
    is_value = not isinstance(value, dict) and not (isinstance(value, list) and any(map(_is_nested, value)))
    if (
        override.type != OverrideType.CHANGE
        or override.package
        or not is_value
        or not isinstance(before, Mapping)
    ):
        return None
    if path[-1] not in before or isinstance(before[path[-1]], Mapping) or "${" in str(before[path[-1]]):
        return None
    return cast(Tree, with_value(given, path, value))


def _is_nested(value: object) -> bool:
    return isinstance(value, list | dict)


@dataclass(frozen=True)
class Composed:
    """The composed settings of a run.

    Attributes:
        choices: the option of each config group.
        given: the settings, unresolved, without the ``hydra`` node.
        start: the folder at which relative paths begin.
        resolve: a function that gives the resolved settings. It may raise a RequestError.
    """

    choices: Choices
    given: Tree
    start: Path
    resolve: Callable[[], Tree] = field(repr=False)

    @classmethod
    def of(cls, cfg: DictConfig, choices: Choices, start: Path) -> Composed:
        """Takes the settings of a run from a configuration.

        Args:
            cfg: the configuration, with or without its ``hydra`` node.
            choices: the option of each config group (``hydra.runtime.choices``).
            start: the folder at which relative paths begin.
        """
        own = _without_hydra(cfg) if "hydra" in cfg else cfg
        return cls(choices, plain(own), start, lambda: resolved(own))


def _without_hydra(cfg: DictConfig) -> DictConfig:
    return OmegaConf.masked_copy(cfg, [str(name) for name in cfg if name != "hydra"])


def opened(overrides: Iterable[str]) -> list[str]:
    """The overrides with the ``++`` that Hydra needs for new names inside the dicts of ``OPEN``."""
    start = re.compile(r"(?:{})(?:\.|(?<!^share)=\s*\{{)".format("|".join(map(re.escape, OPEN))))
    return [f"++{override}" if start.match(override) else override for override in overrides]


def plain(cfg: DictConfig) -> Tree:
    """The unresolved values of ``cfg`` as nested dicts, without the ``hydra`` node."""
    values: dict[str, Value] = OmegaConf.to_container(cfg, resolve=False)  # type: ignore[assignment]
    values.pop("hydra", None)
    return values


@functools.cache  # no default for the argument: the cache would hold two entries for loader() and loader(())
def loader(config_dirs: tuple[str, ...]) -> Loader:
    """The loader over ``conf/`` and the user's own folders. All callers share it."""
    return Loader(config_dirs)
