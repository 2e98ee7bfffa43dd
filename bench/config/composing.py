"""Hydra, set up for this project: where ``conf/`` is, and a strategy for every method.

``strategy=NAME`` exists for every file in ``conf/embedding`` that has none of its name in ``conf/strategy``:
it is made here, from the method's file, and puts the method's settings at the root.
"""

from __future__ import annotations

import functools
import pickle
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra import version
from hydra._internal.config_loader_impl import ConfigLoaderImpl  # hydra-core is pinned to one version
from hydra._internal.config_repository import ConfigRepository, IConfigRepository
from hydra._internal.utils import create_config_search_path
from hydra.core.config_search_path import ConfigSearchPath, SearchPathQuery
from hydra.core.config_store import ConfigStore
from hydra.core.default_element import ResultDefault
from hydra.core.utils import setup_globals
from hydra.errors import HydraException
from hydra.plugins.config_source import ConfigResult
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from bench.errors import RequestError

CONF = Path(__file__).resolve().parents[2] / "conf"
CONFIG_NAME = "config"
HYDRA_VERSION_BASE = "1.3"
SETTINGS_GROUP = "embedding/settings"
OPEN = ("training.optimizer_settings",)
"""Dicts whose names are not ours, so that any name may be given there."""

_ROOT_NAME = re.compile(r"\$\{oc\.select:\s*(\w+)\s*[,}]")


def options(group: str, folder: Path = CONF) -> list[str]:
    """The choices of a config group, by name; strategies made from methods included."""
    names = {path.stem for path in (folder / group).glob("*.yaml")}
    return sorted(names | (set(options("embedding")) if group == "strategy" else set()))


def root_names(node: Mapping[str, Any] | None) -> list[str]:
    """The names at the root that an embedding's unresolved settings read, in their order."""
    texts = [value for value in (node or {}).values() if isinstance(value, str)]
    return list(dict.fromkeys(match.group(1) for text in texts for match in _ROOT_NAME.finditer(text)))


@functools.cache
def method_defaults(method: str) -> Mapping[str, Any]:
    """The settings that a method reads from the root, with the defaults in its file in ``conf/embedding``.

    Raises:
        RequestError: a setting takes its default from a root name that is not its own.
    """
    node = OmegaConf.load(CONF / "embedding" / f"{method}.yaml")
    raw: dict[str, Any] = OmegaConf.to_container(node, resolve=False)  # type: ignore[assignment]
    for name, value in raw.items():
        if set(root_names({name: value})) - {name}:
            raise RequestError(
                f"conf/embedding/{method}.yaml: {name}: {value}: give ${{oc.select:{name},DEFAULT}}"
            )
    resolved = OmegaConf.to_container(OmegaConf.create({"method": node}), resolve=True)
    return {name: resolved["method"][name] for name in root_names(raw)}  # type: ignore[index,call-overload]


@functools.cache
def _register() -> None:
    store = ConfigStore.instance()
    for method in options("embedding"):
        store.store(group=SETTINGS_GROUP, name=method, node=dict(method_defaults(method)), package="_global_")
        if not (CONF / "strategy" / f"{method}.yaml").exists():
            defaults: list[Any] = [
                {f"/{SETTINGS_GROUP}@_global_": [method]},
                "_self_",
                {"override /embedding@embeddings.default": method},
            ]
            node = {"defaults": defaults, "strategy": method}
            store.store(group="strategy", name=method, node=node, package="_global_")


class _Copies:
    """What takes time to make: made once for each key, and given out as a copy, since Hydra changes what it gets."""

    def __init__(self) -> None:
        self._made: dict[Any, bytes] = {}

    def of(self, key: Any, make: Callable[[], Any]) -> Any:
        """A copy of what ``make`` gave for this key."""
        if key not in self._made:
            self._made[key] = pickle.dumps(make())
        return pickle.loads(self._made[key])


class _Files(ConfigRepository):  # type: ignore[misc]
    """Hydra's repository of settings files, each file read once."""

    def __init__(self, search_path: ConfigSearchPath) -> None:
        super().__init__(search_path)
        self._read = _Copies()

    def __deepcopy__(self, memo: Any) -> _Files:
        return self  # Hydra copies it for every composition, lest hydra.searchpath change it: that is refused

    def load_config(self, config_path: str) -> ConfigResult | None:
        found: ConfigResult | None = self._read.of(
            config_path, functools.partial(super().load_config, config_path)
        )
        return found


class Loader(ConfigLoaderImpl):  # type: ignore[misc]
    """Hydra's loader over ``conf/``.

    Args:
        config_dirs: folders of the user's own that are looked into first.

    Raises:
        RequestError: one of them is not there.
    """

    def __init__(self, config_dirs: Sequence[str] = ()) -> None:
        _register()
        version.setbase(HYDRA_VERSION_BASE)
        setup_globals()
        search_path = create_config_search_path(str(CONF))
        for folder in config_dirs:
            if not Path(folder).is_dir():
                raise RequestError(f"--config-dir {folder}: there is no such folder")
            search_path.prepend(
                "command-line", f"file://{Path(folder).resolve()}", SearchPathQuery(provider="main")
            )
        super().__init__(search_path)
        self.repository = _Files(search_path)
        self._bases: dict[tuple[str, ...], dict[str, Any]] = {}
        self._made, self._merged = _Copies(), _Copies()

    def __getstate__(self) -> dict[str, Any]:
        # a launcher sends the loader to each of its jobs
        return {**vars(self), "_bases": {}, "_made": _Copies(), "_merged": _Copies()}

    def load_configuration(
        self,
        config_name: str | None,
        overrides: list[str],
        run_mode: RunMode,
        from_shell: bool = True,
        validate_sweep_overrides: bool = True,
    ) -> DictConfig:
        """Hydra's own, once for equal arguments: a job of a sweep is composed to check and to launch it."""
        key = (config_name, *overrides, run_mode, from_shell, validate_sweep_overrides, Path.cwd())
        arguments = config_name, overrides, run_mode, from_shell, validate_sweep_overrides
        made: DictConfig = self._made.of(key, functools.partial(super().load_configuration, *arguments))
        return made

    def _compose_config_from_defaults_list(
        self, defaults: list[ResultDefault], repo: IConfigRepository
    ) -> DictConfig:
        """Hydra's own, once for equal files: the jobs of a sweep differ in values more than in files."""
        key = tuple((one.config_path, one.parent, one.package, one.is_self) for one in defaults)
        merge = functools.partial(super()._compose_config_from_defaults_list, defaults, repo)
        merged: DictConfig = self._merged.of(key, merge)
        return merged

    def compose(self, overrides: Sequence[str], mode: RunMode = RunMode.RUN) -> DictConfig:
        """The configuration as Hydra makes it, ``hydra`` node included, not resolved and not checked."""
        sweep_values = mode == RunMode.RUN  # in a sweep, commas are for the sweeper to split
        cfg: DictConfig = self.load_configuration(
            CONFIG_NAME, opened(overrides), mode, validate_sweep_overrides=sweep_values
        )
        return cfg

    def base(self, choices: Mapping[str, str | None]) -> dict[str, Any]:
        """What the chosen files give, unresolved, without an experiment and without a value changed.

        Settings are closed against it: its names are all that there are.

        Args:
            choices: the option of each config group, as in ``hydra.runtime.choices``.

        Raises:
            RequestError: a config group was added that no file knows.
        """
        own = {k: v for k, v in choices.items() if v and not k.startswith("hydra/") and k != "experiment"}
        key = tuple(f"{group}={choice}" for group, choice in sorted(own.items()))
        if key not in self._bases:
            try:
                cfg = self.load_configuration(CONFIG_NAME, list(key), RunMode.RUN)
            except HydraException as error:
                added = next((group for group in own if f"'{group}'" in str(error)), "")
                raise RequestError(
                    f"{added}={own.get(added, '')}: nothing is known of {added}; see --help"
                ) from error
            self._bases[key] = plain(cfg)
        return self._bases[key]


def opened(overrides: Iterable[str]) -> list[str]:
    """``overrides`` with the ``++`` that Hydra wants for new names inside open dicts."""
    start = re.compile(r"(?:{})\.".format("|".join(map(re.escape, OPEN))))
    return [f"++{override}" if start.match(override) else override for override in overrides]


def plain(cfg: DictConfig) -> dict[str, Any]:
    """The unresolved values of ``cfg`` as nested dicts, the ``hydra`` node left out."""
    values: dict[str, Any] = OmegaConf.to_container(cfg, resolve=False)  # type: ignore[assignment]
    values.pop("hydra", None)
    return values
