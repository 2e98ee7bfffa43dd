"""RESULTS.md: every method on public data and on generated clicks, by one command that goes on where it was stopped.

Run it with ``make results``, which is ``python -m benchmarks.results [studies=ratings,...] [file=RESULTS.md]
[jobs=2]``. ``plan=true`` prints what each run would be, and how long it would take, without training. ``write=only``
writes the file from the runs that are there. A study whose data are missing is left out and named in the file.

Each study is a sweep. Its runs are records like all others: they are not trained again, and their commands are those of
the tables.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from bench.config.typed import Count
from bench.errors import BenchError, RequestError, RunFailed, line
from bench.measure.units import short_size
from bench.tradeoff.headline import Headline
from bench.tradeoff.statistics import pareto
from benchmarks.options import options_of

ROOT = Path(__file__).resolve().parents[1]
SWEEPS = Path("outputs") / "studies"
SEEDS, MORE_SEEDS = (0, 1, 2), (0, 1, 2, 3, 4)
MOST = 10
"""Number of strategies of a study that get more seeds: those that lead at the middle budget."""


@dataclass(frozen=True)
class Study:
    """A sweep, and what the file says of it.

    Attributes:
        name: its name on the command line, and of its folder.
        title: its heading.
        about: a paragraph about data, model and training.
        overrides: the settings of the sweep, without seeds.
        data: the data sets that the user has to bring, or that are downloaded.
        more_seeds: True repeats the leading strategies with more seeds.
    """

    name: str
    title: str
    about: str
    overrides: tuple[str, ...]
    data: str = ""
    more_seeds: bool = False


STUDIES = (
    Study(
        "ratings",
        "Ratings: MovieLens 1M",
        "A dot product of width 64, three epochs, Adam, batches of 128: the training of Keras's example "
        "“Memory-efficient embeddings for recommendation systems”.",
        ("dataset=movielens_1m", "strategy=glob(*,exclude=qr_md)", "budget=0.2,0.1,0.05,0.02"),
        "movielens_1m",
        more_seeds=True,
    ),
    Study(
        "sizes",
        "Ratings: methods of one size",
        "As above, without a budget.",
        ("dataset=movielens_1m", "strategy=full,float16,int8,int16,ptq_int8,ptq_int4"),
        "movielens_1m",
    ),
    Study(
        "frappe",
        "Clicks: Frappe",
        "DeepFM as BARS trains it, on Frappe_x1's published split; the linear part reads the vectors.",
        ("experiment=sweep_frappe",),
        "frappe_x1",
    ),
    Study(
        "clicks",
        "Clicks: 26 generated fields",
        "DLRM on a million generated clicks with a hundredth of Criteo's ids, one pass.",
        ("experiment=sweep_clicks",),
    ),
    Study(
        "extreme",
        "Clicks: a thousandth of the bytes",
        "DLRM on a million generated clicks with a tenth of Criteo's ids, one pass.",
        ("experiment=sweep_clicks", "dataset.scale=0.1", "strategy=full,hash,tt,dhe", "budget=0.001"),
    ),
    Study(
        "partitions",
        "Clicks: a thousandth of the bytes, three tables a field",
        "As above; with two tables `qr` cannot be as small.",
        ("experiment=sweep_clicks", "dataset.scale=0.1", "strategy=qr", "num_partitions=3", "budget=0.001"),
    ),
)


@dataclass(frozen=True)
class Options:
    """What is run; see the module."""

    studies: str = ",".join(study.name for study in STUDIES)
    file: str = "RESULTS.md"
    jobs: Count = 2
    plan: bool = False
    write: Literal["after", "only"] = "after"


def command(study: Study, seeds: Sequence[int], strategies: Sequence[str] = ()) -> list[str]:
    """Gives the arguments of ``python -m bench.run`` for a study."""
    chosen = [f"strategy={','.join(strategies)}"] if strategies else []
    own = [one for one in study.overrides if not (strategies and one.startswith("strategy="))]
    return ["-m", *own, *chosen, f"seed={','.join(map(str, seeds))}"]


def run(arguments: Sequence[str], folder: Path, options: Options) -> None:
    """Runs a sweep, or plans it.

    Raises:
        RunFailed: some runs failed; the others have finished.
    """
    where = [f"hydra.sweep.dir={folder}", "hydra/launcher=workers", f"hydra.launcher.n_jobs={options.jobs}"]
    extra = ["--plan"] if options.plan else where
    done = subprocess.run([sys.executable, "-m", "bench.run", *arguments, *extra], check=False)
    if done.returncode == 130:
        raise KeyboardInterrupt
    if done.returncode:
        raise RunFailed(
            f"python -m bench.run {shlex.join(arguments)}: ended with {done.returncode}, see above"
        )


def groups(folder: Path) -> list[dict[str, Any]]:
    """Reads the groups of a sweep: runs that differ in the seed alone.

    Raises:
        RunFailed: the sweep has no finished runs.
    """
    if not folder.is_dir():
        return []
    asked = [sys.executable, "-m", "bench.report", f"sweep={folder}", "format=json"]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RunFailed(f"sweep={folder}: {done.stderr.strip()}")
    found: list[dict[str, Any]] = json.loads(done.stdout)["groups"]
    return found


def leading(found: Sequence[Mapping[str, Any]]) -> Headline:
    """Gives the metric that leads."""
    return Headline.of(found[0]["task"])


def cost(group: Mapping[str, Any], metric: Headline) -> float | None:
    """Gives the mean of a group as a cost, which is better if it is lower; None for a group that failed."""
    return metric.cost(group[f"{metric.name}_mean"])


def best(found: Sequence[Mapping[str, Any]], count: int) -> list[str]:
    """Lists the strategies that lead at the middle one of the budgets, the best first."""
    metric = leading(found)
    budgets = sorted({one["budget"] for one in found if one["budget"] is not None})
    middle = budgets[len(budgets) // 2]
    costs = {one["strategy"]: cost(one, metric) for one in found if one["budget"] == middle}
    known = {strategy: own for strategy, own in costs.items() if own is not None}
    return sorted(known, key=known.__getitem__)[:count]


def cell(group: Mapping[str, Any], metric: Headline) -> str:
    """Gives the mean of a group with half of its 95 % interval; a star is put before the groups of the front."""
    mean, interval = group[f"{metric.name}_mean"], group[f"{metric.name}_ci95"]
    if mean is None:
        return "failed"
    spread = f" ± {(interval[1] - interval[0]) / 2:.4f}" if interval else ""
    return f"{'★ ' if group['pareto'] else ''}{mean:.4f}{spread}"


def table(found: Sequence[Mapping[str, Any]]) -> list[str]:
    """Gives the lines of a Markdown table: a row a strategy, a column a budget."""
    metric = leading(found)
    budgets = sorted({one["budget"] for one in found if one["budget"] is not None}, reverse=True)
    columns: list[float | None] = [*budgets, None]
    if all(one["budget"] is not None for one in found):
        columns.pop()
    rows: dict[str, dict[float | None, Mapping[str, Any]]] = {}
    for one in found:
        rows.setdefault(one["strategy"], {})[one["budget"]] = one
    where = [f"budget {one:g}" if one is not None else "at its own size" for one in columns]
    heads = [f"{metric.short}, {one}" for one in where]
    heads += ["ms a step", "lookup, µs", "seeds"]
    lines = ["| strategy | " + " | ".join(heads) + " |", "| --- |" + " ---: |" * len(heads)]
    order = sorted(rows, key=lambda strategy: (strategy != "full", strategy))
    for strategy in order:
        own = rows[strategy]
        shown = [
            f"{cell(own[one], metric)} ({own[one]['compression_ratio']:.1f}x)"
            if one is None and one in own
            else cell(own[one], metric) if one in own else "-"
            for one in columns
        ]  # fmt: skip
        largest = next(own[one] for one in columns if one in own)
        step, lookup = largest["step_time_ms_mean"], largest["lookup_us_mean"]
        times = [f"{step:.3f}" if step else "-", f"{lookup:.0f}" if lookup else "-"]
        seeds = sorted({len(one["seeds"]) for one in own.values()})
        lines.append(f"| `{strategy}` | {' | '.join([*shown, *times, ', '.join(map(str, seeds))])} |")
    return lines


def merged(found: Sequence[dict[str, Any]], more: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Puts groups of more seeds in place of those of fewer, and finds the front anew."""
    new = {(one["strategy"], one["budget"]): one for one in more}
    out = [new.get((one["strategy"], one["budget"]), one) for one in found]
    metric = leading(out)
    front = pareto([(one["embedding_bytes"], cost(one, metric)) for one in out])
    return [{**one, "pareto": leads} for one, leads in zip(out, front, strict=True)]


def section(study: Study, found: Sequence[Mapping[str, Any]], commands: Sequence[Sequence[str]]) -> list[str]:
    """Gives the lines of a study."""
    full = next((one for one in found if one["baseline"]), found[0])
    constant = (
        f"The best constant has {full['val_constant']:.4f}. " if full["val_constant"] is not None else ""
    )
    size = short_size(full["full_embedding_bytes"])
    typed = [f"python -m bench.run {shlex.join(one)}" for one in commands]
    return [
        f"## {study.title}", "",
        f"{study.about} Full tables take {size}. {constant}Data digest {full['data_digest'][:16]}.", "",
        *table(found), "",
        "```", *typed, "```", "",
    ]  # fmt: skip


HEAD = """\
# Results

Written by `make results` from the records of its runs; no number here is typed. Errors and scores are means over seeds
on one split, with half of their 95 % interval (Student's t): initial weights and the order of batches vary, the rows
held out do not. ★ marks the front of a study: nothing else in it needs fewer bytes and is as good. A dash is a budget
that the method has no size for. Times are those of the largest size, measured while {jobs} runs were made at once.
Nothing was tuned on the rows that are reported: settings are the defaults, and all that the scores decide is which
strategies get five seeds.
"""


def text(sections: Sequence[str], left_out: Sequence[str], jobs: int) -> str:
    """Gives the whole file."""
    named = [f"Left out: {one}." for one in left_out]
    return "\n".join([HEAD.format(jobs=jobs), *sections, *named]).rstrip() + "\n"


def results(options: Options) -> None:
    """Runs the studies and writes the file.

    Raises:
        BenchError: a study is unknown, or its runs failed.
    """
    names = options.studies.split(",")
    known = [study.name for study in STUDIES]
    if unknown := [name for name in names if name not in known]:
        raise RequestError(f"studies={','.join(unknown)}: not found; give some of {', '.join(known)}")
    sections: list[str] = []
    left_out: list[str] = []
    for study in (one for one in STUDIES if one.name in names):
        folder, more = SWEEPS / study.name, SWEEPS / f"{study.name}-more"
        commands = [command(study, SEEDS)]
        if options.write == "after":
            try:
                run(commands[0], folder, options)
            except RunFailed as error:
                if not (study.data and not groups(folder)):
                    raise
                left_out.append(f"{study.title}, because {study.data} is not there ({line(error)})")
                continue
        if options.plan:
            continue
        found = groups(folder)
        if study.more_seeds and found:
            commands.append(command(study, MORE_SEEDS, best(found, MOST)))
            if options.write == "after":
                run(commands[1], more, options)
            found = merged(found, groups(more))
        if found:
            sections += section(study, found, commands)
    if not options.plan:
        Path(options.file).write_text(text(sections, left_out, options.jobs), encoding="utf-8")
        print(f"wrote {options.file}")


def main(arguments: Sequence[str]) -> int:
    """Runs the command and gives its exit code."""
    try:
        results(options_of(Options, arguments))
    except BenchError as error:
        print(f"error: {line(error)}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
