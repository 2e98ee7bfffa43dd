"""The request of a command: composed, but not yet checked."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from bench import config
from bench.cli import engine
from bench.cli.engine import Engine
from bench.cli.folder import RUN, SWEEP, OutputFolder
from bench.cli.options import Options
from bench.config import Loader, explained
from bench.config.quoting import command
from bench.errors import RequestError


@dataclass(frozen=True)
class Request:
    """A requested run or sweep.

    Attributes:
        options: the command's options.
        name: the command's name, which the log file gets.
        loader: the loader that composes settings.
        engine: Hydra with this loader.
        cfg: the composed configuration.
        folder: the output folder, which does not exist yet.
    """

    options: Options
    name: str
    loader: Loader
    engine: Engine
    cfg: DictConfig
    folder: OutputFolder

    @property
    def is_sweep(self) -> bool:
        """True if the request is a sweep, either by ``-m`` or by ``hydra.mode`` in the settings."""
        return bool(self.cfg.hydra.mode == RunMode.MULTIRUN)

    @property
    def launcher(self) -> str:
        """The choice of ``hydra/launcher``."""
        return str(self.cfg.hydra.runtime.choices["hydra/launcher"])

    @property
    def command(self) -> str:
        """The command line that repeats the request."""
        return command(f"bench.{self.name}", self.options.argv)

    @property
    def overrides(self) -> list[str]:
        """The command's overrides, and those of the output folder."""
        return [*self.options.overrides, *self.folder.overrides, *([engine.SWEEP] if self.is_sweep else [])]

    def in_folder(self) -> Request:
        """Gives the request with the present output folder in a sweep's configuration."""
        if not self.is_sweep:
            return self
        return replace(self, cfg=self.loader.compose(self.overrides, RunMode.MULTIRUN))


def compose(options: Options, name: str) -> Request:
    """Composes the request of a command.

    Args:
        options: the command's options.
        name: the command's name.

    Raises:
        RequestError: Hydra cannot compose the request. The message names the wrong override.
    """
    loader = config.loader(options.config_dirs)
    hydra = Engine(name, loader)
    with explained(options.overrides, loader):
        cfg = hydra.compose(options.overrides, options.multirun)
        key = SWEEP if cfg.hydra.mode == RunMode.MULTIRUN else RUN
        folder = OutputFolder(cfg, key, options.overrides)
        return Request(options, name, loader, hydra, cfg, folder).in_folder()


def show(request: Request) -> None:
    """Prints the settings for ``--cfg``, or their sources for ``--info``."""
    options = request.options
    with explained(options.overrides, request.loader):
        if options.info:
            request.engine.show_info(options.info, options.overrides)
            return
        assert options.cfg is not None
        cfg = request.engine.shown(request.cfg, options.cfg)
        part = OmegaConf.select(cfg, options.package) if options.package else cfg
        if part is None:
            raise RequestError(f"--package {options.package}: no such part; --cfg {options.cfg} shows all")
        if options.resolve and OmegaConf.is_config(part):
            OmegaConf.resolve(part)
        print(OmegaConf.to_yaml(part).rstrip() if OmegaConf.is_config(part) else part)
