"""The output at the end of a sweep: unfinished runs, the trade-off of finished runs, and the next command to type."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from bench.cli.shell import Ended
from bench.config.files import CONF
from bench.config.quoting import command, override
from bench.config.secrets import without_password
from bench.measure.units import plural
from bench.records.result import Result
from bench.sweeps.jobs import Outcome, measured, with_baselines


def show(
    outcomes: Mapping[int, Outcome],
    ranked: bool = True,
    page: Path | None = None,
    config_dirs: Sequence[str] = (),
) -> None:
    """Names a sweep's unfinished runs, and shows the trade-off of the finished ones.

    Args:
        outcomes: the outcomes of the runs, by number.
        ranked: True if both are shown. A search shows them itself, with the metric that it may use.
        page: the page with the report of these runs, if there is one.
        config_dirs: the user's own folders of settings, as they were given.
    """
    if not ranked:
        return
    for text in unfinished(outcomes):
        print(text)
    trained = measured(outcomes)
    if len(trained) > 1:
        from bench import tradeoff  # takes a fifth of a second, which a refused sweep saves

        shown = with_baselines(trained)
        tradeoff.show(tradeoff.tradeoff(shown, scope="sweep"))
        if len(shown) > len(trained):
            print(f"{plural(len(shown) - len(trained), 'run')} of earlier commands, to compare with.")
        print(f"\nreport of these runs: {page}" if page else "")
        print(f"plots and a page of all runs: {report_of_all(trained[-1], config_dirs)}")


def unfinished(outcomes: Mapping[int, Outcome]) -> list[str]:
    """A line for each unfinished run. Runs with the same message share a line."""
    same: dict[tuple[str, str], list[int]] = {}
    for number, outcome in sorted(outcomes.items()):
        if outcome.message:
            same.setdefault((outcome.status, outcome.message), []).append(number)
    return [
        f"{'runs' if len(numbers) > 1 else 'run'} {listed(numbers, outcomes)} {status}: {message}"
        for (status, message), numbers in same.items()
    ]


def listed(numbers: list[int], outcomes: Mapping[int, Outcome]) -> str:
    """A list of runs with their overrides, such as ``1 (seed=1); 2 (seed=2)``."""
    return "; ".join(f"{number} ({' '.join(outcomes[number].overrides)})" for number in numbers)


def check(outcomes: Mapping[int, Outcome]) -> None:
    """Ends the command if a run failed. A run that was refused for its budget does not count as failed.

    Raises:
        Ended: a run failed. The message names all runs that failed.
    """
    failed = sorted(number for number, outcome in outcomes.items() if outcome.status == "failed")
    if failed:
        what = f"{len(failed)} of {len(outcomes)} runs failed: {listed(failed, outcomes)}"
        raise Ended(f"{what}; the others are kept", 1)


def report_of_all(result: Result, config_dirs: Sequence[str] = ()) -> str:
    """The command that shows this run and all others in the same MLflow experiment.

    Args:
        result: of the run.
        config_dirs: the user's own folders of settings.
    """
    tracking = result.setting("tracking") or {}
    usual: Any = OmegaConf.to_container(OmegaConf.load(CONF / "tracking" / "mlflow.yaml"), resolve=True)
    usual["uri"] = without_password(usual["uri"])
    given = [
        override(f"tracking.{name}", value) for name, value in tracking.items() if value != usual.get(name)
    ]
    own = [word for folder in config_dirs for word in ("--config-dir", folder)]
    return command("bench.report", [*own, *given])
