"""The text of ``--help``, made from the files of ``conf/`` and the comments on their lines."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from bench.config.comments import settings, summary
from bench.config.files import CONF, options

_HEAD = """\
Trains a recommender with compressed embedding tables and measures what compression costs: bytes, error, time.

usage: python -m bench.run [OPTION ...] [NAME=VALUE ...]      one run
       python -m bench.run -m [NAME=VALUE,VALUE,... ...]      a sweep over all combinations

examples:
  python -m bench.run strategy=qr num_buckets=120
  python -m bench.run dataset=movielens_1m strategy=md training.epochs=5
  python -m bench.run embedding@embeddings.item=md embeddings.item.block_dims=[64,32,16]
  python -m bench.run experiment=recipe_memory_efficient
  python -m bench.run -m strategy=full,qr,md,qr_md seed=0,1,2
  python -m bench.run experiment=sweep_buckets dataset=synthetic seed=0"""

_TAIL = """\
options:
  -m, --multirun        run all combinations of comma-separated values
  --plan                print what each run would be (sizes, bytes, memory, time) instead of running; with -m too;
                        --plan=measure runs a few steps of each strategy for times that no record tells
  -c, --cfg job         print the settings instead of running (also: hydra, all); --resolve, --package NAME
  -i, --info [WHAT]     where settings come from (all, config, defaults, defaults-tree, plugins, searchpath)
  -cd, --config-dir DIR a folder with settings files of your own
  -h, --help            this text; with dataset=NAME, model=NAME: the settings of these
  --version             versions

exit codes: 0 all done; 1 a run failed, or no data source can be reached; 2 the request is wrong; 130 stopped.
Standard error then has one line that starts with "error:"; HYDRA_FULL_ERROR=1 adds the traceback."""


def usage(overrides: Sequence[str] = ()) -> str:
    """The text of ``--help``.

    Args:
        overrides: the command's overrides. The settings of their ``dataset=`` and ``model=`` are listed.
    """
    chosen = {"dataset": "synthetic", "model": "dot"}
    chosen.update(text.split("=", 1) for text in overrides if text.partition("=")[0] in chosen)  # type: ignore[misc]
    parts = [_HEAD]
    for title, group in (("strategies", "strategy"), ("data sets", "dataset"), ("models", "model")):
        parts.append(_choices(f"{title} ({group}=)", group))
    parts.append(_choices("experiments, whole settings (experiment=)", "experiment"))
    parts.append(_listed("settings and their defaults", settings(CONF / "config.yaml")))
    for method in options("embedding"):
        own = [
            (name, _default(value), comment) for name, value, comment in settings(_path("embedding", method))
        ]
        title = f"settings of {method} (under a strategy with it; of one field: embeddings.FIELD.NAME)"
        parts.append(_listed(title, own))
    for group, name in chosen.items():
        lines = [*settings(_path(group, name), f"{group}.")]
        for folder in sorted(path for path in (CONF / group).iterdir() if path.is_dir() and lines):
            lines += settings(folder / "default.yaml", f"{group}.{folder.name}.")
        parts.append(_listed(f"settings of {group}={name}", lines))
    parts.append(_listed("settings of training", settings(_path("training", "default"), "training.")))
    parts.append(_listed("settings of tracking", settings(_path("tracking", "mlflow"), "tracking.")))
    parts.append(_TAIL)
    return "\n\n".join(part for part in parts if part)


def _path(group: str, name: str) -> Path:
    return CONF / group / f"{name}.yaml"


def _choices(title: str, group: str) -> str:
    lines = []
    for name in options(group):
        text = summary(_path(group, name)) or summary(_path("embedding", name))
        lines.append(f"  {name:<24} {text}".rstrip())
    return "\n".join([f"{title}:", *lines])


def _listed(title: str, lines: Iterable[tuple[str, str, str]]) -> str:
    rows = [(f"{name}={value}", comment) for name, value, comment in lines if not name.endswith(_FIXED)]
    return (
        "\n".join([f"{title}:", *(f"  {left:<44} {right}".rstrip() for left, right in rows)]) if rows else ""
    )


_FIXED = ("method", "dataset.name", "dataset.kind", "model.name")
"""Settings that the choice of a file fixes."""


def _default(value: str) -> str:
    found = re.match(r"\$\{oc\.select:\w+,\s*(.*)\}$", value)
    return found[1] if found else value
