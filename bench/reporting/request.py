"""The settings of ``python -m bench.report``: composed by Hydra from ``conf/report.yaml``, closed and typed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.types import RunMode
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from bench import config
from bench.config.checking import raw_at
from bench.config.composing import CONF
from bench.config.messages import explain
from bench.config.schema import Tracking
from bench.errors import RequestError
from bench.settings import build, nearest, shown, unknown
from bench.usage import settings as settings_in

CONFIG_NAME = "report"

FILTERS = ("dataset", "strategy", "model")
"""Names that choose runs; in the file they lie below ``only``, as Hydra would take them for groups of ``conf/``."""

USAGE = """\
Shows the trade-off of memory against error, from the runs that MLflow holds.

usage: python -m bench.report [NAME=VALUE ...]

examples:
  python -m bench.report                                   a page, plots and tables below outputs/report
  python -m bench.report format=markdown dataset=movielens_1m
  python -m bench.report format=json 'strategy=[qr,md]' | jq .groups

settings and their defaults:
{settings}

exit codes: 0 done; 1 MLflow cannot be reached; 2 the request is wrong, or there is nothing to report; 130 stopped.
Standard error then has one line that starts with "error:"."""


@dataclass(frozen=True)
class Filters:
    """Which runs are shown; None for all."""

    dataset: str | list[str] | None
    strategy: str | list[str] | None
    model: str | list[str] | None

    def wanted(self, name: str) -> list[str] | None:
        """The values that a filter lets through, or None for all."""
        value: str | list[str] | None = getattr(self, name)
        return [value] if isinstance(value, str) else value


@dataclass(frozen=True)
class Request:
    """All settings of one report.

    Attributes:
        format: what is made: files for ``page``, else a text on standard output.
        ci: how intervals are made.
        output_dir: folder of the files.
        only: which runs are shown.
        tracking: where the runs were logged.
    """

    format: Literal["page", "markdown", "csv", "json"]
    ci: Literal["t", "bootstrap"]
    output_dir: str
    only: Filters
    tracking: Tracking

    @property
    def folder(self) -> Path:
        """``output_dir`` with the home folder's name in place of ``~``."""
        return Path(self.output_dir).expanduser()


def read(overrides: Sequence[str]) -> Request:
    """The settings that some overrides ask for.

    Raises:
        RequestError: the first one found wrong: its name, its value, what would work.
    """
    by = config.loader(())
    try:
        parsed = OverridesParser.create().parse_overrides(list(overrides))
    except Exception as error:
        raise explain(error, overrides, by) from error
    given = []
    for text, override in zip(overrides, parsed, strict=True):
        key = str(override.key_or_group)
        if key != "tracking" and key not in names():
            raise RequestError(unknown(key, text.partition("=")[2], names()))
        if override.type is None or override.type.name != "CHANGE" or override.package:
            raise RequestError(f"{text}: write {key}=VALUE")
        if override.is_sweep_override():
            value = text.partition("=")[2]
            raise RequestError(f"{text}: several values; give a list as '{key}=[{value}]'")
        given.append(f"only.{text}" if key in FILTERS else text)
    try:
        cfg = by.load_configuration(CONFIG_NAME, given, RunMode.RUN)
        own = OmegaConf.masked_copy(cfg, [str(name) for name in cfg if name != "hydra"])
        values: Any = OmegaConf.to_container(own, resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        name = error.full_key or "settings"
        raise RequestError(f"{name}={shown(raw_at(own, name))}: cannot be read; give a value") from error
    except Exception as error:
        raise explain(error, overrides, by) from error
    for name in ("tracking", "only"):
        if not isinstance(values[name], dict):
            raise RequestError(f"{name}={shown(values[name])}: a group of settings; give {name}.NAME=VALUE")
    request = build(Request, values, lambda name: name.removeprefix("only."))
    if request.folder.exists() and not request.folder.is_dir():
        raise RequestError(f"output_dir={request.output_dir}: a file; give a folder")
    for name in FILTERS[1:]:
        for value in request.only.wanted(name) or ():
            known = config.options(name)
            if value not in known:
                raise RequestError(
                    f"{name}={value}: no such {name}{nearest(value, known)} (there are: {', '.join(known)})"
                )
    return request


def names() -> list[str]:
    """All settings, as they are given."""
    return [name for name, _, _ in _listed()]


def usage() -> str:
    """The text of ``--help``."""
    lines = [f"  {f'{name}={value}':<44} {comment}".rstrip() for name, value, comment in _listed()]
    return USAGE.format(settings="\n".join(lines))


def _listed() -> list[tuple[str, str, str]]:
    own = [
        (name.removeprefix("only."), value, comment)
        for name, value, comment in settings_in(CONF / f"{CONFIG_NAME}.yaml")
    ]
    return [*own, *settings_in(CONF / "tracking" / "mlflow.yaml", "tracking.")]
