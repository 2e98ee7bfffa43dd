"""The settings of ``python -m bench.report``: composed by Hydra from ``conf/report.yaml``, closed and typed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from hydra.types import RunMode
from omegaconf import OmegaConf

from bench import config
from bench.config.comments import settings as settings_in
from bench.config.composing import Composed
from bench.config.files import CONF
from bench.config.hydra import parse
from bench.config.messages import explained
from bench.config.paths import located
from bench.config.resolving import refuse_empty_variables
from bench.config.schema import Tracking
from bench.config.typed import Address, build, nearest, unknown
from bench.errors import RequestError

CONFIG_NAME = "report"

FILTERS = ("dataset", "strategy", "model")
"""Settings that choose runs. In the file they lie below ``only``, since Hydra would read them as config groups."""

USAGE = """\
Shows the trade-off of memory against error, from the records of finished runs.

usage: python -m bench.report [--config-dir DIR] [NAME=VALUE ...]

examples:
  python -m bench.report                                   a page, plots and tables below outputs/report
  python -m bench.report format=markdown dataset=movielens_1m
  python -m bench.report within=1%                         the smallest size of each method that loses at most that
  python -m bench.report across=model,optimizer            side by side what is never mixed
  python -m bench.report sweep=latest                      the runs of the last sweep, as in its own report
  python -m bench.report format=json 'strategy=[qr,md]' | jq .groups
  python -m bench.report source=mlflow tracking.uri=http://HOST:5000

options:
  -cd, --config-dir DIR  a folder with settings files of your own, for the commands that repeat runs

settings and their defaults:
{settings}

exit codes: 0 done; 1 MLflow cannot be reached; 2 the request is wrong, or there is nothing to report; 130 stopped.
Standard error then has one line that starts with "error:"."""


@dataclass(frozen=True)
class Filters:
    """The filters of the runs that are shown. None lets all runs through."""

    dataset: str | list[str] | None
    strategy: str | list[str] | None
    model: str | list[str] | None

    def wanted(self, name: str) -> list[str] | None:
        """The values that a filter lets through, or None for all values."""
        value: str | list[str] | None = getattr(self, name)
        return [value] if isinstance(value, str) else value


@dataclass(frozen=True)
class Asked:
    """The MLflow server and experiment of the runs, as far as they were given."""

    uri: Address | None
    experiment: str | None

    def or_usual(self) -> Tracking:
        """The given values, with the defaults of ``python -m bench.run`` for the others."""
        file = OmegaConf.load(CONF / "tracking" / "mlflow.yaml")
        values: Any = OmegaConf.to_container(file, resolve=True)
        raw: Any = OmegaConf.to_container(file, resolve=False)
        refuse_empty_variables({"tracking": raw}, {"tracking": values})
        usual = build(Tracking, values, _name)
        given = Tracking(self.uri or usual.uri, self.experiment or usual.experiment)
        return located(given, Path.cwd(), _name)


@dataclass(frozen=True)
class Request:
    """All settings of one report. Paths are absolute.

    Attributes:
        source: the source of the runs: records on this machine's disk, or MLflow.
        results_dir: folder of the records.
        sweep: the sweep whose runs are shown: its output folder, the first letters of its key, or ``latest``. None for
            all runs.
        format: the format of the report. ``page`` writes files, the others write a text to standard output.
        ci: the kind of interval.
        within: what a method may lose against full tables: a share of their metric as ``1%``, or a difference. None if
            the smallest sizes that lose no more are not asked for.
        across: settings across which sections are drawn side by side. None for none.
        output_dir: folder of the files.
        only: the filters of the runs that are shown.
        tracking: the given MLflow server and experiment. If the source is records, only the runs that were logged
            there are shown. If it is MLflow, the runs are read from there.
    """

    source: Literal["records", "mlflow"]
    results_dir: Path
    sweep: str | None
    format: Literal["page", "markdown", "csv", "json"]
    ci: Literal["t", "bootstrap"]
    within: str | float | None
    across: str | list[str] | None
    output_dir: Path
    only: Filters
    tracking: Asked

    @property
    def beside(self) -> list[str]:
        """The settings across which sections are drawn side by side."""
        return [self.across] if isinstance(self.across, str) else self.across or []


def read(overrides: Sequence[str]) -> Request:
    """Reads the settings of a report from overrides.

    Raises:
        RequestError: a setting is wrong. The message has the first wrong setting's name, its value, and a remedy.
    """
    by = config.loader(())
    with explained(overrides, by):
        cfg = by.load_configuration(CONFIG_NAME, _given(overrides), RunMode.RUN)
    values = by.secrets.revealed(Composed.of(cfg, {}, Path.cwd()).resolve())
    request = located(build(Request, values, lambda name: name.removeprefix("only.")), Path.cwd())
    if request.output_dir.exists() and not request.output_dir.is_dir():
        raise RequestError(f"output_dir={request.output_dir}: a file; give a folder")
    for name in FILTERS[1:]:
        for value in request.only.wanted(name) or ():
            known = config.options(name)
            if value not in known:
                raise RequestError(
                    f"{name}={value}: no such {name}{nearest(value, known)} (there are: {', '.join(known)})"
                )
    return request


def _given(overrides: Sequence[str]) -> list[str]:
    """Gives the overrides with the names of the settings file, such as ``only.dataset`` for ``dataset``."""
    given = []
    for text, override in zip(overrides, parse(overrides), strict=True):
        key = str(override.key_or_group)
        if key not in ("tracking", *names()):
            raise RequestError(unknown(key, text.partition("=")[2], names()))
        if override.type is None or override.type.name != "CHANGE" or override.package:
            raise RequestError(f"{text}: write {key}=VALUE")
        if override.is_sweep_override():
            value = text.partition("=")[2]
            if key == "across":  # names, for which no list is asked
                given.append(f"across=[{value}]")
                continue
            raise RequestError(f"{text}: several values; give a list as '{key}=[{value}]'")
        given.append(f"only.{text}" if key in FILTERS else text)
    return given


def _name(field: str) -> str:
    return f"tracking.{field}"


def names() -> list[str]:
    """The names of all settings, as users give them."""
    return [name for name, _, _ in _listed()]


def usage() -> str:
    """The text of ``--help``."""
    lines = [f"  {f'{name}={value}':<44} {comment}".rstrip() for name, value, comment in _listed()]
    return USAGE.format(settings="\n".join(lines))


def _listed() -> list[tuple[str, str, str]]:
    return [
        (name.removeprefix("only."), value, comment)
        for name, value, comment in settings_in(CONF / f"{CONFIG_NAME}.yaml")
    ]
