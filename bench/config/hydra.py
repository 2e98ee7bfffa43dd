"""All uses of Hydra's private parts. They are here and nowhere else.

hydra-core is pinned to one version. The docstring of each use has its purpose, the Hydra version that first had this
form, and the fault that its absence causes. ``tests/config/test_hydra_insides.py`` has a test for each use.
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import functools
import itertools
import pickle
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from hydra import version
from hydra._internal.config_loader_impl import ConfigLoaderImpl, get_overrides_dirname
from hydra._internal.config_repository import ConfigRepository
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path
from hydra.core.config_search_path import ConfigSearchPath, SearchPathQuery
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, Override, OverrideType, QuotedString, ValueType
from hydra.core.utils import JobReturn, JobRuntime, run_job, setup_globals
from hydra.errors import ConfigCompositionException
from hydra.plugins.config_source import ConfigResult
from hydra.types import HydraContext, RunMode, TaskFunction
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

VERSION_BASE = "1.3"
"""The version of Hydra whose defaults hold. For example, a run does not change the current folder."""

_NUMBER = re.compile(r"([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)=(0|[1-9][0-9]*)", re.ASCII)

__all__ = ["BaseLoader", "Engine", "Files", "Override", "OverrideType"]


def begin(name: str | None = None) -> None:
    """Makes this process ready to compose and run.

    ``hydra.main`` and ``hydra.initialize`` do this for others. Since Hydra 1.2. Without it ``${now:}`` and
    ``${hydra:}`` are unknown, and without a name ``hydra.job.name`` cannot be read.

    Args:
        name: the job's name, which the log file also gets. None leaves the name as it is.
    """
    version.setbase(VERSION_BASE)
    setup_globals()
    if name is not None:
        JobRuntime.instance().set("name", name)


@contextlib.contextmanager
def put_aside() -> Iterator[None]:
    """Restores Hydra's global state at the end of a block, and begins the block without one.

    The caller may itself be an application of Hydra. Since Hydra 1.2, with a version base. Without this function the
    caller's ``${hydra:}`` and the name of its job are lost, or a second Hydra is refused.
    """
    hydra, config, job = GlobalHydra.instance(), HydraConfig.instance(), JobRuntime.instance()
    own, cfg, conf, base = hydra.hydra, config.cfg, job.conf, version.VersionBase.instance()
    hydra.clear()
    version.VersionBase.set_instance(copy.copy(base))
    job.conf = copy.deepcopy(conf)
    try:
        yield
    finally:
        hydra.hydra, config.cfg, job.conf = own, cfg, conf
        version.VersionBase.set_instance(base)


def search_path(main: Path, first: Iterable[str]) -> ConfigSearchPath:
    """The folders in which Hydra searches for settings files.

    ``hydra.initialize_config_dir`` takes one folder only. Since Hydra 1.1. Without this function the user's own folders
    are not found.

    Args:
        main: the folder of the settings files.
        first: folders that are searched before ``main``, the last one first.
    """
    found = create_config_search_path(str(main))
    for folder in first:
        found.prepend("command-line", f"file://{Path(folder).resolve()}", SearchPathQuery(provider="main"))
    return found


def parse(texts: Iterable[str], loader: BaseLoader | None = None) -> list[Override]:
    """Parses overrides with Hydra's grammar. Since Hydra 1.1.

    Args:
        texts: the overrides as on the command line.
        loader: the loader that expands patterns such as ``glob(*)``.

    Raises:
        OverrideParseException: a text is no override.
    """
    overrides: list[Override] = _parser(loader).parse_overrides(list(texts))
    return overrides


def _number(text: str) -> Override | None:
    """Parses an override such as ``seed=17`` without Hydra's grammar, which takes half a millisecond for it.

    Gives None for any other override.
    """
    found = _NUMBER.fullmatch(text)
    if found is None:
        return None
    return Override(OverrideType.CHANGE, found[1], ValueType.ELEMENT, int(found[2]), input_line=text)


@functools.lru_cache(2)
def _parser(loader: BaseLoader | None) -> OverridesParser:
    return OverridesParser.create(config_loader=loader)


def with_texts(override: Override, change: Callable[[str], str]) -> Override:
    """Changes each text in an override's value, and the override's input line with them.

    It reads ``Override._value``, which holds lists and dicts of ``QuotedString``. Since Hydra 1.1. Without this
    function a password on the command line is written into ``.hydra/`` and ``multirun.yaml``.
    """
    value = _changed(override._value, change)
    if repr(value) == repr(override._value):  # repr, because nan != nan
        return override
    made = dataclasses.replace(override, _value=value)
    made.input_line = f"{made.get_key_element()}={made.get_value_element_as_str()}"
    return made


def _changed(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, ChoiceSweep):
        return dataclasses.replace(value, list=[_changed(item, change) for item in value.list])
    if isinstance(value, QuotedString):
        return QuotedString(change(value.text), value.quote)
    if isinstance(value, list):
        return [_changed(item, change) for item in value]
    if isinstance(value, dict):
        return {key: _changed(item, change) for key, item in value.items()}
    return change(value) if isinstance(value, str) else value


class Files(ConfigRepository):  # type: ignore[misc]
    """Hydra's repository of settings files, with a cache: each file is read once.

    Hydra reads a file again for every composition. Since Hydra 1.1. Without the cache a sweep takes longer to begin.

    Args:
        path: the folders in which the files are searched.
        before: a function that is called with each file's name before the file is read. It may refuse the file.
        change: a function that is applied once to each file's name and content.
    """

    def __init__(
        self,
        path: ConfigSearchPath,
        before: Callable[[str], None],
        change: Callable[[str, ConfigResult], None],
    ) -> None:
        super().__init__(path)
        self._before, self._change = before, change
        self._read: dict[str, bytes] = {}

    def __deepcopy__(self, memo: object) -> Files:
        # Hydra copies the repository for every composition, since hydra.searchpath might change it. Here
        # hydra.searchpath is refused, so no copy is needed.
        return self

    def load_config(self, config_path: str) -> ConfigResult | None:
        """Gives a copy of a file's content, since Hydra changes the object that it gets."""
        if config_path not in self._read:
            self._before(config_path)
            found = super().load_config(config_path)
            if found is not None:
                self._change(config_path, found)
            self._read[config_path] = pickle.dumps(found)
        read: ConfigResult | None = pickle.loads(self._read[config_path])
        return read


class BaseLoader(ConfigLoaderImpl):  # type: ignore[misc]
    """Hydra's loader with a cache: it composes the files only once for equal choices of config groups.

    Hydra composes each job of a sweep from its files anew, which takes 40 ms and more. The choices of config groups
    alone decide the settings that the files give. So the files are composed once for equal choices. Values are then
    set on a copy, with the function that Hydra itself uses (``_apply_overrides_to_config``). Since Hydra 1.1. The
    result equals Hydra's own. A test compares both for many kinds of overrides.

    Args:
        path: the folders in which the files are searched.
        before_file: a function that is called with each settings file's name before the file is read. It may refuse it.
        change_file: a function that is applied to the name and content of each settings file that is read.
        change_text: a function that is applied to each text of an override.
    """

    def __init__(
        self,
        path: ConfigSearchPath,
        before_file: Callable[[str], None],
        change_file: Callable[[str, ConfigResult], None],
        change_text: Callable[[str], str],
    ) -> None:
        super().__init__(path)
        self.repository = Files(path, before_file, change_file)
        self._change_text = change_text
        self.clear()

    def clear(self) -> None:
        """Forgets all composed configurations and parsed overrides."""
        self._overrides: dict[str, Override] = {}
        self._is_group: dict[str, bool] = {}
        self._composed: dict[tuple[object, ...], bytes] = {}

    def load_configuration(
        self,
        config_name: str | None,
        overrides: list[str],
        run_mode: RunMode,
        from_shell: bool = True,
        validate_sweep_overrides: bool = True,
    ) -> DictConfig:
        """Composes a configuration. The result equals Hydra's.

        Raises:
            HydraException: an override is wrong.
        """
        parsed = self.parsed(overrides)
        if validate_sweep_overrides:
            self.validate_sweep_overrides_legal(parsed, run_mode, from_shell)
        structure, values = self.separated(parsed)
        cfg: DictConfig = pickle.loads(self.composed(config_name, structure, run_mode))
        self.give(cfg, values)
        own = [override for override in parsed if not override.is_hydra_override()]
        names = cfg.hydra.job.config.override_dirname
        cfg.hydra.overrides.task = [override.input_line for override in own]
        cfg.hydra.job.override_dirname = get_overrides_dirname(
            overrides=own, kv_sep=names.kv_sep, item_sep=names.item_sep, exclude_keys=names.exclude_keys
        )
        return cfg

    def parsed(self, texts: Iterable[str]) -> list[Override]:
        """Parses overrides, each text only once."""
        found = []
        for text in texts:
            if text not in self._overrides:
                self._overrides[text] = _number(text) or with_texts(parse([text])[0], self._change_text)
            found.append(self._overrides[text])
        return found

    def separated(self, overrides: Iterable[Override]) -> tuple[list[Override], list[Override]]:
        """Separates the overrides that choose files or set Hydra up from those that set values afterwards.

        ``hydra._internal.defaults_list.Overrides`` separates them in the same way.
        """
        structure: list[Override] = []
        values: list[Override] = []
        for override in overrides:
            if override.is_sweep_override():  # the sweeper reads it; here it sets nothing
                continue
            name = override.key_or_group
            if name not in self._is_group:
                self._is_group[name] = self.repository.group_exists(name)
            sets = isinstance(override.value(), dict) or not self._is_group[name]
            of_hydra = name.split(".")[0] == "hydra"
            (values if sets and not of_hydra else structure).append(override)
        return structure, values

    def composed(self, config_name: str | None, structure: Sequence[Override], run_mode: RunMode) -> bytes:
        """Composes a configuration without changed values and pickles it. Equal arguments give the same object."""
        lines = [override.input_line for override in structure]
        key = (config_name, *lines, run_mode, Path.cwd(), JobRuntime.instance().get("name"))
        if key not in self._composed:
            cfg = super().load_configuration(config_name, lines, run_mode, validate_sweep_overrides=False)
            self.adapt(cfg, structure)
            self._composed[key] = pickle.dumps(cfg)
        return self._composed[key]

    def adapt(self, cfg: DictConfig, structure: Sequence[Override]) -> None:
        """Changes a composed configuration before values are set in it. Here it changes nothing."""

    @staticmethod
    def give(cfg: DictConfig, values: list[Override]) -> None:
        """Sets values in a configuration, or in a part of one, as Hydra does.

        Raises:
            ConfigCompositionException: a name does not exist, or does not take the value.
        """
        try:
            ConfigLoaderImpl._apply_overrides_to_config(values, cfg)
        except OmegaConfBaseException as error:
            raise ConfigCompositionException() from error


def jobs_of(cfg: DictConfig, overrides: list[Override]) -> list[list[str]] | None:
    """The overrides of each job that Hydra's own sweeper makes, or None if another sweeper is chosen.

    Hydra gives these overrides to its launcher only. Since Hydra 1.1. Without this function a sweep cannot be checked
    before its first job.

    Args:
        cfg: the sweep's configuration.
        overrides: the command's overrides, and ``hydra.sweeper.params``.
    """
    if str(cfg.hydra.sweeper._target_).rpartition(".")[2] != BasicSweeper.__name__:
        return None
    batches: list[list[list[str]]] = BasicSweeper.split_arguments(overrides, None)
    return list(itertools.chain.from_iterable(batches))


class Engine:
    """The part of Hydra that ``hydra.main`` starts, for a command that parses its own options. Since Hydra 1.1.

    Args:
        name: the command's name, which the log file gets.
        loader: the loader that composes each job.
        config_name: the settings file at which composition begins.
    """

    def __init__(self, name: str, loader: BaseLoader, config_name: str) -> None:
        self._hydra, self._config_name = Hydra(task_name=name, config_loader=loader), config_name
        GlobalHydra.instance().initialize(self._hydra)

    def run(self, task: TaskFunction, overrides: list[str]) -> JobReturn:
        """Runs one job in its output folder."""
        return self._hydra.run(config_name=self._config_name, task_function=task, overrides=overrides)

    def multirun(self, task: TaskFunction, overrides: list[str]) -> list[JobReturn]:
        """Runs a sweep and gives the return of each job, in order."""
        batches: list[list[JobReturn]] = self._hydra.multirun(
            config_name=self._config_name, task_function=task, overrides=overrides
        )
        return list(itertools.chain.from_iterable(batches))

    def show_info(self, what: str, overrides: list[str]) -> None:
        """Prints the sources of the settings, as ``--info`` does."""
        self._hydra.show_info(what, config_name=self._config_name, overrides=overrides)

    def part(self, cfg: DictConfig, kind: str) -> DictConfig:
        """The ``job``, ``hydra`` or ``all`` part of a configuration, as ``--cfg`` shows it."""
        cfg = copy.deepcopy(cfg)
        HydraConfig.instance().set_config(cfg)
        OmegaConf.set_readonly(cfg.hydra, None)
        part: DictConfig = self._hydra.get_sanitized_cfg(cfg, kind)
        return part


def run_in_sweep(task: TaskFunction, cfg: DictConfig, context: HydraContext) -> JobReturn:
    """Runs one job of a sweep in this process, which another process has started.

    Hydra's launchers call ``run_job``, too. Since Hydra 1.2, with ``hydra_context``. Without it a job has neither an
    output folder nor a log.

    Args:
        task: the job's function.
        cfg: the job's configuration, with the job's number.
        context: the sweep's context.
    """
    begin(str(cfg.hydra.job.name))  # composing reads the name
    return run_job(task, cfg, "hydra.sweep.dir", "hydra.sweep.subdir", context)
